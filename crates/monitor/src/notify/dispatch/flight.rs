//! One try to send one notice. Decides how long it waits for the store, and when a receiver has taken too long.

use super::lanes::Load;
use crate::journal::Documents;
use crate::notify::receivers::{Failure, Receiver, Sent};
use farol_health::clock::wall_ms;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// The store has so long to take a notice, or the word that the one before it was sent.
const RECORD_WITHIN: Duration = Duration::from_millis(500);

pub(super) struct Flight {
    pub(super) receiver: Arc<dyn Receiver>,
    pub(super) load: Load,
    pub(super) told: watch::Receiver<Documents>,
}

/// How it ended.
pub(super) struct Flown {
    pub(super) result: Result<Sent, Failure>,
    pub(super) began_ms: i64,
    pub(super) took: Duration,
    pub(super) unrecorded: bool,
}

impl Flight {
    pub(super) async fn fly(mut self) -> Flown {
        let Load { number, handed, after, .. } = self.load;
        let recorded = number == 0
            || self.seen(handed + RECORD_WITHIN, number).await && self.told.borrow().holds(number);
        // So that a crash never repeats the one before it, too.
        self.seen(Instant::now() + RECORD_WITHIN, after).await;
        let unrecorded = !recorded;
        let mut message = self.load.message;
        if message.unrecorded != unrecorded {
            Arc::make_mut(&mut message).unrecorded = unrecorded;
        }
        let (began_ms, began) = (wall_ms(), Instant::now());
        let within = self.receiver.deadline();
        let sent = timeout(within, self.receiver.send(&message)).await;
        let late = || Failure::retry(format!("no answer within {} s", within.as_secs()));
        let result = sent.unwrap_or_else(|_| Err(late()));
        Flown { result, began_ms, took: began.elapsed(), unrecorded }
    }

    /// Waits until a hand-in is committed; false when the store refuses, or it is too late.
    async fn seen(&mut self, until: Instant, number: u64) -> bool {
        let told = self.told.wait_for(|told| told.committed >= number || told.refusing);
        matches!(timeout_at(until, told).await, Ok(Ok(told)) if told.committed >= number)
    }
}
