//! What failures mean for the next try: how long a conversation waits, whether others may go on meanwhile, when a receiver
//! counts as failing. Decides nothing about which notice goes.

use std::sync::Arc;
use std::time::Duration;

/// The longest wait before the second try; it doubles with each failure.
const FIRST_MS: u64 = 1_000;
/// And no further than this.
const AT_MOST_MS: u64 = 300_000;
/// Who was tried in vain for so long is not tried again.
pub(super) const GIVE_UP_MS: u64 = 24 * 3_600_000;
/// Nor who answered for so long what may never change.
pub(super) const UNSURE_MS: u64 = 600_000;
/// A receiver that failed for so long is told of: a hiccup or its restart is no reason to wake anybody.
const FAILING_MS: u64 = 60_000;
/// Conversations that are spoken at once with one receiver.
pub(super) const AT_ONCE: usize = 4;

/// How long to wait after so many failures: anything up to a bound that doubles, so that those that failed together do not
/// come back together. `draw` is any number.
pub(super) fn wait_ms(failures: u32, draw: u64) -> u64 {
    let doubled = FIRST_MS.saturating_mul(1 << failures.saturating_sub(1).min(20));
    1 + draw % doubled.min(AT_MOST_MS)
}

/// How a receiver does since it last took something.
#[derive(Debug, Default)]
pub(super) struct Strain {
    /// Tries in a row that failed, those included that will not get better.
    failed: u32,
    /// When the first of them failed.
    since_ms: u64,
    /// The first conversation of them that is to be tried again: until a second one fails too, it may be to blame alone.
    first: Option<Arc<str>>,
    /// Tries that failed since a second conversation did: by then it is the receiver.
    general: u32,
    /// Not before this, because more than one conversation fails.
    probe_ms: u64,
    /// Not before this, because it asked for a pause. Outlasts success.
    pause_ms: u64,
    /// It will never take a notice that it was given: that one is lost, and waiting would not bring it back.
    died: bool,
    /// Since when it answers what may never change, and took nothing.
    unsure_ms: Option<u64>,
    /// What the last failure said.
    why: String,
    /// Somebody was told that it fails.
    told: bool,
}

impl Strain {
    /// So many may be on their way: one at a time tries whether it takes again.
    pub(super) fn at_once(&self) -> usize {
        if self.is_strained() { 1 } else { AT_ONCE }
    }

    /// What the last try's failure said; nothing once it took something.
    pub(super) fn why(&self) -> Option<&str> {
        (self.failed > 0).then_some(&*self.why)
    }

    /// It failed, and was not seen to take anything since.
    pub(super) fn is_strained(&self) -> bool {
        self.first.is_some()
    }

    /// Nothing goes before this.
    pub(super) fn opens_ms(&self) -> u64 {
        self.pause_ms.max(self.probe_ms)
    }

    /// It took something.
    pub(super) fn took(&mut self) {
        *self = Self { pause_ms: self.pause_ms, told: self.told, ..Self::default() };
    }

    /// It failed, and the conversation will be tried again.
    pub(super) fn failed(
        &mut self,
        conversation: &Arc<str>,
        pause: Option<Duration>,
        why: &str,
        now_ms: u64,
        draw: u64,
    ) {
        self.count(why, now_ms);
        let first = self.first.get_or_insert_with(|| Arc::clone(conversation));
        if self.general > 0 || first != conversation {
            self.general += 1;
            self.probe_ms = now_ms + wait_ms(self.general, draw);
        }
        self.pause(pause, now_ms);
    }

    /// It asked to be left alone for so long.
    pub(super) fn pause(&mut self, pause: Option<Duration>, now_ms: u64) {
        if let Some(pause) = pause {
            let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            self.pause_ms = self.pause_ms.max(now_ms.saturating_add(pause_ms));
        }
    }

    /// It answered that it will never take a notice.
    pub(super) fn refused(&mut self, why: &str, now_ms: u64) {
        self.count(why, now_ms);
        self.died = true;
    }

    /// It answered what may never change, or may soon: since when it answers so.
    pub(super) fn unsure(&mut self, now_ms: u64) -> u64 {
        *self.unsure_ms.get_or_insert(now_ms)
    }

