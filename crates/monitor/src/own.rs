//! The monitor's own health: its store (`database`) and its machine (`system`), and nothing of the fleet.

use crate::journal::{Journal, StoreHealth};
use crate::store::Connections;
use farol_checks::system::System;
use farol_health::probe::Source;
use farol_health::{
    Application, Check, Checked, Checker, ComponentView, Dependency, Figure, Observer, Outcome,
    RegisterError, Registration, Spec, Unit,
};
use farol_shutdown::Handle;
use futures::future::BoxFuture;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// The service under which the monitor's own components stand.
const SERVICE: &str = "farol";

/// The monitor's own two checks, and what probes read of them.
pub(crate) struct Own {
    checker: Checker,
    probed: Arc<Application>,
    handle: Handle,
    /// What the store's check looks at, once the store is open.
    store: Arc<OnceLock<Journal>>,
    /// Becomes true with the first look at the open store: readiness has an answer from then on.
    looked: watch::Sender<bool>,
}

impl Own {
    /// Registers the two checks; [`begin`](Self::begin) runs them.
    pub(crate) fn new(ready_requires_store: bool, handle: Handle) -> Result<Self, RegisterError> {
        let store = Arc::<OnceLock<Journal>>::default();
        let second = Duration::from_secs(1);
        let mut database = Spec::new("database", SERVICE);
        (database.interval, database.readiness, database.dependency) = (second, true, Dependency::Store);
        (database.failure_threshold, database.success_threshold) = (1, 1);
        let mut system = Spec::new("system", SERVICE);
        (system.interval, system.required) = (10 * second, false);
        let checks = vec![
            Registration {
                spec: database,
                check: Arc::new(StoreCheck { journal: Arc::clone(&store), strict: ready_requires_store }),
                fingerprint: 1,
            },
            Registration { spec: system, check: Arc::new(System::new()), fingerprint: 2 },
        ];
        let looked = watch::Sender::new(false);
        let checker = Checker::new(checks, Arc::new(FirstLook(looked.clone())))?;
        let probed = Application::new(checker.clone(), env!("CARGO_PKG_VERSION"), handle.stopping());
        Ok(Self { checker, probed, handle, store, looked })
    }

    /// What probes read.
    pub(crate) fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.probed) as Arc<dyn Source>
    }

    /// Runs the checks until the cleanups.
    pub(crate) fn begin(&self) {
        self.handle.spawn("own checks", self.checker.clone().run(self.handle.cleaning()));
    }

    /// The store is open. Returns after the first look at it: whoever is told that the monitor is ready must find it
    /// so. Readiness may say yes from here on.
    pub(crate) async fn start(&self, journal: Journal) {
        self.store.get_or_init(|| journal);
        self.checker.check_now(&["database"]);
        let mut looked = self.looked.subscribe();
        self.handle.cleaning().run_until_cancelled(looked.wait_for(|looked| *looked)).await;
        self.probed.started();
    }
}

/// The store's code before it is open.
const OPENING: &str = "store_opening";

/// Notes the first look at the open store.
struct FirstLook(watch::Sender<bool>);

impl Observer for FirstLook {
    fn checked(&self, name: &str, checked: &Checked) {
        if name == "database" && checked.outcome.reason != OPENING {
            self.0.send_replace(true);
        }
    }

    fn lapsed(&self, _: &str, _: &ComponentView) {}

    fn removed(&self, _: &str) {}
}

/// How the store does, from the journal's own account: a probe never waits for a database.
struct StoreCheck {
    /// Empty while the store is being opened.
    journal: Arc<OnceLock<Journal>>,
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

fn judge(health: &StoreHealth, strict: bool) -> Outcome {
    match trouble(health) {
        _ if health.failed => {
            Outcome::unhealthy("store_failed", "the store failed; the monitor must be restarted")
        }
        Some((reason, why)) if strict => Outcome::unhealthy(reason, why),
        Some((reason, why)) => Outcome::degraded(
            reason,
            format!("{why}; live health goes on, reports are not acknowledged until the store takes again"),
        ),
        None => Outcome::healthy(),
    }
}

/// A store that is at one commit for longer hangs.
const HANGS_AFTER: Duration = Duration::from_secs(10);

/// What is wrong with the store, short of its end.
fn trouble(health: &StoreHealth) -> Option<(&'static str, String)> {
    if let Some((_, why)) = &health.refusing {
        return Some(("store_refuses", why.clone()));
    }
    if health.busy.is_some_and(|busy| busy > HANGS_AFTER) {
        let why = format!(
            "the store has not answered for more than {} s; look at its disk or its server",
            HANGS_AFTER.as_secs()
        );
        return Some(("store_hangs", why));
    }
    let why =
        "the store takes less than the agents send, and reports were dropped; look at its disk or its server";
    health.dropping.then(|| ("store_slow", why.to_owned()))
}

impl StoreCheck {
    fn look(&self) -> Outcome {
        let Some(journal) = self.journal.get() else {
            return Outcome::unhealthy(OPENING, "the store is not open yet; the log says what it waits for");
        };
        let health = journal.health();
        let outcome = judge(&health, self.strict);
        let groups = health.committed_groups.max(1) as f64;
        let outcome = connections(outcome.took(health.last_commit_took), health.connections);
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

/// The figures of the store's connections that are known.
fn connections(outcome: Outcome, known: Connections) -> Outcome {
    let all = [
        ("farol_store_connections_active", known.active, "connections.active"),
        ("farol_store_connections_idle", known.idle, "connections.idle"),
        ("farol_store_connections_max", known.max, "connections.max"),
    ];
    let known = all.into_iter().filter_map(|(name, count, key)| count.map(|count| (name, count, key)));
    known.fold(outcome, |outcome, (name, count, key)| {
        outcome.with(Figure::gauge(name, f64::from(count), Unit::None).shown_as(key))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_health::Status;

    #[test]
    fn a_store_that_hangs_or_loses_reports_is_not_healthy() {
        let well = || StoreHealth::default();
        let secs = |n| Some(Duration::from_secs(n));
        let refusing = Some((0, "the disk is full".to_owned()));
        for (health, reason, status) in [
            (well(), "ok", Status::Healthy),
            (StoreHealth { busy: secs(9), ..well() }, "ok", Status::Healthy),
            (StoreHealth { busy: secs(11), ..well() }, "store_hangs", Status::Degraded),
            (StoreHealth { dropping: true, ..well() }, "store_slow", Status::Degraded),
            (StoreHealth { dropping: true, busy: secs(11), ..well() }, "store_hangs", Status::Degraded),
            (StoreHealth { dropping: true, refusing, ..well() }, "store_refuses", Status::Degraded),
            (StoreHealth { failed: true, busy: secs(11), ..well() }, "store_failed", Status::Unhealthy),
        ] {
            for strict in [false, true] {
                let outcome = judge(&health, strict);
                let status = if strict && status == Status::Degraded { Status::Unhealthy } else { status };
                assert_eq!(
                    (outcome.reason.as_ref(), outcome.status),
                    (reason, status),
                    "{health:?} {strict}"
                );
            }
        }
    }

    #[test]
    fn connections_that_are_not_known_are_left_out() {
        let keys = |known| -> Vec<_> {
            connections(Outcome::healthy(), known).figures.iter().map(|f| (f.shown_as, f.value)).collect()
        };
        assert_eq!(keys(Connections::default()), []);
        let some = Connections { active: Some(0), idle: None, max: Some(9) };
        assert_eq!(keys(some), [(Some("connections.active"), 0.0), (Some("connections.max"), 9.0)]);
    }
}
