//! Moments of an earlier process on the running clock of this one. Each boot of each machine has a running clock of its
//! own: only how long before the end of that process something was, or how long after it it is due, can be taken over.

use farol_rules::Moment;

/// Takes moments over from the running clock of a process that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    /// What that clock showed when the process was last alive.
    was_run_ms: u64,
    now_run_ms: u64,
}

impl Carried {
    /// That process noted a moment on both its clocks, and was last alive then, unix milliseconds. A wall clock that was
    /// set back in between counts as no time.
    pub(super) fn new(noted: Moment, alive_until_ms: i64, now: Moment) -> Self {
        let since = u64::try_from(alive_until_ms.saturating_sub(noted.wall_ms)).unwrap_or(0);
        Self { was_run_ms: noted.run_ms.saturating_add(since), now_run_ms: now.run_ms }
    }

    /// A moment of that process' running clock on this one's.
    pub(super) fn over(self, run_ms: u64) -> u64 {
        if run_ms >= self.was_run_ms {
            self.now_run_ms.saturating_add(run_ms - self.was_run_ms)
        } else {
            self.now_run_ms.saturating_sub(self.was_run_ms - run_ms)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_and_what_is_due_keep_their_distance_to_the_end_of_the_process() {
        let noted = Moment { run_ms: 2_600_000_000, wall_ms: 1_000_000 };
        let now = Moment { run_ms: 500_000, wall_ms: 9_000_000 };
        for (alive_until_ms, run_ms, expected) in [
            (1_020_000, 2_600_030_000, 510_000),
            (1_020_000, 2_600_000_000, 480_000),
            (1_020_000, 0, 0),
            // Set back: as if it had ended at once.
            (5, 2_600_030_000, 530_000),
            (i64::MIN, u64::MAX, u64::MAX - 2_600_000_000 + 500_000),
            (i64::MAX, u64::MAX, u64::MAX - (i64::MAX as u64 + 2_600_000_000 - 1_000_000) + 500_000),
        ] {
            let carried = Carried::new(noted, alive_until_ms, now);
            assert_eq!(carried.over(run_ms), expected, "alive until {alive_until_ms}, {run_ms}");
        }
    }
}
