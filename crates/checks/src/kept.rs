//! One connection kept open between the runs of a check. A run takes it out and puts it back only when it
//! ended well: a run that is dropped at its deadline takes the connection with it, so no half-read answer is
//! ever left for the next one.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// A kept connection is given up at this age, so that a server which answers old connections but no new ones
/// (no slot free, password changed, address moved) is seen within a minute.
const MAX_AGE: Duration = Duration::from_secs(60);

/// The place of one connection.
#[derive(Debug)]
pub(crate) struct Kept<C> {
    /// Empty while a run uses it, and before the first.
    slot: Mutex<Option<Opened<C>>>,
}

/// An open connection and when it was opened.
#[derive(Debug)]
pub(crate) struct Opened<C> {
    /// The connection itself.
    pub(crate) connection: C,
    /// Decides when it is too old to be kept.
    since: Instant,
}

impl<C> Opened<C> {
    /// Opened at `now`.
    pub(crate) fn new(connection: C, now: Instant) -> Self {
        Self { connection, since: now }
    }
}

impl<C> Kept<C> {
    /// Nothing kept yet.
    pub(crate) fn new() -> Self {
        Self { slot: Mutex::new(None) }
    }

    /// Takes the connection out, unless it is too old, in which case it is closed.
    pub(crate) fn take(&self, now: Instant) -> Option<Opened<C>> {
        self.slot.lock().take().filter(|opened| now.saturating_duration_since(opened.since) < MAX_AGE)
    }

    /// Keeps it for the next run.
    pub(crate) fn put(&self, opened: Opened<C>) {
        *self.slot.lock() = Some(opened);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_kept_for_a_minute_and_taken_by_one_run_only() {
        let start = Instant::now();
        let kept = Kept::new();
        kept.put(Opened::new("connection", start));
        let taken = kept.take(start + Duration::from_secs(59));
        assert!(taken.is_some());
        assert!(kept.take(start).is_none(), "it is with the first run");
        kept.put(taken.unwrap());
        assert!(kept.take(start + MAX_AGE).is_none(), "too old");
        assert!(kept.take(start).is_none(), "and gone");
    }
}
