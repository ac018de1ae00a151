//! The journal's reports as they come back: found by the boots of each row, decoded from the key report
//! on. Decides what is skipped: duplicates, damage, and what has no key report.

pub(crate) mod blocks;
pub(crate) mod unsealed;

use super::layouts::Sets;
use super::memory::Memory;
use super::row::{self, Directory, Entry, KeyReport};
use super::{AgentKey, KnownAgent, LayoutKey, Level, ReportRecord, StoreError, StoredReport, Visit};
use bytes::Bytes;
use farol_wire::Boot;
use foldhash::{HashMap, HashMapExt, HashSet};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// So many boots are looked for by the database; of more, most rows have some.
pub(crate) const FEW_BOOTS: usize = 4;
/// Runs that one question may find; each is a place in memory.
const RUNS_AT_MOST: usize = 500_000;
/// Bytes of runs that are read at once.
const BATCH_BYTES: usize = 4 << 20;
/// Journal rows that are replayed at once: a group has about a megabyte at most.
pub(crate) const ROWS_AT_ONCE: i64 = 8;
/// A layout takes up so many times the bytes that the database has of it, at most.
const LAYOUT_IN_MEMORY: usize = 16;

/// A journal row without its body: number, oldest and newest time, boots, directory.
pub(crate) type DirectoryRow = (i64, i64, i64, Vec<u8>, Vec<u8>);

/// The same with its body.
pub(crate) type WholeRow = (i64, i64, i64, Vec<u8>, Vec<u8>, Vec<u8>);

/// A block without its bytes: id, agent, oldest and newest time, layout, how many bytes.
pub(crate) type BlockRow = (i64, i64, i64, i64, i64, i64);

/// Takes one row after another.
pub(crate) type Take<'a, T> = &'a mut (dyn FnMut(T) -> Result<(), StoreError> + Send);

/// What of a row's body is read: number of the row, from where, how many bytes.
pub(crate) type Span = (i64, usize, usize);

/// A database's blocks, as they are asked for.
pub(crate) trait Blocks: Sync {
    /// The blocks of these agents in this time, without their bytes, by agent and newest time.
    fn find_blocks(
        &self,
        agents: &[AgentKey],
        times: (i64, i64),
        level: Level,
    ) -> impl Future<Output = Result<Vec<BlockRow>, StoreError>> + Send;

