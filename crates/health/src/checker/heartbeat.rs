//! The scheduler's own pulse. Says whether this process got processor time and whether the machine slept. Pure.

use std::time::Duration;
use tokio::time::Instant;

/// Time between two beats while a check runs.
const BEAT: Duration = Duration::from_millis(50);
/// Time between two beats while none does: there is nothing to judge then, and each beat costs a wake-up.
const REST: Duration = Duration::from_secs(1);
/// A beat later than this shows that the process was starved.
const LATE: Duration = Duration::from_millis(100);
/// The boot clock counts sleep and the monotonic one does not: so much apart, the machine has slept.
const SLEPT: Duration = Duration::from_secs(2);

/// The pulse.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// When the next beat is due.
    due: Instant,
    /// When a beat was last found to be late.
    late_at: Option<Instant>,
    /// The moment of the last look, on both clocks.
    looked: (Instant, u64),
}

impl Heartbeat {
    pub(super) fn new(now: Instant, now_ms: u64) -> Self {
        Self { due: now + BEAT, late_at: None, looked: (now, now_ms) }
    }

    /// Looks at the clocks. Says whether the machine has slept since the last look.
    pub(super) fn look(&mut self, now: Instant, now_ms: u64) -> bool {
        if now >= self.due {
            if now - self.due > LATE {
                self.late_at = Some(now);
            }
            self.due = now + BEAT;
        }
        let (then, then_ms) = std::mem::replace(&mut self.looked, (now, now_ms));
        Duration::from_millis(now_ms.saturating_sub(then_ms)) > (now - then) + SLEPT
    }

    /// When to look next.
    pub(super) fn next(&mut self, now: Instant, running: bool) -> Instant {
        self.due = if running { self.due.min(now + BEAT) } else { now + REST };
        self.due
    }

    /// Whether the process was starved at some time after then.
    pub(super) fn late_since(&self, then: Instant) -> bool {
        self.late_at.is_some_and(|late| late > then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_beat_over_100_ms_late_shows_starvation_and_only_for_what_ran_then() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut heartbeat = Heartbeat::new(start, 0);
        let mut look = |ms| {
            heartbeat.look(at(ms), ms);
            heartbeat.next(at(ms), true);
            heartbeat.late_since(start)
        };
        assert!(!look(50));
        assert!(!look(200), "100 ms late is not over 100 ms");
        assert!(!look(230));
        assert!(look(351));
        assert!(heartbeat.late_since(at(350)));
        assert!(!heartbeat.late_since(at(351)), "what began then was not starved");
    }

    #[test]
    fn it_rests_while_no_check_runs_and_is_awake_when_one_does() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut heartbeat = Heartbeat::new(start, 0);
        assert_eq!(heartbeat.next(start, false), at(1_000));
        assert_eq!(heartbeat.next(at(400), false), at(1_400));
        heartbeat.look(at(900), 900);
        assert_eq!(heartbeat.next(at(900), true), at(950));
        assert_eq!(heartbeat.next(at(920), true), at(950), "other turns do not put a beat off");
        heartbeat.look(at(1_051), 1_051);
        assert!(heartbeat.late_since(at(900)));
        assert_eq!(heartbeat.next(at(1_051), false), at(2_051));
    }

    #[test]
    fn a_boot_clock_that_ran_on_alone_shows_that_the_machine_slept() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut heartbeat = Heartbeat::new(start, 1_000);
        assert!(!heartbeat.look(at(50), 1_050));
        assert!(!heartbeat.look(at(9_050), 10_050), "a starved process has not slept");
        assert!(heartbeat.look(at(9_100), 3_610_100));
        assert!(!heartbeat.look(at(9_150), 3_610_150));
    }
}
