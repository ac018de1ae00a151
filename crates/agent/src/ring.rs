//! The reports that no monitor has acknowledged yet, in segments that decode by themselves. Decides what is kept, what
//! is shed when memory is short, and what that loses, exactly. Pure: it reads no clock and sends nothing.
//!
//! Bounded in bytes: over the limit the oldest segments go, whole; the newest always stays, so that the limit may be
//! passed by one segment. What is shed unsent is lost; what was sent on the open stream is in doubt until that stream
//! acknowledges it, or the next Welcome says that it does not know it.

mod segment;
#[cfg(test)]
mod tests;

pub(crate) use segment::Layout;

use farol_wire::Boot;
use farol_wire::proto::{Report, Segment as Sent, agent_message};
use segment::Segment;
use std::collections::VecDeque;
use std::sync::Arc;

/// A segment is closed after so many reports: a re-send is never longer, and an acknowledgement frees memory soon.
const REPORTS: usize = 64;
/// A segment is closed when its reports have so many bytes, so that it fits into a message.
const SEGMENT_BYTES: usize = 256 << 10;
/// A part of the backlog takes no further segment beyond this.
const CHUNK_BYTES: usize = 256 << 10;

/// Sequence numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Span {
    fn len(self) -> u64 {
        self.last - self.first + 1
    }
}

/// What comes after a sequence number on a live stream.
#[derive(Debug)]
pub(crate) enum Next {
    /// What to say before it (a changed set), and the report.
    Report(Vec<agent_message::Kind>, Box<Report>),
    /// All was given out.
    Nothing,
    /// It was shed: the stream is too slow to go on.
    Gone,
}

/// A part of the backlog.
#[derive(Debug, PartialEq)]
pub(crate) struct Chunk {
    /// Whole segments.
    pub(crate) segments: Vec<Sent>,
    /// The last sequence number in them.
    pub(crate) last: u64,
}

/// The reports of this boot that are held.
#[derive(Debug)]
pub(crate) struct Ring {
    boot: Boot,
    /// Bytes to be held at most.
    limit: usize,
    /// Bytes held: reports, and each layout once where neighbours share it.
    bytes: usize,
    /// Oldest first; only the last may grow.
    segments: VecDeque<Segment>,
    /// The last sequence number pushed.
    last: u64,
    /// Every report up to this one is committed.
    acked: u64,
    /// The last one given to the open stream; 0 while there is none.
    sent: u64,
    /// Shed after it was given to the open stream; rising. As many at most as there are layouts to be refused.
    doubtful: Vec<Span>,
    /// Shed for good and not announced yet.
    lost: Vec<Span>,
    /// All that was ever lost.
    lost_total: u64,
}

impl Ring {
    pub(crate) fn new(boot: Boot, limit: usize) -> Self {
        let segments = VecDeque::new();
        let (last, acked, sent, doubtful, lost) = (0, 0, 0, Vec::new(), Vec::new());
        Self { boot, limit, bytes: 0, segments, last, acked, sent, doubtful, lost, lost_total: 0 }
    }

    /// The last sequence number given out.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reports lost since the start.
    pub(crate) fn lost_total(&self) -> u64 {
        self.lost_total
    }

    /// Reports held that are not acknowledged.
    pub(crate) fn unacked(&self) -> u64 {
        let after = self.segments.iter().map(|s| (s.last() + 1).saturating_sub(s.first.max(self.acked + 1)));
        after.sum()
    }

    pub(crate) fn is_half_full(&self) -> bool {
        self.bytes >= self.limit / 2
    }

    /// Whether the next report must begin a segment.
    pub(crate) fn must_begin(&self) -> bool {
        let part = SEGMENT_BYTES.min(self.limit / 8);
        self.segments.back().is_none_or(|s| s.closed || s.reports.len() >= REPORTS || s.bytes >= part)
    }

    /// Begins a segment. `announce` is what a live stream must hear before its first report.
    pub(crate) fn begin(
        &mut self,
        layout: Arc<Layout>,
        wall_offset_ms: i64,
        announce: Vec<agent_message::Kind>,
    ) {
        if !self.segments.back().is_some_and(|s| Arc::ptr_eq(&s.layout, &layout)) {
            self.bytes += layout.bytes();
        }
        self.segments.iter_mut().rev().take(1).for_each(|s| s.closed = true);
        self.segments.push_back(Segment::new(self.last + 1, layout, wall_offset_ms, announce));
    }

    /// Gives the next sequence number to a report and keeps it.
    ///
    /// # Panics
    /// When no segment was begun: a mistake of the caller.
    pub(crate) fn push(&mut self, mut report: Report) -> u64 {
        self.last += 1;
        report.seq = self.last;
        let segment = self.segments.back_mut().expect("the caller begins a segment when it must");
        self.bytes += segment.push(&report);
        while self.bytes > self.limit && self.segments.len() > 1 {
            self.remove(0);
        }
        self.last
    }

