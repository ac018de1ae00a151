//! How the agent stands with its own disk: for its own probes and its metrics. Reports that cannot go there wait in
//! memory alone, and are lost with the process; that makes the agent degraded.

use farol_health::{Outcome, Registration, Spec, check_fn};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The component's name; no check may have it. As the link's, it is shown by the agent itself only.
pub(crate) const COMPONENT: &str = "report_spool";

/// That reports were dropped is shown for so long.
const DROPPED_FOR: Duration = Duration::from_secs(300);

/// What to do then.
pub(super) const DROPS: &str = "the oldest reports are dropped: the spool is full, or they are older than it may keep; raise \
                                `spool.max_bytes` or `spool.max_age`, or see why no monitor takes them";

/// Whether the disk takes reports.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Why it does not.
    problem: Mutex<Option<String>>,
    /// Why it does not give what is there.
    unread: Mutex<Option<String>>,
    /// When reports were dropped last that had no room there, or were too old.
    dropped: Mutex<Option<Instant>>,
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

    /// Reports are dropped. True when none was for a while.
    pub(super) fn drops(&self, now: Instant) -> bool {
        let before = self.dropped.lock().replace(now);
        before.is_none_or(|before| now - before >= DROPPED_FOR)
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
        if let Some(why) = &*self.unread.lock() {
            let message = format!("spooled reports cannot be read; they are kept and tried again: {why}");
            return Outcome::degraded("spool_unreadable", message);
        }
        match *self.dropped.lock() {
            Some(at) if at.elapsed() < DROPPED_FOR => Outcome::degraded("spool_full", DROPS),
            _ => Outcome::healthy(),
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

#[cfg(test)]
mod tests {
    use super::{DROPPED_FOR, Health};
    use farol_health::Status;
    use std::time::Duration;
    use tokio::time::{Instant, advance};

    #[tokio::test(start_paused = true)]
    async fn dropped_reports_degrade_the_spool_for_a_while_and_are_told_once_in_it() {
        let health = Health::default();
        assert_eq!(health.outcome().status, Status::Healthy);
        assert!(health.drops(Instant::now()));
        advance(DROPPED_FOR - Duration::from_secs(1)).await;
        assert!(!health.drops(Instant::now()), "it goes on");
        advance(DROPPED_FOR - Duration::from_secs(1)).await;
        let outcome = health.outcome();
        assert_eq!((outcome.status, &*outcome.reason), (Status::Degraded, "spool_full"));
        assert!(outcome.message.contains("spool.max_bytes"), "{}", outcome.message);
        advance(Duration::from_secs(1)).await;
        assert_eq!(health.outcome().status, Status::Healthy);
        assert!(health.drops(Instant::now()), "and begins anew");
    }
}
