//! How the agent stands with its own disk: for its own probes and its metrics. Reports that cannot go there wait in
//! memory alone, and are lost with the process; that makes the agent degraded.

use farol_health::{Outcome, Registration, Spec, check_fn};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// The component's name; no check may have it. As the link's, it is shown by the agent itself only.
pub(crate) const COMPONENT: &str = "report_spool";

/// Whether the disk takes reports.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Why it does not.
    problem: Mutex<Option<String>>,
    /// Why it does not give what is there.
    unread: Mutex<Option<String>>,
}

impl Health {
    /// It does not. True when it did before.
    pub(super) fn refuses(&self, why: String) -> bool {
        self.problem.lock().replace(why).is_none()
    }

    /// It does. True when it did not before.
    pub(super) fn takes(&self) -> bool {
        self.problem.lock().take().is_some()
    }

    /// It does not give what is there. True when it did before.
    pub(super) fn withholds(&self, why: String) -> bool {
        self.unread.lock().replace(why).is_none()
    }

    /// It does. True when it did not before.
    pub(super) fn gives(&self) -> bool {
        self.unread.lock().take().is_some()
    }

    /// Whether it refuses.
    pub(crate) fn is_refusing(&self) -> bool {
        self.problem.lock().is_some() || self.unread.lock().is_some()
    }

    pub(super) fn outcome(&self) -> Outcome {
        if let Some(why) = &*self.problem.lock() {
            let message = format!("reports wait in memory alone, the spool cannot be used: {why}");
            return Outcome::degraded("spool_refuses", message);
        }
        match &*self.unread.lock() {
            None => Outcome::healthy(),
            Some(why) => {
                let message = format!("spooled reports cannot be read; they are kept and tried again: {why}");
                Outcome::degraded("spool_unreadable", message)
            }
        }
    }
}

/// The component for the agent's own probes.
pub(crate) fn registration(health: &Arc<Health>, service: &str) -> Registration {
    let interval = Duration::from_secs(5);
    let spec = Spec {
        required: false,
        interval,
        ttl: Spec::default_ttl(interval, Duration::from_millis(500)),
        failure_threshold: 1,
        success_threshold: 1,
        ..Spec::new(COMPONENT, service)
    };
    let health = Arc::clone(health);
    let ask = move || std::future::ready(health.outcome());
    Registration::new(spec, check_fn(COMPONENT, ask))
}
