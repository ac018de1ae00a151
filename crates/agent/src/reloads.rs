//! How the readings of the configuration went, for `/metrics`. Whoever reads it notes it here; what is taken over is
//! decided elsewhere.

use parking_lot::Mutex;

/// The readings so far.
#[derive(Debug)]
pub(crate) struct Reloads(Mutex<Readings>);

/// How they went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readings {
    /// Taken over, the first included.
    pub(crate) succeeded: u64,
    /// Refused.
    pub(crate) failed: u64,
    /// The last one was refused.
    pub(crate) last_failed: bool,
    /// When one was last taken over, unix milliseconds.
    pub(crate) last_success_ms: i64,
}

impl Reloads {
    /// The agent starts with a configuration that was taken over.
    pub(crate) fn new(now_ms: i64) -> Self {
        Self(Mutex::new(Readings { succeeded: 1, failed: 0, last_failed: false, last_success_ms: now_ms }))
    }

    pub(crate) fn note(&self, went_well: bool, now_ms: i64) {
        let mut readings = self.0.lock();
        readings.last_failed = !went_well;
        if went_well {
            readings.succeeded += 1;
            readings.last_success_ms = now_ms;
        } else {
            readings.failed += 1;
        }
    }

    pub(crate) fn readings(&self) -> Readings {
        *self.0.lock()
    }
}
