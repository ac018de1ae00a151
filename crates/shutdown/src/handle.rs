//! `Handle`: what the parts of a process see of its supervisor. It asks, registers and waits; the order
//! in which things end is `supervisor`'s.

use std::borrow::Cow;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Phase;
use crate::listener::Stats;
use crate::supervisor::cleanup::Cleanup;
use crate::supervisor::report::Reason;
use crate::supervisor::roster::Entered;
use crate::supervisor::shared::Shared;
use crate::task::{TaskEnd, panic_text};

/// A part's view of the process' life. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Handle {
    /// Where the process is.
    pub fn phase(&self) -> Phase {
        *self.shared.phases.borrow()
    }

    /// The phase as it changes.
    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.shared.phases.subscribe()
    }

    /// Cancelled when the shutdown is asked for, during start-up too: readiness says 503 from here on.
    pub fn stopping(&self) -> CancellationToken {
        self.shared.stopping.clone()
    }

    /// Cancelled when draining begins: streams, SSE and Watch end themselves.
    pub fn draining(&self) -> CancellationToken {
        self.shared.draining.clone()
    }

    /// Cancelled when the cleanups begin: tasks without connections of their own end here.
    pub fn cleaning(&self) -> CancellationToken {
        self.shared.cleaning.clone()
    }

    /// Asks for the shutdown. The first reason stands.
    pub fn shutdown(&self, reason: impl Into<Reason>) {
        self.shared.begin(reason.into());
    }

    /// Why the shutdown was asked for; `None` before it is. There is one as soon as `stopping` is cancelled.
    pub fn reason(&self) -> Option<Reason> {
        self.shared.course.lock().reason.clone()
    }

    /// Races a step of the start-up against a stop: `None` when the process was told to stop first.
    pub async fn unless_stopping<F: Future>(&self, step: F) -> Option<F::Output> {
        self.shared.stopping.run_until_cancelled(step).await
    }

    /// Starts a long task under its name. If it ends, fails or panics before the shutdown, the process is
    /// shut down with exit code 75. Panics outside a tokio runtime, as tokio's own `spawn` does.
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, future: F)
    where
        F: Future + Send + 'static,
        F::Output: TaskEnd,
    {
        let entered = self.shared.tasks.enter(name.into());
        let id = entered.id();
        let shared = Arc::clone(&self.shared);
        let task = async move {
            let failure = match AssertUnwindSafe(future).catch_unwind().await {
                Ok(end) => end.failure(),
                Err(panic) => Some(panic_text(&*panic)),
            };
            shared.task_ended(entered.name(), failure);
            drop(entered);
        };
        #[allow(clippy::disallowed_methods, reason = "the one place that starts supervised tasks")]
        let task = tokio::spawn(task);
        self.shared.tasks.abort_with(id, task.abort_handle());
    }

    /// Registers a cleanup for CLEANUP_RESOURCES. The last registered runs first, each under its own
    /// deadline. When they exceed the phase's budget together, the longest are shortened, to one length.
    pub fn cleanup<C, F>(&self, name: impl Into<Cow<'static, str>>, deadline: Duration, cleanup: C)
    where
        C: FnOnce() -> F + Send + 'static,
        F: Future + Send + 'static,
        F::Output: TaskEnd,
    {
        let run = Box::new(move || async move { cleanup().await.failure() }.boxed());
        self.shared.cleanups.lock().push(Cleanup { name: name.into(), deadline, run });
    }

    /// Something that must be over before draining begins, such as a client of this very process that says
    /// its last word through a listener of this process: hold the guard until it is. STOP_ACCEPTING_REQUESTS
    /// waits for all guards, at most for its budget.
    pub fn before_draining(&self, name: impl Into<Cow<'static, str>>) -> Entered {
        self.shared.first.enter(name.into())
    }

    /// Something that must be over before the cleanups begin: hold the guard until it is.
    /// Draining waits for all guards, at most for its budget.
    pub fn drains(&self, name: impl Into<Cow<'static, str>>) -> Entered {
        self.shared.drains.enter(name.into())
    }

    /// The counts of every listener served under this supervisor.
    pub fn listeners(&self) -> Vec<(&'static str, Arc<Stats>)> {
        self.shared.listeners.lock().iter().map(|(name, stats)| (*name, Arc::clone(stats))).collect()
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("phase", &self.phase()).finish_non_exhaustive()
    }
}
