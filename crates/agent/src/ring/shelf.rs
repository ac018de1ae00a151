//! Which reports are on disk alone: those of earlier boots, and those of this one that memory let go. Decides which of
//! them go when their room or their time is over. Pure: reads no clock and touches no disk.

mod reading;

use super::fate::{Fate, Loss, Span};
use super::segment::Sizes;
use farol_wire::proto::Segment as Sent;
use farol_wire::{Boot, Limits};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A file takes whole blocks of its disk.
const BLOCK: u64 = 4 << 10;

/// A segment's name, on disk too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) boot: Boot,
    /// Its first report's sequence number.
    pub(crate) first: u64,
}

/// A segment on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Of its file.
    pub(crate) bytes: u64,
    /// When its first report was made, on this boot's clock; before it, for earlier boots.
    pub(crate) made_ms: i64,
    pub(crate) sizes: Sizes,
}

/// A file that was found at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) key: Key,
    /// What of it can be used.
    pub(crate) entry: Option<Entry>,
    /// Something of it cannot.
    pub(crate) damaged: bool,
}

/// Reports that are held no longer, as the start before noted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) boot: Boot,
    pub(crate) span: Span,
    pub(crate) was: Loss,
}

/// How much may be on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    pub(crate) age_ms: i64,
}

/// An earlier boot.
#[derive(Debug, Default)]
struct Past {
    fate: Fate,
    /// Oldest first.
    entries: VecDeque<Entry>,
}

impl Past {
    fn place(&self, first: u64) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&first, |entry| entry.first)
    }
}

/// The segments on disk that are nowhere else.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// No room: there is no spool.
    pub(super) room: Room,
    /// Of this boot: older than all that is in memory. Oldest first.
    pub(super) own: VecDeque<Entry>,
    /// Oldest boot first.
    past: BTreeMap<Boot, Past>,
    /// What all entries take.
    bytes: u64,
    /// Files to be removed.
    pub(super) gone: BTreeSet<Key>,
    /// The earlier boots that the open stream's Hello named: no others may be sent on it.
    listed: Vec<Boot>,
    /// To be read for the stream.
    wanted: Option<Vec<Key>>,
    /// The disk is at it.
    reading: bool,
    /// It did not give it.
    refused: bool,
    /// Earlier boots with a segment that the disk did not give: no stream brings them until it does. A boot's reports
    /// are acknowledged in order, so that none can be left out.
    stuck: BTreeMap<Boot, Key>,
    /// The one of them that was tried last.
    tried: Option<Boot>,
    /// Was read for the stream: one part of the backlog at most.
    loaded: Option<Vec<(Key, Sent)>>,
    /// Reports that were on disk and lost from there.
    pub(super) dropped: u64,
    /// Files of which something could not be used.
    pub(super) damaged: u64,
}

/// What a file of so many bytes takes of its disk.
pub(super) fn cost(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK) * BLOCK
}

