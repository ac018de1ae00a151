//! The scheduler's own pulse. Says whether this process got processor time and whether the machine slept. Pure.

use std::time::Duration;
use tokio::time::Instant;

/// Time between two beats while a check runs.
const BEAT: Duration = Duration::from_millis(50);
/// Time between two beats while none does: there is nothing to judge then, and each beat costs a wake-up.
const REST: Duration = Duration::from_secs(1);
/// A beat later than this shows that the process was starved.
const LATE: Duration = Duration::from_millis(100);
/// So do beats that are late by more than that together, and by so large a part of a run. A container's quota stops a
/// process for less than 100 ms at a time, ten times a second: then no single beat is late enough, and at most the half
/// of a run is seen as lost, because the beats themselves are that far apart.
const SHARE: u32 = 3;
/// The boot clock counts sleep and the monotonic one does not: so much apart, the machine has slept.
const SLEPT: Duration = Duration::from_secs(2);

/// The pulse.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// When the next beat is due.
    due: Instant,
    /// When a beat was last found to be late.
    late_at: Option<Instant>,
    /// By how much all beats together were late.
    lost: Duration,
    /// The moment of the last look, on both clocks.
    looked: (Instant, u64),
}

impl Heartbeat {
    pub(super) fn new(now: Instant, now_ms: u64) -> Self {
        Self { due: now + BEAT, late_at: None, lost: Duration::ZERO, looked: (now, now_ms) }
    }

    /// Looks at the clocks. Says whether the machine has slept since the last look.
    pub(super) fn look(&mut self, now: Instant, now_ms: u64) -> bool {
        if now >= self.due {
            self.lost = self.lost.saturating_add(now - self.due);
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

    /// A beginning, for a later question.
    pub(super) fn mark(&self, now: Instant) -> Mark {
        Mark { at: now, lost: self.lost }
    }

    /// Whether the process was starved between the mark and the last look.
    pub(super) fn starved_since(&self, mark: Mark) -> bool {
        let lost = self.lost.saturating_sub(mark.lost);
        let passed = self.looked.0.saturating_duration_since(mark.at);
        self.late_at.is_some_and(|late| late > mark.at) || (lost > LATE && lost > passed / SHARE)
    }
}

/// A moment of the pulse.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) at: Instant,
    /// As much was lost until then.
    lost: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_beat_over_100_ms_late_shows_starvation_and_only_for_what_ran_then() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut heartbeat = Heartbeat::new(start, 0);
        let began = heartbeat.mark(start);
        let mut look = |ms| {
            heartbeat.look(at(ms), ms);
            heartbeat.next(at(ms), true);
            heartbeat.starved_since(began)
        };
        assert!(!look(50));
        assert!(!look(200), "100 ms late is not over 100 ms");
        assert!(!look(230));
        assert!(look(351));
        let since = |ms| heartbeat.starved_since(heartbeat.mark(at(ms)));
        assert!(since(350));
        assert!(!since(351), "what began then was not starved");
    }

    /// Looks that come so late after each beat, over a run of 500 ms.
    fn starved_by(late_ms: u64) -> bool {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, 0);
        let mark = heartbeat.mark(start);
        let mut now_ms = 0;
        while now_ms < 500 {
            now_ms += 50 + late_ms;
            let now = start + Duration::from_millis(now_ms);
            heartbeat.look(now, now_ms);
            heartbeat.next(now, true);
        }
        heartbeat.starved_since(mark)
    }

    #[test]
    fn a_process_that_is_stopped_again_and_again_for_less_than_100_ms_is_starved_and_a_busy_one_is_not() {
        // A quota of 4 ms in each 100 ms: each beat comes about 46 ms late.
        for late_ms in [46, 50, 90] {
            assert!(starved_by(late_ms), "{late_ms}");
        }
        // A machine with work, whose processes wait for their turn.
        for late_ms in [0, 1, 5, 10, 20] {
            assert!(!starved_by(late_ms), "{late_ms}");
        }
    }

    #[test]
    fn what_was_lost_before_a_run_began_is_not_counted_for_it() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut heartbeat = Heartbeat::new(start, 0);
        for beat in 1..=5 {
            heartbeat.look(at(beat * 100), beat * 100);
            heartbeat.next(at(beat * 100), true);
        }
        let mark = heartbeat.mark(at(500));
        heartbeat.look(at(550), 550);
        assert!(!heartbeat.starved_since(mark));
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
        assert!(heartbeat.starved_since(heartbeat.mark(at(900))));
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
