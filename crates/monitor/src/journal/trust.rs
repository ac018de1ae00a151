//! Whether the wall clock may decide what is old enough to be deleted. A clock that was set a year ahead for a minute
//! must not cost a year of history. Pure: both clocks are arguments.

/// A clock that moved against the boot clock by more than this since the last look was set.
const SET_MS: u64 = 60_000;
/// One that was not set for so long is believed; so is no clock in the first hour after a start.
const EVEN_FOR_MS: u64 = 3_600_000;

/// What was seen of the wall clock.
#[derive(Debug)]
pub(super) struct Trust {
    /// The last look, on the wall clock and on the boot clock.
    wall_ms: i64,
    boot_ms: u64,
    /// Since when it runs evenly, on the boot clock.
    even_since_ms: u64,
}

impl Trust {
    pub(super) fn new(wall_ms: i64, boot_ms: u64) -> Self {
        Self { wall_ms, boot_ms, even_since_ms: boot_ms }
    }

    /// Looks again: by how much the clock was set since the last look, if it was.
    pub(super) fn look(&mut self, wall_ms: i64, boot_ms: u64) -> Option<i64> {
        let passed = i64::try_from(boot_ms.saturating_sub(self.boot_ms)).unwrap_or(i64::MAX);
        let set_by = wall_ms.saturating_sub(self.wall_ms).saturating_sub(passed);
        (self.wall_ms, self.boot_ms) = (wall_ms, boot_ms);
        let was_set = set_by.unsigned_abs() > SET_MS;
        if was_set {
            self.even_since_ms = boot_ms;
        }
        was_set.then_some(set_by)
    }

    /// Whether it ran evenly for long enough.
    pub(super) fn is_trusted(&self) -> bool {
        self.boot_ms.saturating_sub(self.even_since_ms) >= EVEN_FOR_MS
    }
}

#[cfg(test)]
mod tests {
    use super::Trust;

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn a_clock_is_believed_after_an_even_hour_and_doubted_anew_when_it_was_set() {
        let mut trust = Trust::new(5, 0);
        assert!(!trust.is_trusted());
        assert_eq!(trust.look(5 + 3_600_000, HOUR_MS), None);
        assert!(trust.is_trusted());
        // Slewed, as time servers do it.
        assert_eq!(trust.look(5 + 7_220_000, 2 * HOUR_MS), None);
        assert!(trust.is_trusted());
        for days in [2_i64, -2] {
            let set_by = days * 86_400_000;
            assert_eq!(trust.look(trust.wall_ms + set_by, trust.boot_ms), Some(set_by));
            assert!(!trust.is_trusted());
            assert_eq!(trust.look(trust.wall_ms + 3_599_000, trust.boot_ms + 3_599_000), None);
            assert!(!trust.is_trusted());
            assert_eq!(trust.look(trust.wall_ms + 1_000, trust.boot_ms + 1_000), None);
            assert!(trust.is_trusted());
        }
    }

    #[test]
    fn extreme_clocks_do_not_overflow() {
        let mut trust = Trust::new(i64::MIN, u64::MAX);
        assert!(trust.look(i64::MAX, 0).is_some());
        assert!(trust.look(i64::MIN, u64::MAX).is_some());
    }
}
