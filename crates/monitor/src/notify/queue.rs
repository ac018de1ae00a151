//! What waits for one receiver. Decides which notice goes next, and which goes without being sent when there is no room:
//! the notices of a conversation go in order, one at a time, and only their own conversation waits for them. Pure: sends
//! nothing and reads no clock.

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use super::backoff::{GIVE_UP_MS, Strain, UNSURE_MS, wait_ms};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Notices that may wait for one receiver.
pub(super) const NOTICES_AT_MOST: usize = 10_000;
/// Their bytes.
pub(super) const BYTES_AT_MOST: usize = 64 << 20;

/// A notice that waits.
#[derive(Clone, Debug)]
pub(super) struct Entry<T> {
    /// Its place in the order of all.
    pub(super) order: u64,
    pub(super) conversation: Arc<str>,
    /// It tells nothing new.
    pub(super) repeat: bool,
    /// Bytes.
    pub(super) weight: usize,
    /// Since when it waits: before 0 for what waited before the process began.
    pub(super) since_ms: i64,
    pub(super) load: T,
}

/// How a try ended.
#[derive(Clone, Debug)]
pub(super) enum Landing {
    /// It was taken.
    Taken,
    /// It may be taken later; not before the pause, if one was asked for.
    Failed { why: String, pause: Option<Duration> },
    /// Some of it was answered for good, and perhaps taken; it is tried again at once, but not before the pause, if one
    /// was asked for.
    Partly { taken: bool, why: String, pause: Option<Duration> },
    /// The same, but not for long.
    Unsure { why: String },
    /// It will never be taken.
    Refused { why: String },
}

/// When a notice that waits is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is on its way.
    Now,
    /// Then, at the earliest.
    At(u64),
    /// After those before it in its conversation.
    Behind,
}

/// What became of a notice.
#[derive(Debug)]
pub(super) enum Landed<T> {
    /// It is not in the queue any more.
    Over(Entry<T>),
    /// It was tried for too long, and is not in the queue any more.
    GivenUp(Entry<T>),
    /// It is tried again, then.
    Again(u64),
}

/// One conversation: never without notices.
#[derive(Debug)]
struct Line<T> {
    waiting: BTreeMap<u64, Entry<T>>,
    /// This one is on its way.
    flying: Option<u64>,
    /// Tries of the first one that failed in a row.
    failures: u32,
    /// Since when each try of its notices left unsure whether more are of any use.
    unsure_ms: Option<u64>,
    /// Not before this.
    at_ms: u64,
}

impl<T> Line<T> {
    /// Where it stands among those that wait for their turn, unless it is on its way.
    fn place(&self) -> Option<(u64, u64)> {
        if self.flying.is_some() {
            return None;
        }
        self.waiting.keys().next().map(|order| (self.at_ms, *order))
    }

    /// The first notice that is not on its way.
    fn first_still(&self) -> Option<u64> {
        self.waiting.keys().copied().find(|order| Some(*order) != self.flying)
    }
}

#[derive(Debug)]
pub(super) struct Queue<T> {
    lines: HashMap<Arc<str>, Line<T>>,
    /// Conversations that may go, by their first notice's order.
    ready: BTreeMap<u64, Arc<str>>,
    /// Those that may later: by when, and by order.
    later: BTreeMap<(u64, u64), Arc<str>>,
    /// Notices that tell nothing new and are not on their way: the first to go when there is no room.
    repeats: BTreeMap<u64, Arc<str>>,
    /// How the receiver does.
    pub(super) strain: Strain,
    notices: usize,
    bytes: usize,
    flying: usize,
    /// Something went for want of room, and there is not much more of it yet.
    full: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            ready: BTreeMap::new(),
            later: BTreeMap::new(),
            repeats: BTreeMap::new(),
            strain: Strain::default(),
            notices: 0,
            bytes: 0,
            flying: 0,
            full: false,
        }
    }
}

impl<T: Clone> Queue<T> {
    /// Adds a notice; gives those that went for want of room, itself perhaps.
    pub(super) fn push(&mut self, entry: Entry<T>) -> Vec<Entry<T>> {
        let conversation = Arc::clone(&entry.conversation);
        self.step_out(&conversation);
        if entry.repeat {
            self.repeats.insert(entry.order, Arc::clone(&conversation));
        }
        self.notices += 1;
        self.bytes += entry.weight;
        let fresh =
            || Line { waiting: BTreeMap::new(), flying: None, failures: 0, unsure_ms: None, at_ms: 0 };
        let line = self.lines.entry(Arc::clone(&conversation)).or_insert_with(fresh);
        line.waiting.insert(entry.order, entry);
        self.step_in(&conversation);
        let mut gone = Vec::new();
        while self.notices > NOTICES_AT_MOST || self.bytes > BYTES_AT_MOST {
            let Some(entry) = self.let_go_of_one() else { break };
            gone.push(entry);
        }
        self.full |= !gone.is_empty();
        gone
    }