    /// The bytes of blocks; one that is gone is left out.
    fn block_bodies(
        &self,
        ids: &[i64],
        take: Take<'_, (i64, Vec<u8>)>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A database's journal, as it is asked. What is asked for comes in the order of the rows' numbers.
pub(crate) trait Rows: Blocks {
    /// What is known of it.
    fn memory(&self) -> &Memory;

    /// The rows with a report in this time: all, or those in which one of these boots may stand.
    fn find(
        &self,
        times: (i64, i64),
        few: Option<[Option<[u8; 4]>; FEW_BOOTS]>,
        take: Take<'_, DirectoryRow>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The rows from `first` up to, not at, `end` in which this boot may stand.
    fn find_before(
        &self,
        boot: [u8; 4],
        first: i64,
        end: i64,
    ) -> impl Future<Output = Result<Vec<DirectoryRow>, StoreError>> + Send;

    /// Parts of bodies; a row that is gone is left out.
    fn bodies(
        &self,
        spans: Vec<Span>,
        take: Take<'_, (i64, Vec<u8>)>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Some whole rows after this one, in order: without their bodies, and their bodies.
    fn rows_after(
        &self,
        row: i64,
    ) -> impl Future<Output = Result<Vec<(DirectoryRow, Vec<u8>)>, StoreError>> + Send;

    /// Every agent of which it may hold reports, in the order of their keys.
    fn known_agents(&self) -> impl Future<Output = Result<Vec<KnownAgent>, StoreError>> + Send;

    /// Layouts; one that is gone is left out.
    fn sets(&self, keys: &[LayoutKey]) -> impl Future<Output = Result<Sets, StoreError>> + Send;
}

/// A run of one boot in a row.
type Found = (i64, Entry);

/// Shows reports as [`Store::reports`](super::Store::reports) promises.
pub(crate) async fn visit<R: Rows>(
    rows: &R,
    agents: &[AgentKey],
    (from_ms, to_ms): (i64, i64),
    visit: Visit<'_>,
) -> Result<(), StoreError> {
    let boots = rows.memory().catalog.read().boots_of(agents);
    let mut found = find(rows, &boots, from_ms, to_ms).await?;
    let mut reader = Reader::new(rows, to_ms);
    for (agent, boot, key) in boots {
        let Some(runs) = found.remove(&key) else { continue };
        let runs = with_key_report(rows, key, runs).await?;
        if reader.add((agent, boot, key), runs, &mut *visit).await?.is_break() {
            return Ok(());
        }
    }
    reader.show(visit).await.map(|_| ())
}

/// The runs of these boots that have a report in this time, by boot.
async fn find<R: Rows>(
    rows: &R,
    boots: &[(AgentKey, Boot, u32)],
    from_ms: i64,
    to_ms: i64,
) -> Result<HashMap<u32, Vec<Found>>, StoreError> {
    // What is sealed is left out.
    let keys: HashMap<u32, u64> = {
        let catalog = rows.memory().catalog.read();
        boots.iter().map(|(_, _, key)| (*key, catalog.sealed(*key))).collect()
    };
    let few = (keys.len() <= FEW_BOOTS).then(|| {
        let mut keys = keys.keys().map(|key| key.to_be_bytes());
        std::array::from_fn(|_| keys.next())
    });
    let mut found: HashMap<u32, Vec<Found>> = HashMap::new();
    let mut count = 0;
    let memory = rows.memory();
    let mut take = |row: DirectoryRow| {
        let Some((id, directory)) = directory(memory, &row) else { return Ok(()) };
        for entry in directory.entries {
            let is_open = keys.get(&entry.boot).is_some_and(|sealed| *sealed < entry.last_seq);
            if is_open && entry.last_ms >= from_ms && entry.first_ms <= to_ms {
                found.entry(entry.boot).or_default().push((id, entry));
                count += 1;
            }
        }
        if count > RUNS_AT_MOST {
            return Err(StoreError::TooMuch(format!(
                "more than {RUNS_AT_MOST} reports lie in this time; ask for a shorter one, or for one agent"
            )));
        }
        Ok(())
    };
    rows.find((from_ms, to_ms), few, &mut take).await?;
    Ok(found)
}

fn directory(memory: &Memory, row: &DirectoryRow) -> Option<(i64, Directory)> {
    match Directory::of_row(row) {
        Ok(found) => Some(found),
        Err(why) => {
            tracing::error!(store.place = %memory.place, %why, "a journal row is damaged");
            None
        }
    }
}

/// Puts the runs before that are needed to decode the first one. Runs that cannot be decoded are left out later.
async fn with_key_report<R: Rows>(
    rows: &R,
    boot: u32,
    mut runs: Vec<Found>,
) -> Result<Vec<Found>, StoreError> {
    let Some((first_row, KeyReport::Back(back))) = runs.first().map(|(row, entry)| (*row, entry.key)) else {
        return Ok(runs);
    };
    let key_row = first_row.saturating_sub_unsigned(back);
    let before = rows.find_before(boot.to_be_bytes(), key_row, first_row).await?;
    let before = before.iter().filter_map(|row| directory(rows.memory(), row));
    let before = before.filter_map(|(id, directory)| directory.of(boot).map(|entry| (id, entry.clone())));
    let mut all: Vec<Found> = before.collect();
    all.append(&mut runs);
    Ok(all)
}

/// Reads runs and their layouts in batches of some megabytes, so that a row with many boots is read once for all of
/// them.
struct Reader<'a, R> {
    rows: &'a R,
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
    /// The interned boot.
    key: u32,
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

impl<'a, R: Rows> Reader<'a, R> {
    fn new(rows: &'a R, to_ms: i64) -> Self {
        Self {
            rows,
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
        (agent, boot, key): (AgentKey, Boot, u32),
        runs: Vec<Found>,
        visit: Visit<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        self.batch.push(Wanted { agent, boot, key, goes_on: false, runs: Vec::new() });
        for (row, entry) in runs {
            if self.bytes >= BATCH_BYTES {
                if self.show(&mut *visit).await?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                self.batch.push(Wanted { agent, boot, key, goes_on: true, runs: Vec::new() });
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
        let catalog = self.rows.memory().catalog.read();
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
            self.layouts.extend(self.rows.sets(&missing).await?);
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
            (*row, start, end - start)
        });
        let question = question.collect();
        let mut read = Read::new();
        let mut take = |(row, bytes): (i64, Vec<u8>)| {
            let Some(runs) = spans.get(&row) else { return Ok(()) };
            let (first, _) = span(runs);
            for (start, length) in runs {
                let run = bytes.get(start - first..).and_then(|from| from.get(..*length));
                read.insert((row, *start), run.map(Bytes::copy_from_slice).unwrap_or_default());
            }
            Ok(())
        };
        self.rows.bodies(question, &mut take).await?;
        Ok(read)
    }

    /// Shows a boot's reports from a key report on.
    fn show_boot(&mut self, wanted: &Wanted, read: &Read, visit: Visit<'_>) -> ControlFlow<()> {
        let mut at = if wanted.goes_on { self.decoding } else { Decoding::default() };
        at.last_seq = at.last_seq.max(self.rows.memory().catalog.read().sealed(wanted.key));
        for (row, entry) in &wanted.runs {
            // One that was deleted meanwhile is missing, and what came after needs a key report.
            let Some(bytes) = read.get(&(*row, entry.start)) else {
                at.decodable = false;
                continue;
            };
            let reports = match row::unpack(entry, wanted.agent, wanted.boot, bytes.clone()) {
                Ok(reports) => reports,
                Err(why) => {
                    let place = &self.rows.memory().place;
                    tracing::error!(store.place = %place, journal.row = row, %why, "reports are damaged");
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
        self.rows.memory().count_undecodable();
        if !std::mem::replace(&mut self.told, true) {
            tracing::error!(
                store.place = %self.rows.memory().place,
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
