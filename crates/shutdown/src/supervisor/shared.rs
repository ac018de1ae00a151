//! The state that a supervisor and its handles share. Decides who began the shutdown and how long the
//! process may live from then on; the phases themselves are driven by `supervisor`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::backstop::Backstop;
use super::cleanup::Cleanup;
use super::report::Reason;
use super::roster::Roster;
use crate::listener::Stats;
use crate::stages::Stages;
use crate::{Budgets, Phase, exit};

pub(crate) struct Shared {
    pub(crate) budgets: Budgets,
    /// The current phase; its order never goes back.
    pub(crate) phases: watch::Sender<Phase>,
    pub(crate) stopping: CancellationToken,
    pub(crate) draining: CancellationToken,
    /// The drain budget is over: listeners abort what is left.
    pub(crate) cutting: CancellationToken,
    pub(crate) cleaning: CancellationToken,
    /// Named long tasks, to find those that end early and those that never end.
    pub(crate) tasks: Roster,
    /// What must be over before draining begins.
    pub(crate) first: Roster,
    /// What must be over before the cleanups begin.
    pub(crate) drains: Roster,
    pub(crate) cleanups: Mutex<Vec<Cleanup>>,
    /// Why and since when; the lock also orders `begin` against `run`.
    pub(crate) course: Mutex<Course>,
    /// Counts by listener name, for metrics.
    pub(crate) listeners: Mutex<BTreeMap<&'static str, Arc<Stats>>>,
    /// A listener is reachable from beyond loopback.
    pub(crate) exposed: AtomicBool,
    /// Someone sits at a terminal and waits.
    pub(crate) at_terminal: bool,
    /// How the start went.
    pub(crate) stages: Stages,
    /// Connections aborted at the end of the drain budget, for the report.
    pub(crate) connections_cut: AtomicU64,
    /// Ends the process from outside the runtime; only where the process is ours to end.
    pub(crate) backstop: Option<Backstop>,
}

#[derive(Default)]
pub(crate) struct Course {
    /// The first reason to stop.
    pub(crate) reason: Option<Reason>,
    /// `run` was called: before that the process is starting and has only the last budget.
    pub(crate) running: bool,
    /// The stop was asked for before `run` and before any listener: nobody is served, no delay is due.
    pub(crate) never_served: bool,
    /// Tasks and cleanups that failed, "name: why".
    pub(crate) failures: Vec<String>,
}

impl Shared {
    pub(crate) fn new(budgets: Budgets, at_terminal: bool, backstop: Option<Backstop>) -> Shared {
        Shared {
            budgets,
            phases: watch::Sender::new(Phase::Running),
            stopping: CancellationToken::new(),
            draining: CancellationToken::new(),
            cutting: CancellationToken::new(),
            cleaning: CancellationToken::new(),
            tasks: Roster::default(),
            first: Roster::default(),
            drains: Roster::default(),
            cleanups: Mutex::default(),
            course: Mutex::default(),
            listeners: Mutex::default(),
            exposed: AtomicBool::new(false),
            at_terminal,
            stages: Stages::begin(tokio::time::Instant::now()),
            connections_cut: AtomicU64::new(0),
            backstop,
        }
    }

    /// The delay that STOP_ACCEPTING_REQUESTS keeps now.
    pub(crate) fn delay(&self) -> Duration {
        self.budgets.delay(self.exposed.load(Ordering::Relaxed), self.at_terminal)
    }

    /// All that a running process may still take once it was told to stop.
    fn whole(&self) -> Duration {
        let first = if self.first.is_empty() { Duration::ZERO } else { self.budgets.stop_accepting };
        self.delay().max(first) + self.budgets.drain + self.budgets.cleanup + self.budgets.last
    }

    /// Begins the shutdown, from any thread; only the first reason counts.
    pub(crate) fn begin(&self, reason: Reason) {
        let mut course = self.course.lock();
        if course.reason.is_some() {
            return;
        }
        course.reason = Some(reason);
        course.never_served = !course.running && self.listeners.lock().is_empty();
        if let Some(backstop) = &self.backstop {
            let within = if course.running { self.whole() } else { self.budgets.last };
            backstop.end_within(within, exit::CUT);
        }
        self.enter(Phase::StopAcceptingRequests);
        self.stopping.cancel();
    }

    /// `run` begins: from here on the whole budget holds.
    pub(crate) fn running(&self) {
        let mut course = self.course.lock();
        course.running = true;
        if course.reason.is_some()
            && let Some(backstop) = &self.backstop
        {
            backstop.end_within(self.whole(), exit::CUT);
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phases.send_if_modified(|current| {
            let forward = *current < phase;
            if forward {
                *current = phase;
            }
            forward
        });
    }

    /// A task ended: early is a reason to stop, and a failure is one at any time.
    pub(crate) fn task_ended(&self, name: &str, failure: Option<String>) {
        let early = !self.stopping.is_cancelled();
        match &failure {
            Some(why) => tracing::error!(task = name, error = %why, "task failed"),
            None if early => tracing::error!(task = name, "task ended before the shutdown"),
            None => tracing::debug!(task = name, "task ended"),
        }
        if early || failure.is_some() {
            let why = failure.unwrap_or_else(|| "ended before the shutdown".to_owned());
            self.failed(name, &why);
            self.begin(Reason::Task { name: name.to_owned(), why });
        }
    }

    pub(crate) fn failed(&self, name: &str, why: &str) {
        self.course.lock().failures.push(format!("{name}: {why}"));
    }
}
