//! When to acknowledge, how an agent's clock is mapped, and how much an agent may say. Pure: `now` is an argument.

mod keys;

pub(crate) use keys::{Keys, Wish};

/// So many committed reports are acknowledged at once.
const ACK_EVERY: u64 = 32;
/// A committed report waits at most so long for its acknowledgement.
pub(crate) const ACK_WITHIN_MS: u64 = 60_000;
/// A clock is mapped anew when even the quickest report of a window is later than this.
const LAG_AT_MOST_MS: i64 = 2_000;
const LAG_WINDOW_MS: u64 = 60_000;
/// Messages that an agent may send for long (200 a second), and at once.
const MESSAGE_EVERY_MS: u64 = 5;
const MESSAGES_AT_ONCE: u64 = 4_000;
/// Sets that no agent had before which one may define for long (30 a minute), and at once: each is kept for as long
/// as a report that was made with it.
const NEW_SET_EVERY_MS: u64 = 2_000;
const NEW_SETS_AT_ONCE: u64 = 240;

/// The acknowledgement rule.
#[derive(Debug)]
pub(crate) struct Acks {
    acked: u64,
    /// The agent asked for this one at once.
    wanted: u64,
    last_ms: u64,
}

impl Acks {
    pub(crate) fn new(acked: u64, now_ms: u64) -> Self {
        Self { acked, wanted: 0, last_ms: now_ms }
    }

    /// The agent asks for an acknowledgement up to this report as soon as it is committed.
    pub(crate) fn want(&mut self, seq: u64) {
        self.wanted = self.wanted.max(seq);
    }

    /// What to acknowledge now.
    pub(crate) fn due(&mut self, committed: u64, now_ms: u64) -> Option<u64> {
        if committed <= self.acked {
            return None;
        }
        let asked = self.wanted > self.acked && committed >= self.wanted;
        let many = committed - self.acked >= ACK_EVERY;
        let late = now_ms.saturating_sub(self.last_ms) >= ACK_WITHIN_MS;
        (asked || many || late).then(|| {
            (self.acked, self.last_ms) = (committed, now_ms);
            committed
        })
    }

    /// A commit up to this number makes an acknowledgement due, whatever the time.
    pub(crate) fn next_seq(&self) -> u64 {
        let many = self.acked.saturating_add(ACK_EVERY);
        if self.wanted > self.acked { self.wanted.min(many) } else { many }
    }

    /// When the time rule is to be looked at next.
    pub(crate) fn next_ms(&self) -> u64 {
        self.last_ms + ACK_WITHIN_MS
    }

    /// Starts the time rule anew when there is nothing to acknowledge.
    pub(crate) fn rest(&mut self, committed: u64, now_ms: u64) {
        if committed <= self.acked {
            self.last_ms = now_ms;
        }
    }
}

/// The mapping of an agent's boot clock to the monitor's.
#[derive(Debug)]
pub(crate) struct ClockMap {
    /// The monitor's boot clock minus the agent's.
    pub(crate) offset_ms: i64,
    window_from_ms: u64,
    least_lag_ms: i64,
}

impl ClockMap {
    pub(crate) fn new(agent_ms: u64, now_ms: u64) -> Self {
        Self { offset_ms: difference(now_ms, agent_ms), window_from_ms: now_ms, least_lag_ms: i64::MAX }
    }

    /// What was made then is here now: if the clock says that it is still to come, Hello was longer on its way. Else
    /// all that is told in a burst would seem to be made at once, at its receipt.
    pub(crate) fn arrived(&mut self, agent_ms: u64, now_ms: u64) {
        let lag = difference(now_ms, agent_ms).saturating_sub(self.offset_ms);
        self.offset_ms = self.offset_ms.saturating_add(lag.min(0));
    }

    /// A live message with this time came. Tells by how much the clock was mapped anew.
    pub(crate) fn heard(&mut self, agent_ms: u64, now_ms: u64) -> Option<i64> {
        self.arrived(agent_ms, now_ms);
        let lag = difference(now_ms, agent_ms).saturating_sub(self.offset_ms);
        self.least_lag_ms = self.least_lag_ms.min(lag);
        if now_ms.saturating_sub(self.window_from_ms) < LAG_WINDOW_MS {
            return None;
        }
        let least = std::mem::replace(&mut self.least_lag_ms, i64::MAX);
        self.window_from_ms = now_ms;
        (least > LAG_AT_MOST_MS).then(|| {
            self.offset_ms = self.offset_ms.saturating_add(least);
            least
        })
    }
}

fn difference(a: u64, b: u64) -> i64 {
    i64::try_from(i128::from(a) - i128::from(b)).unwrap_or(if a > b { i64::MAX } else { i64::MIN })
}

/// A backlog may bring so much at once and for long, in units of 8 KiB: 32 MiB, and 8 MiB a second. What is more waits.
pub(crate) const BACKLOG_UNIT: u64 = 8 << 10;
const BACKLOG_AT_ONCE: u64 = 4_096;
const BACKLOG_EVERY_MS: u64 = 1;

/// How often an agent may do something: for long, and at once.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: u64,
    most: u64,
    /// One more is earned so often.
    every_ms: u64,
    last_ms: u64,
}

impl Allowance {
    /// For messages.
    pub(crate) fn of_messages(now_ms: u64) -> Self {
        Self { left: MESSAGES_AT_ONCE, most: MESSAGES_AT_ONCE, every_ms: MESSAGE_EVERY_MS, last_ms: now_ms }
    }

