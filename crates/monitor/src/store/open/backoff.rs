//! How long is waited before the next try. Pure.

use std::time::Duration;

/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(30);

/// The wait after so many tries (1 and more): up to `first`, doubled for each try before, at most half a minute.
/// `share` is a random number from 0 to 1: monitors that lost the same database do not come back all at once.
pub(super) fn delay(tried: u32, first: Duration, share: f64) -> Duration {
    let doubled = 2_u32.checked_pow(tried.saturating_sub(1)).and_then(|times| first.checked_mul(times));
    doubled.unwrap_or(LONGEST).min(LONGEST).mul_f64(share.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, delay};
    use std::time::Duration;

    #[test]
    fn each_wait_may_be_twice_as_long_as_the_one_before_up_to_half_a_minute() {
        let second = Duration::from_secs(1);
        let longest = [1, 2, 4, 8, 16, 30, 30];
        for (tried, seconds) in (1..).zip(longest) {
            assert_eq!(delay(tried, second, 1.0), second * seconds);
            assert_eq!(delay(tried, second, 0.5), second * seconds / 2);
            assert_eq!(delay(tried, second, 0.0), Duration::ZERO);
        }
        for tried in [31, 32, 33, 1_000, u32::MAX] {
            assert_eq!(delay(tried, Duration::from_millis(10), 1.0), LONGEST);
        }
        assert_eq!(delay(0, second, 1.0), second);
    }
}
