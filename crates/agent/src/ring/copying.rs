//! What the disk is to do for the ring: write what waits while there is no stream or memory is short, remove what is
//! committed, read what the stream needs. Decides one job at a time; others carry it out and tell how it went.

use super::segment::Copied;
use super::shelf::{Entry, Found, Key, Note, Room, cost};
use super::{CHUNK_BYTES, Ring};
use bytes::Bytes;
use farol_wire::proto::Segment as Sent;
use std::collections::BTreeSet;

/// What a record has in a file besides its content, at most.
const RECORD_BYTES: u64 = 16;

/// What the disk may be asked to do: it did not refuse it just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct May {
    pub(crate) write: bool,
    pub(crate) remove: bool,
    /// Reports of this start that it did not give.
    pub(crate) read: bool,
    /// Those of earlier ones.
    pub(crate) again: bool,
}

/// What a file begins with besides its first record: whose it is.
const ORIGIN_BYTES: u64 = 512;

/// Something to do on disk.
#[derive(Debug)]
pub(crate) enum Job {
    Remove(BTreeSet<Key>),
    Write(Write),
    Read(Vec<Key>),
    /// All that was dropped and no monitor has heard of. Until this is there, no file of what was dropped goes.
    Note(Vec<Note>),
}

/// What came of reading a segment.
#[derive(Debug)]
pub(crate) enum Loaded {
    /// As far as it is good.
    Segment(Sent),
    /// Nothing of it can be used, now or later.
    Damaged,
    /// The disk did not give it; it may another time.
    Refused,
}

/// A part of a segment to be written.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) key: Key,
    /// For a new file: what it begins with.
    pub(crate) head: Option<Bytes>,
    /// Bytes of the file that count; what is behind them is written over.
    pub(crate) at: u64,
    /// Reports that are there already.
    pub(crate) from: usize,
    /// The next ones.
    pub(crate) reports: Vec<Bytes>,
}

/// What is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spooled {
    pub(crate) bytes: u64,
    pub(crate) segments: usize,
    /// When the oldest was made, on this boot's clock.
    pub(crate) oldest_ms: Option<i64>,
    pub(crate) dropped: u64,
    pub(crate) damaged: u64,
    /// Of earlier boots.
    pub(crate) past_reports: u64,
    /// The disk did not give all that was asked of it.
    pub(crate) stuck: bool,
}

impl Ring {
    /// Gives it room on disk.
    pub(crate) fn spool(&mut self, room: Room) {
        self.shelf.room = room;
    }

    /// What earlier boots dropped, as the disk knows it.
    pub(crate) fn inherit(&mut self, notes: &[Note]) {
        self.shelf.inherit(notes);
        self.noted = Some(notes.to_vec());
    }

    /// What was dropped could not be noted.
    pub(crate) fn not_noted(&mut self) {
        self.noted = None;
    }

    pub(super) fn notes(&self) -> Vec<Note> {
        let own = self.fate.dropped().map(|(span, was)| Note { boot: self.boot, span, was });
        self.shelf.notes().chain(own).collect()
    }

    /// What earlier boots left there, and how many files beside it cannot be used.
    pub(crate) fn found(&mut self, found: Vec<Found>, left: usize) {
        self.shelf.found(found);
        self.shelf.damaged += left as u64;
    }

    /// The agent ends: nothing waits in memory any longer.
    pub(crate) fn finish(&mut self) {
        self.finishing = true;
    }

    pub(crate) fn spooled(&self) -> Spooled {
        let copies = self.segments.iter().filter(|s| s.copy.bytes > 0);
        let oldest_copy = copies.clone().next().map(|s| boot_ms(s.made_ms));
        Spooled {
            bytes: self.on_disk(),
            segments: self.shelf.len() + copies.count(),
            oldest_ms: self.shelf.oldest_ms().into_iter().chain(oldest_copy).min(),
            dropped: self.shelf.dropped,
            damaged: self.shelf.damaged,
            past_reports: self.shelf.past_reports(),
            stuck: self.shelf.is_stuck(),
        }
    }

    fn on_disk(&self) -> u64 {
        self.shelf.bytes() + self.segments.iter().map(|s| cost(s.copy.bytes)).sum::<u64>()
    }

    /// What to do next, at `now_ms` of the boot clock.
    pub(crate) fn job(&mut self, now_ms: u64, may: May) -> Option<Job> {
        if self.shelf.room == Room::default() {
            return None;
        }
        self.shelf.expire(boot_ms(now_ms), self.boot, &mut self.fate);
        let write = if may.write { self.next_write() } else { None };
        let notes = self.notes();
        if may.write && self.noted.as_ref() != Some(&notes) {
            self.noted = Some(notes.clone());
            return Some(Job::Note(notes));
        }
        if may.remove && !self.shelf.gone.is_empty() {
            return Some(Job::Remove(std::mem::take(&mut self.shelf.gone)));
        }
        self.shelf.next_read(may).map(Job::Read).or(write.map(Job::Write))
    }

