//! One boot's reports in the body of a journal row. Decides their bytes.

use super::varint::{Cursor, put, put_signed};
use super::{Damaged, Entry};
use crate::store::{AgentKey, BlockRecord, LayoutKey, ReportRecord};
use bytes::Bytes;
use farol_wire::Boot;

const KEY: u8 = 1;
const OTHER_LAYOUT: u8 = 2;
const HOLE: u8 = 4;

/// Appends the reports of one boot; tells the oldest and the newest time.
pub(super) fn pack(reports: &[&ReportRecord], out: &mut Vec<u8>) -> (i64, i64) {
    let oldest_ms = reports.iter().map(|r| r.at_ms).min().unwrap_or(0);
    let newest_ms = reports.iter().map(|r| r.at_ms).max().unwrap_or(0);
    let (mut at_ms, mut seq, mut layout) = (oldest_ms, None, None);
    for report in reports {
        let hole = seq.map_or(0, |before: u64| report.seq.wrapping_sub(before).wrapping_sub(1));
        let other = layout != Some(report.layout);
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        out.push(flag(report.key, KEY) | flag(other, OTHER_LAYOUT) | flag(hole != 0, HOLE));
        if hole != 0 {
            put(hole, out);
        }
        if other {
            put(u64::from(report.layout.0), out);
        }
        put_signed(report.at_ms.wrapping_sub(at_ms), out);
        put(report.blocks.len() as u64, out);
        for block in &report.blocks {
            put(u64::from(block.source), out);
            put(u64::from(block.before_ms), out);
            put(block.data.len() as u64, out);
            out.extend_from_slice(&block.data);
        }
        (at_ms, seq, layout) = (report.at_ms, Some(report.seq), Some(report.layout));
    }
    (oldest_ms, newest_ms)
}

/// Reads the run of an entry; `bytes` are exactly the run. The blocks share its memory.
pub(crate) fn unpack(
    entry: &Entry,
    agent: AgentKey,
    boot: Boot,
    bytes: Bytes,
) -> Result<Vec<ReportRecord>, Damaged> {
    if bytes.len() != entry.length {
        return Err(Damaged("a run of reports is cut"));
    }
    if crc32fast::hash(&bytes) != entry.checksum {
        return Err(Damaged("the checksum of a run of reports is wrong"));
    }
    let mut cursor = Cursor::new(&bytes);
    let mut reports = Vec::with_capacity(entry.reports.min(bytes.len()));
    let (mut at_ms, mut seq, mut layout) = (entry.first_ms, entry.first_seq.wrapping_sub(1), LayoutKey(0));
    for _ in 0..entry.reports {
        let flags = cursor.byte()?;
        let hole = if flags & HOLE != 0 { cursor.number()? } else { 0 };
        seq = seq.wrapping_add(hole).wrapping_add(1);
        if flags & OTHER_LAYOUT != 0 {
            layout = LayoutKey(cursor.small()?);
        }
        at_ms = at_ms.wrapping_add(cursor.signed()?);
        let count = cursor.small::<usize>()?;
        let mut blocks = Vec::with_capacity(count.min(cursor.left() / 3));
        for _ in 0..count {
            let (source, before_ms) = (cursor.small()?, cursor.small()?);
            let length = cursor.small()?;
            let data = bytes.slice_ref(cursor.take(length)?);
            blocks.push(BlockRecord { source, before_ms, data });
        }
        reports.push(ReportRecord { agent, boot, seq, layout, at_ms, key: flags & KEY != 0, blocks });
    }
    if cursor.is_at_end() { Ok(reports) } else { Err(Damaged("a run of reports has bytes left over")) }
}
