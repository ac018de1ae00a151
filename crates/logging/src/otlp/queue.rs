//! What waits to be exported, within bounds. What does not fit is dropped and counted; nobody waits for room.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// So many records, and so many spans, may wait.
const WAITING: usize = 2_048;
/// And no more than this of each, in bytes of text.
const WAITING_BYTES: usize = 4 << 20;
/// At most so much is sent at once: collectors take 4 MiB.
pub(super) const BATCH: usize = 512;
const BATCH_BYTES: usize = 1 << 20;

/// One signal's queue.
#[derive(Debug)]
pub(super) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    /// There is enough for a batch.
    pub(super) full: Notify,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<Item<T>>,
    bytes: usize,
}

/// Something with its weight.
#[derive(Debug)]
pub(super) struct Item<T> {
    pub(super) it: T,
    bytes: usize,
}

/// What was dropped so far, by signal.
#[derive(Debug, Default, Clone)]
pub(crate) struct Dropped(Vec<(&'static str, Arc<AtomicU64>)>);

impl Dropped {
    /// The count of one more signal.
    pub(super) fn of(&mut self, signal: &'static str) -> Arc<AtomicU64> {
        let count = Arc::default();
        self.0.push((signal, Arc::clone(&count)));
        count
    }

    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(signal, count)| (*signal, count.load(Relaxed)))
    }
}

impl<T> Queue<T> {
    pub(super) fn new(signal: &'static str, dropped: &mut Dropped) -> Self {
        let waiting = Waiting { items: VecDeque::new(), bytes: 0 };
        Self { waiting: Mutex::new(waiting), full: Notify::new(), dropped: dropped.of(signal) }
    }

    /// `bytes` is about how much memory it takes beside its own size.
    pub(super) fn push(&self, it: T, bytes: usize) {
        let mut waiting = self.waiting.lock();
        if waiting.items.len() >= WAITING || waiting.bytes + bytes > WAITING_BYTES {
            drop(waiting);
            return self.lose(1);
        }
        waiting.bytes += bytes;
        waiting.items.push_back(Item { it, bytes });
        let enough = waiting.items.len() == BATCH;
        drop(waiting);
        if enough {
            self.full.notify_one();
        }
    }

    /// The oldest, at most a batch of them; what is taken makes room for others.
    pub(super) fn take(&self) -> Vec<Item<T>> {
        let mut waiting = self.waiting.lock();
        let (mut count, mut bytes) = (0, 0);
        for item in waiting.items.iter().take(BATCH) {
            if count > 0 && bytes + item.bytes > BATCH_BYTES {
                break;
            }
            (count, bytes) = (count + 1, bytes + item.bytes);
        }
        waiting.bytes -= bytes;
        waiting.items.drain(..count).collect()
    }

    /// It could not be sent: it is the oldest again. It may be above the bounds, by no more than itself.
    pub(super) fn put_back(&self, batch: Vec<Item<T>>) {
        let mut waiting = self.waiting.lock();
        for item in batch.into_iter().rev() {
            waiting.bytes += item.bytes;
            waiting.items.push_front(item);
        }
    }

    /// Gives up what waits.
    pub(super) fn clear(&self) -> usize {
        let mut waiting = self.waiting.lock();
        let count = waiting.items.len();
        (waiting.items, waiting.bytes) = (VecDeque::new(), 0);
        drop(waiting);
        self.lose(count);
        count
    }

    pub(super) fn lose(&self, count: usize) {
        self.dropped.fetch_add(count as u64, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH, BATCH_BYTES, Dropped, Queue, WAITING, WAITING_BYTES};

    fn count(dropped: &Dropped) -> usize {
        dropped.counts().map(|(_, count)| count as usize).sum()
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let mut dropped = Dropped::default();
        let queue = Queue::new("logs", &mut dropped);
        for n in 0..WAITING + 10 {
            queue.push(n, 1);
        }
        assert_eq!(dropped.counts().collect::<Vec<_>>(), [("logs", 10)]);
        let first = queue.take();
        assert_eq!((first.len(), first[0].it), (BATCH, 0));
        queue.put_back(first);
        assert_eq!(queue.take()[0].it, 0, "what comes back is the oldest again");
        assert_eq!(queue.clear(), WAITING - BATCH);
        assert_eq!(count(&dropped), WAITING - BATCH + 10);
    }

    #[test]
    fn long_ones_are_bounded_by_their_bytes() {
        let mut dropped = Dropped::default();
        let queue = Queue::new("logs", &mut dropped);
        let half = BATCH_BYTES / 2 + 1;
        for n in 0..100 {
            queue.push(n, half);
        }
        assert_eq!(count(&dropped), 100 - WAITING_BYTES / half);
        assert_eq!(queue.take().len(), 1, "two are too long for one batch");
        let queue = Queue::new("logs", &mut Dropped::default());
        queue.push(0, BATCH_BYTES + 1);
        assert_eq!(queue.take().len(), 1, "one that is too long goes alone");
    }
}
