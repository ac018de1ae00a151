//! The monitor's own health: its store (`database`) and its machine (`system`), and nothing of the fleet.

use crate::journal::Journal;
use farol_checks::system::System;
use farol_health::probe::Source;
use farol_health::{
    Check, Checked, Checker, ComponentView, Dependency, Figure, Observer, Outcome, RegisterError,
    Registration, Snapshot, Spec, Unit,
};
use farol_shutdown::{Handle, Phase};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// The service under which the monitor's own components stand.
const SERVICE: &str = "farol";

/// What probes of the monitor read.
pub(crate) struct Own {
    checker: Checker,
    handle: Handle,
    /// Its state is restored and its listeners are up.
    started: AtomicBool,
    born_ms: u64,
    /// Becomes true with the first look at the store: readiness has an answer from then on.
    looked: watch::Sender<bool>,
}

impl Own {
    /// Registers the two checks; [`begin`](Self::begin) runs them.
    pub(crate) fn new(
        journal: Journal,
        ready_requires_store: bool,
        handle: Handle,
    ) -> Result<Arc<Self>, RegisterError> {
        let second = Duration::from_secs(1);
        let mut database = Spec::new("database", SERVICE);
        (database.interval, database.readiness, database.dependency) = (second, true, Dependency::Database);
        (database.failure_threshold, database.success_threshold) = (1, 1);
        let mut system = Spec::new("system", SERVICE);
        (system.interval, system.required) = (10 * second, false);
        let checks = vec![
            Registration {
                spec: database,
                check: Arc::new(StoreCheck { journal, strict: ready_requires_store }),
                fingerprint: 1,
            },
            Registration { spec: system, check: Arc::new(System::new()), fingerprint: 2 },
        ];
        let looked = watch::Sender::new(false);
        let checker = Checker::new(checks, Arc::new(FirstLook(looked.clone())))?;
        checker.check_now(&["database"]);
        let born_ms = farol_health::clock::boot_ms();
        Ok(Arc::new(Self { checker, handle, started: AtomicBool::new(false), born_ms, looked }))
    }

    /// Runs the checks until the cleanups.
    pub(crate) fn begin(&self) {
        self.handle.spawn("own checks", self.checker.clone().run(self.handle.cleaning()));
    }

    /// Returns after the first look at the store: whoever is told that the monitor is ready must find it so.
    /// Readiness may say yes from here on.
    pub(crate) async fn start(&self) {
        let mut looked = self.looked.subscribe();
        self.handle.cleaning().run_until_cancelled(looked.wait_for(|looked| *looked)).await;
        self.started.store(true, Ordering::Release);
    }
}

impl Source for Own {
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
        self.handle.phase() != Phase::Running
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }
}

/// Notes the first look at the store.
struct FirstLook(watch::Sender<bool>);

impl Observer for FirstLook {
    fn checked(&self, name: &str, _: &Checked) {
        if name == "database" {
            self.0.send_replace(true);
        }
    }

    fn lapsed(&self, _: &str, _: &ComponentView) {}

    fn removed(&self, _: &str) {}
}

/// How the store does, from the journal's own account: a probe never waits for a database.
struct StoreCheck {
    journal: Journal,
    /// A store that refuses is unhealthy, not degraded.
    strict: bool,
}

impl Check for StoreCheck {
    fn kind(&self) -> &'static str {
        "store"
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        Box::pin(std::future::ready(self.look()))
    }
}

impl StoreCheck {
    fn look(&self) -> Outcome {
        let health = self.journal.health();
        let outcome = match &health.refusing {
            _ if health.failed => {
                Outcome::unhealthy("store_failed", "the store failed; the monitor must be restarted")
            }
            Some((_, why)) if self.strict => Outcome::unhealthy("store_refuses", why.as_str()),
            Some((_, why)) => Outcome::degraded(
                "store_refuses",
                format!(
                    "{why}; live health goes on, reports are not acknowledged until the store takes again"
                ),
            ),
            None => Outcome::healthy(),
        };
        let groups = health.committed_groups.max(1) as f64;
        outcome
            .with(Figure::counter(
                "farol_store_reports_committed_total",
                health.committed_reports as f64,
                Unit::None,
            ))
            .with(
                Figure::gauge("farol_store_queued_reports", health.queued_reports as f64, Unit::None)
                    .shown_as("queued"),
            )
            .with(Figure::gauge(
                "farol_store_commit_mean_seconds",
                health.commit_seconds / groups,
                Unit::Seconds,
            ))
    }
}
