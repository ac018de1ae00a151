//! The reports that no monitor has acknowledged yet, in segments that decode by themselves. Decides what is kept in
//! memory and what on disk, what is shed when both are short, and what that loses, exactly. Pure: it reads no clock,
//! touches no disk and sends nothing.
//!
//! Bounded in bytes: over the limit the oldest segments go, whole; the newest always stays, so that the limit may be
//! passed by one segment. What is shed unsent is lost; what was sent on the open stream is in doubt until that stream
//! acknowledges it, or the next Welcome says that it does not know it. What has its copy on disk is not lost.

mod copying;
mod fate;
mod segment;
mod shelf;
#[cfg(test)]
mod tests;

pub(crate) use copying::{Job, Loaded, May, Spooled, Write};
pub(crate) use fate::{Loss, Span};
pub(crate) use segment::{Layout, Sizes};
pub(crate) use shelf::{Entry, Found, Key, Note, Room};

use farol_wire::limits::LOSSES;
use farol_wire::proto::{Report, Segment as Sent, agent_message};
use farol_wire::{Boot, Limits};
use fate::Fate;
use segment::Segment;
use shelf::Shelf;
use std::collections::VecDeque;
use std::sync::Arc;

/// A segment is closed after so many reports: a re-send is never longer, and an acknowledgement frees memory soon.
const REPORTS: usize = 64;
/// A segment is closed when its reports have so many bytes, so that it fits into a message.
const SEGMENT_BYTES: usize = 256 << 10;
/// A part of the backlog takes no further segment beyond this.
const CHUNK_BYTES: usize = 256 << 10;

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
    pub(crate) boot: Boot,
    /// Whole segments.
    pub(crate) segments: Vec<Sent>,
    /// The last sequence number in them.
    pub(crate) last: u64,
    /// Nothing of this boot follows.
    pub(crate) ends: bool,
}

/// What of the backlog comes next.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    Chunk(Chunk),
    /// What this boot has there is read from disk first.
    Wait(Boot),
    /// All was given out.
    Nothing,
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
    /// What is committed, sent, in doubt and lost.
    fate: Fate,
    /// What is on disk alone, also of earlier boots.
    shelf: Shelf,
    /// A monitor takes what is new as it comes.
    open: bool,
    /// The agent ends.
    finishing: bool,
    /// What the disk knows of what was dropped; `None` when that is not sure.
    noted: Option<Vec<Note>>,
}

impl Ring {
    pub(crate) fn new(boot: Boot, limit: usize) -> Self {
        Self {
            boot,
            limit,
            bytes: 0,
            segments: VecDeque::new(),
            last: 0,
            fate: Fate::default(),
            shelf: Shelf::default(),
            open: false,
            finishing: false,
            noted: Some(Vec::new()),
        }
    }

    /// The last sequence number given out.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn acked(&self) -> u64 {
        self.fate.acked()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reports lost since the start.
    pub(crate) fn lost_total(&self) -> u64 {
        self.fate.lost_total()
    }

    /// Reports held that are not acknowledged.
    pub(crate) fn unacked(&self) -> u64 {
        let in_memory = self.segments.iter().map(|s| (s.first, s.last()));
        let all = self.shelf.own.iter().map(|entry| (entry.first, entry.last)).chain(in_memory);
        all.map(|(first, last)| (last + 1).saturating_sub(first.max(self.acked() + 1))).sum()
    }

    pub(crate) fn is_half_full(&self) -> bool {
        self.bytes >= self.limit / 2
    }

    fn is_three_quarters_full(&self) -> bool {
        self.bytes >= self.limit / 4 * 3
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
        self.relieve();
        self.last
    }

    /// The open stream's monitor has committed all up to this one.
    pub(crate) fn acknowledge(&mut self, seq: u64) {
        let seq = seq.min(self.last);
        if !self.fate.acknowledge(seq) {
            return;
        }
        self.fate.heard(seq);
        self.shelf.heard(seq);
        self.shelf.clear_own(self.boot, seq);
        while self.segments.len() > 1 && self.segments.front().is_some_and(|s| s.last() <= seq) {
            self.discard(0);
        }
        self.forget_committed_copy();
    }

    /// The same of an earlier boot. False when it was not sent.
    pub(crate) fn acknowledge_past(&mut self, boot: Boot, seq: u64) -> bool {
        self.shelf.acknowledge(boot, seq)
    }

    /// A new stream: its monitor knows all up to `mark`, and so much of earlier boots. What was in doubt is decided.
    pub(crate) fn resume(&mut self, mark: u64, past: &[(Boot, u64)]) {
        self.acknowledge(mark);
        self.fate.resume();
        self.fate.decide();
        self.shelf.resume(past);
        self.segments.iter_mut().for_each(|s| s.announce = Vec::new());
    }

