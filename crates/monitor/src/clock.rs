//! The monitor's clocks. Time in which the monitor did not run (a pause, a sleep of the machine) stands still on
//! the running clock, and is told once as a blind interval. What follows from an age is decided elsewhere.

use farol_health::clock::{boot_ms, wall_ms};
use parking_lot::Mutex;

/// A gap between two ticks that is longer than this is blind time.
pub const BLIND_AFTER_MS: u64 = 2_000;

/// The running clock shows this when the machine boots: on a machine that has just booted, what was checked before has
/// its age all the same.
const BEFORE_BOOT_MS: u64 = 366 * 24 * 3_600_000;

/// One moment on all three clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The running clock: milliseconds of the boot clock from a year before the boot on, blind time left out. Ages are
    /// measured on it.
    pub run_ms: u64,
    /// Milliseconds of the boot clock.
    pub boot_ms: u64,
    /// Unix milliseconds.
    pub wall_ms: i64,
}

/// Reads the clocks and keeps count of blind time.
#[derive(Debug)]
pub struct Clock(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The last tick: a gap is measured from here.
    last_tick_ms: u64,
    /// All blind time so far: the running clock is behind the boot clock by this.
    blind_ms: u64,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(Mutex::new(State { last_tick_ms: boot_ms(), blind_ms: 0 }))
    }

    /// Now. After a gap that the next tick will tell as blind, time stands where it stood at the last one: what comes
    /// in before that tick must not be dated later than what comes after it.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now_at(boot_ms(), wall_ms())
    }

    fn now_at(&self, boot_ms: u64, wall_ms: i64) -> Moment {
        let state = self.0.lock();
        let mut moment = Self::moment(&state, boot_ms, wall_ms);
        if boot_ms.saturating_sub(state.last_tick_ms) > BLIND_AFTER_MS {
            moment.run_ms = Self::run_ms(&state, state.last_tick_ms);
        }
        moment
    }

    /// The monitor's own tick. Tells the blind interval that it ends, in unix milliseconds.
    pub fn tick(&self) -> (Moment, Option<(i64, i64)>) {
        self.tick_at(boot_ms(), wall_ms())
    }

    fn tick_at(&self, boot_ms: u64, wall_ms: i64) -> (Moment, Option<(i64, i64)>) {
        let mut state = self.0.lock();
        let gap = boot_ms.saturating_sub(state.last_tick_ms);
        state.last_tick_ms = boot_ms;
        let blind = (gap > BLIND_AFTER_MS).then(|| {
            state.blind_ms += gap;
            (wall_ms - i64::try_from(gap).unwrap_or(i64::MAX), wall_ms)
        });
        (Self::moment(&state, boot_ms, wall_ms), blind)
    }

    fn moment(state: &State, boot_ms: u64, wall_ms: i64) -> Moment {
        Moment { run_ms: Self::run_ms(state, boot_ms), boot_ms, wall_ms }
    }

    fn run_ms(state: &State, boot_ms: u64) -> u64 {
        (BEFORE_BOOT_MS + boot_ms).saturating_sub(state.blind_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_over_two_seconds_stands_still_on_the_running_clock_and_is_told_once() {
        let clock = Clock(Mutex::new(State { last_tick_ms: 1_000, blind_ms: 0 }));
        assert_eq!(clock.tick_at(3_000, 50_000).1, None);
        let (moment, blind) = clock.tick_at(63_000, 110_000);
        assert_eq!(blind, Some((50_000, 110_000)));
        assert_eq!(moment.run_ms, BEFORE_BOOT_MS + 3_000);
        let (moment, blind) = clock.tick_at(63_250, 110_250);
        assert_eq!((moment.run_ms, blind), (BEFORE_BOOT_MS + 3_250, None));
    }

    #[test]
    fn what_comes_in_after_a_pause_and_before_the_tick_is_not_dated_later_than_what_follows() {
        let clock = Clock(Mutex::new(State { last_tick_ms: 1_000, blind_ms: 0 }));
        assert_eq!(clock.now_at(2_900, 0).run_ms, BEFORE_BOOT_MS + 2_900);
        let before = clock.now_at(30_000_000, 0);
        assert_eq!((before.run_ms, before.boot_ms), (BEFORE_BOOT_MS + 1_000, 30_000_000));
        let (tick, _) = clock.tick_at(30_000_001, 1);
        assert_eq!(tick.run_ms, BEFORE_BOOT_MS + 1_000);
        assert_eq!(clock.now_at(30_000_101, 0).run_ms, BEFORE_BOOT_MS + 1_100);
    }
    #[test]
    fn on_a_machine_that_has_just_booted_what_was_months_ago_has_its_age() {
        let clock = Clock(Mutex::new(State { last_tick_ms: 5_000, blind_ms: 5_000 }));
        let now = clock.now_at(5_000, 0);
        let months_ms = 90 * 24 * 3_600_000;
        assert_eq!(now.run_ms - now.run_ms.saturating_sub(months_ms), months_ms);
    }
}
