//! The level of a status. Decides that only a status that is known says anything.

use crate::{Judge, Level};
use farol_health::Status;

impl Judge {
    /// The level of a status: bad if it is listed; clear if it is known and no worse than what is listed; between if it
    /// is worse, or the thing is starting: that is no recovery. Nothing is said where the status is stale or unknown and
    /// that is not listed, and by rules that do not judge statuses.
    #[must_use]
    pub fn of_status(&self, status: Status, is_stale: bool) -> Option<Level> {
        let Self::Statuses { statuses, stale, severity } = self else { return None };
        if is_stale {
            return stale.then(|| Level::from(*severity));
        }
        if statuses.contains(&status) {
            return Some(Level::from(*severity));
        }
        let Some(worst) = statuses.iter().filter_map(|status| badness(*status)).max() else {
            // Only staleness, or not being known or up, is asked for: what is fresh answers the first of them.
            let is_answered = statuses.is_empty() || badness(status).is_some();
            return is_answered.then_some(Level::Clear);
        };
        match badness(status) {
            Some(badness) if badness <= worst => Some(Level::Clear),
            Some(_) => Some(Level::Between),
            None => (status == Status::Starting).then_some(Level::Between),
        }
    }
}

/// How bad a status is that says something of the thing itself.
fn badness(status: Status) -> Option<u8> {
    match status {
        Status::Healthy => Some(0),
        Status::Degraded => Some(1),
        Status::Unhealthy => Some(2),
        Status::Unknown | Status::Starting => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;
    use Status::{Degraded, Healthy, Starting, Unhealthy, Unknown};

    #[test]
    fn only_a_known_status_that_is_no_worse_ends_an_alert() {
        let (bad, clear, between) = (Some(Level::Critical), Some(Level::Clear), Some(Level::Between));
        type Row<'r> = (&'r [Status], bool, [Option<Level>; 6]);
        // Listed, whether staleness is, and the levels of: unknown, starting, healthy, degraded, unhealthy, stale.
        let table: &[Row<'_>] = &[
            (&[Unhealthy], false, [None, between, clear, clear, bad, None]),
            (&[Unhealthy], true, [None, between, clear, clear, bad, bad]),
            (&[Degraded], false, [None, between, clear, bad, between, None]),
            (&[Degraded, Unhealthy], false, [None, between, clear, bad, bad, None]),
            (&[Unhealthy, Unknown], false, [bad, between, clear, clear, bad, None]),
            (&[], true, [clear, clear, clear, clear, clear, bad]),
            (&[Unknown], false, [bad, None, clear, clear, clear, None]),
            (&[Starting, Unhealthy], false, [None, bad, clear, clear, bad, None]),
        ];
        for (statuses, stale, expected) in table {
            let judge =
                Judge::Statuses { statuses: statuses.to_vec(), stale: *stale, severity: Severity::Critical };
            let fresh = [Unknown, Starting, Healthy, Degraded, Unhealthy].map(|s| judge.of_status(s, false));
            let found: Vec<_> = fresh.into_iter().chain([judge.of_status(Unhealthy, true)]).collect();
            assert_eq!(found, expected, "{statuses:?} stale: {stale}");
        }
        assert_eq!(Judge::Condition { severity: Severity::Warning }.of_status(Unhealthy, false), None);
    }
}