    /// The backlog is sent: what is new is taken at once.
    pub(crate) fn go_live(&mut self) {
        self.open = true;
    }

    /// The stream is gone.
    pub(crate) fn close(&mut self) {
        self.open = false;
    }

    /// The earlier boots that the next stream brings, oldest first.
    pub(crate) fn list_past(&mut self, most: usize) -> Vec<Boot> {
        self.shelf.list(most)
    }

    /// Whether there are earlier boots that the open stream does not bring, now that the others are done.
    pub(crate) fn others_wait(&self) -> bool {
        self.shelf.others_wait()
    }

    /// Whether anything after `cursor` is held.
    pub(crate) fn holds_after(&self, cursor: u64) -> bool {
        self.segments.back().is_some_and(|s| s.last() > cursor)
    }

    /// What was lost and is not announced on the open stream yet. It is until the next one, or until the monitor has
    /// acknowledged a report that is made later and so comes after it. Of very many some wait for that of the others: the
    /// monitor ends a stream that says too much at once.
    pub(crate) fn take_lost(&mut self) -> Vec<(Boot, Span)> {
        let most = LOSSES.saturating_sub(self.shelf.unheard() + self.fate.told.len());
        let mut lost = self.shelf.take_lost(self.last, most);
        let own = self.fate.take_lost(self.last, most - lost.len());
        lost.extend(own.into_iter().map(|span| (self.boot, span)));
        lost
    }

    /// Sheds what a monitor with these limits would refuse. Says how many segments.
    pub(crate) fn shed_unfit(&mut self, limits: &Limits) -> usize {
        let on_disk = self.shelf.drop_unfit(limits, self.boot, &mut self.fate);
        on_disk + self.shed_where(|layout| !layout.fits(limits))
    }

    /// Sheds the segments in memory whose layout a monitor would refuse. Says how many.
    pub(crate) fn shed_where(&mut self, unfit: impl Fn(&Layout) -> bool) -> usize {
        let before = self.segments.len();
        for at in (0..before).rev() {
            if unfit(&self.segments[at].layout) {
                self.remove(at);
            }
        }
        before - self.segments.len()
    }

    /// Whole segments of which the stream has nothing, earlier boots first: about [`CHUNK_BYTES`], so that what is more
    /// urgent gets its turn. Of this boot it has all up to `cursor`. A segment that has more than `budget` bytes by
    /// itself, without its set, is shed.
    pub(crate) fn backlog(&mut self, cursor: u64, budget: usize) -> Piece {
        if let Some((boot, segments, last, ends)) = self.shelf.take_loaded(self.boot, &mut self.fate, budget)
        {
            let ends = if boot == self.boot { last == self.last } else { ends };
            return Piece::Chunk(Chunk { boot, segments, last, ends });
        }
        if let Some(boot) = self.shelf.want(self.boot, cursor, budget as u64) {
            return Piece::Wait(boot);
        }
        let (segments, last) = self.held_after(cursor, budget);
        if segments.is_empty() {
            return Piece::Nothing;
        }
        self.fate.note_sent(last);
        Piece::Chunk(Chunk { boot: self.boot, segments, last, ends: last == self.last })
    }

    /// The disk takes too long over what is waited for: an earlier boot's is left to a later stream, this boot's is lost.
    pub(crate) fn give_up_reading(&mut self) {
        self.shelf.give_up(self.boot, &mut self.fate);
    }

    fn held_after(&mut self, cursor: u64, budget: usize) -> (Vec<Sent>, u64) {
        let (mut segments, mut last) = (Vec::new(), cursor);
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
            let size = size + segment.layout.bytes();
            if segment.reports.is_empty() || (bytes > 0 && bytes + size > budget.min(CHUNK_BYTES)) {
                break;
            }
            bytes += size;
            // What follows must not depend on what this stream has as history only.
            segment.closed = true;
            last = segment.last();
            segments.push(segment.to_message(self.boot));
            at += 1;
        }
        (segments, last)
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
        self.fate.note_sent(cursor + 1);
        Next::Report(announce, Box::new(report))
    }

    /// Sheds a segment with its copy on disk, and knows what that means for its reports.
    fn remove(&mut self, at: usize) {
        if let Some((first, last)) = self.discard(at) {
            self.fate.shed(first, last);
        }
    }

    /// Takes a segment out, and its copy on disk. Gives its first and last number.
    fn discard(&mut self, at: usize) -> Option<(u64, u64)> {
        let segment = self.take(at)?;
        self.drop_file(&segment);
        Some((segment.first, segment.last()))
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