    /// All that wait, those on their way among them.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Entry<T>> {
        self.lines.values().flat_map(|line| line.waiting.values())
    }

    /// All that wait, each with when its turn comes.
    pub(super) fn turns(&self) -> impl Iterator<Item = (&Entry<T>, Turn)> {
        let opens_ms = self.strain.opens_ms();
        self.lines.values().flat_map(move |line| {
            let first = line.waiting.keys().next();
            line.waiting.iter().map(move |(order, entry)| match line.flying {
                Some(flying) if flying == *order => (entry, Turn::Now),
                None if first == Some(order) => (entry, Turn::At(line.at_ms.max(opens_ms))),
                _ => (entry, Turn::Behind),
            })
        })
    }

    /// The notice that goes now, if one may: it is on its way until [`Self::land`].
    pub(super) fn next(&mut self, now_ms: u64) -> Option<Entry<T>> {
        if self.flying >= self.strain.at_once() || now_ms < self.strain.opens_ms() {
            return None;
        }
        while let Some(((at_ms, order), conversation)) = self.later.pop_first() {
            if at_ms > now_ms {
                self.later.insert((at_ms, order), conversation);
                break;
            }
            self.ready.insert(order, conversation);
        }
        let order = self.pick()?;
        let conversation = self.ready.remove(&order)?;
        let line = self.lines.get_mut(&conversation)?;
        line.flying = Some(order);
        self.flying += 1;
        self.repeats.remove(&order);
        line.waiting.get(&order).cloned()
    }

    /// The oldest; of a receiver that fails, the oldest that was tried least: what fails may be that conversation's alone.
    fn pick(&self) -> Option<u64> {
        if !self.strain.is_strained() {
            return self.ready.keys().next().copied();
        }
        let failures = |conversation: &Arc<str>| self.lines.get(conversation).map_or(0, |line| line.failures);
        let fresh = self.ready.iter().find(|(_, conversation)| failures(conversation) == 0);
        let least = || self.ready.iter().min_by_key(|(order, c)| (failures(c), **order));
        fresh.or_else(least).map(|(order, _)| *order)
    }

    /// When [`Self::next`] may give something, or somebody is to be told, though nothing else happens.
    pub(super) fn wakes_ms(&self) -> Option<u64> {
        self.next_ms().into_iter().chain(self.strain.tells_ms()).min()
    }

    /// When [`Self::next`] may give something, though nothing else happens.
    pub(super) fn next_ms(&self) -> Option<u64> {
        let next = if self.flying >= self.strain.at_once() {
            None
        } else if self.ready.is_empty() {
            self.later.keys().next().map(|(at_ms, _)| *at_ms)
        } else {
            Some(0)
        };
        next.map(|at_ms| at_ms.max(self.strain.opens_ms()))
    }

    /// What a conversation's first notice carries: the one that is on its way, if one is.
    pub(super) fn first_mut(&mut self, conversation: &str) -> Option<&mut T> {
        let line = self.lines.get_mut(conversation)?;
        let order = line.flying.or_else(|| line.waiting.keys().next().copied())?;
        line.waiting.get_mut(&order).map(|entry| &mut entry.load)
    }

    /// A try of this conversation's notice ended. `draw` is any number. Nothing if none was on its way.
    pub(super) fn land(
        &mut self,
        conversation: &str,
        landing: &Landing,
        now_ms: u64,
        draw: u64,
    ) -> Option<Landed<T>> {
        let (name, line) = self.lines.get_key_value(conversation)?;
        let (name, order) = (Arc::clone(name), line.flying?);
        let waited_ms =
            i64::try_from(now_ms).unwrap_or(i64::MAX).saturating_sub(line.waiting.get(&order)?.since_ms);
        let unsure = matches!(landing, Landing::Unsure { .. });
        // One conversation alone may be unsure for long, while others are taken.
        let unsure_ms = unsure.then(|| self.strain.unsure(now_ms).min(line.unsure_ms.unwrap_or(now_ms)));
        let in_vain =
            unsure_ms.is_some_and(|since_ms| now_ms - since_ms >= UNSURE_MS) && waited_ms >= UNSURE_MS as i64;
        match landing {
            Landing::Taken => self.strain.took(),
            Landing::Partly { taken, pause, .. } => {
                if *taken {
                    self.strain.took();
                }
                self.strain.pause(*pause, now_ms);
            }
            Landing::Refused { why } => self.strain.refused(why, now_ms),
            Landing::Failed { why, pause } => {
                self.strain.sure();
                self.strain.failed(&name, *pause, why, now_ms, draw);
            }
            // No other conversation waits because of one that is not tried again.
            Landing::Unsure { why } if in_vain => self.strain.refused(why, now_ms),
            Landing::Unsure { why } => self.strain.failed(&name, None, why, now_ms, draw),
        }
        let line = self.lines.get_mut(&name)?;
        line.flying = None;
        self.flying -= 1;
        match landing {
            Landing::Taken | Landing::Refused { .. } => {
                (line.failures, line.at_ms, line.unsure_ms) = (0, 0, None);
                return self.remove(&name, order).map(Landed::Over);
            }
            Landing::Partly { .. } => (line.failures, line.at_ms) = (0, now_ms),
            Landing::Failed { .. } | Landing::Unsure { .. } => {
                line.failures = line.failures.saturating_add(1);
                // Another draw than the receiver's.
                line.at_ms = now_ms + wait_ms(line.failures, draw.rotate_left(32));
            }
        }
        let entry = line.waiting.get(&order)?;
        line.unsure_ms = unsure.then(|| line.unsure_ms.unwrap_or(now_ms));
        if in_vain || waited_ms >= GIVE_UP_MS as i64 {
            return self.remove(&name, order).map(Landed::GivenUp);
        }
        let (repeat, again_ms) = (entry.repeat, line.at_ms.max(self.strain.opens_ms()));
        if repeat {
            self.repeats.insert(order, Arc::clone(&name));
        }
        self.step_in(&name);
        Some(Landed::Again(again_ms))
    }

    /// The receiver was set up anew: all may be tried at once, one first.
    pub(super) fn hurry(&mut self) {
        self.strain.hurry();
        for ((_, order), conversation) in std::mem::take(&mut self.later) {
            if let Some(line) = self.lines.get_mut(&conversation) {
                line.at_ms = 0;
                self.later.insert((0, order), conversation);
            }
        }
    }

    /// Takes all that is not on its way, in order.
    pub(super) fn take_still(&mut self) -> Vec<Entry<T>> {
        let mut still: Vec<(u64, Arc<str>)> = Vec::new();
        for (conversation, line) in &self.lines {
            let orders = line.waiting.keys().filter(|order| Some(**order) != line.flying);
            still.extend(orders.map(|order| (*order, Arc::clone(conversation))));
        }
        still.sort_unstable();
        still.into_iter().filter_map(|(order, conversation)| self.remove(&conversation, order)).collect()
    }

    /// Whether it is full from now on, if that changed. It is until a tenth is free.
    pub(super) fn tells_full(&mut self, told: bool) -> Option<bool> {
        if self.notices <= NOTICES_AT_MOST / 10 * 9 && self.bytes <= BYTES_AT_MOST / 10 * 9 {
            self.full = false;
        }
        (self.full != told).then_some(self.full)
    }

    /// What goes when there is no room: the oldest that tells nothing new, else the oldest of the longest conversation.
    fn let_go_of_one(&mut self) -> Option<Entry<T>> {
        let repeat = self.repeats.first_key_value().map(|(order, c)| (*order, Arc::clone(c)));
        let (order, conversation) = repeat.or_else(|| {
            let still = self.lines.iter().filter_map(|(c, line)| Some((c, line, line.first_still()?)));
            let longest = still.max_by_key(|(_, line, order)| (line.waiting.len(), Reverse(*order)));
            longest.map(|(c, _, order)| (order, Arc::clone(c)))
        })?;
        self.remove(&conversation, order)
    }

    fn remove(&mut self, conversation: &Arc<str>, order: u64) -> Option<Entry<T>> {
        self.step_out(conversation);
        let line = self.lines.get_mut(conversation)?;
        let entry = line.waiting.remove(&order);
        if line.waiting.is_empty() {
            self.lines.remove(conversation);
        }
        self.step_in(conversation);
        let entry = entry?;
        self.repeats.remove(&order);
        self.notices -= 1;
        self.bytes -= entry.weight;
        Some(entry)
    }

    /// Takes a conversation out of those that wait for their turn, before its first notice or its time changes.
    fn step_out(&mut self, conversation: &str) {
        if let Some((at_ms, order)) = self.lines.get(conversation).and_then(Line::place) {
            self.ready.remove(&order);
            self.later.remove(&(at_ms, order));
        }
    }

    /// Puts it back.
    fn step_in(&mut self, conversation: &Arc<str>) {
        if let Some(place) = self.lines.get(conversation).and_then(Line::place) {
            self.later.insert(place, Arc::clone(conversation));
        }
    }
}

impl<T> Queue<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.notices == 0
    }

    /// Notices, those on their way included; their bytes; those on their way.
    pub(super) fn load(&self) -> (usize, usize, usize) {
        (self.notices, self.bytes, self.flying)
    }

    /// Since when the oldest waits.
    pub(super) fn oldest_since_ms(&self) -> Option<i64> {
        self.lines.values().flat_map(|line| line.waiting.values().next()).map(|entry| entry.since_ms).min()
    }
}
