//! How far a boot's reports are committed, and whether its stream may go on.

use crate::nudges::{Nudges, Want};
use crate::store::ReportRecord;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tokio::sync::Notify;

/// A report that seems to be made before the one before it is dated right after that one, if it is so much earlier at
/// most: each connection maps the agent's clock a little differently. More is a clock that was set.
const BACK_AT_MOST_MS: i64 = 10_000;

/// Before any report.
const UNDATED: i64 = i64::MIN;

/// One boot's progress; shared by its stream and the writer.
#[derive(Debug)]
pub(super) struct Progress {
    committed: AtomicU64,
    queued: AtomicU64,
    /// Rises when a report is dropped: streams that began before are broken.
    breaks: AtomicU64,
    /// When the last report was made, as history has it: a sample that is not later than the one before it counts for
    /// nothing there. Unix milliseconds, or `UNDATED`.
    dated_ms: AtomicI64,
    /// The date of the last report that was not dated as it came: its blocks ticked at a time that was another's.
    moved_ms: AtomicI64,
    /// When the last one that is committed was made, or what came before the first.
    committed_ms: AtomicI64,
    changed: Notify,
    /// A commit up to here wakes the stream that follows.
    awaited: AtomicU64,
    /// That stream, and its number: the newest that said what it waits for.
    stream: Mutex<(u64, Option<Arc<Nudges>>)>,
    /// Streams that followed.
    streams: AtomicU64,
}

impl Progress {
    pub(super) fn at(seq: u64) -> Self {
        Self {
            committed: AtomicU64::new(seq),
            queued: AtomicU64::new(seq),
            dated_ms: AtomicI64::new(UNDATED),
            moved_ms: AtomicI64::new(UNDATED),
            committed_ms: AtomicI64::new(UNDATED),
            breaks: AtomicU64::new(0),
            changed: Notify::new(),
            awaited: AtomicU64::new(u64::MAX),
            stream: Mutex::default(),
            streams: AtomicU64::new(0),
        }
    }

    pub(super) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// The last number that was handed in.
    pub(super) fn queued(&self) -> u64 {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn is_queued(&self, seq: u64) -> bool {
        seq <= self.queued.load(Ordering::Relaxed)
    }

    /// It is known when the last report was made.
    pub(super) fn is_dated(&self) -> bool {
        self.dated_ms.load(Ordering::Relaxed) != UNDATED
    }

    /// What comes next was made after this.
    pub(super) fn begin_after(&self, before_ms: i64) {
        self.dated_ms.store(before_ms, Ordering::Relaxed);
        self.committed_ms.store(before_ms, Ordering::Relaxed);
    }

    /// When the last report was made that was handed in.
    pub(super) fn dated_ms(&self) -> i64 {
        self.dated_ms.load(Ordering::Relaxed)
    }

    /// Dates the next report as history keeps it: after the one before. In a burst, where reports share the moment at
    /// which they came, so do their blocks: each ticked after the report before. Only one at a time may ask.
    pub(super) fn date(&self, record: &mut ReportRecord) {
        let last_ms = self.dated_ms();
        let next_ms = last_ms.saturating_add(1);
        if record.at_ms < next_ms {
            let is_set = next_ms.saturating_sub(record.at_ms) > BACK_AT_MOST_MS;
            record.at_ms = if is_set { record.at_ms } else { next_ms };
            self.moved_ms.store(if is_set { UNDATED } else { next_ms }, Ordering::Relaxed);
        }
        let shared_ms = last_ms.min(self.moved_ms.load(Ordering::Relaxed));
        let since_ms = u32::try_from(record.at_ms.saturating_sub(next_ms)).unwrap_or(u32::MAX);
        for block in &mut record.blocks {
            if record.at_ms.saturating_sub(block.before_ms.into()) <= shared_ms {
                block.before_ms = block.before_ms.min(since_ms);
            }
        }
        self.dated_ms.store(record.at_ms, Ordering::Relaxed);
    }

    pub(super) fn queue(&self, seq: u64) {
        self.queued.fetch_max(seq, Ordering::Relaxed);
    }

    /// This report is committed, and all before it.
    pub(super) fn commit(&self, seq: u64, at_ms: i64) {
        self.committed_ms.store(at_ms, Ordering::Relaxed);
        self.committed.fetch_max(seq, Ordering::SeqCst);
        self.changed.notify_waiters();
        if seq >= self.awaited.load(Ordering::SeqCst)
            && let (_, Some(stream)) = &*self.stream.lock()
        {
            stream.want(Want::Acknowledge);
        }
    }

    /// A report was dropped: nothing later on the stream may be committed.
    pub(super) fn break_off(&self) {
        self.breaks.fetch_add(1, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// All that waited was dropped: it may come again on a new stream.
    pub(super) fn roll_back(&self) {
        self.breaks.fetch_add(1, Ordering::Release);
        self.queued.store(self.committed(), Ordering::Relaxed);
        self.dated_ms.store(self.committed_ms.load(Ordering::Relaxed), Ordering::Relaxed);
        self.changed.notify_waiters();
    }
}

/// A stream's view of its boot's progress.
#[derive(Clone, Debug)]
pub struct Follower {
    progress: Arc<Progress>,
    /// The boot's breaks when the stream began.
    breaks: u64,
    /// The stream's number: that of one that takes its place is higher.
    number: u64,
}

impl Follower {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        let breaks = progress.breaks.load(Ordering::Acquire);
        let number = progress.streams.fetch_add(1, Ordering::Relaxed) + 1;
        Self { progress, breaks, number }
    }

    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The last committed number.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.progress.committed()
    }

    /// From now on a commit up to `seq` wakes this stream, unless another took its place. False when that much is
    /// committed already.
    #[must_use]
    pub fn awaits(&self, seq: u64, stream: &Arc<Nudges>) -> bool {
        let mut newest = self.progress.stream.lock();
        if newest.0 <= self.number {
            *newest = (self.number, Some(Arc::clone(stream)));
            self.progress.awaited.store(seq, Ordering::SeqCst);
        }
        drop(newest);
        // Nothing comes after the last number there is.
        seq == u64::MAX || self.progress.committed.load(Ordering::SeqCst) < seq
    }

    /// Waits until more is committed than `seen`.
    pub async fn beyond(&self, seen: u64) -> u64 {
        loop {
            let mut changed = std::pin::pin!(self.progress.changed.notified());
            changed.as_mut().enable();
            let committed = self.committed();
            if committed > seen {
                return committed;
            }
            changed.await;
        }
    }

    /// Whether a report of this stream was dropped unacknowledged.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.progress.breaks.load(Ordering::Acquire) != self.breaks
    }
}
