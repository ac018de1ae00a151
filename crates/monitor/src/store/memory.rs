//! What every store of a database holds besides its connections. Decides when it changes: after a commit, and never
//! before.

use super::catalog::Catalog;
use super::layouts::KnownLayout;
use super::pack::Packed;
use super::seals::Landed;
use super::{LayoutKey, Restored, Sizes, StoreError};
use parking_lot::{Mutex, RwLock};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A store's memory.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Where the store is, for messages.
    pub(crate) place: String,
    /// Boots, marks, layouts. Locked for a look or a step, never over an await.
    pub(crate) catalog: RwLock<Catalog>,
    /// What a starting monitor must know, read at open; until it is taken or something is committed.
    restored: Mutex<Option<Restored>>,
    /// Why it will take nothing any more.
    failed: OnceLock<StoreError>,
    /// Reports without definitions that readers met.
    undecodable: AtomicU64,
    /// What it holds, as it was last measured.
    pub(crate) sizes: Mutex<Sizes>,
}

impl Memory {
    pub(crate) fn new(place: String, catalog: Catalog, restored: Restored) -> Self {
        Self {
            place,
            catalog: RwLock::new(catalog),
            restored: Mutex::new(Some(restored)),
            failed: OnceLock::new(),
            undecodable: AtomicU64::new(0),
            sizes: Mutex::default(),
        }
    }

    /// Fails after what is fatal: nothing is tried any more.
    pub(crate) fn usable(&self) -> Result<(), StoreError> {
        self.failed.get().map_or(Ok(()), |why| Err(why.clone()))
    }

    /// Remembers what is fatal; true when it is.
    pub(crate) fn note<T>(&self, result: &Result<T, StoreError>) -> bool {
        let Err(why @ StoreError::Fatal(_)) = result else { return false };
        self.failed.get_or_init(|| why.clone());
        true
    }

    pub(crate) fn closed(&self) -> StoreError {
        StoreError::Refused(format!("{} is closed", self.place))
    }

    /// What was read at open, if that is still all.
    pub(crate) fn take_restored(&self) -> Option<Restored> {
        self.restored.lock().take()
    }

    /// Counts a committed group.
    pub(crate) fn count(&self, packed: &Packed, layouts: Vec<(LayoutKey, KnownLayout)>, landed: &Landed) {
        self.take_restored();
        let mut catalog = self.catalog.write();
        for (key, agent, boot) in &packed.new_boots {
            catalog.add_boot(*key, *agent, *boot);
        }
        catalog.layouts.extend(layouts);
        if let Some(row) = &packed.row {
            row.entries.iter().for_each(|entry| catalog.advance(entry, packed.number));
        }
        catalog.land(landed);
    }

    /// Takes over what was read anew.
    pub(crate) fn replace(&self, catalog: Catalog) {
        *self.catalog.write() = catalog;
        self.take_restored();
    }

    pub(crate) fn undecodable(&self) -> u64 {
        self.undecodable.load(Ordering::Relaxed)
    }

    pub(crate) fn count_undecodable(&self) {
        self.undecodable.fetch_add(1, Ordering::Relaxed);
    }
}
