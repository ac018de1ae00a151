//! What the stream gets from disk: which segments are read next, what becomes of what the disk does not give.

use super::{Entry, Key, Past, Shelf};
use crate::ring::fate::Fate;
use crate::ring::{CHUNK_BYTES, Loaded, May, REPORTS};
use farol_wire::Boot;
use farol_wire::proto::Segment as Sent;
use prost::Message;
use std::collections::VecDeque;
use std::ops::Bound;

impl Shelf {
    /// The next segments that the stream needs: about [`CHUNK_BYTES`] of one boot.
    pub(in crate::ring) fn want(&mut self, current: Boot, cursor: u64, budget: u64) -> Option<Boot> {
        if let Some(key) = self.wanted.iter().flatten().next() {
            return Some(key.boot);
        }
        let keys = self.following(current, cursor);
        let (first, _) = keys.first().copied()?;
        let mut sum = 0;
        let fits = |(_, bytes): &(Key, u64)| {
            sum += bytes;
            sum == *bytes || sum <= budget.min(CHUNK_BYTES as u64)
        };
        self.wanted = Some(keys.into_iter().take_while(fits).map(|(key, _)| key).collect());
        Some(first.boot)
    }

    /// The disk takes too long over what is wanted. While it is still at it, it gives nothing else either. Of an earlier
    /// boot the files stay where they are, for a later stream; this boot's reports are acknowledged in order, and new
    /// ones cannot wait any longer.
    pub(in crate::ring) fn give_up(&mut self, current: Boot, own: &mut Fate) {
        let Some(wanted) = self.wanted.take() else { return };
        let hangs = self.reading;
        if wanted.iter().any(|key| key.boot == current) {
            let entries = self.own.iter().map(|entry| Key { boot: current, first: entry.first });
            let lost: Vec<Key> = if hangs { entries.collect() } else { wanted };
            tracing::warn!(
                segments = lost.len(),
                "the disk does not give reports of this start; they are dropped"
            );
            for key in lost {
                self.drop_one(key, current, own);
            }
            self.refused = false;
            return;
        }
        let fronts = |(boot, past): (&Boot, &Past)| {
            past.entries.front().map(|entry| Key { boot: *boot, first: entry.first })
        };
        let others: Vec<Key> = self.past.iter().filter_map(fronts).filter(|_| hangs).collect();
        for key in others.into_iter().chain(wanted.into_iter().take(1)) {
            self.set_aside(key);
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
    pub(in crate::ring) fn next_read(&mut self, may: May) -> Option<Vec<Key>> {
        if self.reading {
            return None;
        }
        let wanted = self.wanted.clone().filter(|_| may.read || !self.refused);
        let keys = wanted.or_else(|| may.again.then(|| self.next_stuck())?)?;
        self.reading = true;
        Some(keys)
    }

    /// What the disk did not give before: each boot has its turn.
    fn next_stuck(&mut self) -> Option<Vec<Key>> {
        let after = self.tried.map_or(Bound::Unbounded, Bound::Excluded);
        let (boot, key) = self.stuck.range((after, Bound::Unbounded)).chain(&self.stuck).next()?;
        self.tried = Some(*boot);
        Some(vec![*key])
    }

    /// It was read; what is damaged of it is lost, and what the disk did not give is left where it is.
    pub(in crate::ring) fn read(&mut self, read: Vec<(Key, Loaded)>, current: Boot, own: &mut Fate) {
        self.reading = false;
        let asked = self.wanted.as_ref().is_some_and(|keys| keys.iter().eq(read.iter().map(|(key, _)| key)));
        let mut loaded = Vec::new();
        self.refused &= read.iter().all(|(key, _)| key.boot != current);
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
    pub(in crate::ring) fn take_loaded(
        &mut self,
        current: Boot,
        own: &mut Fate,
        budget: usize,
    ) -> Option<(Boot, Vec<Sent>, u64, bool)> {
        let mut loaded = self.loaded.take()?;
        loaded.retain(|(key, _)| self.entry(*key, current).is_some());
        let set = |sent: &Sent| sent.define.as_ref().map_or(0, Message::encoded_len);
        for (key, sent) in loaded.extract_if(.., |(_, sent)| sent.encoded_len() - set(sent) > budget) {
            let bytes = sent.encoded_len();
            tracing::warn!(bytes, budget, "a spooled segment is longer than a message may be; it is dropped");
            self.drop_one(key, current, own);
        }
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
