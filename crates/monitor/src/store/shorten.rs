//! Which journal rows are sealed. Each row waits for one of its runs: only when that is sealed it is looked at again,
//! so that many rows with many runs cost little. Pure; what is deleted is each store's business.

use super::catalog::Catalog;
use super::row::Directory;
use std::collections::BTreeMap;

/// The rows that wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// For which boot, and for which report of it.
    rows: BTreeMap<i64, (u32, u64)>,
    /// Rows up to this one were looked at.
    pub(crate) looked_at: i64,
}

impl Waiting {
    /// Rows whose wait is over, the oldest first.
    pub(crate) fn over(&self, catalog: &Catalog, at_most: usize) -> Vec<i64> {
        let is_over =
            |(boot, seq): &(u32, u64)| catalog.starts.get(boot).is_none_or(|start| start.sealed >= *seq);
        self.rows.iter().filter(|(_, wait)| is_over(wait)).map(|(row, _)| *row).take(at_most).collect()
    }

    /// Looks at rows, in order; gives those of which everything is sealed. The others wait.
    pub(crate) fn look(&mut self, catalog: &Catalog, rows: &[(i64, Directory)]) -> Vec<i64> {
        let mut sealed = Vec::new();
        for (row, directory) in rows {
            self.looked_at = self.looked_at.max(*row);
            // The last one that is not sealed: any would do.
            let open = directory.entries.iter().rfind(|entry| {
                catalog.starts.get(&entry.boot).is_some_and(|start| start.sealed < entry.last_seq)
            });
            match open {
                Some(entry) => {
                    self.rows.insert(*row, (entry.boot, entry.last_seq));
                }
                None => {
                    self.rows.remove(row);
                    sealed.push(*row);
                }
            }
        }
        sealed
    }

    /// These are sealed and about to be deleted: until that is done they are to be looked at again. Gives up to which row
    /// all were looked at once it is.
    pub(crate) fn until_deleted(&mut self, sealed: &[i64]) -> i64 {
        let first = sealed.first().copied().unwrap_or(i64::MAX);
        let looked_at = self.looked_at;
        self.looked_at = looked_at.min(first.saturating_sub(1));
        looked_at
    }

    /// Rows before this one are gone.
    pub(crate) fn begins_at(&mut self, oldest: i64) {
        self.rows = self.rows.split_off(&oldest);
    }

    /// These cannot be read; their age takes them.
    pub(crate) fn leave(&mut self, rows: &[i64]) {
        rows.iter().for_each(|row| {
            self.rows.remove(row);
        });
    }
}
