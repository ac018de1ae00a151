//! Whatever is pushed and however tries end: nothing is lost, doubled or overtaken, and the queue never falls asleep.

use super::*;
use crate::notify::backoff::AT_ONCE;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashSet};

#[derive(Clone, Debug)]
enum Act {
    Push {
        conversation: u8,
        repeat: bool,
        weight: usize,
    },
    /// Time passes, and all goes that may.
    Pass(u64),
    /// One of those on their way ends so.
    Land {
        which: usize,
        how: u8,
        draw: u64,
    },
    Hurry,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..9_u8, any::<bool>(), prop_oneof![Just(100), Just(BYTES_AT_MOST / 5)])
            .prop_map(|(conversation, repeat, weight)| Act::Push { conversation, repeat, weight }),
        3 => (0..400_000_u64).prop_map(Act::Pass),
        4 => (any::<usize>(), 0..6_u8, any::<u64>()).prop_map(|(which, how, draw)| Act::Land { which, how, draw }),
        1 => Just(Act::Hurry),
    ]
}

/// Follows a queue from outside.
#[derive(Default)]
struct Course {
    queue: Queue<u64>,
    now_ms: u64,
    order: u64,
    /// On their way.
    air: Vec<Entry<u64>>,
    /// Neither taken nor gone.
    open: BTreeSet<u64>,
    /// The last one over of each conversation.
    last: HashMap<Arc<str>, u64>,
    pause_ms: u64,
}

impl Course {
    fn step(&mut self, act: Act) {
        match act {
            Act::Push { conversation, repeat, weight } => {
                self.order += 1;
                self.open.insert(self.order);
                let conversation = conversation.to_string().into();
                let since_ms = self.now_ms as i64;
                let entry =
                    Entry { order: self.order, conversation, repeat, weight, since_ms, load: self.order };
                for gone in self.queue.push(entry) {
                    assert!(self.open.remove(&gone.order), "{} went twice", gone.order);
                    assert!(self.air.iter().all(|entry| entry.order != gone.order));
                }
                let (notices, bytes, _) = self.queue.load();
                assert!(notices <= NOTICES_AT_MOST && bytes <= BYTES_AT_MOST);
            }
            Act::Pass(ms) => self.pass(ms),
            Act::Land { which, how, draw } if !self.air.is_empty() => {
                let entry = self.air.swap_remove(which % self.air.len());
                self.land(entry, how, draw);
            }
            Act::Land { .. } => {}
            Act::Hurry => self.queue.hurry(),
        }
        assert_eq!(self.queue.load().2, self.air.len());
        assert_eq!(self.queue.load().0, self.open.len());
    }

    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        while let Some(entry) = self.queue.next(self.now_ms) {
            assert!(self.now_ms >= self.pause_ms, "nothing goes in a pause");
            assert!(self.open.contains(&entry.order), "{} is over", entry.order);
            let last = self.last.get(&entry.conversation).copied().unwrap_or(0);
            assert!(entry.order > last, "{} was overtaken by {last}", entry.order);
            self.air.push(entry);
            let conversations: HashSet<_> = self.air.iter().map(|entry| &entry.conversation).collect();
            assert!(conversations.len() == self.air.len() && self.air.len() <= AT_ONCE);
        }
        let _told = self.queue.strain.tells(self.now_ms);
        let wakes_ms = self.queue.wakes_ms();
        assert!(wakes_ms.is_none_or(|at_ms| at_ms > self.now_ms), "it would spin");
        let waits = self.open.len() > self.air.len();
        assert!(!waits || !self.air.is_empty() || wakes_ms.is_some(), "it would sleep for ever");
    }

    fn land(&mut self, entry: Entry<u64>, how: u8, draw: u64) {
        let why = || "why".to_owned();
        let landing = match how {
            0 | 1 => Landing::Taken,
            2 => Landing::Refused { why: why() },
            3 => {
                self.pause_ms = self.pause_ms.max(self.now_ms + 100_000);
                Landing::Failed { why: why(), pause: Some(Duration::from_secs(100)) }
            }
            _ => Landing::Failed { why: why(), pause: None },
        };
        match self.queue.land(&entry.conversation, &landing, self.now_ms, draw) {
            Some(Landed::Over(over) | Landed::GivenUp(over)) => {
                assert_eq!(over.order, entry.order);
                assert!(self.open.remove(&over.order));
                self.last.insert(entry.conversation, over.order);
            }
            Some(Landed::Again(at_ms)) => assert!(at_ms > self.now_ms),
            None => panic!("it was on its way"),
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_doubled_or_overtaken(acts in prop::collection::vec(act(), 1..300)) {
        let mut course = Course::default();
        for act in acts {
            course.step(act);
        }
        // Whatever happened, once all is taken nothing is left within the longest pause and the longest waits.
        for _ in 0..600 {
            if course.open.is_empty() {
                break;
            }
            course.pass(400_000);
            for entry in std::mem::take(&mut course.air) {
                course.land(entry, 0, 0);
            }
        }
        prop_assert!(course.open.is_empty(), "left: {:?}", course.open);
        prop_assert_eq!(course.queue.load(), (0, 0, 0));
        // That a receiver fails is told a while after it began to.
        course.pass(400_000);
        prop_assert!(course.queue.wakes_ms().is_none());
    }
}
