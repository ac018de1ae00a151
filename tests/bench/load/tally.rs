//! What all agents did, counted together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::socket::Traffic;
use anyhow::bail;
use parking_lot::Mutex;

/// So many errors are kept by their words.
const TOLD: usize = 3;

/// Counts; every number only grows.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) traffic: Arc<Traffic>,
    streams: AtomicU64,
    /// Agents that have sent two reports.
    reporting: AtomicU64,
    reports: AtomicU64,
    samples: AtomicU64,
    /// Bytes of the reports as gRPC messages.
    message_bytes: AtomicU64,
    /// Reports that the monitor told to be committed.
    acked: AtomicU64,
    /// Agents that ended before they were told to.
    errors: AtomicU64,
    /// What the first of them said.
    told: Mutex<Vec<String>>,
}

/// One moment of the counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) reports: u64,
    pub(super) samples: u64,
    pub(super) message_bytes: u64,
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
}

impl Tally {
    pub(super) fn opened(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    /// `second`: it is the second report of its agent.
    pub(super) fn reported(&self, second: bool, samples: u64, bytes: usize) {
        self.reporting.fetch_add(u64::from(second), Ordering::Relaxed);
        self.reports.fetch_add(1, Ordering::Relaxed);
        self.samples.fetch_add(samples, Ordering::Relaxed);
        self.message_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn acked(&self, reports: u64) {
        self.acked.fetch_add(reports, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, agent: usize, error: &anyhow::Error) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock();
        if told.len() < TOLD {
            told.push(format!("agent {agent}: {error:#}"));
        }
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    pub(super) fn told(&self) -> Vec<String> {
        self.told.lock().clone()
    }

    /// Reports sent and reports known to be committed, since the beginning.
    pub(super) fn sent_and_acked(&self) -> (u64, u64) {
        (self.reports.load(Ordering::Relaxed), self.acked.load(Ordering::Relaxed))
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            reports: self.reports.load(Ordering::Relaxed),
            samples: self.samples.load(Ordering::Relaxed),
            message_bytes: self.message_bytes.load(Ordering::Relaxed),
            sent_bytes: self.traffic.sent(),
            received_bytes: self.traffic.received(),
        }
    }

    /// Waits until each of so many agents has reported twice: from then on nothing is a beginning.
    pub(super) async fn wait_until_all_reported_twice(
        &self,
        agents: usize,
        within: Duration,
    ) -> anyhow::Result<()> {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let all = async {
            while count(&self.reporting) < agents as u64 {
                if self.errors() > 0 {
                    bail!("{} agents failed while they connected: {}", self.errors(), self.told().join("; "));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        match tokio::time::timeout(within, all).await {
            Ok(result) => result,
            Err(_) => bail!(
                "of {agents} agents only {} have an open stream, and {} have reported twice, after {within:?}",
                count(&self.streams),
                count(&self.reporting)
            ),
        }
    }
}

impl Counts {
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            reports: self.reports - earlier.reports,
            samples: self.samples - earlier.samples,
            message_bytes: self.message_bytes - earlier.message_bytes,
            sent_bytes: self.sent_bytes - earlier.sent_bytes,
            received_bytes: self.received_bytes - earlier.received_bytes,
        }
    }
}
