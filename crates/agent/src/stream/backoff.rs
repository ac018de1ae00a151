//! How long to wait before the next connection. Pure: chance is an argument.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const FACTOR: f64 = 1.6;
const MOST: Duration = Duration::from_secs(30);
/// After a refusal: nothing gets better by asking often.
const REFUSED_FIRST: Duration = Duration::from_secs(30);
const REFUSED_MOST: Duration = Duration::from_secs(300);

/// The waits between connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// Failures since the last acknowledgement.
    failures: u32,
    /// Refusals since then.
    refusals: u32,
}

impl Backoff {
    /// After a failure that passes: 1 s × 1.6 each time up to 30 s, of which any part (`chance` in 0..1).
    pub(crate) fn after_failure(&mut self, chance: f64) -> Duration {
        let grown = FIRST.as_secs_f64() * FACTOR.powi(self.failures.min(64) as i32);
        self.failures = self.failures.saturating_add(1);
        MOST.mul_f64((grown / MOST.as_secs_f64()).min(1.0) * chance.clamp(0.0, 1.0))
    }

    /// After a refusal that somebody has to end: 30 s, doubled up to 5 min, of which at least half.
    pub(crate) fn after_refusal(&mut self, chance: f64) -> Duration {
        let grown = REFUSED_FIRST.saturating_mul(1 << self.refusals.min(8)).min(REFUSED_MOST);
        self.refusals = self.refusals.saturating_add(1);
        grown.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// An acknowledgement came.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_by_a_factor_up_to_the_cap_and_any_part_of_them_is_waited() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..10).map(|_| backoff.after_failure(1.0).as_millis() as u64).collect();
        assert_eq!(waits[..5], [1_000, 1_600, 2_560, 4_096, 6_553]);
        assert_eq!(waits[8..], [30_000, 30_000]);
        assert_eq!(backoff.after_failure(0.0), Duration::ZERO);
        assert_eq!(backoff.after_failure(0.5), Duration::from_secs(15));
        backoff.reset();
        assert_eq!(backoff.after_failure(1.0), FIRST);
    }

    #[test]
    fn a_refused_agent_asks_seldom() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..6).map(|_| backoff.after_refusal(1.0).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 300, 300]);
        assert_eq!(backoff.after_refusal(0.0), Duration::from_secs(150));
    }

    #[test]
    fn a_very_long_outage_does_not_overflow() {
        let mut backoff = Backoff { failures: u32::MAX, refusals: u32::MAX };
        assert_eq!(backoff.after_failure(1.0), MOST);
        assert_eq!(backoff.after_refusal(1.0), REFUSED_MOST);
    }
}
