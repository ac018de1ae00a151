//! One component: its check, its counter and its view. Decides what of a verdict is shown and logged; when it runs
//! is decided on the board.

use crate::checker::Checked;
use crate::checker::heartbeat::Mark;
use crate::checker::verdict::Verdict;
use crate::counting::{Change, Counter, Soft, Thresholds};
use crate::{Check, ComponentView, Registration, Spec, Status};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// A check that is slow now and then is told of at most this often.
const SLOW_AGAIN_MS: u64 = 10 * 60_000;

/// One component.
pub(super) struct Slot {
    /// What its timers and its runs are known by.
    pub(super) id: u64,
    /// How it is run and counted.
    pub(super) spec: Spec,
    /// What is run.
    pub(super) check: Arc<dyn Check>,
    /// Tells at a reload whether the check is still the same.
    fingerprint: u64,
    /// From soft to hard.
    pub(super) counter: Counter,
    /// What readers see.
    pub(super) view: Arc<ComponentView>,
    /// The one run that may be under way.
    pub(super) flight: Option<Flight>,
    /// A run was asked for: it does not wait for the first run's turn.
    pub(super) asked: bool,
    /// The last run was slow: a row of slow ones is told of once.
    slow: bool,
    /// When a slow run was last told of, on the boot clock: those that come and go are not told of each time.
    slow_told_ms: Option<u64>,
}

/// A run under way.
pub(super) struct Flight {
    /// When it was started.
    pub(super) since: Mark,
    /// It had its time and was judged; it is only waited for so that the check never runs twice at once.
    pub(super) overdue: bool,
    /// Cuts it.
    pub(super) abort: AbortHandle,
}

impl Slot {
    pub(super) fn new(id: u64, registration: Registration, now_ms: u64) -> Self {
        let Registration { spec, check, fingerprint } = registration;
        let view = Arc::new(ComponentView {
            name: spec.name.as_str().into(),
            service: spec.service.as_str().into(),
            kind: check.kind(),
            required: spec.required,
            readiness: spec.readiness,
            dependency: spec.dependency,
            hard: Status::Starting,
            soft: Status::Starting,
            reason: "not_checked_yet".into(),
            message: "".into(),
            figures: Arc::new([]),
            metadata: Arc::new([]),
            response_time: None,
            checked_ms: None,
            checked_at: None,
            changed_at: Timestamp::now(),
            ttl_ms: ttl_ms(&spec),
            maintenance: false,
        });
        let counter = Counter::new(Thresholds::from(&spec), now_ms);
        Self {
            id,
            spec,
            check,
            fingerprint,
            counter,
            view,
            flight: None,
            asked: false,
            slow: false,
            slow_told_ms: None,
        }
    }

    pub(super) fn is_same(&self, registration: &Registration) -> bool {
        self.fingerprint == registration.fingerprint && self.spec == registration.spec
    }

    /// The same component with another check: a new id, what was said so far, and counting begun anew.
    pub(super) fn changed(self, id: u64, registration: Registration, now_ms: u64) -> Self {
        self.abort();
        let counter = self.counter.changed(Thresholds::from(&registration.spec), now_ms);
        let fresh = Self::new(id, registration, now_ms);
        let view = Arc::new(ComponentView {
            service: Arc::clone(&fresh.view.service),
            kind: fresh.view.kind,
            required: fresh.view.required,
            readiness: fresh.view.readiness,
            dependency: fresh.view.dependency,
            ttl_ms: fresh.view.ttl_ms,
            ..(*self.view).clone()
        });
        Self { counter, view, ..fresh }
    }

    pub(super) fn abort(&self) {
        if let Some(flight) = &self.flight {
            flight.abort.abort();
        }
    }

    /// How long until the last result is stale.
    pub(super) fn fresh_for(&self, now_ms: u64) -> Duration {
        let checked_ms = self.view.checked_ms.unwrap_or(now_ms);
        let stale_at = checked_ms.saturating_add(self.view.ttl_ms).saturating_add(1);
        Duration::from_millis(stale_at.saturating_sub(now_ms).max(1))
    }

