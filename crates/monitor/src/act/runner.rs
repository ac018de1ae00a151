//! Carries requests out, in the order in which they came. Decides when an attempt begins and what becomes of those of
//! before a restart; ends when it is told to.

use super::attempt::Attempt;
use super::carried::Carried;
use super::guard::{Refusal, Verdict};
use super::mirror::{self, Mirror};
use super::record::{ActionRecord, Outcome};
use super::{ActionRequest, Inner};
use farol_rules::Moment;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How soon time moves a breaker that nobody asks about.
const TICK: Duration = Duration::from_secs(1);
/// What is under way at the end may take so long still.
const LAST: Duration = Duration::from_secs(5);

/// After a restart it takes a while until agents have said again how they are: before that nothing is known of alerts.
const SETTLED_MS: u64 = 30_000;
/// What was asked for, or done, before a restart waits so long for that, or longer where agents have longer to speak.
const UNSURE_MS: u64 = 120_000;

/// What carries actions out: to be run as a task of the process.
pub struct Runner {
    inner: Arc<Inner>,
    requests: mpsc::Receiver<ActionRequest>,
    /// Attempts of before the restart whose effect is to be looked at.
    awaited: Vec<ActionRecord>,
    /// What was asked for before the restart, and not begun: whether its alert still fires is to be known first. No
    /// more than was restored.
    unsure: Vec<ActionRequest>,
    /// What is not known of alerts until then, on the running clock, is not waited for.
    known_by_ms: u64,
}

impl Runner {
    pub(super) fn new(inner: Arc<Inner>, requests: mpsc::Receiver<ActionRequest>) -> Self {
        Self { inner, requests, awaited: Vec::new(), unsure: Vec::new(), known_by_ms: 0 }
    }

    /// The last record of each attempt, as it was stored by a process that was last alive then, unix milliseconds:
    /// budgets and pauses go on, an effect that is awaited is looked at, what was asked for is asked for again, and one
    /// that was broken off is told so. Agents have the `grace` to speak.
    pub fn restore(
        &mut self,
        records: impl IntoIterator<Item = ActionRecord>,
        alive_until_ms: i64,
        grace: Duration,
    ) {
        let now = self.inner.now();
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.known_by_ms = now.run_ms.saturating_add(UNSURE_MS.max(grace_ms));
        for mut record in records {
            let noted = Moment { run_ms: record.run_ms, wall_ms: record.at_ms };
            let carried = Carried::new(noted, alive_until_ms, now);
            record.run_ms = carried.over(record.run_ms);
            if let Outcome::Verifying { due_run_ms } = &mut record.outcome {
                *due_run_ms = carried.over(*due_run_ms).max(now.run_ms.saturating_add(SETTLED_MS));
            }
            let awaited = matches!(record.outcome, Outcome::Verifying { .. });
            if record.outcome.counts() {
                let mut state = self.inner.state.lock();
                let guard = state.guards.entry(Arc::clone(&record.action)).or_default();
                guard.recall(record.run_ms, awaited);
            }
            if awaited {
                self.awaited.push(record);
            } else if record.outcome == Outcome::Asked {
                self.unsure.push(ActionRequest::again(&record));
            } else if record.outcome == Outcome::Started {
                record.outcome = Outcome::Interrupted;
                record.known_ms = now.wall_ms;
                self.inner.tell(record);
            }
        }
    }

    /// Runs until it is stopped. An effect that is awaited then is looked at after the next start.
    pub async fn run(mut self, stopping: CancellationToken) {
        let mut attempts = JoinSet::new();
        for record in std::mem::take(&mut self.awaited) {
            let attempt = Attempt::resumed(&self.inner, record, self.known_by_ms, stopping.clone());
            attempts.spawn(attempt.look_at_effect());
        }
        let mut mirroring = Mirroring::default();
        mirroring.follow(&self.inner, &stopping);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                request = self.requests.recv() => match request {
                    Some(request) => if let Some(attempt) = self.begin(request, &stopping) {
                        attempts.spawn(attempt.carry_out());
                    },
                    None => break,
                },
                Some(ended) = attempts.join_next() => if let Err(error) = ended {
                    tracing::error!(%error, "an action broke off");
                },
                () = self.inner.reloaded.notified() => mirroring.follow(&self.inner, &stopping),
                _ = tick.tick() => {
                    self.inner.breakers.step(self.inner.now());
                    for request in self.sure_by_now() {
                        if let Some(attempt) = self.begin(request, &stopping) {
                            attempts.spawn(attempt.carry_out());
                        }
                    }
                }
            }
        }
        let rest = async { while attempts.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST, rest).await.is_err() {
            tracing::warn!(attempts = attempts.len(), "actions were broken off by the end of the process");
        }
    }

    /// Those of before the restart of whose alert something is known by now. What waited too long for it is refused.
    fn sure_by_now(&mut self) -> Vec<ActionRequest> {
        let (inner, is_late) = (&self.inner, self.inner.now().run_ms >= self.known_by_ms);
        let is_sure = |request: &mut ActionRequest| {
            (inner.surroundings.firing)(&request.alert, request.episode_ms).is_some()
        };
        let sure = self.unsure.extract_if(.., is_sure).collect();
        if is_late {
            for request in self.unsure.drain(..) {
                inner.refuse(&request, Refusal::AlertUnknown);
            }
        }
        sure
    }

    /// Asks the guard. What is refused is told.
    fn begin(&self, request: ActionRequest, stopping: &CancellationToken) -> Option<Attempt> {
        let inner = &self.inner;
        let settings = inner.settings.load_full();
        let Some(action) = settings.actions.get(&request.action) else {
            inner.refuse(&request, Refusal::UnknownAction);
            return None;
        };
        if (inner.surroundings.firing)(&request.alert, request.episode_ms) == Some(false) {
            inner.refuse(&request, Refusal::AlertOver);
            return None;
        }
        let wide = inner.wide(&request, &settings.radius);
        let verdict = {
            let mut state = inner.state.lock();
            let guard = state.guards.entry(Arc::clone(&request.action)).or_default();
            guard.ask(&action.policy, wide, inner.now())
        };
        if let Verdict::Refused(refusal) = verdict {
            inner.refuse(&request, refusal);
            return None;
        }
        Some(Attempt::new(inner, &settings, action.clone(), request, stopping.clone()))
    }
}

/// The task that writes the breakers' states to Redis, as the settings in force say.
#[derive(Default)]
struct Mirroring {
    by: Option<Mirror>,
    /// Dropping it ends the task.
    task: JoinSet<()>,
}

impl Mirroring {
    fn follow(&mut self, inner: &Arc<Inner>, stopping: &CancellationToken) {
        let wanted = inner.settings.load().mirror.clone();
        if self.by == wanted {
            return;
        }
        self.task = JoinSet::new();
        self.by.clone_from(&wanted);
        if let Some(mirror) = wanted {
            let (breakers, inner) = (Arc::clone(&inner.breakers), Arc::clone(inner));
            self.task.spawn(mirror::run(mirror, breakers, move || inner.now(), stopping.clone()));
        }
    }
}
