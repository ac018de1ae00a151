//! Reports of one boot and one layout as they came, in one buffer. Decides its bytes; when a run ends is `course`'s.
//!
//! A report: flags (1 key, 2 a hole before it), the hole, the time less the time before (signed; the first less the
//! run's first), number of blocks; each block: source, `before_ms`, length, bytes.

use crate::fleet::Compiled;
use crate::history::decode::{Block, Head};
use crate::store::ReportRecord;
use crate::store::varint::{Cursor, put, put_signed};
use farol_wire::Boot;
use std::sync::Arc;

const KEY: u8 = 1;
const HOLE: u8 = 2;
/// The buffer grows by an eighth, and by so many bytes at least.
const LEAST_GROWTH: usize = 512;

/// A run of reports.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(super) boot: Boot,
    pub(super) layout: Arc<Compiled>,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    /// The first report's time.
    pub(super) begins_ms: i64,
    /// The last report's time.
    ends_ms: i64,
    /// The oldest and the newest report's time: a clock may be mapped anew in between.
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    pub(super) reports: usize,
    /// How many of them are of before the one that came before: with each another block begins.
    pub(super) set_backs: usize,
    /// Values that are there when it is decoded, at most.
    pub(super) cells: usize,
    bytes: Vec<u8>,
}

impl Run {
    /// An empty run that begins with this report.
    pub(super) fn beginning(report: &ReportRecord, layout: Arc<Compiled>) -> Self {
        Self {
            boot: report.boot,
            layout,
            first_seq: report.seq,
            last_seq: report.seq.wrapping_sub(1),
            begins_ms: report.at_ms,
            ends_ms: report.at_ms,
            first_ms: report.at_ms,
            last_ms: report.at_ms,
            reports: 0,
            set_backs: 0,
            cells: 0,
            bytes: Vec::new(),
        }
    }

    /// Takes the next report: of this boot and layout, and later than the last.
    pub(super) fn push(&mut self, report: &ReportRecord) {
        let needed = 16 + report.blocks.iter().map(|block| block.data.len() + 16).sum::<usize>();
        if self.bytes.capacity() - self.bytes.len() < needed {
            self.bytes.reserve_exact(needed.max(self.bytes.len() / 8).max(LEAST_GROWTH));
        }
        let hole = report.seq.wrapping_sub(self.last_seq).wrapping_sub(1);
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        self.bytes.push(flag(report.key, KEY) | flag(hole != 0, HOLE));
        if hole != 0 {
            put(hole, &mut self.bytes);
        }
        put_signed(report.at_ms.wrapping_sub(self.ends_ms), &mut self.bytes);
        put(report.blocks.len() as u64, &mut self.bytes);
        for block in &report.blocks {
            put(u64::from(block.source), &mut self.bytes);
            put(u64::from(block.before_ms), &mut self.bytes);
            put(block.data.len() as u64, &mut self.bytes);
            self.bytes.extend_from_slice(&block.data);
            let source = self.layout.source(block.source);
            self.cells += source.map_or(0, |at| self.layout.sources[at].series.len().max(1));
        }
        self.set_backs += usize::from(report.at_ms < self.ends_ms);
        (self.last_seq, self.ends_ms) = (report.seq, report.at_ms);
        self.first_ms = self.first_ms.min(report.at_ms);
        self.last_ms = self.last_ms.max(report.at_ms);
        self.reports += 1;
    }

    /// Nothing comes to it any more: it takes up what it needs.
    pub(super) fn closed(mut run: Arc<Self>) -> Arc<Self> {
        Arc::make_mut(&mut run).bytes.shrink_to_fit();
        run
    }

    /// Bytes it takes up.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

    /// Bytes it takes up and does not need.
    #[cfg(test)]
    pub(super) fn spare(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// The time it covers.
    pub(super) fn length_ms(&self) -> i64 {
        self.last_ms.saturating_sub(self.first_ms)
    }

    /// Shows its reports in order.
    pub(crate) fn each(&self, mut show: impl FnMut(&Head, &mut dyn Iterator<Item = Block<'_>>)) {
        let mut cursor = Cursor::new(&self.bytes);
        let (mut seq, mut at_ms) = (self.first_seq.wrapping_sub(1), self.begins_ms);
        while let Some((head, count)) = head(&mut cursor, &mut seq, &mut at_ms, self) {
            let mut left = count;
            let mut blocks = std::iter::from_fn(|| {
                left = left.checked_sub(1)?;
                block(&mut cursor)
            });
            show(&head, &mut blocks);
            // What was not looked at is stepped over.
            blocks.by_ref().for_each(drop);
        }
    }

    /// Takes in a run of the same boot and layout that follows.
    pub(super) fn join(&mut self, next: &Self) {
        let mut last_seq = self.last_seq;
        let mut at_ms = self.ends_ms;
        self.bytes.reserve_exact(next.bytes.len() + 32);
        next.each(|head, blocks| {
            let blocks: Vec<Block<'_>> = blocks.collect();
            let hole = head.seq.wrapping_sub(last_seq).wrapping_sub(1);
            self.bytes.push(if head.key { KEY } else { 0 } | if hole != 0 { HOLE } else { 0 });
            if hole != 0 {
                put(hole, &mut self.bytes);
            }
            put_signed(head.at_ms.wrapping_sub(at_ms), &mut self.bytes);
            put(blocks.len() as u64, &mut self.bytes);
            for (source, before_ms, data) in blocks {
                put(u64::from(source), &mut self.bytes);
                put(u64::from(before_ms), &mut self.bytes);
                put(data.len() as u64, &mut self.bytes);
                self.bytes.extend_from_slice(data);
            }
            (last_seq, at_ms) = (head.seq, head.at_ms);
        });
        self.set_backs += next.set_backs + usize::from(next.begins_ms < self.ends_ms);
        (self.last_seq, self.ends_ms) = (next.last_seq, next.ends_ms);
        self.first_ms = self.first_ms.min(next.first_ms);
        self.last_ms = self.last_ms.max(next.last_ms);
        self.reports += next.reports;
        self.cells += next.cells;
    }
}

/// Reads what stands before a report's blocks, and their number. `None` at the end.
fn head(cursor: &mut Cursor<'_>, seq: &mut u64, at_ms: &mut i64, run: &Run) -> Option<(Head, usize)> {
    let flags = cursor.byte().ok()?;
    let hole = if flags & HOLE != 0 { cursor.number().ok()? } else { 0 };
    *seq = seq.wrapping_add(hole).wrapping_add(1);
    *at_ms = at_ms.wrapping_add(cursor.signed().ok()?);
    let count = cursor.small().ok()?;
    let head = Head {
        boot: run.boot,
        seq: *seq,
        layout: run.layout.layout.key,
        key: flags & KEY != 0,
        at_ms: *at_ms,
    };
    Some((head, count))
}

fn block<'a>(cursor: &mut Cursor<'a>) -> Option<Block<'a>> {
    let (source, before_ms) = (cursor.small().ok()?, cursor.small().ok()?);
    let length = cursor.small().ok()?;
    Some((source, before_ms, cursor.take(length).ok()?))
}