    /// It failed in a way that has nothing to do with what it answers.
    pub(super) fn sure(&mut self) {
        self.unsure_ms = None;
    }

    fn count(&mut self, why: &str, now_ms: u64) {
        if self.failed == 0 {
            self.since_ms = now_ms;
        }
        self.failed = self.failed.saturating_add(1);
        why.clone_into(&mut self.why);
    }

    /// It was set up anew: what was learnt of it may hold no more, but for the pause that it asked for.
    pub(super) fn hurry(&mut self) {
        self.general = 0;
        self.probe_ms = 0;
        self.unsure_ms = None;
    }

    /// When somebody is to be told that it fails, though nothing else happens.
    pub(super) fn tells_ms(&self) -> Option<u64> {
        let wait_ms = if self.died { 0 } else { FAILING_MS };
        (self.failed > 0 && !self.told).then(|| self.since_ms + wait_ms)
    }

    /// What is to be told now: why it fails, or that it does no more.
    pub(super) fn tells(&mut self, now_ms: u64) -> Option<Option<String>> {
        let fails = self.tells_ms().is_some_and(|tells_ms| tells_ms <= now_ms);
        match (self.told, self.failed == 0) {
            (false, false) if fails => {
                self.told = true;
                Some(Some(self.why.clone()))
            }
            (true, true) => {
                self.told = false;
                Some(None)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_up_to_a_bound_that_doubles_to_five_minutes() {
        for (failures, bound) in
            [(0, 1_000), (1, 1_000), (2, 2_000), (3, 4_000), (9, 256_000), (10, 300_000), (u32::MAX, 300_000)]
        {
            assert_eq!(wait_ms(failures, bound - 1), bound, "{failures}");
            assert_eq!(wait_ms(failures, 0), 1);
            assert_eq!(wait_ms(failures, bound), 1, "nothing is longer");
        }
    }

    #[test]
    fn one_conversation_that_fails_holds_no_other_up_and_two_do() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut strain = Strain::default();
        assert_eq!(strain.at_once(), AT_ONCE);
        strain.failed(&a, None, "500", 10, 999);
        strain.failed(&a, None, "500", 20, 999);
        assert_eq!((strain.at_once(), strain.opens_ms()), (1, 0));
        strain.failed(&b, None, "500", 30, 999);
        assert_eq!((strain.at_once(), strain.opens_ms()), (1, 1_030));
        strain.failed(&b, None, "500", 1_030, 1_999);
        assert_eq!(strain.opens_ms(), 3_030);
        strain.hurry();
        assert_eq!((strain.at_once(), strain.opens_ms()), (1, 0));
        strain.took();
        assert_eq!((strain.at_once(), strain.opens_ms()), (AT_ONCE, 0));
    }

    #[test]
    fn a_pause_that_was_asked_for_is_kept_whatever_succeeds() {
        let mut strain = Strain::default();
        strain.failed(&"a".into(), Some(Duration::from_secs(120)), "429", 5, 0);
        strain.failed(&"b".into(), Some(Duration::from_secs(60)), "429", 6, 0);
        strain.took();
        strain.hurry();
        assert_eq!(strain.opens_ms(), 120_005);
        strain.failed(&"a".into(), Some(Duration::MAX), "429", 5, 0);
        assert_eq!(strain.opens_ms(), u64::MAX);
    }

    #[test]
    fn a_failing_receiver_is_told_once_and_so_is_its_end() {
        let mut strain = Strain::default();
        let a: Arc<str> = "a".into();
        assert_eq!((strain.tells(0), strain.tells_ms()), (None, None));
        (0..9).for_each(|_| strain.failed(&a, None, "first", 100, 0));
        assert_eq!((strain.tells(60_099), strain.tells_ms()), (None, Some(60_100)));
        assert_eq!(strain.tells(60_100), Some(Some("first".into())), "for a minute");
        assert_eq!((strain.tells(70_000), strain.tells_ms()), (None, None));
        strain.took();
        assert_eq!((strain.tells(70_001), strain.tells(70_002)), (Some(None), None));
        strain.failed(&a, None, "500", 80_000, 0);
        assert_eq!(strain.tells(80_001), None);
        strain.refused("no such hook", 80_002);
        assert_eq!(strain.tells(80_002), Some(Some("no such hook".into())), "a notice is lost");
    }
}
