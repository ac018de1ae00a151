//! The level of a value.

use crate::{Condition, Judge, Level};

/// The thresholds of one rule, close together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thresholds {
    warning: Option<Condition>,
    critical: Option<Condition>,
    clear: Option<Condition>,
}

impl Thresholds {
    /// Those of a rule; a rule that does not judge values has none.
    pub(super) fn of(judge: &Judge) -> Self {
        match *judge {
            Judge::Thresholds { warning, critical, clear } => Self { warning, critical, clear },
            Judge::Statuses { .. } | Judge::Condition { .. } => {
                Self { warning: None, critical: None, clear: None }
            }
        }
    }

    /// The level of a value that is a number.
    #[inline]
    pub(super) fn level(&self, value: f64) -> Level {
        let holds = |condition: &Option<Condition>| condition.is_some_and(|c| c.holds(value));
        if holds(&self.critical) {
            Level::Critical
        } else if holds(&self.warning) {
            Level::Warning
        } else if self.clear.is_none_or(|clear| clear.holds(value)) {
            Level::Clear
        } else {
            Level::Between
        }
    }
}
