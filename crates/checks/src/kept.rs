//! One connection kept open between the runs of a check, and the one way in which all kinds use it. A run takes it
//! out and puts it back only when it ended well: a run that is dropped at its deadline takes the connection with
//! it, so no half-read answer is ever left for the next one.

use farol_health::Outcome;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Whatever the interval, a kept connection is given up at this age …
const MAX_AGE: Duration = Duration::from_secs(60);
/// … and earlier when it is at least so old …
const MIN_AGE: Duration = Duration::from_secs(10);
/// … and has served so many runs. So a server which answers old connections but no new ones (no slot free, its
/// accepting process hangs, password changed, address moved) is seen after 10 s or three intervals, at most 60 s.
const RUNS: u32 = 3;

/// A server that is asked over a kept connection.
pub(crate) trait Server: Sync {
    /// What is kept.
    type Connection: Send;
    /// Why nothing could be learned over a connection.
    type Error: Send;

    /// Connects and logs in.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;

    /// Asks once. After an error the connection is of no more use.
    fn ask(
        &self,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<Outcome, Self::Error>> + Send;

    /// What an error of a new connection says of the server.
    fn failure(&self, error: &Self::Error) -> Outcome;

    /// Takes leave, so that the server does not complain of a client that went silently.
    fn leave(&self, connection: Self::Connection) -> impl Future<Output = ()> + Send;
}

/// The place of one connection.
#[derive(Debug)]
pub(crate) struct Kept<C> {
    /// Empty while a run uses it, and before the first.
    slot: Mutex<Option<Opened<C>>>,
}

/// An open connection and what decides whether it is kept on.
#[derive(Debug)]
struct Opened<C> {
    connection: C,
    /// When it was opened.
    since: Instant,
    /// How many runs it has served.
    runs: u32,
}

impl<C> Opened<C> {
    fn is_old(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.since);
        age >= MAX_AGE || (age >= MIN_AGE && self.runs >= RUNS)
    }
}

impl<C: Send> Kept<C> {
    /// Nothing kept yet.
    pub(crate) fn new() -> Self {
        Self { slot: Mutex::new(None) }
    }

    /// One run. What a kept connection cannot answer (the server restarted between two runs), a new one decides.
    pub(crate) async fn ask<S: Server<Connection = C>>(&self, server: &S) -> Outcome {
        let kept = self.slot.lock().take();
        if let Some(opened) = kept {
            if opened.is_old(Instant::now()) {
                server.leave(opened.connection).await;
            } else if let Ok(outcome) = self.over(server, opened).await {
                return outcome;
            }
        }
        let asked = match server.connect().await {
            Ok(connection) => self.over(server, Opened { connection, since: Instant::now(), runs: 0 }).await,
            Err(error) => Err(error),
        };
        asked.unwrap_or_else(|error| server.failure(&error))
    }

    async fn over<S: Server<Connection = C>>(
        &self,
        server: &S,
        mut opened: Opened<C>,
    ) -> Result<Outcome, S::Error> {
        let outcome = server.ask(&mut opened.connection).await?;
        opened.runs = opened.runs.saturating_add(1);
        *self.slot.lock() = Some(opened);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// Counts its connections; one works as long as `works` is its number.
    #[derive(Default)]
    struct Double {
        opened: AtomicU32,
        left: AtomicU32,
        /// The first connection that still works.
        works: AtomicU32,
    }

    impl Server for Double {
        type Connection = u32;
        type Error = &'static str;

        async fn connect(&self) -> Result<u32, &'static str> {
            Ok(self.opened.fetch_add(1, Relaxed) + 1)
        }

        async fn ask(&self, connection: &mut u32) -> Result<Outcome, &'static str> {
            if *connection < self.works.load(Relaxed) {
                return Err("it broke");
            }
            Ok(Outcome::healthy().with_fact("connection", connection.to_string()))
        }

        fn failure(&self, error: &&'static str) -> Outcome {
            Outcome::unhealthy("broken", *error)
        }

        async fn leave(&self, _: u32) {
            self.left.fetch_add(1, Relaxed);
        }
    }

    /// How many connections `runs` runs open, `interval` apart.
    async fn opened(interval: Duration, runs: u32) -> u32 {
        let (kept, server) = (Kept::new(), Double::default());
        for _ in 0..runs {
            kept.ask(&server).await;
            tokio::time::advance(interval).await;
        }
        assert_eq!(
            server.left.load(Relaxed),
            server.opened.load(Relaxed) - 1,
            "each but the last took leave"
        );
        server.opened.load(Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_serves_ten_seconds_or_three_intervals_and_never_more_than_a_minute() {
        let table = [
            (1_000, 100, 10), // ten runs each
            (5_000, 12, 4),   // three runs, 15 s
            (10_000, 12, 4),  // three runs, 30 s
            (25_000, 12, 4),  // three runs: at 0, 25 and 50 s
            (30_000, 12, 6),  // two: at 0 and 30 s
            (60_000, 3, 3),
        ];
        for (interval, runs, expected) in table {
            assert_eq!(opened(Duration::from_millis(interval), runs).await, expected, "{interval} ms");
        }
    }

    #[tokio::test]
    async fn a_broken_connection_is_replaced_within_the_run_and_a_broken_new_one_decides() {
        let (kept, server) = (Kept::new(), Double::default());
        kept.ask(&server).await;
        server.works.store(2, Relaxed);
        assert_eq!(kept.ask(&server).await.metadata[0].1, "2");
        server.works.store(9, Relaxed);
        assert_eq!(kept.ask(&server).await.reason, "broken");
        assert!(kept.slot.lock().is_none());
    }
}
