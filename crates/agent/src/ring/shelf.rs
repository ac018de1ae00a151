//! Which reports are on disk alone: those of earlier boots, and those of this one that memory let go. Decides which of
//! them go when their room or their time is over, and which are read next. Pure: reads no clock and touches no disk.

use super::fate::{Fate, Span};
use super::segment::Sizes;
use super::{CHUNK_BYTES, Loaded, REPORTS};
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

    /// What earlier boots left. What is missing between two segments of a boot is lost: it was damaged, or in memory
    /// alone. What is missing behind the last one nobody can know.
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
                self.dropped += past.fate.shed(first, next.key.first - 1);
            }
        }
        self.tidy();
    }

    /// The earlier boots whose reports the next stream brings, oldest first.
    pub(super) fn list(&mut self, most: usize) -> Vec<Boot> {
        let held = self.past.iter().filter(|(boot, past)| self.can_bring(boot, past));
        self.listed = held.map(|(boot, _)| *boot).take(most).collect();
        self.listed.clone()
    }

    fn can_bring(&self, boot: &Boot, past: &Past) -> bool {
        !past.entries.is_empty() && !self.stuck.contains_key(boot)
    }

    /// All that the open stream may bring of earlier boots is committed, and there are others.
    pub(super) fn others_wait(&self) -> bool {
        let mut all = self.past.iter().filter(|(boot, past)| self.can_bring(boot, past)).peekable();
        all.peek().is_some() && all.all(|(boot, _)| !self.listed.contains(boot))
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
                let before = past.fate.lost_total();
                past.fate.resume();
                self.dropped += past.fate.lost_total() - before;
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

    /// What was lost of earlier boots and is to be announced.
    pub(super) fn take_lost(&mut self) -> Vec<(Boot, Span)> {
        let of = |(boot, past): (&Boot, &mut Past)| -> Vec<(Boot, Span)> {
            past.fate.take_lost().into_iter().map(|span| (*boot, span)).collect()
        };
        let lost = self.past.iter_mut().flat_map(of).collect();
        self.tidy();
        lost
    }

    /// The next segments that the stream needs: about [`CHUNK_BYTES`] of one boot. One that is longer than a message
    /// may be is dropped.
    pub(super) fn want(&mut self, current: Boot, own: &mut Fate, cursor: u64, budget: u64) -> bool {
        if self.wanted.is_some() {
            return true;
        }
        loop {
            let keys = self.following(current, cursor);
            let Some((first, bytes)) = keys.first().copied() else { return false };
            if bytes > budget {
                tracing::warn!(
                    bytes,
                    budget,
                    "a spooled segment is longer than a message may be; it is dropped"
                );
                self.drop_one(first, current, own);
                continue;
            }
            let mut sum = 0;
            let fits = |(_, bytes): &(Key, u64)| {
                sum += bytes;
                sum == *bytes || sum <= budget.min(CHUNK_BYTES as u64)
            };
            self.wanted = Some(keys.into_iter().take_while(fits).map(|(key, _)| key).collect());
            return true;
        }
    }

    /// What was not sent of the first boot that has any.
    fn following(&self, current: Boot, cursor: u64) -> Vec<(Key, u64)> {
        let after = |boot: Boot, entries: &VecDeque<Entry>, seq: u64| -> Vec<(Key, u64)> {
            let at = entries.partition_point(|entry| entry.last <= seq);
            entries
                .range(at..)
                .take(REPORTS)
                .map(|entry| (Key { boot, first: entry.first }, entry.bytes))
                .collect()
        };
        let of_past = self.listed.iter().filter_map(|boot| {
            let past = self.past.get(boot).filter(|past| self.can_bring(boot, past))?;
            Some(after(*boot, &past.entries, past.fate.sent().max(past.fate.acked())))
        });
        let mut all = of_past.chain([after(current, &self.own, cursor)]);
        all.find(|keys| !keys.is_empty()).unwrap_or_default()
    }

    /// What the disk is to read, once: what the stream needs, or else what it did not give before.
    pub(super) fn next_read(&mut self) -> Option<Vec<Key>> {
        if self.reading {
            return None;
        }
        let keys = self.wanted.clone().or_else(|| self.stuck.values().next().map(|key| vec![*key]))?;
        self.reading = true;
        Some(keys)
    }

    /// It was read; what is damaged of it is lost, and what the disk did not give is left where it is.
    pub(super) fn read(&mut self, read: Vec<(Key, Loaded)>, current: Boot, own: &mut Fate) {
        self.reading = false;
        let asked = self.wanted.as_ref().is_some_and(|keys| keys.iter().eq(read.iter().map(|(key, _)| key)));
        let mut loaded = Vec::new();
        self.refused = false;
        for (key, came) in read {
            let sent = match came {
                Loaded::Segment(sent) => Some(sent),
                Loaded::Damaged => None,
                Loaded::Refused if key.boot == current => {
                    self.refused = true;
                    break;
                }
                Loaded::Refused => {
                    self.set_aside(key);
                    break;
                }
            };
            self.stuck.retain(|_, stuck| *stuck != key);
            if let Some(sent) = self.whole(key, sent, current, own) {
                loaded.push((key, sent));
            }
        }
        // Of this boot nothing can be left out: it is asked for again.
        if asked && !(self.refused && loaded.is_empty()) {
            (self.wanted, self.loaded) = (None, Some(loaded));
        }
    }

    /// No stream brings this boot until this segment can be read.
    fn set_aside(&mut self, key: Key) {
        self.stuck.insert(key.boot, key);
        self.listed.retain(|boot| *boot != key.boot);
        self.tidy();
    }

    /// A segment as far as it is held and could be read.
    fn whole(&mut self, key: Key, sent: Option<Sent>, current: Boot, own: &mut Fate) -> Option<Sent> {
        let entry = *self.entry(key, current)?;
        let readable = sent.as_ref().and_then(|sent| sent.reports.last()).map(|report| report.seq);
        match (readable, sent) {
            (Some(last), Some(mut sent)) => {
                sent.reports.retain(|report| report.seq <= entry.last);
                if last < entry.last {
                    self.damaged += 1;
                    let (entries, fate) = match self.past.get_mut(&key.boot) {
                        Some(past) if key.boot != current => (&mut past.entries, &mut past.fate),
                        _ => (&mut self.own, own),
                    };
                    entries.iter_mut().filter(|e| e.first == key.first).for_each(|e| e.last = last);
                    self.dropped += fate.shed(last + 1, entry.last);
                }
                Some(sent)
            }
            _ => {
                self.damaged += 1;
                self.drop_one(key, current, own);
                None
            }
        }
    }

    fn entry(&self, key: Key, current: Boot) -> Option<&Entry> {
        let entries = if key.boot == current { &self.own } else { &self.past.get(&key.boot)?.entries };
        entries.get(entries.binary_search_by_key(&key.first, |entry| entry.first).ok()?)
    }

    /// What was read and is still held: a boot, its segments, their last number, and whether it is the boot's last.
    pub(super) fn take_loaded(
        &mut self,
        current: Boot,
        own: &mut Fate,
    ) -> Option<(Boot, Vec<Sent>, u64, bool)> {
        let mut loaded = self.loaded.take()?;
        loaded.retain(|(key, _)| self.entry(*key, current).is_some());
        let (key, sent) = loaded.last()?;
        let (boot, last) = (key.boot, sent.reports.last()?.seq);
        let (entries, fate) = match self.past.get_mut(&boot) {
            Some(past) if boot != current => (&past.entries, &mut past.fate),
            _ => (&self.own, own),
        };
        let is_last = entries.back().is_some_and(|entry| entry.last <= last);
        fate.note_sent(last);
        Some((boot, loaded.into_iter().map(|(_, sent)| sent).collect(), last, is_last))
    }
}
