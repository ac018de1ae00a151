//! The directory of a journal row: whose reports lie where in the body, and what they cover. Decides nothing about
//! the reports themselves.

use super::varint::{Cursor, put};
use super::{Damaged, Place, Run};
use crate::store::LayoutKey;
use crate::store::reading::DirectoryRow;

const VERSION: u8 = 1;
const STARTS_WITH_KEY: u8 = 1;
const HOLDS_KEY: u8 = 2;
const KEY_IS_BACK: u8 = 4;

/// Where the reports' decoding must begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyReport {
    /// With the run's first report.
    First,
    /// So many rows before this one.
    Back(u64),
    /// It was never seen, or is deleted: what comes before the run's own key report cannot be decoded.
    Nowhere,
}

/// One boot's run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) boot: u32,
    /// Where the run begins in the body, and its length.
    pub(crate) start: usize,
    pub(crate) length: usize,
    pub(crate) reports: usize,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    /// The oldest and the newest report's time.
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) key: KeyReport,
    /// A key report is among them.
    pub(crate) holds_key: bool,
    /// The first report's layout, and the others that the run has.
    pub(crate) layout: LayoutKey,
    pub(crate) more_layouts: Vec<LayoutKey>,
    pub(crate) checksum: u32,
}

impl Entry {
    /// Every layout of the run.
    pub(crate) fn layouts(&self) -> impl Iterator<Item = LayoutKey> {
        std::iter::once(self.layout).chain(self.more_layouts.iter().copied())
    }
}

/// Describes a packed run.
pub(super) fn entry_of(run: &Run<'_>, place: &Place<'_>) -> Entry {
    let first = run.reports.first().expect("a run has a report");
    let last = run.reports.last().expect("a run has a report");
    let mut more_layouts = Vec::new();
    for report in run.reports {
        if report.layout != first.layout && !more_layouts.contains(&report.layout) {
            more_layouts.push(report.layout);
        }
    }
    Entry {
        boot: run.boot,
        start: place.start,
        length: place.bytes.len(),
        reports: run.reports.len(),
        first_seq: first.seq,
        last_seq: last.seq,
        first_ms: place.first_ms,
        last_ms: place.last_ms,
        key: match run.key_back {
            _ if first.key => KeyReport::First,
            Some(rows) => KeyReport::Back(rows),
            None => KeyReport::Nowhere,
        },
        holds_key: run.reports.iter().any(|r| r.key),
        layout: first.layout,
        more_layouts,
        checksum: crc32fast::hash(place.bytes),
    }
}

/// Writes the directory of a row.
pub(super) fn write(first_ms: i64, last_ms: i64, boots: &[u8], entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + entries.len() * 24);
    out.push(VERSION);
    for entry in entries {
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        let back = if let KeyReport::Back(rows) = entry.key { Some(rows) } else { None };
        out.push(
            flag(entry.key == KeyReport::First, STARTS_WITH_KEY)
                | flag(entry.holds_key, HOLDS_KEY)
                | flag(back.is_some(), KEY_IS_BACK),
        );
        back.into_iter().for_each(|rows| put(rows, &mut out));
        put(entry.length as u64, &mut out);
        put(entry.reports as u64 - 1, &mut out);
        put(entry.first_seq, &mut out);
        put(entry.last_seq.saturating_sub(entry.first_seq), &mut out);
        put(last_ms.abs_diff(entry.last_ms), &mut out);
        put(entry.last_ms.abs_diff(entry.first_ms), &mut out);
        put(u64::from(entry.layout.0), &mut out);
        put(entry.more_layouts.len() as u64, &mut out);
        entry.more_layouts.iter().for_each(|layout| put(u64::from(layout.0), &mut out));
        out.extend_from_slice(&entry.checksum.to_le_bytes());
    }
    let sum = checksum(first_ms, last_ms, boots, &out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

fn checksum(first_ms: i64, last_ms: i64, boots: &[u8], entries: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&first_ms.to_le_bytes());
    hasher.update(&last_ms.to_le_bytes());
    hasher.update(boots);
    hasher.update(entries);
    hasher.finalize()
}

/// A row's directory as it comes back.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) entries: Vec<Entry>,
}

impl Directory {
    /// Checks and reads a directory.
    pub(crate) fn read(first_ms: i64, last_ms: i64, boots: &[u8], bytes: &[u8]) -> Result<Self, Damaged> {
        let (entries, sum) = bytes.split_last_chunk::<4>().ok_or(Damaged("its directory is too short"))?;
        if checksum(first_ms, last_ms, boots, entries) != u32::from_le_bytes(*sum) {
            return Err(Damaged("the checksum of its directory is wrong"));
        }
        let mut cursor = Cursor::new(entries);
        if cursor.byte()? != VERSION {
            return Err(Damaged("its version is not known to this program"));
        }
        let (keys, odd) = boots.as_chunks::<4>();
        let mut start = 0usize;
        let mut all = Vec::with_capacity(keys.len());
        for key in keys {
            let entry = entry(u32::from_be_bytes(*key), start, last_ms, &mut cursor)?;
            start = start.checked_add(entry.length).ok_or(Damaged("its runs are too long"))?;
            all.push(entry);
        }
        if !cursor.is_at_end() || !odd.is_empty() {
            return Err(Damaged("its directory has bytes left over"));
        }
        Ok(Self { entries: all })
    }

    /// The same of a whole row of a database, with its number; the error names it.
    pub(crate) fn of_row(row: &DirectoryRow) -> Result<(i64, Self), String> {
        let (id, first_ms, last_ms, boots, bytes) = row;
        let directory = Self::read(*first_ms, *last_ms, boots, bytes);
        directory.map(|directory| (*id, directory)).map_err(|why| format!("journal row {id}: {why}"))
    }

    /// The run of a boot.
    pub(crate) fn of(&self, boot: u32) -> Option<&Entry> {
        let at = self.entries.binary_search_by_key(&boot, |entry| entry.boot).ok()?;
        self.entries.get(at)
    }
}

fn entry(boot: u32, start: usize, row_last_ms: i64, cursor: &mut Cursor<'_>) -> Result<Entry, Damaged> {
    let flags = cursor.byte()?;
    let key = match flags {
        f if f & KEY_IS_BACK != 0 => KeyReport::Back(cursor.number()?),
        f if f & STARTS_WITH_KEY != 0 => KeyReport::First,
        _ => KeyReport::Nowhere,
    };
    let length = cursor.small()?;
    let reports = cursor.small::<usize>()?.saturating_add(1);
    let first_seq = cursor.number()?;
    let last_seq = first_seq.saturating_add(cursor.number()?);
    let last_ms = row_last_ms.saturating_sub_unsigned(cursor.number()?);
    let first_ms = last_ms.saturating_sub_unsigned(cursor.number()?);
    let layout = LayoutKey(cursor.small()?);
    let more = cursor.small::<usize>()?.min(cursor.left());
    let more_layouts = (0..more).map(|_| cursor.small().map(LayoutKey)).collect::<Result<_, _>>()?;
    let checksum = cursor.take(4)?.try_into().map_err(|_| Damaged("it ends too early"))?;
    let holds_key = flags & HOLDS_KEY != 0;
    let checksum = u32::from_le_bytes(checksum);
    Ok(Entry {
        boot,
        start,
        length,
        reports,
        first_seq,
        last_seq,
        first_ms,
        last_ms,
        key,
        holds_key,
        layout,
        more_layouts,
        checksum,
    })
}
