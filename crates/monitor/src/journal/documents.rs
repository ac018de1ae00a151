//! Documents on their way to the store. Decides which word on a key waits, what goes when there is no room, and what
//! those who wait for a commit are told.

use super::Journal;
use crate::store::{DOCUMENT_KEY_AT_MOST, DocumentChange, DocumentKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// Bytes of documents that may wait, and as many that are on their way to the store. Over it those that may be missed
/// go, oldest first, and then what comes new; each is counted.
pub(super) const DOCUMENT_BYTES_AT_MOST: usize = 32 << 20;

/// How documents do that were handed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    /// Every hand-in up to this number is committed, but for what was dropped.
    pub committed: u64,
    /// Nothing of a later hand-in was dropped for want of room; of this one and of earlier ones perhaps.
    pub lost: u64,
    /// The store refuses, or failed for good.
    pub refusing: bool,
    /// The store was given a commit, or a step of its upkeep, then, and has not answered. Nobody is woken by it.
    pub busy_since: Option<Instant>,
}

impl Documents {
    /// All of this hand-in is surely committed.
    #[must_use]
    pub const fn holds(&self, number: u64) -> bool {
        self.committed >= number && self.lost < number
    }
}

impl Journal {
    /// Hands documents in, all of them for the same commit; gives the number of this hand-in. The group closes at once.
    /// Never waits. While the store refuses or hangs the last word on each key stays, within bounds.
    pub fn documents(&self, changes: Vec<DocumentChange>) -> u64 {
        let mut guard = self.0.state.lock();
        let state = &mut *guard;
        if changes.is_empty() {
            return state.queue.documents.handed;
        }
        let (number, dropped) = state.queue.hand_in(changes);
        state.health.dropped_documents += dropped;
        drop(guard);
        self.0.waiting.notify_one();
        number
    }

    /// How documents do: wakes at each commit of some, and when the store begins to refuse or takes again.
    #[must_use]
    pub fn committed_documents(&self) -> watch::Receiver<Documents> {
        self.0.documents.subscribe()
    }
}

/// The last word on each document, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Words {
    words: BTreeMap<u64, DocumentChange>,
    /// Where the word on a document is.
    places: HashMap<(DocumentKind, Arc<str>), u64>,
    /// Those that may be missed.
    spare: BTreeSet<u64>,
    /// The next one's place.
    next: u64,
    bytes: usize,
    /// The number of the last hand-in.
    pub(super) handed: u64,
    /// The last hand-in of which something may have been dropped.
    pub(super) lost: u64,
}

impl Words {
    /// What comes after this, once all that waits was taken.
    fn emptied(&self) -> Self {
        Self { next: self.next, handed: self.handed, lost: self.lost, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Takes all that waits.
    pub(super) fn take(&mut self) -> Vec<DocumentChange> {
        let emptied = self.emptied();
        std::mem::replace(self, emptied).words.into_values().collect()
    }

    /// Adds a word in the place of an earlier one; how many were dropped for it, itself perhaps.
    pub(super) fn add(&mut self, change: DocumentChange) -> u64 {
        let mut dropped = 0;
        let (kind, key) = change.place();
        let (place, weight) = ((kind, Arc::clone(key)), change.weight());
        let before = self.places.get(&place).copied();
        let freed = before.and_then(|at| self.words.get(&at)).map_or(0, DocumentChange::weight);
        let fits = |words: &Self| words.bytes - freed + weight <= DOCUMENT_BYTES_AT_MOST;
        if place.1.len() > DOCUMENT_KEY_AT_MOST || weight > DOCUMENT_BYTES_AT_MOST {
            self.lost = self.handed;
            return 1;
        }
        while !fits(self) {
            // The word before on the same document goes anyway if the new one is taken.
            let Some(oldest) = self.spare.iter().copied().find(|at| Some(*at) != before) else {
                self.lost = self.handed;
                return dropped + 1;
            };
            self.remove(oldest);
            self.lost = self.handed;
            dropped += 1;
        }
        if let Some(before) = before {
            self.remove(before);
        }
        self.next += 1;
        if may_be_missed(&change) {
            self.spare.insert(self.next);
        }
        self.bytes += weight;
        self.places.insert(place, self.next);
        self.words.insert(self.next, change);
        dropped
    }

    fn remove(&mut self, at: u64) {
        if let Some(change) = self.words.remove(&at) {
            let (kind, key) = change.place();
            self.places.remove(&(kind, Arc::clone(key)));
            self.spare.remove(&at);
            self.bytes -= change.weight();
        }
    }
}

/// What only tells what was. Never the last word on what still goes on.
fn may_be_missed(change: &DocumentChange) -> bool {
    match change {
        DocumentChange::Put(document) => document.kind == DocumentKind::IncidentEntry,
        DocumentChange::PutSpare(_) => true,
        DocumentChange::Delete { .. } => false,
    }
}
