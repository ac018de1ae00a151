//! The clocks: the boot clock (milliseconds since this machine booted, sleep included) and the wall clock. Both are
//! read through the clock by which tokio's timers wait, so that what is measured and what is waited for are one time:
//! on a machine the two never differ, and where time is simulated both go on with it. Decides nothing.

use jiff::Timestamp;

/// Milliseconds of `CLOCK_BOOTTIME`. It never goes back and counts the time in which the machine slept.
#[must_use]
pub fn boot_ms() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(t.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(t.tv_nsec).unwrap_or(0);
    (seconds * 1_000_000_000 + nanos).saturating_add_signed(ahead_ns()) / 1_000_000
}

/// Unix milliseconds of the wall clock, which may be set.
#[must_use]
pub fn wall_ms() -> i64 {
    Timestamp::now().as_millisecond().saturating_add(ahead_ns() / 1_000_000)
}

/// How far the clock of tokio's timers is ahead of the machine's; both are monotonic. The machine's is read first:
/// what little passes between the two readings has passed since the caller's, and nothing goes back. (Where time is
/// simulated it stands still between two readings of the machine: there the result is exact but for these.)
fn ahead_ns() -> i64 {
    #[expect(clippy::disallowed_types, reason = "the one place that compares the two")]
    let machine = std::time::Instant::now();
    let timers = tokio::time::Instant::now().into_std();
    let ns = |difference: std::time::Duration| i64::try_from(difference.as_nanos()).unwrap_or(i64::MAX);
    match timers.checked_duration_since(machine) {
        Some(ahead) => ns(ahead),
        None => -ns(machine.saturating_duration_since(timers)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn boottime_ms() -> u64 {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        t.tv_sec as u64 * 1_000 + t.tv_nsec as u64 / 1_000_000
    }

    #[test]
    fn outside_a_runtime_and_inside_one_it_is_the_machines_clock_and_never_goes_back() {
        let read = || {
            let mut last = boot_ms();
            for _ in 0..20_000 {
                let (before, now, after) = (boottime_ms(), boot_ms(), boottime_ms());
                assert!((before..=after).contains(&now), "{before} {now} {after}");
                assert!(now >= last, "{now} after {last}");
                last = now;
            }
        };
        read();
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(async { read() });
    }

    #[tokio::test(start_paused = true)]
    async fn both_go_on_with_the_time_that_timers_wait_for() {
        let (boot, wall) = (boot_ms(), wall_ms());
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        // A reading may miss what passed on the machine between its two clocks.
        assert!((3_599_990..3_600_010).contains(&(boot_ms() - boot)));
        assert!((3_599_900..3_600_100).contains(&(wall_ms() - wall)));
    }
}
