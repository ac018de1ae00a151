//! The bounded queue between those who log and the thread that writes. Who logs never waits: a record for which
//! there is no room is dropped and counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// How much may wait to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { records: 8 * 1024, bytes: 8 * 1024 * 1024 }
    }
}

/// What the writing thread receives.
pub(crate) enum Message {
    Line(String),
    /// Only wakes the thread, so that it sees that the queue is closing.
    Wake,
}

/// What both ends, the guard and the metrics look at.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Bytes in the queue: long records fill it before their number does.
    bytes: AtomicUsize,
    /// Dropped and not yet told in the log.
    untold: AtomicU64,
    /// Dropped since the start, for metrics.
    dropped: AtomicU64,
    /// The guard is gone: write what is there, then end.
    closing: AtomicBool,
    /// Bytes the sink took, and whether it is being given some now: both tell the guard a sink that blocks from
    /// a thread that had no turn yet.
    written: AtomicU64,
    writing: AtomicBool,
}

/// The end of those who log.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: SyncSender<Message>,
    state: Arc<State>,
    /// The bound on bytes; the one on records is the channel's.
    bytes: usize,
}

pub(crate) fn queue(bounds: Bounds) -> (Queue, Receiver<Message>, Arc<State>) {
    let (sender, receiver) = sync_channel(bounds.records);
    let state = Arc::new(State::default());
    (Queue { sender, state: Arc::clone(&state), bytes: bounds.bytes }, receiver, state)
}

impl Queue {
    /// A line longer than the bound still passes through an empty queue.
    pub(crate) fn push(&self, line: String) {
        let length = line.len();
        let waiting = self.state.bytes.fetch_add(length, SeqCst);
        let fits = waiting == 0 || waiting + length <= self.bytes;
        if !fits || self.sender.try_send(Message::Line(line)).is_err() {
            self.state.bytes.fetch_sub(length, SeqCst);
            self.state.lose(1);
        }
    }

    /// Lets the thread look at what it owes. A full queue needs no waking.
    pub(crate) fn wake(&self) {
        let _awake_already = self.sender.try_send(Message::Wake).is_err();
    }

    /// Asks the thread to write what is there and to end.
    pub(crate) fn close(&self) {
        self.state.closing.store(true, SeqCst);
        self.wake();
    }
}

impl State {
    pub(crate) fn taken(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, SeqCst);
    }

    /// Passes on what `write`, one call of the sink, returns.
    pub(crate) fn watch(&self, write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        self.writing.store(true, SeqCst);
        let result = write();
        self.written.fetch_add(result.as_ref().map_or(0, |count| *count as u64), SeqCst);
        self.writing.store(false, SeqCst);
        result
    }

    pub(crate) fn lose(&self, lines: u64) {
        self.untold.fetch_add(lines, SeqCst);
        self.dropped.fetch_add(lines, SeqCst);
    }

    /// What was dropped since this was last asked.
    pub(crate) fn take_untold(&self) -> u64 {
        self.untold.swap(0, SeqCst)
    }

    /// The telling failed too: those lines are untold again.
    pub(crate) fn still_untold(&self, lines: u64) {
        self.untold.fetch_add(lines, SeqCst);
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(SeqCst)
    }

    /// The bytes the sink has taken, if it is taking some now.
    pub(crate) fn writing(&self) -> Option<u64> {
        self.writing.load(SeqCst).then(|| self.written.load(SeqCst))
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(SeqCst)
    }
}
