//! Takes batches out of a queue and sends them: after a second, when there are enough, and at the end. Decides what is
//! tried again: what the collector may take later, for as long as the process runs; what it may take in smaller parts
//! is sent so at once.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use super::End;
use super::failure::{Failure, Next};
use super::health::Health;
use super::queue::{Item, Queue};

/// What comes is gathered for so long.
const DELAY: Duration = Duration::from_secs(1);
/// After a failure it is tried again after this, then after twice as long each time, unless the collector says when.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What sends a batch.
pub(super) trait Export<T> {
    fn export(&self, batch: &[Item<T>]) -> impl Future<Output = Result<(), Status>>;
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

/// Something must wait, for so long where the collector says so.
struct Wait(Option<Duration>);

impl Wait {
    /// How long, after the wait before it.
    fn after(&self, last: Option<Duration>) -> Duration {
        let (least, most) = PATIENCE;
        let wait = self.0.or_else(|| last.map(|last| last * 2)).unwrap_or(least);
        wait.clamp(least, most)
    }
}

impl<T, E: Export<T>> Sender<T, E> {
    pub(super) async fn run(self, end: End) {
        let mut patience = None;
        loop {
            let ending = {
                let mut end = end.clone();
                tokio::select! {
                    () = end.begins() => true,
                    () = tokio::time::sleep(patience.unwrap_or(DELAY)) => false,
                    () = self.queue.full.notified(), if patience.is_none() => false,
                }
            };
            patience = match self.send_all(&end).await {
                Ok(()) => None,
                Err(wait) => Some(wait.after(patience)),
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
    async fn send_all(&self, end: &End) -> Result<(), Wait> {
        loop {
            let batch = self.queue.take();
            if batch.is_empty() {
                return Ok(());
            }
            self.send(batch, end).await?;
        }
    }

    /// A batch, in halves and their halves where it is too much at once.
    async fn send(&self, batch: Vec<Item<T>>, end: &End) -> Result<(), Wait> {
        // The oldest is at the end.
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let Err(failure) = within(self.exporter.export(&part), self.timeout, end).await else {
                self.health.works(self.signal);
                continue;
            };
            if failure.next == Next::Less && part.len() > 1 {
                let newer = part.split_off(part.len() / 2);
                parts.extend([newer, part]);
                continue;
            }
            self.health.fails(self.signal, &self.address, &failure);
            if let Next::Later(told) = failure.next {
                parts.push(part);
                for part in parts {
                    self.queue.put_back(part);
                }
                return Err(Wait(told));
            }
            self.queue.lose(part.len());
        }
        Ok(())
    }
}

/// An export, for as long as it may take.
pub(super) async fn within(
    export: impl Future<Output = Result<(), Status>>,
    timeout: Duration,
    end: &End,
) -> Result<(), Failure> {
    let late = |why: &str| Err(Failure { why: why.to_owned(), next: Next::Later(None) });
    let export = pin!(export);
    let mut end = end.clone();
    tokio::select! {
        result = export => result.map_err(|status| Failure::of(&status)),
        () = tokio::time::sleep(timeout) => late("the collector does not answer in time"),
        () = end.is_over() => late("the process ends"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Wait;

    #[test]
    fn it_waits_twice_as_long_each_time_or_as_told_and_never_too_long() {
        let seconds = Duration::from_secs;
        for (told, last, expected) in [
            (None, None, 1),
            (None, Some(1), 2),
            (None, Some(20), 30),
            (Some(7), None, 7),
            (Some(7), Some(16), 7),
            (Some(0), None, 1),
            (Some(86_400), Some(1), 30),
            (Some(u64::MAX), None, 30),
        ] {
            assert_eq!(
                Wait(told.map(seconds)).after(last.map(seconds)),
                seconds(expected),
                "{told:?} {last:?}"
            );
        }
    }
}