    /// The open stream's monitor has committed all up to this one.
    pub(crate) fn acknowledge(&mut self, seq: u64) {
        let seq = seq.min(self.last);
        if seq <= self.acked {
            return;
        }
        self.acked = seq;
        self.doubtful.retain(|span| span.last > seq);
        self.doubtful.iter_mut().for_each(|span| span.first = span.first.max(seq + 1));
        while self.segments.len() > 1 && self.segments.front().is_some_and(|s| s.last() <= seq) {
            self.take(0);
        }
    }

    /// A new stream: its monitor knows all up to `mark`. What was in doubt is decided.
    pub(crate) fn resume(&mut self, mark: u64) {
        self.sent = 0;
        self.acknowledge(mark);
        std::mem::take(&mut self.doubtful).into_iter().for_each(|span| self.lose(span));
        self.segments.iter_mut().for_each(|s| s.announce = Vec::new());
    }

    /// Whether anything after `cursor` is held.
    pub(crate) fn holds_after(&self, cursor: u64) -> bool {
        self.segments.back().is_some_and(|s| s.last() > cursor)
    }

    /// Given to the open stream up to this one.
    fn note_sent(&mut self, seq: u64) {
        self.sent = self.sent.max(seq);
    }

    /// What was lost since this was last asked: to be announced.
    pub(crate) fn take_lost(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.lost)
    }

    /// Sheds the segments whose layout a monitor would refuse. Says how many.
    pub(crate) fn shed_where(&mut self, unfit: impl Fn(&Layout) -> bool) -> usize {
        let before = self.segments.len();
        for at in (0..before).rev() {
            if unfit(&self.segments[at].layout) {
                self.remove(at);
            }
        }
        before - self.segments.len()
    }

    /// Whole segments with reports after `cursor`: about [`CHUNK_BYTES`], so that what is more urgent gets its turn. One
    /// that has more than `budget` bytes by itself is shed.
    pub(crate) fn backlog(&mut self, cursor: u64, budget: usize) -> Option<Chunk> {
        let mut chunk = Chunk { segments: Vec::new(), last: cursor };
        let mut bytes = 0;
        let mut at = self.segments.partition_point(|s| s.last() <= cursor);
        while let Some(segment) = self.segments.get_mut(at) {
            let size = segment.message_bytes();
            if size > budget {
                tracing::warn!(
                    bytes = size,
                    budget,
                    "a segment is longer than a message may be; it is dropped"
                );
                self.remove(at);
                continue;
            }
            if segment.reports.is_empty() || (bytes > 0 && bytes + size > budget.min(CHUNK_BYTES)) {
                break;
            }
            bytes += size;
            // What follows must not depend on what this stream has as history only.
            segment.closed = true;
            chunk.last = segment.last();
            chunk.segments.push(segment.to_message(self.boot));
            at += 1;
        }
        self.note_sent(chunk.last);
        (!chunk.segments.is_empty()).then_some(chunk)
    }

    /// The report after `cursor` for a live stream.
    pub(crate) fn next(&mut self, cursor: u64) -> Next {
        if cursor >= self.last {
            return Next::Nothing;
        }
        let at = self.segments.partition_point(|s| s.last() <= cursor);
        let Some(segment) = self.segments.get_mut(at).filter(|s| s.first <= cursor + 1) else {
            return Next::Gone;
        };
        let report = segment.report(cursor + 1);
        let announce =
            if segment.first == cursor + 1 { std::mem::take(&mut segment.announce) } else { Vec::new() };
        self.note_sent(cursor + 1);
        Next::Report(announce, Box::new(report))
    }

    /// Sheds a segment, and knows what that means for its reports.
    fn remove(&mut self, at: usize) {
        let Some(segment) = self.take(at) else { return };
        let (first, last) = (segment.first.max(self.acked + 1), segment.last());
        if first > last {
            return;
        }
        let sent = self.sent.min(last);
        if sent >= first {
            add(&mut self.doubtful, Span { first, last: sent });
        }
        if last > sent {
            self.lose(Span { first: first.max(sent + 1), last });
        }
    }

    fn lose(&mut self, span: Span) {
        self.lost_total += span.len();
        add(&mut self.lost, span);
    }

    /// Takes a segment out and counts its bytes off.
    fn take(&mut self, at: usize) -> Option<Segment> {
        let segment = self.segments.remove(at)?;
        self.bytes = self.segments.iter().map(|s| s.bytes).sum();
        let mut before: Option<&Arc<Layout>> = None;
        for held in &self.segments {
            if !before.is_some_and(|b| Arc::ptr_eq(b, &held.layout)) {
                self.bytes += held.layout.bytes();
            }
            before = Some(&held.layout);
        }
        Some(segment)
    }
}

/// Adds a span to rising ones that do not touch it; neighbours become one.
fn add(spans: &mut Vec<Span>, span: Span) {
    let at = spans.partition_point(|other| other.first < span.first);
    spans.insert(at, span);
    spans.dedup_by(|next, before| {
        let joins = before.last + 1 == next.first;
        if joins {
            before.last = next.last;
        }
        joins
    });
}
