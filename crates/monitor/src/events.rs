//! What happened lately: a ring of the last events under ids that rise, and a bell for those who follow. Keeps no
//! reader's place: a reader that falls out of the ring is told so and starts anew.

use crate::fleet::{Effects, Event};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

/// So many events are kept; older ones are gone.
pub const KEPT: usize = 10_000;
/// So many readers may follow at once.
pub const FOLLOWERS: usize = 256;

/// The last events of this monitor.
#[derive(Debug)]
pub struct Events {
    /// Told apart from other starts of the monitor: numbers begin anew with each.
    epoch: String,
    ring: Mutex<Ring>,
    /// The number of the newest event: followers wait for it to move.
    newest: watch::Sender<u64>,
    /// One for each reader that may follow at once.
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Event>,
    /// The number of the last event in the ring; the first event ever has 1.
    last: u64,
}

impl Ring {
    /// The number before that of the first event kept.
    fn before_first(&self) -> u64 {
        self.last - self.events.len() as u64
    }
}

/// Where a reader goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// After this number; nothing in between is lost.
    After(u64),
    /// The id is not known, or what followed it is gone: look at everything anew.
    Reset,
}

/// An event and its number.
pub type Numbered = (u64, Event);

impl Default for Events {
    fn default() -> Self {
        let epoch = Uuid::new_v4().simple().to_string()[..12].to_owned();
        Self {
            epoch,
            ring: Mutex::default(),
            newest: watch::Sender::new(0),
            places: Arc::new(Semaphore::new(FOLLOWERS)),
        }
    }
}

impl Events {
    /// Adds what came about, in its order. Over the bound the oldest go.
    pub fn push(&self, effects: &Effects) {
        if effects.events.is_empty() {
            return;
        }
        let mut ring = self.ring.lock();
        ring.last += effects.events.len() as u64;
        let skipped = effects.events.len().saturating_sub(KEPT);
        let new = &effects.events[skipped..];
        let room = KEPT - new.len();
        let old = ring.events.len().saturating_sub(room);
        ring.events.drain(..old);
        ring.events.extend(new.iter().cloned());
        self.newest.send_replace(ring.last);
    }

    /// The id of a number.
    #[must_use]
    pub fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.epoch)
    }

    /// Where a reader goes on that saw `id` last.
    #[must_use]
    pub fn resume(&self, id: &str) -> Resume {
        let number = id.strip_prefix(self.epoch.as_str()).and_then(|rest| rest.strip_prefix('-'));
        let Some(number) = number.and_then(|digits| digits.parse().ok()) else { return Resume::Reset };
        let ring = self.ring.lock();
        if (ring.before_first()..=ring.last).contains(&number) {
            Resume::After(number)
        } else {
            Resume::Reset
        }
    }

    /// At most `most` events after a number, oldest first; `None` when some of them are gone.
    #[must_use]
    pub fn after(&self, number: u64, most: usize) -> Option<Vec<Numbered>> {
        let ring = self.ring.lock();
        let skip = usize::try_from(number.checked_sub(ring.before_first())?).ok()?;
        let numbers = number + 1..;
        Some(numbers.zip(ring.events.iter().skip(skip).take(most).cloned()).collect())
    }

    /// All events that are kept, oldest first.
    #[must_use]
    pub fn kept(&self) -> Vec<Numbered> {
        let ring = self.ring.lock();
        (ring.before_first() + 1..).zip(ring.events.iter().cloned()).collect()
    }

    /// The number of the newest event, 0 for none.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.ring.lock().last
    }

    /// The places for those who follow.
    #[must_use]
    pub fn places(&self) -> &Arc<Semaphore> {
        &self.places
    }

    /// Moves with every event.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::EventKind;

    fn effects(times: std::ops::RangeInclusive<i64>) -> Effects {
        let event = |at_ms| Event::new(EventKind::Store, at_ms);
        Effects { events: times.map(event).collect(), ..Effects::default() }
    }

    fn numbers(events: &Events, after: u64, most: usize) -> Option<Vec<(u64, i64)>> {
        Some(events.after(after, most)?.iter().map(|(n, event)| (*n, event.at_ms)).collect())
    }

    #[test]
    fn a_reader_goes_on_after_the_id_it_saw_last() {
        let events = Events::default();
        assert_eq!(events.resume(&events.id(0)), Resume::After(0));
        events.push(&effects(1..=3));
        events.push(&Effects::default());
        assert_eq!(events.resume(&events.id(1)), Resume::After(1));
        assert_eq!(numbers(&events, 1, 10), Some(vec![(2, 2), (3, 3)]));
        assert_eq!(numbers(&events, 1, 1), Some(vec![(2, 2)]));
        assert_eq!(numbers(&events, 3, 10), Some(vec![]));
        assert_eq!(
            events.kept().iter().map(|(n, event)| (*n, event.at_ms)).collect::<Vec<_>>(),
            [(1, 1), (2, 2), (3, 3)]
        );
    }

    #[test]
    fn an_id_of_another_start_of_the_future_or_of_the_past_is_a_reset() {
        let events = Events::default();
        events.push(&effects(1..=5));
        let other = Events::default();
        other.push(&effects(1..=5));
        for id in
            [other.id(2).as_str(), &events.id(6), "", "x-1", &events.epoch, &format!("{}-", events.epoch)]
        {
            assert_eq!(events.resume(id), Resume::Reset, "{id}");
        }
        events.push(&effects(6..=KEPT as i64 + 5));
        assert_eq!(events.resume(&events.id(4)), Resume::Reset);
        assert_eq!(events.resume(&events.id(5)), Resume::After(5));
        assert_eq!(numbers(&events, 4, 1), None);
    }

    #[test]
    fn the_ring_is_bounded_even_by_one_push_that_is_larger_than_it() {
        let events = Events::default();
        let many = KEPT as i64 + 700;
        events.push(&effects(1..=many));
        assert_eq!(events.newest(), many.unsigned_abs());
        assert_eq!(events.ring.lock().events.len(), KEPT);
        assert_eq!(numbers(&events, 700, 1), Some(vec![(701, 701)]));
        assert_eq!(numbers(&events, 699, 1), None);
        events.push(&effects(many + 1..=many + 1));
        assert_eq!(events.ring.lock().events.len(), KEPT);
        assert_eq!(numbers(&events, many.unsigned_abs(), 9), Some(vec![(many.unsigned_abs() + 1, many + 1)]));
    }

    #[test]
    fn followers_are_woken() {
        let events = Events::default();
        let mut follower = events.follow();
        assert!(!follower.has_changed().unwrap());
        events.push(&effects(1..=1));
        assert_eq!(*follower.borrow_and_update(), 1);
    }
}
