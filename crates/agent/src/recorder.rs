//! What becomes of results and figures: they are put into reports, and these into the ring, from which the stream
//! takes them. Decides what a report holds and where a segment begins; not when a report is made, nor who gets it.
//!
//! One lock guards catalog, waiting rows and ring, so that a report, the set it was made with and its place in the
//! order always agree. Nothing waits under it.

mod definitions;
mod feed;
mod record;
mod spooled;
#[cfg(test)]
mod tests;
mod ticks;
mod told;

pub(crate) use feed::{Feed, Opening};
pub(crate) use record::Made;

use crate::catalog::{Catalog, Limits, Row};
use crate::ring::Ring;
use farol_health::{Checked, ComponentView, Observer, Registration};
use farol_wire::Boot;
use parking_lot::Mutex;
use record::Record;
use std::time::Duration;
use tokio::sync::Notify;

/// The moment of a report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// The boot clock.
    pub(crate) boot_ms: u64,
    /// The wall clock, for what is told after the next boot.
    pub(crate) wall_ms: i64,
}

impl Now {
    /// Reads both clocks.
    pub(crate) fn read() -> Self {
        Self { boot_ms: farol_health::clock::boot_ms(), wall_ms: farol_health::clock::wall_ms() }
    }
}

/// What is counted, for `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reports made.
    pub reports: u64,
    /// The last one that is acknowledged.
    pub acked: u64,
    /// Held and not acknowledged.
    pub unacked: u64,
    /// Lost because ring and spool were full.
    pub lost: u64,
    /// Bytes in the ring.
    pub ring_bytes: usize,
    /// Series defined.
    pub series: usize,
    /// Samples that went nowhere.
    pub samples_dropped: u64,
}

/// The recorder of one agent.
pub(crate) struct Recorder {
    /// Somebody will take the reports; otherwise nothing is kept.
    streams: bool,
    record: Mutex<Record>,
    /// A status changed, or rows are many: a report is due now.
    pub(crate) due: Notify,
    /// A report was made.
    pub(crate) fresh: Notify,
    /// There may be something to do on disk.
    pub(crate) to_spool: Notify,
    /// What the stream needs of the disk was read.
    pub(crate) loaded: Notify,
}

impl Recorder {
    pub(crate) fn new(boot: Boot, ring_bytes: usize, interval: Duration, checks: &[Registration]) -> Self {
        Self { streams: true, ..Self::idle(boot, ring_bytes, interval, checks) }
    }

    /// For an agent without monitors: nothing is kept.
    pub(crate) fn idle(boot: Boot, ring_bytes: usize, interval: Duration, checks: &[Registration]) -> Self {
        let catalog = Catalog::new(Limits { sources: Limits::default().components, ..Limits::default() });
        let mut record = Record::new(catalog, Ring::new(boot, ring_bytes));
        record.set_interval(interval);
        record.set_checks(checks);
        let (due, fresh, to_spool, loaded) = (Notify::new(), Notify::new(), Notify::new(), Notify::new());
        Self { streams: false, record: Mutex::new(record), due, fresh, to_spool, loaded }
    }

    /// The checks are now these.
    pub(crate) fn set_checks(&self, checks: &[Registration]) {
        self.record.lock().set_checks(checks);
        self.due.notify_one();
    }

    /// The collectors tick so often.
    pub(crate) fn set_interval(&self, interval: Duration) {
        self.record.lock().set_interval(interval);
    }

    /// One tick of the collectors.
    pub(crate) fn system(&self, row: &Row, at_ms: u64) {
        self.record.lock().system(row, at_ms);
    }

    /// Something beside a result changed what components say.
    pub(crate) fn look(&self) {
        self.due.notify_one();
    }

    pub(crate) fn counts(&self) -> Counts {
        self.record.lock().counts()
    }
}

impl Observer for Recorder {
    fn checked(&self, name: &str, result: &Checked) {
        if self.streams && self.record.lock().checked(name, result) {
            self.due.notify_one();
        }
    }

    fn lapsed(&self, name: &str, view: &ComponentView) {
        if self.streams && self.record.lock().is_urgent(name, view.hard, view.soft) {
            self.due.notify_one();
        }
    }

    /// Which components there are is said by `set_checks`.
    fn removed(&self, _: &str) {}
}
