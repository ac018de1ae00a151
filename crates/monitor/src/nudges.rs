//! What others want of an open stream: flags that anybody sets, and the one task that looks at them. Decides that a
//! stream waits for one thing however many want something of it; what follows from a want is the stream's business.

use foldhash::HashMap;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::Context;

/// Something that is wanted of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Want {
    /// Another stream took its place, or its agent was forgotten.
    Replaced = 1,
    /// The monitor is shutting down.
    End = 2,
    /// The store takes again: what was dropped on this stream may come anew.
    Recovered = 4,
    /// Make the agent say something.
    Ping = 8,
    /// An acknowledgement may be due.
    Acknowledge = 16,
    /// What of the agent is to drain has changed.
    Drain = 32,
}

/// What is wanted of one stream.
#[derive(Debug)]
pub struct Nudges {
    /// One bit for each [`Want`].
    wants: AtomicU8,
    /// Who looks.
    task: AtomicWaker,
    /// When the time rule of acknowledgements is to be looked at, on the boot clock.
    acknowledge_ms: AtomicU64,
}

impl Default for Nudges {
    fn default() -> Self {
        Self { wants: AtomicU8::new(0), task: AtomicWaker::new(), acknowledge_ms: AtomicU64::new(u64::MAX) }
    }
}

/// Wants that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wants(u8);

impl Wants {
    pub(crate) fn has(self, want: Want) -> bool {
        self.0 & want as u8 != 0
    }

    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl Nudges {
    /// Wants something of the stream.
    pub fn want(&self, want: Want) {
        if self.wants.fetch_or(want as u8, Ordering::SeqCst) & want as u8 == 0 {
            self.task.wake();
        }
    }

    /// Whether it is wanted and not taken yet.
    #[must_use]
    pub fn is_wanted(&self, want: Want) -> bool {
        Wants(self.wants.load(Ordering::SeqCst)).has(want)
    }

    /// Takes all that is wanted. The task hears of what comes later.
    pub(crate) fn take(&self, context: &Context<'_>) -> Wants {
        self.task.register(context.waker());
        if self.wants.load(Ordering::SeqCst) == 0 {
            return Wants(0);
        }
        Wants(self.wants.swap(0, Ordering::SeqCst))
    }

    /// When to look at the time rule of acknowledgements.
    pub(crate) fn acknowledge_at(&self, boot_ms: u64) {
        self.acknowledge_ms.store(boot_ms, Ordering::Relaxed);
    }
}

/// The streams that are open.
#[derive(Debug, Default)]
pub struct OpenStreams(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    last: u64,
    streams: HashMap<u64, Arc<Nudges>>,
}

impl OpenStreams {
    /// Adds a stream; gives the number under which it is taken out.
    pub(crate) fn add(&self, nudges: Arc<Nudges>) -> u64 {
        let mut table = self.0.lock();
        table.last += 1;
        let number = table.last;
        table.streams.insert(number, nudges);
        number
    }

    pub(crate) fn remove(&self, number: u64) {
        self.0.lock().streams.remove(&number);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().streams.len()
    }

    /// Wants something of every stream.
    pub(crate) fn want(&self, want: Want) {
        self.0.lock().streams.values().for_each(|nudges| nudges.want(want));
    }

    /// Streams whose time rule of acknowledgements is due look at it.
    pub(crate) fn acknowledge(&self, boot_ms: u64) {
        let table = self.0.lock();
        let due = |nudges: &&Arc<Nudges>| nudges.acknowledge_ms.load(Ordering::Relaxed) <= boot_ms;
        table.streams.values().filter(due).for_each(|nudges| nudges.want(Want::Acknowledge));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::task::{ArcWake, waker};
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl ArcWake for Woken {
        fn wake_by_ref(woken: &Arc<Self>) {
            woken.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_task_hears_once_of_what_is_wanted_until_it_looks() {
        let woken = Arc::new(Woken::default());
        let waker = waker(Arc::clone(&woken));
        let context = Context::from_waker(&waker);
        let nudges = Nudges::default();
        nudges.want(Want::Ping);
        let wants = nudges.take(&context);
        assert!(
            wants.has(Want::Ping) && !wants.has(Want::End),
            "what was wanted before the first look counts"
        );
        assert!(nudges.take(&context).is_none());
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        nudges.want(Want::End);
        nudges.want(Want::End);
        nudges.want(Want::Replaced);
        assert!(nudges.is_wanted(Want::End) && !nudges.is_wanted(Want::Ping));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "a waker is used up by the first");
        let wants = nudges.take(&context);
        assert!(wants.has(Want::End) && wants.has(Want::Replaced));
    }

    #[test]
    fn only_streams_whose_time_has_come_look_at_their_acknowledgements() {
        let open = OpenStreams::default();
        let (early, late) = (Arc::new(Nudges::default()), Arc::new(Nudges::default()));
        let number = open.add(Arc::clone(&early));
        open.add(Arc::clone(&late));
        early.acknowledge_at(1_000);
        open.acknowledge(999);
        assert!(!early.is_wanted(Want::Acknowledge));
        open.acknowledge(1_000);
        assert!(early.is_wanted(Want::Acknowledge) && !late.is_wanted(Want::Acknowledge));
        open.remove(number);
        open.want(Want::End);
        assert!(!early.is_wanted(Want::End) && late.is_wanted(Want::End));
        assert_eq!(open.count(), 1);
    }
}
