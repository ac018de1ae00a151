//! Where an element stands by its levels and timers alone. Knows nothing of flapping, staleness or clocks: every time
//! is a reading of the life's own clock, except those for people.

use super::{Held, Phase, Timing, Turn};
use crate::{Ending, Level, Severity};
use serde::{Deserialize, Serialize};

/// Where it stands. A severity has lasted as long as every level since was at least as bad.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Course {
    /// Not bad, or not bad any more.
    #[default]
    Well,
    /// Bad, not yet for long enough.
    Pending {
        /// For people: when it became bad.
        since_ms: i64,
        /// Since when it is bad: what `for` is counted from.
        bad_ms: u64,
        /// Since when it is critical: that has a `for` of its own.
        critical_ms: Option<u64>,
    },
    /// Bad for long enough.
    Firing {
        /// What was told.
        severity: Severity,
        /// For people: when it fired.
        since_ms: i64,
        /// Since when it is critical, if it fires as a warning: it is raised when that has lasted.
        critical_ms: Option<u64>,
        /// Since when it is well: it is over when that has lasted.
        clear_ms: Option<u64>,
        /// Since when it is not critical, if it fires as critical: it falls when that has lasted.
        milder_ms: Option<u64>,
    },
}

/// What runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// `for`.
    Fire,
    /// `keep_firing_for`, well.
    Resolve,
    /// `keep_firing_for`, not critical.
    Fall,
    /// `for`, critical.
    Raise,
}

impl Course {
    pub(super) fn phase(&self, lived_ms: u64) -> Phase {
        let so_far = |since: u64| lived_ms.saturating_sub(since);
        match *self {
            Self::Well => Phase::Inactive,
            Self::Pending { since_ms, bad_ms, critical_ms } => Phase::Pending {
                severity: about_to_be(bad_ms, critical_ms),
                since_ms,
                held_ms: so_far(bad_ms),
            },
            Self::Firing { severity, since_ms, critical_ms, clear_ms, .. } => Phase::Firing {
                severity,
                since_ms,
                clear_ms: clear_ms.map(so_far),
                critical_ms: critical_ms.map(so_far),
            },
        }
    }

    /// Whether it counts how long it is critical, well, and not critical.
    pub(super) fn timers(&self) -> [bool; 3] {
        match self {
            Self::Well => [false; 3],
            Self::Pending { critical_ms, .. } => [critical_ms.is_some(), false, false],
            Self::Firing { critical_ms, clear_ms, milder_ms, .. } => {
                [critical_ms.is_some(), clear_ms.is_some(), milder_ms.is_some()]
            }
        }
    }

    /// The timer that runs out next, and when. Of two at one moment, being over comes before falling.
    pub(super) fn next(&self, timing: &Timing) -> Option<(u64, Timer)> {
        let bad = |since: u64| since.saturating_add(timing.for_ms);
        let well = |since: u64| since.saturating_add(timing.keep_firing_for_ms);
        match *self {
            Self::Well => None,
            Self::Pending { bad_ms, .. } => Some((bad(bad_ms), Timer::Fire)),
            Self::Firing { critical_ms, clear_ms, milder_ms, .. } => {
                let resolve = clear_ms.map(|since| (well(since), Timer::Resolve));
                let fall = milder_ms.map(|since| (well(since), Timer::Fall));
                let raise = critical_ms.map(|since| (bad(since), Timer::Raise));
                [resolve, fall, raise].into_iter().flatten().min_by_key(|(at, _)| *at)
            }
        }
    }

    /// A timer has run out.
    pub(super) fn pass(&mut self, timing: &Timing, timer: Timer, lived_ms: u64, wall_ms: i64) -> Turn {
        match timer {
            Timer::Fire => {
                let critical_ms = self.critical_ms();
                let lasted = critical_ms.is_some_and(|since| since.saturating_add(timing.for_ms) <= lived_ms);
                let severity = if lasted { Severity::Critical } else { Severity::Warning };
                let critical_ms = critical_ms.filter(|_| !lasted);
                let since_ms = wall_ms;
                *self = Self::Firing { severity, since_ms, critical_ms, clear_ms: None, milder_ms: None };
                Turn::Fired(severity)
            }
            Timer::Resolve => {
                *self = Self::Well;
                Turn::Resolved(Ending::Recovered)
            }
            Timer::Fall => {
                self.become_of(Severity::Warning);
                Turn::Fell(Severity::Warning)
            }
            Timer::Raise => {
                self.become_of(Severity::Critical);
                Turn::Raised(Severity::Critical)
            }
        }
    }

