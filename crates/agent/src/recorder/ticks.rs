//! The rows measured since the last report, encoded only when it is made: what is defined or widened meanwhile costs
//! one segment for all of them. Bounded in values; what is over is dropped and counted.

use crate::catalog::{Catalog, NoSuchSource, Sample};
use bytes::Bytes;
use farol_series::Columns;
use farol_wire::proto::Block;
use std::collections::HashMap;

/// With so many values a report is due, and with twice as many rows are dropped.
const VALUES: usize = 32 << 10;
const ROWS: usize = 4 << 10;

/// Rows that wait.
#[derive(Debug, Default)]
pub(super) struct Ticks {
    /// In the order in which they were measured.
    rows: Vec<Row>,
    /// The values of all rows, one behind the other.
    values: Vec<Option<f64>>,
    /// The ids of each source's columns, as its newest row has them.
    ids: HashMap<u32, Vec<u32>>,
    /// Both ends of the codec agree on these since the segment began.
    columns: HashMap<u32, Columns>,
    /// Samples dropped here.
    dropped: u64,
    /// Used again for each row and block.
    row: Vec<Option<f64>>,
    block: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    source: u32,
    at_ms: u64,
    start: usize,
    len: usize,
}

impl Ticks {
    /// Whether a report should take them before its time.
    pub(super) fn are_many(&self) -> bool {
        self.values.len() >= VALUES || self.rows.len() >= ROWS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Keeps one tick of a source.
    pub(super) fn add(
        &mut self,
        catalog: &mut Catalog,
        source: u32,
        at_ms: u64,
        samples: &[Sample],
    ) -> Result<(), NoSuchSource> {
        if self.values.len() >= 2 * VALUES || self.rows.len() >= 2 * ROWS {
            self.dropped += samples.len() as u64;
            return Ok(());
        }
        let tick = catalog.row(source, samples)?;
        let start = self.values.len();
        self.values.extend_from_slice(tick.values);
        let (len, changed) = (tick.values.len(), tick.changed);
        if changed {
            self.align(catalog, source);
            for row in self.rows.iter().filter(|row| row.source == source) {
                catalog.hold(source, &self.values[row.start..row.start + row.len]);
            }
        }
        self.rows.push(Row { source, at_ms, start, len });
        Ok(())
    }

    /// Series were retired outside of a tick: the waiting rows of every source follow at once, since the next tick
    /// does not see that change.
    pub(super) fn realign(&mut self, catalog: &Catalog) {
        let sources: Vec<u32> = self.ids.keys().copied().collect();
        sources.into_iter().for_each(|source| self.align(catalog, source));
    }

    /// A source's columns changed: its waiting rows follow. Growth needs nothing; where a series was retired, the
    /// values of older rows move, and those of the retired one are dropped.
    fn align(&mut self, catalog: &Catalog, source: u32) {
        let Some(columns) = catalog.source(source).map(crate::catalog::Source::columns) else { return };
        let new: Vec<u32> = columns.iter().map(crate::catalog::Column::id).collect();
        let old = self.ids.insert(source, new.clone()).unwrap_or_default();
        if new.starts_with(&old) {
            return;
        }
        for row in self.rows.iter_mut().filter(|row| row.source == source) {
            let start = self.values.len();
            let before = self.values[row.start..row.start + row.len].to_vec();
            let held = before.iter().flatten().count();
            let value =
                |id: &u32| old.binary_search(id).ok().and_then(|at| before.get(at).copied().flatten());
            self.values.extend(new.iter().map(value));
            let kept = self.values[start..].iter().flatten().count();
            self.dropped += (held - kept) as u64;
            (row.start, row.len) = (start, new.len());
        }
    }

    /// A source is no more, and its rows with it.
    pub(super) fn forget(&mut self, source: u32) {
        let values = &self.values;
        let gone = self.rows.iter().filter(|row| row.source == source);
        self.dropped += gone
            .map(|row| values[row.start..row.start + row.len].iter().flatten().count() as u64)
            .sum::<u64>();
        self.rows.retain(|row| row.source != source);
        self.ids.remove(&source);
        self.columns.remove(&source);
    }

    /// A segment begins: every base is absent again. `changed` when the set is another one.
    pub(super) fn begin(&mut self, changed: bool) {
        if changed {
            self.columns.clear();
        } else {
            self.columns.values_mut().for_each(Columns::reset);
        }
    }

    /// One block for each row, for a report made at `now_ms`. Nothing waits afterwards.
    pub(super) fn blocks(&mut self, catalog: &Catalog, now_ms: u64) -> Vec<Block> {
        let mut blocks = Vec::with_capacity(self.rows.len());
        for row in std::mem::take(&mut self.rows) {
            let Some(source) = catalog.source(row.source) else { continue };
            let columns = self.columns.entry(row.source).or_insert_with(|| Columns::new(source.encodings()));
            self.row.clear();
            self.row.extend_from_slice(&self.values[row.start..row.start + row.len]);
            self.row.resize(columns.len(), None);
            self.block.clear();
            match columns.encode(&self.row, &mut self.block) {
                Ok(()) => blocks.push(Block {
                    source: row.source,
                    before_ms: now_ms.saturating_sub(row.at_ms),
                    data: Bytes::copy_from_slice(&self.block),
                }),
                Err(error) => {
                    // The catalog widens before the segment begins, so this is a fault here; the rest goes on.
                    tracing::error!(source = source.name(), %error, "a row was not encoded");
                    self.dropped += self.row.iter().flatten().count() as u64;
                }
            }
        }
        self.values.clear();
        self.values.shrink_to(VALUES / 8);
        blocks
    }
}
