//! When to look at which agent again, so that a tick touches those of which time changes something and no other.
//! Decides nothing about them: each says itself when it is due.

use super::agent::{Agent, Live};
use crate::clock::Moment;
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};

/// The looks to come, soonest first. One that was overtaken by a sooner look at the same agent is left in and means
/// nothing when its time comes: that one has planned the next.
#[derive(Debug, Default)]
pub(super) struct Agenda(Mutex<BinaryHeap<Reverse<Look>>>);

#[derive(Debug)]
struct Look {
    /// On the running clock.
    at_ms: u64,
    agent: Weak<Agent>,
}

impl PartialEq for Look {
    fn eq(&self, other: &Self) -> bool {
        self.at_ms == other.at_ms
    }
}

impl Eq for Look {}

impl PartialOrd for Look {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Look {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at_ms.cmp(&other.at_ms)
    }
}

impl Agenda {
    /// Sees to it that the agent is looked at when it is due. What only puts that off needs no word: the look then
    /// finds it.
    pub(super) fn plan(&self, agent: &Arc<Agent>, live: &mut Live, now: Moment) {
        let due_ms = live.due_ms(now.run_ms);
        if due_ms < live.look_ms {
            live.look_ms = due_ms;
            self.0.lock().push(Reverse(Look { at_ms: due_ms, agent: Arc::downgrade(agent) }));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Takes out the looks whose time has come: which time that was, and at whom, in the order of their ids.
    pub(super) fn take_due(&self, run_ms: u64) -> Vec<(u64, Arc<Agent>)> {
        let mut due = Vec::new();
        let mut looks = self.0.lock();
        while looks.peek().is_some_and(|Reverse(look)| look.at_ms <= run_ms) {
            due.extend(looks.pop().and_then(|Reverse(look)| Some((look.at_ms, look.agent.upgrade()?))));
        }
        drop(looks);
        due.sort_unstable_by(|(_, a), (_, b)| a.id.cmp(&b.id));
        due
    }
}