    /// Counts a verdict and shows it. A skipped run shows only when it makes the component unknown.
    pub(super) fn take(&mut self, verdict: Verdict, now_ms: u64) -> Checked {
        let Verdict { soft, outcome, took } = verdict;
        let took = outcome.took.or(took);
        let change = self.counter.step(soft, now_ms);
        let skipped = soft == Soft::Skipped;
        let mut view = (*self.view).clone();
        view.hard = self.counter.hard();
        view.soft = self.counter.soft().unwrap_or(view.soft);
        if !skipped || change.is_some() {
            view.reason = outcome.reason.clone();
            if *view.message != *outcome.message {
                view.message = outcome.message.as_str().into();
            }
        }
        if !skipped {
            view.figures = outcome.figures.as_slice().into();
            if *view.metadata != *outcome.metadata {
                view.metadata = outcome.metadata.as_slice().into();
            }
            view.response_time = took;
            view.checked_ms = Some(now_ms);
            view.checked_at = Some(Timestamp::now());
        }
        let before = self.show(view, change);
        if change.is_none() && before.soft != self.view.soft {
            self.log_soft(before.soft);
        }
        self.log_slow(took, now_ms);
        if skipped {
            tracing::debug!(component.name = &*self.view.name, "run was skipped: this process was starved");
        }
        Checked {
            at_ms: now_ms,
            soft: self.view.soft,
            hard: self.view.hard,
            response_time: took,
            hard_changed: change.is_some(),
            reason_changed: before.reason != self.view.reason,
            message_changed: before.message != self.view.message,
            skipped,
            outcome,
        }
    }

    /// The start grace is over. Says whether that changed the status.
    pub(super) fn grace_over(&mut self, now_ms: u64) -> bool {
        let Some(change) = self.counter.tick(now_ms) else { return false };
        let view = ComponentView { hard: change.to, ..(*self.view).clone() };
        self.show(view, Some(change));
        true
    }

    /// Puts the new view in place and gives the old one back.
    fn show(&mut self, mut view: ComponentView, change: Option<Change>) -> Arc<ComponentView> {
        if let Some(change) = change {
            view.changed_at = Timestamp::now();
            log_change(&view, change);
        }
        std::mem::replace(&mut self.view, Arc::new(view))
    }

    pub(super) fn log_stale(&self) {
        tracing::warn!(
            component.name = &*self.view.name,
            component.service = &*self.view.service,
            status = self.view.hard.as_str(),
            ttl_ms = self.view.ttl_ms,
            "component is stale: no result within its time to live"
        );
    }

    /// A result that does not count yet, or takes one back that did not.
    fn log_soft(&self, from: Status) {
        tracing::debug!(
            component.name = &*self.view.name,
            component.service = &*self.view.service,
            from = from.as_str(),
            to = self.view.soft.as_str(),
            state = "soft",
            reason = &*self.view.reason,
            detail = &*self.view.message,
            "component answered otherwise than before"
        );
    }

    /// Tells of slow runs: those that come next may miss their deadline.
    fn log_slow(&mut self, took: Option<Duration>, now_ms: u64) {
        let Some(took) = took else { return };
        let limit = slow_above(&self.spec);
        let slow = took > limit;
        let before = std::mem::replace(&mut self.slow, slow);
        let quiet = self.slow_told_ms.is_some_and(|told| now_ms.saturating_sub(told) < SLOW_AGAIN_MS);
        if slow && !before && !quiet && took <= self.spec.deadline {
            self.slow_told_ms = Some(now_ms);
            tracing::warn!(
                component.name = &*self.view.name,
                component.service = &*self.view.service,
                duration_ms = whole_ms(took),
                slow_above_ms = whole_ms(limit),
                deadline_ms = whole_ms(self.spec.deadline),
                "check is slow"
            );
        }
    }
}

/// From when on a run is slow: what makes it degraded where that is set, else half of its deadline.
fn slow_above(spec: &Spec) -> Duration {
    spec.degraded_above.unwrap_or(spec.deadline / 2)
}

fn log_change(view: &ComponentView, Change { from, to }: Change) {
    let (name, service, reason, detail) = (&*view.name, &*view.service, &*view.reason, &*view.message);
    let (from, to_word) = (from.as_str(), to.as_str());
    if to == Status::Healthy {
        tracing::info!(
            component.name = name,
            component.service = service,
            from,
            to = to_word,
            state = "hard",
            reason,
            detail,
            "component changed its status"
        );
    } else {
        tracing::warn!(
            component.name = name,
            component.service = service,
            from,
            to = to_word,
            state = "hard",
            reason,
            detail,
            "component changed its status"
        );
    }
}

fn ttl_ms(spec: &Spec) -> u64 {
    whole_ms(spec.ttl)
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
