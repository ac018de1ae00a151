//! What an observation says under one rule. Decides nothing about time.

use crate::observation::{ComponentSeen, Evidence, Shown};
use crate::{Input, Judge, Level, Pattern, Severity, Subject};
use farol_health::Status;

/// Whether a rule about components looks at one of this name and kind.
pub(crate) fn looks_at(subject: &Subject, component: &str, kind: &str) -> bool {
    let fits = |pattern: &Option<Pattern>, text: &str| pattern.as_ref().is_none_or(|p| p.matches(text));
    match subject {
        Subject::Component { name, kind: of } => fits(name, component) && fits(of, kind),
        _ => false,
    }
}

/// What a component's status says.
pub(crate) fn component(judge: &Judge, seen: &ComponentSeen) -> Input {
    let Judge::Statuses { statuses, stale, severity } = judge else { return Input::Stale };
    match seen.evidence {
        Evidence::Past => Input::Past,
        Evidence::Absent | Evidence::Excused => Input::Stale,
        Evidence::Stale if *stale => Input::Level((*severity).into()),
        Evidence::Stale => Input::Stale,
        // Of a rule about staleness alone: that something was heard is what it wants to know.
        Evidence::Now if *stale && statuses.is_empty() => Input::Level(Level::Clear),
        Evidence::Now => status(statuses, *severity, seen.status),
    }
}

/// What a service's or group's status says.
pub(crate) fn shown(judge: &Judge, shown: Shown) -> Input {
    match (judge, shown) {
        (Judge::Statuses { statuses, severity, .. }, Shown::Status(is)) => status(statuses, *severity, is),
        (_, Shown::Past) => Input::Past,
        _ => Input::Stale,
    }
}

/// What was degraded and becomes unhealthy did not recover, and does not end. A rule about what is `unknown` or `starting`
/// knows by any status that it is not so any more. To all others these two are no evidence.
fn status(bad: &[Status], severity: Severity, is: Status) -> Input {
    if bad.contains(&is) {
        return Input::Level(severity.into());
    }
    match is {
        Status::Unknown | Status::Starting => Input::Stale,
        Status::Unhealthy if bad.contains(&Status::Degraded) => Input::Level(Level::Between),
        Status::Healthy | Status::Degraded | Status::Unhealthy => Input::Level(Level::Clear),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn only_a_good_status_of_now_is_evidence_that_it_is_well() {
        let judge = |statuses: &[Status], stale| Judge::Statuses {
            statuses: statuses.to_vec(),
            stale,
            severity: Severity::Critical,
        };
        let [bad, between, clear] = [Level::Critical, Level::Between, Level::Clear].map(Input::Level);
        for (rule, status, evidence, expected) in [
            (judge(&[Status::Unhealthy], false), Status::Unhealthy, Evidence::Now, bad),
            (judge(&[Status::Unhealthy], false), Status::Healthy, Evidence::Now, clear),
            (judge(&[Status::Unhealthy], false), Status::Degraded, Evidence::Now, clear),
            (judge(&[Status::Unhealthy], false), Status::Unknown, Evidence::Now, Input::Stale),
            (judge(&[Status::Unhealthy], false), Status::Starting, Evidence::Now, Input::Stale),
            (judge(&[Status::Unknown], false), Status::Unknown, Evidence::Now, bad),
            (judge(&[Status::Unknown], false), Status::Degraded, Evidence::Now, clear),
            (judge(&[Status::Unknown], false), Status::Unhealthy, Evidence::Now, clear),
            (judge(&[Status::Unknown], true), Status::Unhealthy, Evidence::Now, clear),
            (judge(&[Status::Degraded], false), Status::Unhealthy, Evidence::Now, between),
            (judge(&[Status::Degraded], false), Status::Healthy, Evidence::Now, clear),
            (judge(&[Status::Degraded, Status::Unknown], false), Status::Unhealthy, Evidence::Now, between),
            (judge(&[Status::Healthy], false), Status::Degraded, Evidence::Now, clear),
            (judge(&[Status::Unhealthy], false), Status::Healthy, Evidence::Stale, Input::Stale),
            (judge(&[Status::Unhealthy], false), Status::Healthy, Evidence::Absent, Input::Stale),
            (judge(&[Status::Unhealthy], false), Status::Unhealthy, Evidence::Excused, Input::Stale),
            (judge(&[], true), Status::Healthy, Evidence::Stale, bad),
            (judge(&[], true), Status::Unknown, Evidence::Now, clear),
            (judge(&[], true), Status::Healthy, Evidence::Absent, Input::Stale),
            (judge(&[], true), Status::Healthy, Evidence::Past, Input::Past),
            (judge(&[Status::Unhealthy], false), Status::Unhealthy, Evidence::Past, Input::Past),
        ] {
            let seen = ComponentSeen {
                agent: crate::Labels::default(),
                service: "s".into(),
                component: "c".into(),
                kind: "tcp".into(),
                status,
                evidence,
                reason: "".into(),
                message: "".into(),
            };
            assert_eq!(component(&rule, &seen), expected, "{rule:?} {status:?} {evidence:?}");
        }
    }
}
