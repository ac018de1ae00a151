//! When what is due: at most one timer of a kind for each component, so it cannot grow. Pure.

use std::collections::{BTreeSet, HashMap};
use tokio::time::Instant;

/// What happens when the timer is due. Of several at one moment the first here comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The run in flight has had its time.
    Deadline,
    /// The start grace ends.
    Grace,
    /// The last result becomes stale.
    Stale,
    /// The next run.
    Run,
}

/// The timers in the order of their times.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// Sorted by time.
    order: BTreeSet<(Instant, u64, Timer)>,
    /// Where each timer stands in `order`, to move it.
    times: HashMap<(u64, Timer), Instant>,
}

impl Agenda {
    /// Sets or moves a timer.
    pub(super) fn set(&mut self, id: u64, timer: Timer, at: Instant) {
        if let Some(before) = self.times.insert((id, timer), at) {
            self.order.remove(&(before, id, timer));
        }
        self.order.insert((at, id, timer));
    }

    /// Takes a timer away, if it is set.
    pub(super) fn clear(&mut self, id: u64, timer: Timer) {
        if let Some(at) = self.times.remove(&(id, timer)) {
            self.order.remove(&(at, id, timer));
        }
    }

    /// Takes all timers of one component away.
    pub(super) fn forget(&mut self, id: u64) {
        for timer in [Timer::Deadline, Timer::Grace, Timer::Stale, Timer::Run] {
            self.clear(id, timer);
        }
    }

    /// How many timers are set.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// When the first timer is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, ..)| *at)
    }

    /// Takes the first timer that is due, with the time at which it was.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, u64, Timer)> {
        let first = *self.order.first().filter(|(at, ..)| *at <= now)?;
        let (_, id, timer) = first;
        self.clear(id, timer);
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timers_come_in_the_order_of_their_times_and_each_only_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut agenda = Agenda::default();
        agenda.set(1, Timer::Run, at(30));
        agenda.set(2, Timer::Run, at(10));
        agenda.set(1, Timer::Deadline, at(10));
        agenda.set(1, Timer::Run, at(20));
        agenda.set(3, Timer::Run, at(5));
        agenda.forget(3);
        assert_eq!(agenda.next(), Some(at(10)));
        assert_eq!(agenda.pop_due(at(9)), None);
        assert_eq!(agenda.pop_due(at(50)), Some((at(10), 1, Timer::Deadline)));
        assert_eq!(agenda.pop_due(at(50)), Some((at(10), 2, Timer::Run)));
        assert_eq!(agenda.pop_due(at(50)), Some((at(20), 1, Timer::Run)), "moved, not doubled");
        assert_eq!(agenda.pop_due(at(50)), None);
        assert_eq!(agenda.next(), None);
        assert!(agenda.times.is_empty() && agenda.order.is_empty());
    }
}
