//! Sends what is due, each receiver's notices apart from all others': at least once, in the order of each conversation. A
//! crash repeats at most one notice of a conversation, once, under the same id. Decides when a notice counts as recorded
//! and what is kept of it; what is told, and to whom, is decided by who pushes.

mod attempts;
mod flight;
mod lanes;
mod letters;
mod sending;
#[cfg(test)]
mod tests;

pub use attempts::{Attempt, Outcome, Watch};
pub use lanes::{LaneStats, Waiting};
pub use letters::{READ_AT_ONCE, ResendError};

use super::ledger::Due;
use super::message::Message;
use super::receivers::Receiver;
use crate::journal::Journal;
use crate::store::{Document, DocumentKind, Store};
use attempts::Attempts;
use farol_shutdown::Handle;
use lanes::Lanes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// At the end of the process what may go at once has so long; the rest stays due in the store.
const LAST: Duration = Duration::from_secs(2);

/// The way to the receivers. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher(Arc<Inner>);

struct Inner {
    journal: Journal,
    store: Arc<dyn Store>,
    watch: Arc<dyn Watch>,
    /// The beginning of the queues' time.
    began: Instant,
    lanes: Mutex<Lanes>,
    /// Something may go that could not before, or somebody is to be told.
    wake: Notify,
    /// The last tries of all.
    attempts: Mutex<Attempts>,
    /// The last place in the order that was given.
    order: AtomicU64,
}

impl Dispatcher {
    /// One with no receivers. Give it [`Self::set_receivers`] first, then [`Self::restore`], then [`Self::run`].
    pub fn new(journal: Journal, store: Arc<dyn Store>, watch: Arc<dyn Watch>) -> Self {
        Self(Arc::new(Inner {
            journal,
            store,
            watch,
            began: Instant::now(),
            lanes: Mutex::default(),
            wake: Notify::new(),
            attempts: Mutex::default(),
            order: AtomicU64::new(0),
        }))
    }

    /// These are the receivers from now on. What is on its way goes on, what waits for one that stays waits on, and what
    /// waits for one that is gone is dead.
    pub fn set_receivers(&self, receivers: BTreeMap<Arc<str>, Arc<dyn Receiver>>) {
        let changes = self.0.lanes.lock().set_receivers(receivers);
        self.0.journal.documents(changes);
        self.0.wake.notify_one();
    }

    /// Takes on what was due when the process before this one ended, in its order. Other documents are left out.
    pub fn restore(&self, documents: Vec<Document>) {
        let mut all = Vec::with_capacity(documents.len());
        for document in documents.into_iter().filter(|document| document.kind == DocumentKind::Due) {
            let key = Arc::clone(&document.key);
            match Due::read(document) {
                Ok(due) => all.push(due),
                Err(why) => {
                    tracing::error!(key = %key, error = %why, "a notice in the store cannot be read, nor sent");
                }
            }
        }
        all.sort_by_key(|due| due.order);
        if let Some(last) = all.last() {
            self.0.order.fetch_max(last.order, Ordering::Relaxed);
        }
        for due in all {
            self.0.take_on(due, 0);
        }
    }

    /// A notice that is to be sent, at the end of the order. Ask for a conversation's notices in their order.
    #[must_use]
    pub fn due(&self, message: Message) -> Due {
        Due::new(message, self.0.order.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Sends it as soon as hand-in `number` is committed, or the store is seen to refuse or hang. Waits for neither of
    /// them, nor for a receiver, and calls nobody back: it is called while no other decision can be carried out.
    pub fn push(&self, due: Due, number: u64) {
        self.0.take_on(due, number);
    }

    /// Sends under the process's supervisor, until it cleans up.
    pub fn run(&self, handle: &Handle) {
        let (flush, flushed) = (CancellationToken::new(), CancellationToken::new());
        let (sending, end, ended) = (Arc::clone(&self.0), flush.clone(), flushed.clone());
        handle.spawn("notices", async move {
            let _told = ended.drop_guard();
            sending.send_until(end).await;
        });
        handle.cleanup("notices", LAST + Duration::from_millis(250), move || async move {
            flush.cancel();
            flushed.cancelled().await;
        });
    }

    /// The last tries to tell of this alert, oldest first: those that are still in memory.
    #[must_use]
    pub fn attempts(&self, alert: &str) -> Vec<Attempt> {
        self.0.attempts.lock().of_alert(alert)
    }

    /// The notices about this alert that wait, in their order.
    #[must_use]
    pub fn waiting(&self, alert: &str) -> Vec<Waiting> {
        self.0.lanes.lock().waiting(alert, self.0.now_ms())
    }

    /// Whether an alert that fires anew is another one to this receiver.
    pub(crate) fn has_episodes(&self, receiver: &str) -> bool {
        self.0.lanes.lock().has_episodes(receiver)
    }

    /// How each receiver does, by its name.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<Arc<str>, LaneStats> {
        self.0.lanes.lock().stats(self.0.now_ms())
    }
}

impl Inner {
    /// Milliseconds of the queues' time.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Queues it. `number` 0 was committed by the process before this one.
    fn take_on(&self, due: Due, number: u64) {
        let now_ms = self.now_ms();
        let changes = self.lanes.lock().push(due, number, now_ms);
        self.journal.documents(changes);
        self.wake.notify_one();
    }
}