impl Shelf {
    /// What all entries take.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.own.len() + self.past.values().map(|past| past.entries.len()).sum::<usize>()
    }

    /// When the oldest was made.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        self.past.values().flat_map(|past| &past.entries).chain(&self.own).map(|entry| entry.made_ms).min()
    }

    /// Reports of earlier boots that no monitor has acknowledged.
    pub(super) fn past_reports(&self) -> u64 {
        // A file that turned out to be shorter than it was found may end before the mark.
        let of = |past: &Past| {
            let after = past.fate.acked() + 1;
            past.entries.iter().map(|e| (e.last + 1).saturating_sub(e.first.max(after))).sum::<u64>()
        };
        self.past.values().map(of).sum()
    }

    /// Memory let go of a segment of this boot.
    pub(super) fn put(&mut self, entry: Entry) {
        self.bytes += cost(entry.bytes);
        self.own.push_back(entry);
    }

    /// What earlier boots left. What is missing between two segments of a boot is lost unless it is committed: it was
    /// damaged, or in memory alone. What is missing behind the last one nobody can know.
    pub(super) fn found(&mut self, mut found: Vec<Found>) {
        found.retain(|found| self.past.get(&found.key.boot).is_none_or(|past| past.entries.is_empty()));
        found.sort_by_key(|found| found.key);
        for (at, Found { key, entry, damaged }) in found.iter().enumerate() {
            let past = self.past.entry(key.boot).or_default();
            if let Some(entry) = entry {
                self.bytes += cost(entry.bytes);
                past.entries.push_back(*entry);
            }
            self.damaged += u64::from(*damaged);
            let next = found.get(at + 1).filter(|next| next.key.boot == key.boot);
            let first = entry.map_or(key.first, |entry| entry.last + 1);
            if let Some(next) = next.filter(|next| next.key.first > first) {
                past.fate.doubt(first, next.key.first - 1);
            }
        }
        self.tidy();
    }

    /// What earlier starts dropped and no monitor has heard of. A file that is there all the same was not removed in time.
    pub(super) fn inherit(&mut self, notes: &[Note]) {
        for Note { boot, span, was } in notes {
            let past = self.past.entry(*boot).or_default();
            let mut first = span.first;
            for entry in past.entries.iter().filter(|e| e.last >= span.first && e.first <= span.last) {
                if entry.first > first {
                    past.fate.inherit(Span { first, last: entry.first - 1 }, *was);
                }
                first = entry.last + 1;
            }
            if first <= span.last {
                past.fate.inherit(Span { first, ..*span }, *was);
            }
        }
        self.tidy();
    }

    /// What of earlier boots the next start must know.
    pub(super) fn notes(&self) -> impl Iterator<Item = Note> {
        let of = |(boot, past): (&Boot, &Past)| {
            past.fate.dropped().map(|(span, was)| Note { boot: *boot, span, was }).collect::<Vec<_>>()
        };
        self.past.iter().flat_map(of)
    }

    /// The monitor has what came on the stream up to this report of the agent's own boot.
    pub(super) fn heard(&mut self, seq: u64) {
        self.past.values_mut().for_each(|past| past.fate.heard(seq));
        self.tidy();
    }

    /// The earlier boots whose reports the next stream brings, oldest first, and those of which its Welcome must say
    /// how much is committed.
    pub(super) fn list(&mut self, most: usize) -> Vec<Boot> {
        let matters = |boot, past: &Past| self.can_bring(boot, past) || past.fate.is_doubtful();
        let held = self.past.iter().filter(|(boot, past)| matters(*boot, past));
        self.listed = held.map(|(boot, _)| *boot).take(most).collect();
        self.listed.clone()
    }

    fn can_bring(&self, boot: &Boot, past: &Past) -> bool {
        !past.entries.is_empty() && !self.stuck.contains_key(boot)
    }

    /// All that the open stream, which is live, brought of earlier boots is committed, and there is more: of others, or
    /// of one whose files were not known when its backlog went out.
    pub(super) fn others_wait(&self) -> bool {
        let mut all = self.past.iter().filter(|(boot, past)| self.can_bring(boot, past)).peekable();
        let is_sent = |past: &Past| past.entries.back().is_some_and(|entry| entry.last <= past.fate.sent());
        all.peek().is_some() && !all.any(|(boot, past)| self.listed.contains(boot) && is_sent(past))
    }

    /// Something on disk could not be read, and is tried again.
    pub(super) fn is_stuck(&self) -> bool {
        !self.stuck.is_empty() || self.refused
    }

    /// An earlier boot's reports are committed up to this one. False when it was not sent.
    pub(super) fn acknowledge(&mut self, boot: Boot, seq: u64) -> bool {
        let Some(past) = self.past.get_mut(&boot) else { return self.listed.contains(&boot) };
        if seq > past.fate.sent() {
            return false;
        }
        past.fate.acknowledge(seq);
        self.clear(boot);
        true
    }

    /// A new stream: its monitor knows so much of earlier boots.
    pub(super) fn resume(&mut self, marks: &[(Boot, u64)]) {
        (self.wanted, self.loaded, self.refused) = (None, None, false);
        let boots: Vec<Boot> = self.past.keys().copied().collect();
        for boot in boots {
            let mark = marks.iter().find(|(of, _)| *of == boot).map_or(0, |(_, seq)| *seq);
            if let Some(past) = self.past.get_mut(&boot) {
                past.fate.acknowledge(mark);
                past.fate.resume();
                if self.listed.contains(&boot) {
                    self.dropped += past.fate.decide();
                }
            }
            self.clear(boot);
        }
    }

    /// Lets go of an earlier boot's committed segments.
    fn clear(&mut self, boot: Boot) {
        if let Some(past) = self.past.get_mut(&boot) {
            let acked = past.fate.acked();
            while let Some(entry) = past.entries.front().filter(|entry| entry.last <= acked) {
                self.bytes -= cost(entry.bytes);
                self.gone.insert(Key { boot, first: entry.first });
                past.entries.pop_front();
            }
        }
        self.tidy();
    }

    /// Lets go of this boot's committed segments.
    pub(super) fn clear_own(&mut self, boot: Boot, acked: u64) {
        while self.own.front().is_some_and(|entry| entry.last <= acked) {
            self.take_own(boot, 0);
        }
    }

    fn tidy(&mut self) {
        self.past.retain(|_, past| !past.entries.is_empty() || !past.fate.is_settled());
        let past = &self.past;
        self.stuck.retain(|boot, key| past.get(boot).is_some_and(|past| past.place(key.first).is_ok()));
    }

    fn take_own(&mut self, boot: Boot, at: usize) -> Option<Entry> {
        let entry = self.own.remove(at)?;
        self.bytes -= cost(entry.bytes);
        self.gone.insert(Key { boot, first: entry.first });
        Some(entry)
    }

    /// Drops a segment that is on disk alone. False when there is no such.
    fn drop_one(&mut self, key: Key, current: Boot, own: &mut Fate) -> bool {
        let (entries, fate) = match key.boot == current {
            true => (&mut self.own, own),
            false => match self.past.get_mut(&key.boot) {
                Some(Past { fate, entries }) => (entries, fate),
                None => return false,
            },
        };
        let Ok(at) = entries.binary_search_by_key(&key.first, |entry| entry.first) else { return false };
        if let Some(entry) = entries.remove(at) {
            self.bytes -= cost(entry.bytes);
            self.dropped += fate.shed(entry.first, entry.last);
            self.gone.insert(key);
        }
        self.tidy();
        true
    }

    /// Drops the oldest segment. False when there is none.
    pub(super) fn drop_oldest(&mut self, current: Boot, own: &mut Fate) -> bool {
        let of_past = self
            .past
            .iter()
            .find_map(|(boot, past)| Some(Key { boot: *boot, first: past.entries.front()?.first }));
        let key = of_past.or_else(|| self.own.front().map(|entry| Key { boot: current, first: entry.first }));
        key.is_some_and(|key| self.drop_one(key, current, own))
    }

    /// Drops what is too old now.
    pub(super) fn expire(&mut self, now_ms: i64, current: Boot, own: &mut Fate) {
        let limit = now_ms.saturating_sub(self.room.age_ms);
        let old = |entries: &VecDeque<Entry>, boot: Boot| {
            let front = entries.front().filter(|entry| entry.made_ms < limit)?;
            Some(Key { boot, first: front.first })
        };
        loop {
            let of_past = self.past.iter().find_map(|(boot, past)| old(&past.entries, *boot));
            let Some(key) = of_past.or_else(|| old(&self.own, current)) else { break };
            self.drop_one(key, current, own);
        }
    }

    /// Drops what a monitor with these limits would refuse, whatever boot it is of. Says how many.
    pub(super) fn drop_unfit(&mut self, limits: &Limits, current: Boot, own: &mut Fate) -> usize {
        self.drop_where(current, own, |entry| !entry.sizes.fits(limits))
    }

    fn drop_where(&mut self, current: Boot, own: &mut Fate, which: impl Fn(&Entry) -> bool) -> usize {
        let past = self.past.iter().flat_map(|(boot, past)| past.entries.iter().map(|entry| (*boot, entry)));
        let all = past.chain(self.own.iter().map(|entry| (current, entry)));
        let keys: Vec<Key> =
            all.filter(|(_, e)| which(e)).map(|(boot, entry)| Key { boot, first: entry.first }).collect();
        keys.into_iter().filter(|key| self.drop_one(*key, current, own)).count()
    }

    /// How much of what was announced may not have been heard.
    pub(super) fn unheard(&self) -> usize {
        self.past.values().map(|past| past.fate.told.len()).sum()
    }

    /// What was lost of earlier boots and is to be announced: so much of it at most.
    pub(super) fn take_lost(&mut self, made: u64, most: usize) -> Vec<(Boot, Span)> {
        let mut lost = Vec::new();
        for (boot, past) in &mut self.past {
            let some = past.fate.take_lost(made, most - lost.len());
            lost.extend(some.into_iter().map(|span| (*boot, span)));
        }
        self.tidy();
        lost
    }
}
