//! What may be wrong with the monitor itself, as the rules are told of it: looked at with each tick, told when it
//! changes.

use super::Alerting;
use crate::clock::{BLIND_AFTER_MS, Moment};
use crate::journal::StoreHealth;
use farol_rules::{Is, Labels, MonitorCondition, Observation};
use std::sync::Arc;
use std::time::Duration;

/// A store that is at one commit for longer is not usable.
const HANGS_AFTER: Duration = Duration::from_secs(10);
/// The wall clock moved by so much against the boot clock between two ticks.
const JUMP_MS: i64 = 5_000;

/// What was told last; nothing before the first look, which tells what is well, too: before a restart it may not have
/// been.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    store: Option<bool>,
    journal: Option<bool>,
    elements: Option<bool>,
    /// The wall clock less the boot clock, at the last tick.
    ahead_ms: Option<i64>,
}

impl Conditions {
    /// Looks again, and tells what changed.
    pub(crate) fn look(&mut self, alerting: &Alerting, health: &StoreHealth, now: Moment) {
        let mut told = Vec::new();
        let store = store_trouble(health);
        if self.store.replace(store.is_some()) != Some(store.is_some()) {
            told.push(of(MonitorCondition::StoreUnusable, Labels::default(), store.as_deref()));
        }
        let full = health.dropping && health.refusing.is_none();
        if self.journal.replace(full) != Some(full) {
            let why =
                full.then_some("the store takes less than the agents send; reports wait with the agents");
            told.push(of(MonitorCondition::QueueFull, Labels::from([("queue", "journal")]), why));
        }
        let elements = alerting.book().is_full();
        if self.elements.replace(elements) != Some(elements) {
            let why = elements
                .then_some("more is wrong at once than the alert rules can look at; some of it is not");
            told.push(of(MonitorCondition::QueueFull, Labels::from([("queue", "elements")]), why));
        }
        let ahead_ms = now.wall_ms.saturating_sub(i64::try_from(now.boot_ms).unwrap_or(i64::MAX));
        let jump = self.ahead_ms.replace(ahead_ms).map_or(0, |before| ahead_ms.saturating_sub(before));
        if jump.abs() > JUMP_MS {
            let why = format!("the monitor's wall clock was set by {} s", jump / 1_000);
            told.push(happened(MonitorCondition::ClockJump, why));
        }
        if !told.is_empty() {
            alerting.see(&told, now);
        }
    }
}

/// Something is wrong, or not any more.
pub(crate) fn of(condition: MonitorCondition, labels: Labels, why: Option<&str>) -> Observation {
    let is = if why.is_some() { Is::On } else { Is::Off };
    Observation::Monitor { condition, labels, is, why: why.unwrap_or_default().into() }
}

/// Something happened.
pub(crate) fn happened(condition: MonitorCondition, why: String) -> Observation {
    happened_to(condition, Labels::default(), why)
}

/// The monitor did not run for so long; a moment is not worth a word.
pub(crate) fn blind_for(ms: i64) -> Option<Observation> {
    let why = format!("the monitor did not run for {ms} ms; ages stood still meanwhile");
    (ms.unsigned_abs() > BLIND_AFTER_MS).then(|| happened(MonitorCondition::Blind, why))
}

/// Something happened to one of several.
pub(crate) fn happened_to(condition: MonitorCondition, labels: Labels, why: String) -> Observation {
    Observation::Monitor { condition, labels, is: Is::Happened, why: Arc::from(why) }
}

pub(super) fn store_trouble(health: &StoreHealth) -> Option<String> {
    if health.failed {
        return Some("the store failed; the monitor must be restarted".to_owned());
    }
    if let Some((_, why)) = &health.refusing {
        return Some(format!("the store refuses: {why}"));
    }
    let hangs = health.busy.is_some_and(|busy| busy > HANGS_AFTER);
    hangs.then(|| "the store has not answered for more than 10 s".to_owned())
}
