//! Reads a `checks:` list: the keys common to all kinds, and exactly one kind's own.

use crate::kind::{KINDS, Kind, Read, names};
use crate::{heartbeat, push};
use farol_config::Map;
use farol_health::{Registration, Spec};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// The shortest and the longest interval.
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(86_400);
/// The longest deadline; each is within its interval, too.
const DEADLINE_MAX: Duration = Duration::from_secs(86_400);
/// The longest time to live: a month, for what runs once a month.
const TTL_MAX: Duration = Duration::from_secs(32 * 86_400);
/// The kinds of components that are told, and the keys that mean nothing there.
const TOLD: [&str; 2] = [heartbeat::KIND.name, push::KIND.name];
const OF_RUNS: [&str; 5] = ["interval", "deadline", "ttl", "start_grace", "degraded_above"];
/// The longest start grace.
const GRACE_MAX: Duration = Duration::from_secs(3_600);

/// Reads the list under `checks`. A check without `service` belongs to `default_service`.
///
/// Everything wrong becomes a problem of `m`; what comes back then is not complete.
pub fn registrations(m: &mut Map<'_>, default_service: &str) -> Vec<Registration> {
    let mut seen = BTreeSet::new();
    let read = m.list("checks", |m| registration(m, default_service, &mut seen));
    read.into_iter().flatten().collect()
}

/// Whether components of this kind are told how they are, and nobody asks.
#[must_use]
pub fn is_told(kind: &str) -> bool {
    TOLD.contains(&kind)
}

fn registration(m: &mut Map<'_>, default_service: &str, seen: &mut BTreeSet<String>) -> Option<Registration> {
    let kind = kind(m);
    let spec = spec(m, default_service, kind.copied());
    if m.has("name") && !seen.insert(spec.name.clone()) {
        m.problem("name", format!("`{}` is the name of an earlier check; choose another", spec.name));
    }
    let kind = kind?;
    // `memory:` with nothing behind it is all defaults.
    let read = m.map(kind.name, kind.read)??;
    Some(finish(spec, kind.name, read))
}

pub(crate) fn finish(mut spec: Spec, kind: &str, read: Read) -> Registration {
    if let Some(ttl) = read.told_within {
        // The first word counts, whatever it is; until it comes the component is starting, for one ttl.
        spec = Spec {
            told: true,
            interval: ttl,
            ttl: Spec::default_ttl(ttl, spec.deadline),
            start_grace: Duration::ZERO,
            ..spec
        };
    }
    let mut hasher = DefaultHasher::new();
    format!("{spec:?}").hash(&mut hasher);
    kind.hash(&mut hasher);
    read.settings.hash(&mut hasher);
    Registration { spec, check: read.check, fingerprint: hasher.finish() }
}

/// The one kind that is named.
fn kind(m: &mut Map<'_>) -> Option<&'static Kind> {
    let keys = m.keys();
    // Known from now on, so that a misspelled one is told with the right one.
    KINDS.iter().for_each(|kind| m.ignore(kind.name));
    let mut named = KINDS.iter().filter(|kind| keys.iter().any(|key| key == kind.name));
    match (named.next(), named.next()) {
        (Some(kind), None) => Some(kind),
        (Some(first), Some(second)) => {
            m.problem(
                second.name,
                format!("is a second kind beside `{}`; make it a check of its own", first.name),
            );
            None
        }
        (None, _) => {
            m.problem_here(format!("says not what to check; add one of {}", names()));
            None
        }
    }
}

fn spec(m: &mut Map<'_>, default_service: &str, kind: Option<Kind>) -> Spec {
    let default = Spec::new("", "");
    if let Some(kind) = kind.filter(|kind| is_told(kind.name)) {
        for key in OF_RUNS.into_iter().filter(|key| m.has(key)).collect::<Vec<_>>() {
            m.ignore(key);
            m.problem(
                key,
                format!("means nothing here, where nobody is asked; write `{}: {{ttl: 1h}}`", kind.name),
            );
        }
        let default = Spec { failure_threshold: 1, success_threshold: 1, ..default };
        return spec_told(m, default_service, default);
    }
    let interval = m.duration("interval").within(INTERVALS).or(default.interval);
    let deadline = deadline(m, interval, default.deadline);
    let spec = Spec {
        name: m.name("name").required(),
        service: m.name("service").or(default_service),
        required: m.flag("required").or(!kind.is_some_and(|kind| kind.host)),
        readiness: m.flag("readiness").or(default.readiness),
        interval,
        deadline,
        failure_threshold: m.integer("failure_threshold").within(1..=100).or(default.failure_threshold),
        success_threshold: m.integer("success_threshold").within(1..=100).or(default.success_threshold),
        ttl: m.duration("ttl").within(Duration::ZERO..=TTL_MAX).or(Spec::default_ttl(interval, deadline)),
        start_grace: m.duration("start_grace").within(Duration::ZERO..=GRACE_MAX).or(default.start_grace),
        degraded_above: m.duration("degraded_above").optional(),
        labels: m.labels("labels"),
        dependency: kind.map_or(default.dependency, |kind| kind.dependency),
        told: false,
    };
    if spec.ttl < interval.saturating_add(deadline) {
        m.problem(
            "ttl",
            "is shorter than interval and deadline together: each result would go stale; make it longer",
        );
    }
    if spec.degraded_above.is_some_and(|above| above >= deadline) {
        m.problem("degraded_above", "is not below the deadline, so it can never be seen; make it shorter");
    }
    spec
}

/// A component that is told has no run to speak of; each word is a result and counts at once unless its thresholds
/// say otherwise.
fn spec_told(m: &mut Map<'_>, default_service: &str, default: Spec) -> Spec {
    Spec {
        name: m.name("name").required(),
        service: m.name("service").or(default_service),
        required: m.flag("required").or(default.required),
        readiness: m.flag("readiness").or(default.readiness),
        failure_threshold: m.integer("failure_threshold").within(1..=100).or(default.failure_threshold),
        success_threshold: m.integer("success_threshold").within(1..=100).or(default.success_threshold),
        labels: m.labels("labels"),
        ..default
    }
}

fn deadline(m: &mut Map<'_>, interval: Duration, default: Duration) -> Duration {
    let within = Duration::ZERO..=DEADLINE_MAX;
    let deadline = m.duration("deadline").within(within).or(default.min(interval));
    if deadline > interval {
        m.problem("deadline", "is longer than the interval; make it at most as long");
    } else if deadline.is_zero() {
        m.problem("deadline", "is no time at all; write for instance `500ms`");
    }
    deadline
}

#[cfg(test)]
mod tests;
