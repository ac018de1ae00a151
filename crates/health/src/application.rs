//! An application that checks itself, as probes read it: the ready-made [`Source`] over a [`Checker`]. Decides nothing;
//! a process with more to tell writes its own source.

use crate::probe::Source;
use crate::{Checker, Snapshot, clock};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What probes of an application read.
pub struct Application {
    checker: Checker,
    version: Cow<'static, str>,
    /// Cancelled when the shutdown begins.
    stopping: CancellationToken,
    /// When it was made, on the boot clock: the uptime counts from then.
    born_ms: u64,
    /// It said that it is up.
    started: AtomicBool,
}

impl Application {
    /// Over these checks; `version` is the application's own, and `stopping` is cancelled when its shutdown begins.
    /// It is not ready before [`Application::started`].
    pub fn new(
        checker: Checker,
        version: impl Into<Cow<'static, str>>,
        stopping: CancellationToken,
    ) -> Arc<Self> {
        let (version, born_ms) = (version.into(), clock::boot_ms());
        Arc::new(Self { checker, version, stopping, born_ms, started: AtomicBool::new(false) })
    }

    /// All is up: readiness may say yes from here on.
    pub fn started(&self) {
        self.started.store(true, Ordering::Release);
    }
}

impl Source for Application {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.checker.snapshot()
    }

    fn heartbeat_ms(&self) -> u64 {
        self.checker.heartbeat()
    }

    fn born_ms(&self) -> u64 {
        self.born_ms
    }

    fn started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    fn stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.checker.changed()
    }
}
