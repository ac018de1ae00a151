//! Drives a process through its phases, each inside its budget, and reports what came of it. What is
//! served, cleaned or run is decided by those who register it.

pub(crate) mod backstop;
pub(crate) mod cleanup;
pub(crate) mod report;
pub(crate) mod roster;
pub(crate) mod shared;

use std::future::Future;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::open_files::{self, OpenFiles};
use crate::signal::Signals;
use crate::{Budgets, Handle, Phase, orphans};
use backstop::Backstop;
use report::{ExitReport, PhaseTook, Reason};
use shared::Shared;

/// How long listeners may take at most to drop what they aborted; part of the drain budget.
const CUTTING: Duration = Duration::from_millis(250);
/// What the process has for its end at least, after the last phase, whatever that one took.
const LEAVING: Duration = Duration::from_millis(500);

/// Owns the life of a process, or of one instance among several in a process.
#[derive(Debug)]
pub struct Supervisor {
    handle: Handle,
    /// To be told of once the log is there; only where the process is ours.
    open_files: Option<OpenFiles>,
}

impl Supervisor {
    /// A supervisor inside a process that is not its own: no signals, and nothing ends the process.
    pub fn new(budgets: Budgets) -> Supervisor {
        let shared = Arc::new(Shared::new(budgets, false, None));
        Supervisor { handle: Handle { shared }, open_files: None }
    }

    /// The supervisor of this process: the first signal begins the shutdown, during start-up too, and a
    /// thread of its own ends the process when the budget is over.
    ///
    /// The limit of open files is raised to the hard one. Where this process is the first of its namespace (PID 1 of
    /// a container), orphans that have become its children are cleared away.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn for_process(budgets: Budgets, signals: Signals) -> io::Result<Supervisor> {
        orphans::reap_if_first()?;
        let open_files = Some(open_files::raise());
        let at_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        let shared = Arc::new(Shared::new(budgets, at_terminal, Some(Backstop::start()?)));
        let told = Arc::clone(&shared);
        signals.on_first(move |number| told.begin(Reason::Signal(number)));
        Ok(Supervisor { handle: Handle { shared }, open_files })
    }

    /// For the parts of the process.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until the shutdown is asked for, then goes through the phases. Returns inside the budget.
    pub async fn run(self) -> ExitReport {
        let shared = &self.handle.shared;
        shared.running();
        if let Some(open_files) = self.open_files {
            open_files.log();
        }
        shared.stopping.cancelled().await;
        let (reason, never_served) = {
            let course = shared.course.lock();
            (
                course.reason.clone().expect("`stopping` is cancelled after the reason is set"),
                course.never_served,
            )
        };
        tracing::info!(reason = %reason, "shutdown begins");
        let mut phases = Vec::with_capacity(4);
        let delay = if never_served { Duration::ZERO } else { shared.delay() };
        phases.push(phase(shared, Phase::StopAcceptingRequests, stop_accepting(shared, delay)).await);
        phases.push(phase(shared, Phase::DrainConnections, drain(shared)).await);
        phases.push(phase(shared, Phase::CleanupResources, clean(shared)).await);
        let mut stragglers = Vec::new();
        phases.push(phase(shared, Phase::FinalShutdown, finish(shared, &mut stragglers)).await);
        let failures = std::mem::take(&mut shared.course.lock().failures);
        let code = ExitReport::code_for(&stragglers, &failures);
        let connections_cut = shared.connections_cut.load(Ordering::Relaxed);
        tracing::info!(code, connections_cut, stragglers = stragglers.len(), "shutdown ended");
        if let Some(backstop) = &shared.backstop {
            // What is left is the log's last lines and dropping the runtime; a blocking call may hang in it.
            let spent = phases.last().map_or(shared.budgets.last, |last| last.took);
            backstop.end_within(shared.budgets.last.saturating_sub(spent).max(LEAVING), code);
        }
        ExitReport { code, reason, phases, stragglers, failures, connections_cut }
    }
}

async fn phase(shared: &Shared, phase: Phase, work: impl Future<Output = ()>) -> PhaseTook {
    shared.enter(phase);
    tracing::info!(phase = phase.as_str(), "phase begins");
    let began = Instant::now();
    work.await;
    let took = began.elapsed();
    tracing::info!(phase = phase.as_str(), duration_ms = took.as_millis() as u64, "phase ended");
    PhaseTook { phase, took }
}

/// Serves on for the delay, and until those who need the listeners for their last word have said it.
async fn stop_accepting(shared: &Shared, delay: Duration) {
    let said = timeout(shared.budgets.stop_accepting, shared.first.emptied());
    if tokio::join!(tokio::time::sleep(delay), said).1.is_err() {
        tracing::warn!(left = ?shared.first.names(), "draining begins without waiting any longer");
    }
}

/// Lets listeners and streams finish; at the end of the budget the listeners abort what is left.
async fn drain(shared: &Shared) {
    shared.draining.cancel();
    let cutting = CUTTING.min(shared.budgets.drain / 10);
    let in_time = timeout(shared.budgets.drain - cutting, shared.drains.emptied()).await.is_ok();
    shared.cutting.cancel();
    if !in_time && timeout(cutting, shared.drains.emptied()).await.is_err() {
        tracing::warn!(left = ?shared.drains.names(), "not drained in time");
    }
}

async fn clean(shared: &Shared) {
    shared.cleaning.cancel();
    cleanup::run_all(shared, shared.budgets.cleanup).await;
}

/// Gives the tasks three quarters of the last budget to end by themselves, and what is left to drop them.
async fn finish(shared: &Shared, stragglers: &mut Vec<String>) {
    let patience = shared.budgets.last.mul_f64(0.75);
    if timeout(patience, shared.tasks.emptied()).await.is_ok() {
        return;
    }
    *stragglers = shared.tasks.names();
    tracing::error!(?stragglers, "tasks did not end in time");
    shared.tasks.abort_all();
    if timeout(shared.budgets.last - patience, shared.tasks.emptied()).await.is_err() {
        tracing::error!(left = ?shared.tasks.names(), "tasks could not be ended");
    }
}
