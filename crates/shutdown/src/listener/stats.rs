//! Counts of one listener, readable while it runs. Only counts; nothing is decided by them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Why a connection was refused before it was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The cap on all connections was reached.
    Connections,
    /// The cap on one address was reached.
    PerAddress,
    /// No file descriptor or memory was left to accept it; it waits in the kernel's queue.
    Resources,
    /// It was gone before it could be accepted.
    Gone,
}

impl Refused {
    /// Every reason.
    pub const ALL: [Refused; 4] =
        [Refused::Connections, Refused::PerAddress, Refused::Resources, Refused::Gone];

    /// The word used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Refused::Connections => "connections",
            Refused::PerAddress => "per_address",
            Refused::Resources => "resources",
            Refused::Gone => "gone",
        }
    }
}

/// Why an accepted connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Closed {
    /// The peer was done, or the protocol's own end was reached.
    Finished,
    /// Nothing, or not enough of a TLS handshake or HTTP/2 preface, came in time.
    Handshake,
    /// The TLS handshake failed.
    Tls,
    /// The client certificate does not carry exactly one URI.
    Identity,
    /// A request's head was not complete in time.
    Header,
    /// An HTTP/1 connection waited too long for its next request.
    Idle,
    /// The peer did not read what was written to it.
    Stalled,
    /// An HTTP/2 peer did not answer.
    Unresponsive,
    /// The peer broke the protocol, or the connection broke.
    Broken,
    /// Ended in order while draining.
    Drained,
    /// Aborted at the end of the drain budget.
    Cut,
    /// The code that served it panicked.
    Panicked,
}

impl Closed {
    /// Every reason.
    pub const ALL: [Closed; 12] = [
        Closed::Finished,
        Closed::Handshake,
        Closed::Tls,
        Closed::Identity,
        Closed::Header,
        Closed::Idle,
        Closed::Stalled,
        Closed::Unresponsive,
        Closed::Broken,
        Closed::Drained,
        Closed::Cut,
        Closed::Panicked,
    ];

    /// The word used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Closed::Finished => "finished",
            Closed::Handshake => "handshake",
            Closed::Tls => "tls",
            Closed::Identity => "identity",
            Closed::Header => "header",
            Closed::Idle => "idle",
            Closed::Stalled => "stalled",
            Closed::Unresponsive => "unresponsive",
            Closed::Broken => "broken",
            Closed::Drained => "drained",
            Closed::Cut => "cut",
            Closed::Panicked => "panicked",
        }
    }
}

/// Counts of one listener.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections open now.
    open: AtomicUsize,
    /// Connections taken in since the start.
    accepted: AtomicU64,
    /// Connections that ended, by [`Closed`].
    closed: [AtomicU64; Closed::ALL.len()],
    /// Connections never served, by [`Refused`].
    refused: [AtomicU64; Refused::ALL.len()],
}

impl Stats {
    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Connections taken in since the start; refused ones are not among them.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Connections that ended for this reason.
    pub fn closed(&self, reason: Closed) -> u64 {
        self.closed[reason as usize].load(Relaxed)
    }

    /// Connections refused for this reason.
    pub fn refused(&self, reason: Refused) -> u64 {
        self.refused[reason as usize].load(Relaxed)
    }

    pub(crate) fn opened(&self) {
        self.accepted.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
    }

    pub(crate) fn ended(&self, reason: Closed) {
        self.closed[reason as usize].fetch_add(1, Relaxed);
        self.open.fetch_sub(1, Relaxed);
    }

    pub(crate) fn refuse(&self, reason: Refused) {
        self.refused[reason as usize].fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place_and_word() {
        let stats = Stats::default();
        for (index, reason) in Closed::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{}", reason.as_str());
            stats.opened();
            stats.ended(reason);
            assert_eq!(stats.closed(reason), 1, "{}", reason.as_str());
        }
        for (index, reason) in Refused::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{}", reason.as_str());
            stats.refuse(reason);
            assert_eq!(stats.refused(reason), 1, "{}", reason.as_str());
        }
        assert_eq!((stats.open(), stats.accepted()), (0, Closed::ALL.len() as u64));
    }
}
