//! The boot clock: milliseconds since this machine booted, sleep included. Decides nothing.

/// Milliseconds of `CLOCK_BOOTTIME`. It never goes back and counts the time in which the machine slept.
#[must_use]
pub fn boot_ms() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(t.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(t.tv_nsec).unwrap_or(0);
    seconds * 1_000 + nanos / 1_000_000
}
