//! Takes batches out of a queue and sends them: after a second, when there are enough, and at the end. Decides what is
//! tried again: what the collector may take later, for as long as the process runs.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;

use super::End;
use super::health::Health;
use super::queue::{Item, Queue};

/// What comes is gathered for so long.
const DELAY: Duration = Duration::from_secs(1);
/// After a failure it is tried again after this, then after twice as long each time.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// The OTLP specification's: others are the collector's last word.
#[rustfmt::skip]
const PASSING: [&str; 7] =
    ["Cancelled", "DeadlineExceeded", "ResourceExhausted", "Aborted", "OutOfRange", "Unavailable", "DataLoss"];

/// What sends a batch.
pub(super) trait Export<T> {
    fn export(&self, batch: &[Item<T>]) -> impl Future<Output = OTelSdkResult>;
}

/// Sends one signal.
pub(super) struct Sender<T, E> {
    pub(super) signal: &'static str,
    pub(super) address: String,
    pub(super) queue: Arc<Queue<T>>,
    pub(super) exporter: E,
    /// An export may take so long.
    pub(super) timeout: Duration,
    pub(super) health: Arc<Health>,
}

/// Why a batch was not taken.
pub(super) struct Failure {
    pub(super) why: String,
    /// The collector may take it later.
    pub(super) passes: bool,
}

impl<T, E: Export<T>> Sender<T, E> {
    pub(super) async fn run(self, end: End) {
        let mut wait = DELAY;
        loop {
            let ending = {
                let (mut end, patient) = (end.clone(), wait > DELAY);
                tokio::select! {
                    () = end.begins() => true,
                    () = tokio::time::sleep(wait) => false,
                    () = self.queue.full.notified(), if !patient => false,
                }
            };
            wait = match self.send_all(&end).await {
                Ok(()) => DELAY,
                Err(()) if wait == DELAY => PATIENCE.0 * 2,
                Err(()) => (wait * 2).min(PATIENCE.1),
            };
            if ending {
                break;
            }
        }
        let left = self.queue.clear();
        if left > 0 {
            let signal = self.signal;
            tracing::warn!(otlp.signal = signal, left, "the process ends before these could be exported");
        }
    }

    /// Until nothing waits, or something must wait longer.
    async fn send_all(&self, end: &End) -> Result<(), ()> {
        loop {
            let batch = self.queue.take();
            if batch.is_empty() {
                return Ok(());
            }
            match within(self.exporter.export(&batch), self.timeout, end).await {
                Ok(()) => self.health.works(self.signal),
                Err(Failure { why, passes }) => {
                    self.health.fails(self.signal, &self.address, &why, passes);
                    if passes {
                        self.queue.put_back(batch);
                        return Err(());
                    }
                    self.queue.lose(batch.len());
                }
            }
        }
    }
}

/// An export, for as long as it may take.
pub(super) async fn within(
    export: impl Future<Output = OTelSdkResult>,
    timeout: Duration,
    end: &End,
) -> Result<(), Failure> {
    let late = |why: &str| Err(Failure { why: why.to_owned(), passes: true });
    let export = pin!(export);
    let mut end = end.clone();
    tokio::select! {
        result = export => result.map_err(|error| Failure::of(&error.to_string())),
        () = tokio::time::sleep(timeout) => late("the collector does not answer in time"),
        () = end.is_over() => late("the process ends"),
    }
}

impl Failure {
    /// The exporter tells the status in its text alone; what cannot be told apart is tried again.
    pub(super) fn of(error: &str) -> Self {
        let code = error.split_once("gRPC code: ").map(|(_, rest)| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            &rest[..end]
        });
        let passes = code.is_none_or(|code| PASSING.contains(&code) || error.contains("transport error"));
        Self { why: error.to_owned(), passes }
    }
}
