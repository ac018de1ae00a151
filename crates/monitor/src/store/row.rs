//! A journal row: all reports of one commit, packed. Decides the layout of the bytes and finds damage; which rows
//! there are and where they lie is each store's business.
//!
//! A row has three parts. `boots`: the interned boots that reported, ascending, four bytes each, big-endian, so that
//! a database can look for one without unpacking. `directory`: the version (1), one entry per boot, a CRC-32 of all
//! before it and of `boots`. `body`: each boot's reports in the order of their numbers, back to back; each such run
//! has its CRC-32 in the directory, so that damage costs one run.
//!
//! An entry (varints, see `row/varint.rs`): flags (1: the run starts with a key report, 2: it holds one, 4: the row
//! of the key report before it is known), rows back to that row if 4, length of the run, reports − 1, first seq,
//! last seq − first, row's end − newest time, newest − oldest time, layout, number of further layouts, those; then the CRC-32
//! of the run, four bytes little-endian.
//!
//! A report: flags (1 key, 2 another layout than before, 4 a hole in the seqs), the hole, the layout, the time less
//! the time before (signed; the first less the run's oldest), number of blocks; each block: source, `before_ms`,
//! length, bytes.

pub(crate) mod varint;

mod directory;
mod run;

pub(crate) use directory::{Directory, Entry, KeyReport};
pub(crate) use run::unpack;

use super::ReportRecord;

/// What is wrong with bytes that come back from the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Damaged(pub(crate) &'static str);

/// The reports of one boot in a group, in the order of their numbers.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// The interned boot.
    pub(crate) boot: u32,
    /// At least one.
    pub(crate) reports: &'a [&'a ReportRecord],
    /// Rows back to the one with the boot's last key report; `None` when there is none.
    pub(crate) key_back: Option<u64>,
}

/// A row to be written.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Row {
    /// The oldest report's time.
    pub(crate) first_ms: i64,
    /// The newest report's time.
    pub(crate) last_ms: i64,
    pub(crate) boots: Vec<u8>,
    pub(crate) directory: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// What the directory says.
    pub(crate) entries: Vec<Entry>,
}

/// Packs runs, which stand in the order of their boots.
pub(crate) fn pack(runs: &[Run<'_>]) -> Row {
    let reports = || runs.iter().flat_map(|run| run.reports);
    let bytes = reports().flat_map(|report| &report.blocks).map(|block| block.data.len() + 12).sum::<usize>();
    let mut row = Row { body: Vec::with_capacity(bytes + 32 * runs.len()), ..Row::default() };
    for run in runs {
        row.boots.extend_from_slice(&run.boot.to_be_bytes());
        let start = row.body.len();
        let (first_ms, last_ms) = run::pack(run.reports, &mut row.body);
        let place = Place { start, bytes: &row.body[start..], first_ms, last_ms };
        row.entries.push(directory::entry_of(run, &place));
    }
    row.first_ms = row.entries.iter().map(|entry| entry.first_ms).min().unwrap_or(0);
    row.last_ms = row.entries.iter().map(|entry| entry.last_ms).max().unwrap_or(0);
    row.directory = directory::write(row.first_ms, row.last_ms, &row.boots, &row.entries);
    row
}

/// Where a packed run lies, and its oldest and newest time.
struct Place<'a> {
    start: usize,
    bytes: &'a [u8],
    first_ms: i64,
    last_ms: i64,
}

#[cfg(test)]
mod tests;
