//! The disk's end of the recorder: what there is to do for it, and how that went. Decides nothing; the ring does.

use super::Recorder;
use crate::ring::{Found, Job, Key, Loaded, May, Note, Room, Spooled, Write};
use farol_wire::Boot;
use std::collections::BTreeSet;

impl Recorder {
    /// Its reports may go to disk.
    pub(crate) fn with_spool(mut self, room: Room) -> Self {
        self.record.get_mut().ring.spool(room);
        self
    }

    /// What earlier boots left on disk and what they dropped, and how many files there are not ours.
    pub(crate) fn found(&self, found: Vec<Found>, notes: Option<&[Note]>, left: usize) {
        let mut record = self.record.lock();
        record.ring.found(found, left);
        if let Some(notes) = notes {
            record.ring.inherit(notes);
        }
        drop(record);
        self.loaded.notify_one();
    }

    /// What the disk is to do next.
    pub(crate) fn spool_job(&self, now_ms: u64, may: May) -> Option<Job> {
        self.record.lock().ring.job(now_ms, may)
    }

    /// These files are still there.
    pub(crate) fn not_removed(&self, keys: BTreeSet<Key>) {
        self.record.lock().ring.not_removed(keys);
    }

    /// What was dropped could not be noted.
    pub(crate) fn not_noted(&self) {
        self.record.lock().ring.not_noted();
    }

    /// Somebody took this file away.
    pub(crate) fn lost_copy(&self, key: Key) {
        self.record.lock().ring.lost_copy(key);
    }

    /// A part of a segment is on disk.
    pub(crate) fn wrote(&self, write: &Write, bytes: u64) {
        self.record.lock().ring.wrote(write, bytes);
    }

    /// Segments were read for the stream.
    pub(crate) fn read(&self, read: Vec<(Key, Loaded)>) {
        self.record.lock().ring.read(read);
        self.loaded.notify_one();
    }

    /// What is on disk.
    pub(crate) fn spooled(&self) -> Spooled {
        self.record.lock().ring.spooled()
    }

    /// The earlier boots that a stream brings which says Hello now.
    pub(crate) fn list_past(&self, most: usize) -> Vec<Boot> {
        self.record.lock().ring.list_past(most)
    }
}