    /// For sets of definitions that no agent had before.
    pub(crate) fn of_new_sets(now_ms: u64) -> Self {
        Self { left: NEW_SETS_AT_ONCE, most: NEW_SETS_AT_ONCE, every_ms: NEW_SET_EVERY_MS, last_ms: now_ms }
    }

    /// For a backlog.
    pub(crate) fn of_backlog(now_ms: u64) -> Self {
        Self { left: BACKLOG_AT_ONCE, most: BACKLOG_AT_ONCE, every_ms: BACKLOG_EVERY_MS, last_ms: now_ms }
    }

    fn earn(&mut self, now_ms: u64) {
        let earned = now_ms.saturating_sub(self.last_ms) / self.every_ms;
        self.left = self.left.saturating_add(earned).min(self.most);
        self.last_ms += earned * self.every_ms;
    }

    /// Takes so many; how long to wait until they are earned.
    pub(crate) fn take_in_advance(&mut self, n: u64, now_ms: u64) -> u64 {
        self.earn(now_ms);
        let missing = n.saturating_sub(self.left);
        self.left -= n - missing;
        self.last_ms = self.last_ms.saturating_add(missing.saturating_mul(self.every_ms));
        self.last_ms.saturating_sub(now_ms)
    }

    /// Takes one; false when it is too much.
    pub(crate) fn take(&mut self, now_ms: u64) -> bool {
        self.earn(now_ms);
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_two_reports_or_sixty_seconds_or_a_wish_are_acknowledged() {
        let mut acks = Acks::new(0, 0);
        assert_eq!(acks.due(31, 10), None);
        assert_eq!(acks.due(32, 10), Some(32));
        assert_eq!(acks.due(33, 60_009), None);
        assert_eq!(acks.due(33, 60_010), Some(33));
        acks.want(40);
        assert_eq!(acks.due(39, 60_020), None);
        assert_eq!(acks.due(40, 60_020), Some(40));
        assert_eq!(acks.due(40, 999_999), None);
    }

    #[test]
    fn a_clock_is_mapped_anew_only_when_every_report_of_a_window_was_late() {
        let mut map = ClockMap::new(1_000, 1_000_000);
        assert_eq!(map.offset_ms, 999_000);
        for t in (0..60_000u64).step_by(10_000) {
            assert_eq!(map.heard(1_000 + t, 1_000_000 + t + 5_000), None);
        }
        assert_eq!(map.heard(61_000, 1_065_000), Some(5_000));
        assert_eq!(map.offset_ms, 1_004_000);
        let mut map = ClockMap::new(0, 0);
        map.heard(0, 3_000);
        map.heard(30_000, 30_100);
        assert_eq!(map.heard(60_000, 70_000), None, "one quick report shows that the clocks agree");
    }

    #[test]
    fn a_hello_that_was_long_on_its_way_is_seen_from_the_first_report_that_was_quicker() {
        let mut map = ClockMap::new(1_000, 6_000);
        assert_eq!(map.offset_ms, 5_000);
        map.arrived(5_900, 6_001);
        assert_eq!(map.offset_ms, 101);
        map.arrived(6_000, 6_500);
        assert_eq!(map.offset_ms, 101, "a slow one tells nothing");
        assert_eq!(map.heard(6_600, 6_650), None);
        assert_eq!(map.offset_ms, 50);
    }

    #[test]
    fn extreme_clocks_do_not_overflow() {
        let mut map = ClockMap::new(0, u64::MAX);
        map.arrived(u64::MAX, 0);
        map.arrived(0, 0);
        let mut map = ClockMap::new(u64::MAX, 0);
        map.heard(0, u64::MAX);
        map.heard(u64::MAX, u64::MAX);
    }

    #[test]
    fn a_backlog_that_brings_too_much_waits_until_it_is_earned() {
        let mut allowance = Allowance::of_backlog(1_000);
        assert_eq!(allowance.take_in_advance(BACKLOG_AT_ONCE, 1_000), 0);
        assert_eq!(allowance.take_in_advance(128, 1_000), 128);
        assert_eq!(allowance.take_in_advance(128, 1_100), 156, "what was taken in advance is owed");
        assert_eq!(allowance.take_in_advance(1, 1_300), 0);
        assert_eq!(allowance.take_in_advance(u64::MAX, 1_300), u64::MAX - 1_300);
    }

    #[test]
    fn an_agent_that_says_too_much_is_told() {
        for (mut allowance, most, every_ms) in [
            (Allowance::of_messages(0), MESSAGES_AT_ONCE, MESSAGE_EVERY_MS),
            (Allowance::of_new_sets(0), NEW_SETS_AT_ONCE, NEW_SET_EVERY_MS),
        ] {
            assert_eq!((0..most + 5).filter(|_| allowance.take(0)).count() as u64, most);
            assert!(!allowance.take(every_ms - 1));
            // What is earned in pieces is not lost.
            assert!(allowance.take(every_ms + 1) && !allowance.take(2 * every_ms - 1));
            assert!(allowance.take(2 * every_ms));
            let again = (0..most + 5).filter(|_| allowance.take(u64::MAX)).count() as u64;
            assert_eq!(again, most, "not more than at once is saved up");
        }
    }
}
