//! The monotonic clock in nanoseconds, for measurements that block: tokio's timers are good to a millisecond only.

use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec, clock_gettime};

const SECOND: u64 = 1_000_000_000;

/// Now.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * SECOND + now.tv_nsec as u64
}

/// Blocks this thread until then.
pub(crate) fn sleep_until(ns: u64) {
    let until = Timespec { tv_sec: (ns / SECOND) as _, tv_nsec: (ns % SECOND) as _ };
    while clock_nanosleep_absolute(rustix::thread::ClockId::Monotonic, &until) == Err(rustix::io::Errno::INTR)
    {
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_ends_when_it_should() {
        let due = now_ns() + 2_000_000;
        sleep_until(due);
        let late = now_ns().checked_sub(due).expect("not before it is due");
        assert!(late < SECOND, "{late} ns late");
        sleep_until(0);
    }
}
