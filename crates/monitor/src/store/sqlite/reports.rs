//! The journal's reports as they come back: found by the boots of each row, decoded from the key report
//! on. Decides what is skipped: duplicates, damage, and what has no key report.

use super::SqliteStore;
use super::catalog::Catalog;
use crate::store::row::{self, Directory, Entry, KeyReport};
use crate::store::{AgentKey, KnownAgent, Layout, LayoutKey, StoreError, StoredReport, Visit};
use bytes::Bytes;
use farol_wire::Boot;
use futures::TryStreamExt;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// `?1`: the boots as a list of hexadecimal keys, null for all. A key may seem to stand across two others: the
/// directory tells.
const FIND: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM journal
WHERE last_ms >= ?2 AND first_ms <= ?3
  AND (?1 IS NULL OR EXISTS (SELECT 1 FROM json_each(?1) b WHERE instr(boots, unhex(b.value))))
ORDER BY id";

/// So many boots are looked for by the database; of more, most rows have some.
const FEW_BOOTS: usize = 16;

/// The rows of one boot between its key report's and the first one found.
const FIND_BEFORE: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM journal
WHERE id >= ?2 AND id < ?3 AND instr(boots, unhex(?1)) ORDER BY id";

const RUNS: &str = "
SELECT j.id, substr(j.body, (r.value ->> 1) + 1, r.value ->> 2)
FROM json_each(?1) r CROSS JOIN journal j ON j.id = r.value ->> 0";

const KNOWN_AGENTS: &str = "SELECT key, id FROM agents ORDER BY key";

type DirectoryRow = (i64, i64, i64, Vec<u8>, Vec<u8>);

/// A run of one boot in a row.
type Found = (i64, Entry);

impl SqliteStore {
    pub(super) async fn known_agents(&self) -> Result<Vec<KnownAgent>, StoreError> {
        let rows: Vec<(u32, String)> =
            sqlx::query_as(KNOWN_AGENTS).fetch_all(&self.readers).await.map_err(|e| self.judge(&e))?;
        Ok(rows.into_iter().map(|(key, id)| KnownAgent { key: AgentKey(key), id: id.into() }).collect())
    }

    pub(super) async fn visit_reports(
        &self,
        agents: &[AgentKey],
        from_ms: i64,
        to_ms: i64,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        let (boots, layouts) = {
            let catalog = self.catalog.read();
            (catalog.boots_of(agents), layouts_of(&catalog))
        };
        let mut found = self.find(&boots, from_ms, to_ms).await?;
        for (agent, boot, key) in boots {
            let Some(runs) = found.remove(&key) else { continue };
            let runs = self.with_key_report(key, runs).await?;
            let whose = Whose { agent, boot, layouts: &layouts };
            if self.visit_runs(&whose, &runs, (from_ms, to_ms), &mut *visit).await?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The runs of these boots that have a report in this time, by boot.
    async fn find(
        &self,
        boots: &[(AgentKey, Boot, u32)],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<HashMap<u32, Vec<Found>>, StoreError> {
        let keys: HashSet<u32> = boots.iter().map(|(_, _, key)| *key).collect();
        let few = (keys.len() <= FEW_BOOTS)
            .then(|| serde_json::Value::from_iter(keys.iter().map(|key| format!("{key:08x}"))).to_string());
        let mut rows =
            sqlx::query_as::<_, DirectoryRow>(FIND).bind(few).bind(from_ms).bind(to_ms).fetch(&self.readers);
        let mut found: HashMap<u32, Vec<Found>> = HashMap::new();
        while let Some(row) = rows.try_next().await.map_err(|e| self.judge(&e))? {
            let Some((id, directory)) = self.directory(&row) else { continue };
            for entry in directory.entries {
                if keys.contains(&entry.boot) && entry.last_ms >= from_ms && entry.first_ms <= to_ms {
                    found.entry(entry.boot).or_default().push((id, entry));
                }
            }
        }
        Ok(found)
    }

    fn directory(&self, row: &DirectoryRow) -> Option<(i64, Directory)> {
        let (id, first_ms, last_ms, boots, bytes) = row;
        match Directory::read(*first_ms, *last_ms, boots, bytes) {
            Ok(directory) => Some((*id, directory)),
            Err(why) => {
                tracing::error!(store.path = %self.path.display(), journal.row = id, %why, "a journal row is damaged");
                None
            }
        }
    }

    /// Puts the runs before that are needed to decode the first one. Runs that cannot be decoded are left out later.
    async fn with_key_report(&self, boot: u32, mut runs: Vec<Found>) -> Result<Vec<Found>, StoreError> {
        let Some((first_row, KeyReport::Back(back))) = runs.first().map(|(row, entry)| (*row, entry.key))
        else {
            return Ok(runs);
        };
        let key_row = first_row.saturating_sub_unsigned(back);
        let rows: Vec<DirectoryRow> = sqlx::query_as(FIND_BEFORE)
            .bind(format!("{boot:08x}"))
            .bind(key_row)
            .bind(first_row)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.judge(&e))?;
        let before = rows.iter().filter_map(|row| self.directory(row));
        let before = before.filter_map(|(id, directory)| directory.of(boot).map(|entry| (id, entry.clone())));
        let mut all: Vec<Found> = before.collect();
        all.append(&mut runs);
        Ok(all)
    }

    /// Reads the runs and shows their reports from a key report on.
    async fn visit_runs(
        &self,
        whose: &Whose<'_>,
        runs: &[Found],
        time: (i64, i64),
        visit: Visit<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let wanted = runs.iter().map(|(row, entry)| serde_json::json!([row, entry.start, entry.length]));
        let wanted = serde_json::Value::from_iter(wanted).to_string();
        let mut bodies = sqlx::query_as::<_, (i64, Vec<u8>)>(RUNS).bind(wanted).fetch(&self.readers);
        let mut decodable = false;
        let mut last_seq = 0;
        // The rows come in the order asked for; one that was deleted meanwhile is missing.
        let mut expected = runs.iter();
        while let Some((row, bytes)) = bodies.try_next().await.map_err(|e| self.judge(&e))? {
            let Some((_, entry)) = expected.by_ref().find(|(id, _)| *id == row) else { break };
            let reports = match row::unpack(entry, whose.agent, whose.boot, Bytes::from(bytes)) {
                Ok(reports) => reports,
                Err(why) => {
                    tracing::error!(store.path = %self.path.display(), journal.row = row, %why, "reports are damaged");
                    decodable = false;
                    continue;
                }
            };
            for report in reports {
                decodable |= report.key;
                let layout = whose.layouts.get(&report.layout).filter(|_| decodable && report.seq > last_seq);
                last_seq = last_seq.max(report.seq);
                let Some(layout) = layout else { continue };
                if report.at_ms > time.1 {
                    continue;
                }
                let stored = StoredReport { report, layout: Arc::clone(layout) };
                if visit(stored).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Whose reports are read, and what they were made with.
struct Whose<'a> {
    agent: AgentKey,
    boot: Boot,
    layouts: &'a HashMap<LayoutKey, Arc<Layout>>,
}

fn layouts_of(catalog: &Catalog) -> HashMap<LayoutKey, Arc<Layout>> {
    catalog.layouts.iter().map(|(key, known)| (*key, Arc::clone(&known.layout))).collect()
}
