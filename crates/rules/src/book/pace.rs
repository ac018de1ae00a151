//! How soon a conversation is looked at for what just changed, so that a crowd of news becomes a few notices.

use super::LOOK_AGAIN_MS;

/// A crowd that does not end is told so often.
const LONGEST_MS: u64 = 30_000;

/// When a conversation was looked at, and how far its notices are apart: nothing before the first and the second one, then
/// two seconds, and twice as long after each that comes soon after the one before.
#[derive(Default)]
pub(super) struct Pace {
    /// When it was last looked at, on the running clock.
    looked_ms: Option<u64>,
    /// When its last notice was told.
    told_ms: Option<u64>,
    /// The next urgent news waits so long from then on.
    wait_ms: u64,
}

impl Pace {
    /// When to look for what changes now: at once, unless that was just done. What is urgent waits only for the others of
    /// a crowd.
    pub(super) fn look_ms(&self, urgent: bool, now_ms: u64) -> u64 {
        let again_ms = self.looked_ms.filter(|_| !urgent).map_or(0, |looked_ms| looked_ms + LOOK_AGAIN_MS);
        let told_ms = self.told_ms.map_or(0, |told_ms| told_ms + self.wait_ms);
        now_ms.max(again_ms).max(told_ms)
    }

    /// As if it was not looked at just now.
    pub(super) fn listen(&mut self) {
        self.looked_ms = None;
    }

    /// It is looked at.
    pub(super) fn looked(&mut self, now_ms: u64) {
        self.looked_ms = Some(now_ms);
    }

    /// A notice is told. None waits longer than ordinary news does, this long.
    pub(super) fn told(&mut self, now_ms: u64, ordinary_ms: u64) {
        let since_ms = self.told_ms.map(|told_ms| now_ms.saturating_sub(told_ms));
        let is_crowd = since_ms.is_some_and(|since_ms| since_ms < 2 * self.wait_ms.max(LOOK_AGAIN_MS));
        let longest_ms = LONGEST_MS.min(ordinary_ms);
        self.wait_ms = if is_crowd { (2 * self.wait_ms.max(LOOK_AGAIN_MS)).min(longest_ms) } else { 0 };
        self.told_ms = Some(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When notices are told while urgent news comes every so many ms.
    fn told(every_ms: u64, until_ms: u64, ordinary_ms: u64) -> Vec<u64> {
        let (mut pace, mut told, mut due) = (Pace::default(), Vec::new(), None);
        for now_ms in 0..until_ms {
            if now_ms % every_ms == 0 {
                due = due.or(Some(pace.look_ms(true, now_ms)));
            }
            if due.is_some_and(|due_ms| due_ms <= now_ms) {
                pace.looked(now_ms);
                pace.told(now_ms, ordinary_ms);
                told.push(now_ms);
                due = None;
            }
        }
        told
    }

    #[test]
    fn the_first_two_are_told_at_once_and_a_crowd_ever_more_rarely() {
        assert_eq!(
            told(10, 130_000, 300_000),
            [0, 10, 2_010, 6_010, 14_010, 30_010, 60_010, 90_010, 120_010]
        );
        assert_eq!(
            told(10, 10_000, 1_000),
            [0, 10, 1_010, 2_010, 3_010, 4_010, 5_010, 6_010, 7_010, 8_010, 9_010]
        );
    }

    #[test]
    fn what_comes_now_and_then_is_told_at_once() {
        assert_eq!(told(3_000, 9_001, 300_000), [0, 3_000, 6_000, 9_000]);
    }

    #[test]
    fn after_a_crowd_is_over_news_is_told_at_once_again() {
        let mut pace = Pace::default();
        for now_ms in [0, 10, 2_010, 6_010] {
            pace.told(now_ms, 300_000);
        }
        assert_eq!(pace.look_ms(true, 7_000), 14_010);
        pace.told(30_000, 300_000);
        assert_eq!(pace.look_ms(true, 30_001), 30_001);
    }

    #[test]
    fn what_is_not_urgent_waits_a_second_from_the_last_look() {
        let mut pace = Pace::default();
        assert_eq!(pace.look_ms(false, 5), 5);
        pace.looked(5);
        assert_eq!((pace.look_ms(false, 6), pace.look_ms(true, 6)), (1_005, 6));
    }
}