    /// The oldest of what is to be on disk and is not. Makes room for it.
    fn next_write(&mut self) -> Option<Write> {
        let waits = !self.open || self.finishing;
        if !waits && !self.is_three_quarters_full() {
            return None;
        }
        loop {
            let acked = self.fate.acked();
            let at = self.segments.iter().position(|s| {
                !s.copy.passed
                    && !s.reports.is_empty()
                    && !s.is_copied()
                    && s.last() > acked
                    && (waits || s.closed)
            })?;
            let write = self.write_of(at);
            let begins = write.head.as_ref().map_or(0, |_| ORIGIN_BYTES);
            let records = write.reports.iter().chain(&write.head);
            let new = begins + records.map(|b| b.len() as u64 + RECORD_BYTES).sum::<u64>();
            let need = cost(write.at + new) - cost(write.at);
            while self.on_disk() + need > self.shelf.room.bytes && self.drop_oldest(at) {}
            if self.on_disk() + need <= self.shelf.room.bytes {
                return Some(write);
            }
            self.drop_copy(at);
        }
    }

    fn write_of(&self, at: usize) -> Write {
        let segment = &self.segments[at];
        let Copied { reports: from, bytes, .. } = segment.copy;
        let mut sum = 0;
        let some = segment.reports[from..].iter().take_while(|body| {
            let begins = sum < CHUNK_BYTES;
            sum += body.len();
            begins
        });
        Write {
            key: Key { boot: self.boot, first: segment.first },
            head: (bytes == 0).then(|| segment.head(self.boot).into()),
            at: bytes,
            from,
            reports: some.cloned().collect(),
        }
    }

    /// Frees disk of the oldest before this segment. False when there is nothing older there.
    fn drop_oldest(&mut self, before: usize) -> bool {
        if self.shelf.drop_oldest(self.boot, &mut self.fate) {
            return true;
        }
        let copy = self.segments.iter().take(before).position(|s| s.copy.bytes > 0);
        copy.is_some_and(|at| {
            self.drop_copy(at);
            true
        })
    }

    /// Takes a segment from disk that is still in memory.
    fn drop_copy(&mut self, at: usize) {
        let segment = &mut self.segments[at];
        if segment.copy.bytes > 0 {
            self.shelf.gone.insert(Key { boot: self.boot, first: segment.first });
        }
        segment.copy = Copied { passed: true, ..Copied::default() };
    }

    /// These files are still there.
    pub(crate) fn not_removed(&mut self, keys: BTreeSet<Key>) {
        self.shelf.gone.extend(keys);
    }

    /// Somebody took this file away: it is written anew.
    pub(crate) fn lost_copy(&mut self, key: Key) {
        for segment in self.segments.iter_mut().filter(|s| s.first == key.first) {
            segment.copy = Copied::default();
        }
    }

    /// A part of a segment was written; its file has so many bytes now.
    pub(crate) fn wrote(&mut self, write: &Write, bytes: u64) {
        let own = self.shelf.own.iter().any(|entry| entry.first == write.key.first);
        match self.segments.iter_mut().find(|s| s.first == write.key.first) {
            Some(segment) if segment.copy.reports == write.from && segment.copy.bytes == write.at => {
                segment.copy.reports += write.reports.len();
                segment.copy.bytes = bytes;
            }
            Some(_) => {}
            // Committed or dropped meanwhile.
            None if !own => drop(self.shelf.gone.insert(write.key)),
            None => {}
        }
        self.forget_committed_copy();
        self.relieve();
    }

    /// Segments were read.
    pub(crate) fn read(&mut self, read: Vec<(Key, Loaded)>) {
        self.shelf.read(read, self.boot, &mut self.fate);
    }

    /// Memory is short: the oldest segments go, to disk alone where they are there already, and are lost otherwise.
    pub(super) fn relieve(&mut self) {
        while self.segments.len() > 1 {
            let is_copied = self.segments.front().is_some_and(super::Segment::is_copied);
            if is_copied && self.is_three_quarters_full() {
                self.let_go(0);
            } else if self.bytes > self.limit {
                self.shed_oldest();
            } else {
                break;
            }
        }
    }

    /// What of a segment is on disk stays there, and nowhere else.
    fn let_go(&mut self, at: usize) {
        let Some(segment) = self.take(at) else { return };
        if segment.copy.reports > 0 {
            self.shelf.put(Entry {
                first: segment.first,
                last: segment.first + segment.copy.reports as u64 - 1,
                bytes: segment.copy.bytes,
                made_ms: boot_ms(segment.made_ms),
                sizes: segment.layout.sizes,
            });
        }
    }

    fn shed_oldest(&mut self) {
        let Some(segment) = self.segments.front() else { return };
        let (first, last) = (segment.first + segment.copy.reports as u64, segment.last());
        self.let_go(0);
        self.fate.shed(first, last);
    }

    /// The newest segment stays in memory when it is committed: its copy does not.
    pub(super) fn forget_committed_copy(&mut self) {
        let acked = self.fate.acked();
        for segment in self.segments.iter_mut().filter(|s| s.copy.bytes > 0 && s.last() <= acked) {
            self.shelf.gone.insert(Key { boot: self.boot, first: segment.first });
            segment.copy = Copied::default();
        }
    }

    /// Its file, if it has one, goes with it.
    pub(super) fn drop_file(&mut self, segment: &super::Segment) {
        if segment.copy.bytes > 0 {
            self.shelf.gone.insert(Key { boot: self.boot, first: segment.first });
        }
    }
}

/// Times of this boot among those of earlier ones, which may lie before its clock began.
fn boot_ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
