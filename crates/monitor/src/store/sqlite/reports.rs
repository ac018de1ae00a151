//! The journal's reports as they come back: found by the boots of each row, decoded from the key report
//! on. Decides what is skipped: duplicates, damage, and what has no key report.

use super::SqliteStore;
use super::layouts::{self, Sets};
use crate::store::row::{self, Directory, Entry, KeyReport};
use crate::store::{AgentKey, KnownAgent, LayoutKey, ReportRecord, StoreError, StoredReport, Visit};
use bytes::Bytes;
use farol_wire::Boot;
use foldhash::{HashMap, HashMapExt, HashSet};
use futures::TryStreamExt;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

/// `?3`: look at every row; else `?4` to `?7` are boots to look for. A boot may seem to stand across two
/// others: the directory tells.
const FIND: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM journal
WHERE last_ms >= ?1 AND first_ms <= ?2 AND (?3
  OR instr(boots, ?4) OR instr(boots, ?5) OR instr(boots, ?6) OR instr(boots, ?7))
ORDER BY id";

/// So many boots are looked for by the database; of more, most rows have some.
const FEW_BOOTS: usize = 4;

/// The rows of one boot between its key report's and the first one found.
const FIND_BEFORE: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM journal
WHERE id >= ?2 AND id < ?3 AND instr(boots, ?1) ORDER BY id";

/// Of each row so many bytes from there.
const BODIES: &str = "
SELECT b.id, substr(b.body, (w.value ->> 1) + 1, w.value ->> 2)
FROM json_each(?1) w CROSS JOIN journal_bodies b ON b.id = w.value ->> 0";

