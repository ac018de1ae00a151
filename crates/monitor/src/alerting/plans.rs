//! Which maintenance windows are in force, for the fleet. Looks at them when one was taken or ended and when the next
//! begins or ends, and at no other time; what follows is the fleet's.

use super::Alerting;
use crate::clock::Moment;
use crate::fleet::Planned;
use farol_rules::Window;
use std::sync::atomic::Ordering;

/// What the fleet was told last.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    /// Nothing yet, or that of the windows then; and when that was, unix milliseconds.
    told: Option<(u64, i64)>,
    /// When the next of them begins or ends, unix milliseconds.
    next_ms: Option<i64>,
}

impl Plans {
    /// The windows in force, when they may be others than at the last look.
    pub(crate) fn look(&mut self, alerting: &Alerting, now: Moment) -> Option<Planned> {
        let generation = alerting.plans.load(Ordering::Acquire);
        let is_same = self.told.is_some_and(|(told, at_ms)| {
            // A clock that was put back may be before a window again.
            told == generation
                && at_ms <= now.wall_ms
                && self.next_ms.is_none_or(|next_ms| now.wall_ms < next_ms)
        });
        self.told = Some((generation, now.wall_ms));
        if is_same {
            return None;
        }
        let windows: Vec<Window> = alerting.book().windows().to_vec();
        self.next_ms = windows.iter().filter_map(|window| window.next_change(now.wall_ms)).min();
        Some(Planned::at(&windows, now.wall_ms))
    }
}
