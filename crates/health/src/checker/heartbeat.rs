//! The scheduler's own pulse. Says whether this process got processor time and whether the machine slept. Pure.

use std::time::Duration;
use tokio::time::Instant;

/// Time between two beats.
const BEAT: Duration = Duration::from_millis(50);
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
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Whether the process was starved at some time since then.
    pub(super) fn late_since(&self, then: Instant) -> bool {
        self.late_at.is_some_and(|late| late >= then)
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
        heartbeat.look(at(50), 50);
        heartbeat.look(at(200), 200);
        assert!(!heartbeat.late_since(start), "100 ms late is not over 100 ms");
        heartbeat.look(at(230), 230);
        heartbeat.look(at(351), 351);
        assert!(heartbeat.late_since(start));
        assert!(heartbeat.late_since(at(351)));
        assert!(!heartbeat.late_since(at(352)), "what began later was not starved");
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
