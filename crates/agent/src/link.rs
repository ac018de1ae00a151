//! How the agent stands with its monitors: for its own probes, its metrics and its log. Decides what of it makes the
//! agent degraded. The component `monitor_link` is shown by the agent itself only: a monitor knows its own streams.

use crate::stream::Code;
use farol_health::clock::boot_ms;
use farol_health::{Outcome, Registration, Spec, Status, check_fn};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The component's name; no check may have it.
pub(crate) const COMPONENT: &str = "monitor_link";
/// An agent without a stream is degraded after this.
const PATIENCE_MS: u64 = 60_000;
/// So long after a change of store the agent says so.
const SECOND_STORE_MS: u64 = 3_600_000;

/// Where a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is none.
    Down,
    /// It sends what was not acknowledged.
    Backlog,
    /// It is up to date.
    Live,
    /// The monitor refused the agent.
    Refused(Code, String),
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// When a stream was last open, or the start.
    last_open_ms: u64,
    /// What ended or prevented the last one.
    problem: String,
    /// The store that acknowledges.
    store: Option<String>,
    /// The one before it and when that changed.
    before: Option<(String, u64)>,
}

/// The link to the monitors.
#[derive(Debug)]
pub(crate) struct Link {
    state: Mutex<State>,
    /// Streams opened.
    pub(crate) opened: AtomicU64,
    /// Connections and streams that failed.
    pub(crate) failed: AtomicU64,
}

impl Link {
    pub(crate) fn new() -> Arc<Self> {
        let state = State {
            phase: Phase::Down,
            last_open_ms: boot_ms(),
            problem: String::new(),
            store: None,
            before: None,
        };
        Arc::new(Self { state: Mutex::new(state), opened: AtomicU64::new(0), failed: AtomicU64::new(0) })
    }

    /// A monitor said Welcome. True when it acknowledges from another store than the one before.
    pub(crate) fn welcomed(&self, store: &str) -> bool {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        (state.phase, state.problem) = (Phase::Backlog, String::new());
        let before = state.store.replace(store.to_owned()).filter(|before| before != store);
        let is_second = before.is_some();
        if let Some(before) = before {
            tracing::error!(
                store.id = store,
                store.before = before,
                "this monitor keeps another store than the last one: history is split in two; let all \
                 monitors of this agent share one store"
            );
            state.before = Some((before, boot_ms()));
        }
        is_second
    }

    /// The backlog is sent.
    pub(crate) fn live(&self) {
        self.state.lock().phase = Phase::Live;
    }

    /// There is no stream any more. True when this is new: another problem than before.
    pub(crate) fn down(&self, problem: &str) -> bool {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Backlog | Phase::Live) {
            state.last_open_ms = boot_ms();
        }
        state.phase = Phase::Down;
        let new = state.problem != problem;
        problem.clone_into(&mut state.problem);
        new
    }

    /// The monitor refused the agent. True when it did not say this before.
    pub(crate) fn refused(&self, code: Code, message: &str) -> bool {
        let new = self.down(message);
        self.state.lock().phase = Phase::Refused(code, message.to_owned());
        new
    }

    /// What ended or prevented the last stream.
    pub(crate) fn problem(&self) -> String {
        self.state.lock().problem.clone()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.state.lock().phase.clone()
    }

    /// What the component says at `now_ms` of the boot clock.
    fn outcome(&self, now_ms: u64) -> Outcome {
        let state = self.state.lock();
        if let Phase::Refused(code, message) = &state.phase {
            let message = format!("the monitor refuses this agent: {message}");
            return Outcome::degraded(code.reason(), message);
        }
        if let Some((before, at_ms)) = &state.before
            && now_ms.saturating_sub(*at_ms) < SECOND_STORE_MS
        {
            let store = state.store.as_deref().unwrap_or_default();
            let message =
                format!("monitors with two stores, {before} and {store}; let all of them share one store");
            return Outcome::degraded("second_store", message);
        }
        if state.phase != Phase::Down {
            return Outcome::healthy();
        }
        let message = match state.problem.as_str() {
            "" => "no monitor is reached yet".to_owned(),
            problem => format!("no monitor is reached: {problem}"),
        };
        if now_ms.saturating_sub(state.last_open_ms) > PATIENCE_MS {
            Outcome::degraded("disconnected", message)
        } else if state.store.is_none() {
            Outcome::new(Status::Starting, "connecting", message)
        } else {
            Outcome::new(Status::Healthy, "reconnecting", message)
        }
    }
}

/// The component for the agent's own probes.
pub(crate) fn registration(link: &Arc<Link>, service: &str) -> Registration {
    let link = Arc::clone(link);
    let interval = Duration::from_secs(5);
    let spec = Spec {
        required: false,
        interval,
        ttl: Spec::default_ttl(interval, Duration::from_millis(500)),
        failure_threshold: 1,
        success_threshold: 1,
        start_grace: Duration::from_millis(PATIENCE_MS),
        ..Spec::new(COMPONENT, service)
    };
    let ask = move || std::future::ready(link.outcome(boot_ms()));
    Registration::new(spec, check_fn(COMPONENT, ask))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn what_makes_the_agent_degraded_and_what_does_not() {
        let link = Link::new();
        let now = boot_ms();
        let reason = |at_ms| link.outcome(at_ms).reason.to_string();
        assert_eq!(link.outcome(now).status, Status::Starting, "a start has time to connect");
        assert!(link.down("connection refused"));
        assert!(!link.down("connection refused"), "told once");
        assert_eq!(reason(now), "connecting", "what was never reached is not healthy");
        assert!(link.outcome(now).message.contains("connection refused"));
        assert_eq!(reason(now + PATIENCE_MS + 1_000), "disconnected");
        assert!(link.refused(Code::AlreadyExists, "two processes"));
        assert_eq!(reason(now), "identity_conflict");
        assert!(!link.welcomed("store-a"));
        assert_eq!(reason(now + PATIENCE_MS + 1_000), "ok");
        link.live();
        link.down("broken pipe");
        let lost = link.outcome(boot_ms());
        assert_eq!(
            (lost.status, lost.reason.as_ref()),
            (Status::Healthy, "reconnecting"),
            "restarts are short"
        );
        assert!(lost.message.contains("broken pipe"));
        assert_eq!(reason(boot_ms() + PATIENCE_MS + 1_000), "disconnected");
        assert!(!link.welcomed("store-a"));
        assert!(link.welcomed("store-b"));
        assert_eq!(reason(boot_ms()), "second_store");
        assert_eq!(link.outcome(boot_ms()).status, Status::Degraded);
        assert_eq!(reason(boot_ms() + SECOND_STORE_MS), "ok");
    }
}
