//! Sealing, between commits. Decides how much is done at once: first what a start found in the journal is replayed,
//! then runs are sealed, as long as the store takes what was sealed before.

use super::Shared;
use crate::store::{Store, StoreError, StoredReport};
use farol_health::clock::wall_ms;
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::time::Instant;

/// So long at once; a group that is urgent waits no longer.
const SLICE: Duration = Duration::from_millis(5);
/// Bytes of sealed records that wait for the store; with more nothing is sealed.
const WAITING_BYTES: usize = 16 << 20;
/// Bytes that are sealed at once.
const SLICE_BYTES: usize = 1 << 20;
/// Memory is swept so often.
const SWEEP: Duration = Duration::from_secs(30);
/// A replay that was refused is tried again after so long.
const AGAIN: Duration = Duration::from_secs(10);

/// Where it stands.
#[derive(Debug)]
pub(super) struct Sealing {
    /// The place in the journal after which the replay goes on; `None` once it is over.
    replay: Option<i64>,
    /// Not before then.
    replay_from: Option<Instant>,
    swept: Option<Instant>,
    more: bool,
}

impl Default for Sealing {
    fn default() -> Self {
        Self { replay: Some(0), replay_from: None, swept: None, more: false }
    }
}

impl Sealing {
    /// More is to be done at once.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    /// Does a slice.
    pub(super) async fn step(&mut self, store: &dyn Store, shared: &Shared) -> Result<(), StoreError> {
        let recent = &shared.recent;
        let now = Instant::now();
        if self.swept.is_none_or(|swept| now - swept >= SWEEP) || recent.wants_sweep() {
            self.swept = Some(now);
            // One question a lock: reports are handed in meanwhile.
            recent.sweep(wall_ms(), |agent, boot| shared.state.lock().is_followed(agent, boot));
        }
        let has_room = shared.state.lock().queue.sealed_bytes() < WAITING_BYTES;
        if has_room {
            let records = recent.seal(SLICE, SLICE_BYTES);
            if !records.is_empty() {
                let mut state = shared.state.lock();
                records.into_iter().for_each(|record| state.queue.push_sealed(record));
            }
        }
        let waits = self.replay_from.is_some_and(|from| now < from);
        if let Some(after) = self.replay.filter(|_| has_room && !waits) {
            self.replay(after, store, shared).await?;
        }
        self.more =
            (has_room && recent.has_waiting()) || (self.replay.is_some() && self.replay_from.is_none());
        Ok(())
    }

    async fn replay(&mut self, after: i64, store: &dyn Store, shared: &Shared) -> Result<(), StoreError> {
        if shared.recent.held().in_journal == 0 && after == 0 {
            self.replay = None;
            return Ok(());
        }
        let mut visit = |stored: StoredReport| {
            shared.recent.replay(&stored.report, &stored.layout);
            ControlFlow::Continue(())
        };
        self.replay_from = None;
        match store.unsealed(after, &mut visit).await {
            Ok(Some(next)) => self.replay = Some(next),
            Ok(None) => {
                self.replay = None;
                shared.recent.replay_is_over();
            }
            Err(why @ StoreError::Fatal(_)) => return Err(why),
            Err(why) => {
                self.replay_from = Some(Instant::now() + AGAIN);
                tracing::warn!(error = %why, "the journal could not be read; what is not sealed waits");
            }
        }
        Ok(())
    }
}
