//! The one task that sends: starts each try as soon as its queue lets it, and takes in how it ended. No receiver is waited
//! for here, and nothing is looked at in vain: it sleeps until something was pushed, landed, or is due.

use super::flight::{Flight, Flown};
use super::lanes::{Departure, Telling};
use super::{Attempt, Inner, LAST, Outcome};
use crate::notify::receivers::Failure;
use farol_health::clock::wall_ms;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// With nothing due at all.
const IDLE: Duration = Duration::from_secs(3_600);

/// Tries on their way.
#[derive(Default)]
struct Air {
    flights: JoinSet<Flown>,
    /// Of whom each is: receiver and conversation.
    whose: HashMap<Id, (Arc<str>, Arc<str>)>,
}

impl Inner {
    /// Sends until `end` is cancelled, and then for a short while what may go at once. What is not over by then stays due
    /// in the store.
    pub(super) async fn send_until(&self, end: CancellationToken) {
        let mut air = Air::default();
        let mut last: Option<Instant> = None;
        loop {
            self.start_all(&mut air);
            self.tell();
            if last.is_some() && air.flights.is_empty() {
                return;
            }
            let wakes = self.lanes.lock().wakes_ms().map(|at_ms| self.began + Duration::from_millis(at_ms));
            let wakes = wakes.unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                () = self.wake.notified() => {}
                Some(landed) = air.flights.join_next_with_id() => self.land(&mut air, landed),
                () = sleep_until(wakes) => {}
                () = end.cancelled(), if last.is_none() => last = Some(Instant::now() + LAST),
                () = sleep_until(last.unwrap_or(wakes)), if last.is_some() => {
                    tracing::warn!(on_their_way = air.flights.len(), "notices stay due until the next start");
                    return;
                }
            }
        }
    }

    fn start_all(&self, air: &mut Air) {
        loop {
            let next = self.lanes.lock().next(self.now_ms());
            let Some(Departure { name, conversation, receiver, load }) = next else { return };
            let flight = Flight { receiver, load, told: self.journal.committed_documents() };
            let id = air.flights.spawn(flight.fly()).id();
            air.whose.insert(id, (name, conversation));
        }
    }

    fn land(&self, air: &mut Air, landed: Result<(Id, Flown), JoinError>) {
        let (id, flown) = match landed {
            Ok((id, flown)) => (id, flown),
            Err(error) => (error.id(), broken()),
        };
        let Some((name, conversation)) = air.whose.remove(&id) else { return };
        let changes = self.lanes.lock().land(&name, &conversation, flown, self.now_ms());
        if !changes.is_empty() {
            let number = self.journal.documents(changes);
            self.lanes.lock().follow(&name, &conversation, number);
        }
    }

    /// Tells what there is to tell, with no lock held.
    fn tell(&self) {
        let tellings = self.lanes.lock().take_tellings(self.now_ms());
        for telling in tellings {
            match telling {
                Telling::Attempted(attempt) => {
                    log_death(&attempt);
                    self.attempts.lock().note(attempt.clone());
                    self.watch.attempted(&attempt);
                }
                Telling::Turned(name, Some(why)) => {
                    tracing::warn!(receiver = &*name, error = why, "a receiver begins to fail");
                }
                Telling::Turned(name, None) => {
                    tracing::info!(receiver = &*name, "a receiver takes notices again");
                }
                Telling::Failing(name, why) => self.watch.failing(&name, why.as_deref()),
                Telling::Full(name, full) => self.watch.full(&name, full),
            }
        }
    }
}

/// A notice that is dead is a message that somebody was to get, and does not.
fn log_death(attempt: &Attempt) {
    let Outcome::Dead { why } = &attempt.outcome else { return };
    let rules = attempt.rules.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    tracing::error!(
        receiver = &*attempt.receiver,
        notice = attempt.notice_id,
        rules,
        error = why,
        "a notice is dead: it is not sent, unless an operator sends it again"
    );
}

/// A receiver's code panicked.
fn broken() -> Flown {
    let why = "the receiver's code failed; see the monitor's log".to_owned();
    Flown {
        result: Err(Failure::Retry { why, after: None }),
        began_ms: wall_ms(),
        took: Duration::ZERO,
        unrecorded: false,
    }
}
