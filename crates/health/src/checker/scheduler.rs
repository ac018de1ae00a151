//! The one task behind a checker: waits for timers and for the ends of runs, and starts what the board says. Every
//! decision is the board's.

use super::Inner;
use super::board::{Moment, Start};
use super::heartbeat::Heartbeat;
use super::verdict::End;
use crate::Outcome;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the task of a run gives: the answer, and how long it took.
type Landed = Result<(Id, (Outcome, Duration)), JoinError>;

/// The runs under way: at most one for each component.
#[derive(Default)]
struct Flights {
    /// Dropped with the scheduler, which cuts them all.
    tasks: JoinSet<(Outcome, Duration)>,
    /// Whose run a task is; a task that panicked says no more than its id.
    components: HashMap<Id, u64>,
}

impl Flights {
    fn start(&mut self, Start { id, check }: Start) -> tokio::task::AbortHandle {
        let handle = self.tasks.spawn(async move {
            let since = Instant::now();
            let outcome = check.run().await;
            (outcome, since.elapsed())
        });
        self.components.insert(handle.id(), id);
        handle
    }

    /// Whose run has ended and how; `None` for how when it was cut.
    fn landed(&mut self, landed: Landed) -> Option<(u64, Option<End>)> {
        let (task, end) = match landed {
            Ok((task, (outcome, took))) => (task, Some(End::Answered { outcome, took })),
            Err(error) if error.is_panic() => (error.id(), Some(End::Panicked)),
            Err(error) => (error.id(), None),
        };
        self.components.remove(&task).map(|id| (id, end))
    }
}

/// Runs until the token is cancelled.
pub(super) async fn run(inner: &Inner, token: CancellationToken) {
    let Some(_only) = token.run_until_cancelled(inner.running.lock()).await else { return };
    let mut flights = Flights::default();
    let mut heartbeat = Heartbeat::new(Instant::now(), (inner.now_ms)());
    inner.board.lock().arm(Instant::now());
    let mut landed = None;
    loop {
        let next = turn(inner, &mut flights, &mut heartbeat, landed.take());
        tokio::select! {
            biased;
            () = token.cancelled() => return,
            Some(one) = flights.tasks.join_next_with_id() => landed = Some(one),
            () = inner.wake.notified() => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

/// Looks at the clocks. Says whether the machine has slept since the last look.
fn look<'a>(inner: &Inner, heartbeat: &'a mut Heartbeat) -> (bool, Moment<'a>) {
    let (now, now_ms) = (Instant::now(), (inner.now_ms)());
    let slept = heartbeat.look(now, now_ms);
    inner.heartbeat_ms.store(now_ms, Ordering::Relaxed);
    (slept, Moment { now, now_ms, pulse: heartbeat })
}

/// Does all that can be done now and says when there will be more to do.
fn turn(inner: &Inner, flights: &mut Flights, heartbeat: &mut Heartbeat, landed: Option<Landed>) -> Instant {
    let (mut slept, mut moment) = look(inner, heartbeat);
    let mut board = inner.board.lock();
    let mut next = landed;
    while let Some(landed) = next {
        if let Some((id, end)) = flights.landed(landed) {
            board.landed(id, end, moment);
        }
        next = flights.tasks.try_join_next_with_id();
        // The process may have stood still since the last look: what landed meanwhile is not judged by that one.
        let (slept_since, later) = look(inner, heartbeat);
        (slept, moment) = (slept || slept_since, later);
    }
    let now = moment.now;
    if slept {
        board.run_all_soon(now);
    }
    for start in board.turn(moment) {
        let id = start.id;
        let abort = flights.start(start);
        board.started(id, moment.pulse.mark(now), abort);
    }
    inner.publish(&mut board);
    let beat = heartbeat.next(now, !flights.tasks.is_empty());
    board.next_due().map_or(beat, |due| due.min(beat))
}