    /// A level was observed: timers begin and end, and what was pending may calm.
    pub(super) fn meet(
        &mut self,
        timing: &Timing,
        level: Level,
        lived_ms: u64,
        wall_ms: i64,
    ) -> Option<Turn> {
        match self {
            Self::Well => {
                let severity = level.severity()?;
                let critical_ms = (severity == Severity::Critical).then_some(lived_ms);
                *self = Self::Pending { since_ms: wall_ms, bad_ms: lived_ms, critical_ms };
                Some(Turn::Pending(severity))
            }
            Self::Pending { bad_ms, critical_ms, .. } => {
                let before = about_to_be(*bad_ms, *critical_ms);
                match level {
                    Level::Clear | Level::Between => {
                        *self = Self::Well;
                        return Some(Turn::Calmed);
                    }
                    Level::Warning => *critical_ms = None,
                    Level::Critical => *critical_ms = critical_ms.or(Some(lived_ms)),
                }
                let after = about_to_be(*bad_ms, *critical_ms);
                (after != before).then_some(Turn::Pending(after))
            }
            Self::Firing { severity, critical_ms, clear_ms, milder_ms, .. } => {
                if level == Level::Critical {
                    let rises = *severity == Severity::Warning;
                    *critical_ms = critical_ms.or(rises.then_some(lived_ms));
                    *milder_ms = None;
                } else {
                    *critical_ms = None;
                }
                let mild = matches!(level, Level::Warning | Level::Clear) && *severity == Severity::Critical;
                *milder_ms = milder_ms.or(mild.then_some(lived_ms));
                let was_clear_ms = *clear_ms;
                count_clear(clear_ms, timing, level, lived_ms);
                // What was milder only by being well was not, if that did not last.
                if level == Level::Between && clear_ms.is_none() && *milder_ms == was_clear_ms {
                    *milder_ms = None;
                }
                None
            }
        }
    }

    /// It does not flap any more and is by itself what it is, of the episode that was told as `held`. One that would be
    /// over goes on firing if it was bad since, however shortly, and not well for long enough after that.
    pub(super) fn go_on(&mut self, timing: &Timing, held: Held, lived_ms: u64) -> Option<Turn> {
        let long_clear = |since: u64| since.saturating_add(timing.keep_firing_for_ms) <= lived_ms;
        match self {
            Self::Well if held.clear_ms.is_some_and(long_clear) => Some(Turn::Resolved(Ending::Recovered)),
            Self::Firing { severity, since_ms, .. } => {
                *since_ms = held.since_ms;
                (*severity < held.severity).then_some(Turn::Fell(*severity))
            }
            Self::Well | Self::Pending { .. } => {
                let critical_ms = self.critical_ms();
                let warning = matches!(self, Self::Pending { critical_ms: None, .. }).then_some(lived_ms);
                let Held { severity, since_ms, clear_ms } = held;
                let milder_ms = clear_ms.or(warning).filter(|_| severity == Severity::Critical);
                let critical_ms = critical_ms.filter(|_| severity == Severity::Warning);
                *self = Self::Firing { severity, since_ms, critical_ms, clear_ms, milder_ms };
                None
            }
        }
    }

    fn critical_ms(&self) -> Option<u64> {
        match *self {
            Self::Well => None,
            Self::Pending { critical_ms, .. } | Self::Firing { critical_ms, .. } => critical_ms,
        }
    }

    fn become_of(&mut self, new: Severity) {
        if let Self::Firing { severity, critical_ms, milder_ms, .. } = self {
            *severity = new;
            *critical_ms = None;
            *milder_ms = None;
        }
    }
}

/// Since when it is well, after another level. One between is not well, but undoes nothing that was for long enough.
pub(super) fn count_clear(clear_ms: &mut Option<u64>, timing: &Timing, level: Level, lived_ms: u64) {
    let long_enough = |since: &u64| since.saturating_add(timing.keep_firing_for_ms) <= lived_ms;
    *clear_ms = match level {
        Level::Clear => clear_ms.or(Some(lived_ms)),
        Level::Between => clear_ms.filter(long_enough),
        Level::Warning | Level::Critical => None,
    };
}

/// What something fires as that is bad since one time and critical since another, if it stays so.
fn about_to_be(bad_ms: u64, critical_ms: Option<u64>) -> Severity {
    if critical_ms.is_some_and(|since| since <= bad_ms) { Severity::Critical } else { Severity::Warning }
}