/// Runs that one question may find; each is a place in memory.
const RUNS_AT_MOST: usize = 500_000;
/// Bytes of runs that are read at once.
const BATCH_BYTES: usize = 4 << 20;
/// A layout takes up so many times the bytes that the file has of it, at most.
const LAYOUT_IN_MEMORY: usize = 16;

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
        let boots = self.catalog.read().boots_of(agents);
        let mut found = self.find(&boots, from_ms, to_ms).await?;
        let mut reader = Reader::new(self, to_ms);
        for (agent, boot, key) in boots {
            let Some(runs) = found.remove(&key) else { continue };
            let runs = self.with_key_report(key, runs).await?;
            if reader.add(agent, boot, runs, &mut *visit).await?.is_break() {
                return Ok(());
            }
        }
        reader.show(visit).await.map(|_| ())
    }

    /// The runs of these boots that have a report in this time, by boot.
    async fn find(
        &self,
        boots: &[(AgentKey, Boot, u32)],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<HashMap<u32, Vec<Found>>, StoreError> {
        let keys: HashSet<u32> = boots.iter().map(|(_, _, key)| *key).collect();
        let all = keys.len() > FEW_BOOTS;
        let mut few = keys.iter().filter(|_| !all).map(|key| key.to_be_bytes().to_vec());
        let mut question = sqlx::query_as::<_, DirectoryRow>(FIND).bind(from_ms).bind(to_ms).bind(all);
        for _ in 0..FEW_BOOTS {
            question = question.bind(few.next());
        }
        let mut rows = question.fetch(&self.readers);
        let mut found: HashMap<u32, Vec<Found>> = HashMap::new();
        let mut count = 0;
        while let Some(row) = rows.try_next().await.map_err(|e| self.judge(&e))? {
            let Some((id, directory)) = self.directory(&row) else { continue };
            for entry in directory.entries {
                if keys.contains(&entry.boot) && entry.last_ms >= from_ms && entry.first_ms <= to_ms {
                    found.entry(entry.boot).or_default().push((id, entry));
                    count += 1;
                }
            }
            if count > RUNS_AT_MOST {
                return Err(StoreError::TooMuch(format!(
                    "more than {RUNS_AT_MOST} reports lie in this time; ask for a shorter one, or for one agent"
                )));
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
            .bind(boot.to_be_bytes().to_vec())
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
}

/// Reads runs and their layouts in batches of some megabytes, so that a row with many boots is read once for all of
/// them.
struct Reader<'a> {
    store: &'a SqliteStore,
    to_ms: i64,
    /// The layouts of the last batch that was read.
    layouts: Sets,
    /// Runs that are to be read, in the order in which they are shown.
    batch: Vec<Wanted>,
    /// What reading the batch takes up.
    bytes: usize,
    /// Its layouts.
    wanted: HashSet<LayoutKey>,
    /// Where the boot shown last stands: its next runs may come with the next batch.
    decoding: Decoding,
    /// That definitions are gone was told: once a question is enough.
    told: bool,
}

/// Runs of a boot.
struct Wanted {
    agent: AgentKey,
    boot: Boot,
    /// Its first runs were in the batch before.
    goes_on: bool,
    runs: Vec<Found>,
}

#[derive(Clone, Copy, Default)]
struct Decoding {
    /// A key report came, and nothing was missing since.
    decodable: bool,
    last_seq: u64,
}

/// The bytes of the runs: by row and by place in it.
type Read = HashMap<(i64, usize), Bytes>;

impl<'a> Reader<'a> {
    fn new(store: &'a SqliteStore, to_ms: i64) -> Self {
        Self {
            store,
            to_ms,
            layouts: Sets::default(),
            batch: Vec::new(),
            bytes: 0,
            wanted: HashSet::default(),
            decoding: Decoding::default(),
            told: false,
        }
    }

    async fn add(
        &mut self,
        agent: AgentKey,
        boot: Boot,
        runs: Vec<Found>,
        visit: Visit<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        self.batch.push(Wanted { agent, boot, goes_on: false, runs: Vec::new() });
        for (row, entry) in runs {
            if self.bytes >= BATCH_BYTES {
                if self.show(&mut *visit).await?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                self.batch.push(Wanted { agent, boot, goes_on: true, runs: Vec::new() });
            }
            self.bytes += entry.length + self.want(&entry);
            if let Some(wanted) = self.batch.last_mut() {
                wanted.runs.push((row, entry));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Adds a run's layouts to those of the batch; what they take up.
    fn want(&mut self, entry: &Entry) -> usize {
        let catalog = self.store.catalog.read();
        let new = entry.layouts().filter(|layout| self.wanted.insert(*layout));
        let bytes = new.filter_map(|layout| catalog.layouts.get(&layout)).map(|known| known.bytes as usize);
        bytes.sum::<usize>() * LAYOUT_IN_MEMORY
    }

    /// Reads the batch and shows its reports.
    async fn show(&mut self, visit: Visit<'_>) -> Result<ControlFlow<()>, StoreError> {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        // Layouts before runs: upkeep deletes them after the runs.
        self.read_layouts().await?;
        let read = self.read(&batch).await?;
        for wanted in &batch {
            if self.show_boot(wanted, &read, &mut *visit).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            // Decoding many boots takes longer than others should wait.
            tokio::task::yield_now().await;
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn read_layouts(&mut self) -> Result<(), StoreError> {
        let wanted = std::mem::take(&mut self.wanted);
        self.layouts.retain(|key, _| wanted.contains(key));
        let missing: Vec<_> = wanted.into_iter().filter(|key| !self.layouts.contains_key(key)).collect();
        if !missing.is_empty() {
            self.layouts.extend(layouts::read(&self.store.path, &self.store.readers, &missing).await?);
        }
        Ok(())
    }

    async fn read(&self, batch: &[Wanted]) -> Result<Read, StoreError> {
        let mut spans: BTreeMap<i64, Vec<(usize, usize)>> = BTreeMap::new();
        for (row, entry) in batch.iter().flat_map(|wanted| &wanted.runs) {
            spans.entry(*row).or_default().push((entry.start, entry.length));
        }
        let question = spans.iter().map(|(row, runs)| {
            let (start, end) = span(runs);
            serde_json::json!([row, start, end - start])
        });
        let question = serde_json::Value::from_iter(question).to_string();
        let mut rows = sqlx::query_as::<_, (i64, Vec<u8>)>(BODIES).bind(question).fetch(&self.store.readers);
        let mut read = Read::new();
        while let Some((row, bytes)) = rows.try_next().await.map_err(|e| self.store.judge(&e))? {
            let Some(runs) = spans.get(&row) else { continue };
            let (first, _) = span(runs);
            for (start, length) in runs {
                let run = bytes.get(start - first..).and_then(|from| from.get(..*length));
                read.insert((row, *start), run.map(Bytes::copy_from_slice).unwrap_or_default());
            }
        }
        Ok(read)
    }

    /// Shows a boot's reports from a key report on.
    fn show_boot(&mut self, wanted: &Wanted, read: &Read, visit: Visit<'_>) -> ControlFlow<()> {
        let mut at = if wanted.goes_on { self.decoding } else { Decoding::default() };
        for (row, entry) in &wanted.runs {
            // One that was deleted meanwhile is missing, and what came after needs a key report.
            let Some(bytes) = read.get(&(*row, entry.start)) else {
                at.decodable = false;
                continue;
            };
            let reports = match row::unpack(entry, wanted.agent, wanted.boot, bytes.clone()) {
                Ok(reports) => reports,
                Err(why) => {
                    tracing::error!(store.path = %self.store.path.display(), journal.row = row, %why, "reports are damaged");
                    at.decodable = false;
                    continue;
                }
            };
            for report in reports {
                at.decodable |= report.key;
                let is_new = report.seq > at.last_seq;
                at.last_seq = at.last_seq.max(report.seq);
                if !at.decodable || !is_new || report.at_ms > self.to_ms {
                    continue;
                }
                match self.layouts.get(&report.layout).cloned() {
                    Some(layout) => visit(StoredReport { report, layout })?,
                    None => self.tell_undecodable(*row, &report),
                }
            }
        }
        self.decoding = at;
        ControlFlow::Continue(())
    }

    /// The definitions of a report are gone: a gap, which somebody should know of.
    fn tell_undecodable(&mut self, row: i64, report: &ReportRecord) {
        self.store.undecodable.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut self.told, true) {
            tracing::error!(
                store.path = %self.store.path.display(),
                journal.row = row,
                layout = report.layout.0,
                "the definitions of reports are gone; history has a gap there"
            );
        }
    }
}

/// From the first run's start to the last one's end.
fn span(runs: &[(usize, usize)]) -> (usize, usize) {
    let start = runs.iter().map(|(start, _)| *start).min().unwrap_or(0);
    (start, runs.iter().map(|(start, length)| start.saturating_add(*length)).max().unwrap_or(start))
}
