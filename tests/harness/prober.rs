//! An open loop of probes: one goes out at each tick whatever became of those before, as orchestrators ask.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// One that is not answered by then counts as this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Probes that go out until they are counted.
pub struct Prober {
    stop: watch::Sender<bool>,
    running: JoinSet<Probed>,
}

/// What became of the probes.
#[derive(Clone, Debug, Default)]
pub struct Probed {
    /// How long those took that were answered, shortest first.
    pub took: Vec<Duration>,
    /// Nobody listened.
    pub refused: usize,
}

impl Probed {
    /// The time that `share` of the answered ones did not pass.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let at = ((self.took.len() as f64 * share).ceil() as usize).clamp(1, self.took.len().max(1)) - 1;
        self.took.get(at).copied().unwrap_or(PATIENCE)
    }
}

impl Prober {
    /// Asks a path at every `every`, each time on a connection of its own.
    #[must_use]
    pub fn begin(http: SocketAddr, path: &'static str, every: Duration) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        running.spawn(async move {
            let (mut asked, mut probed) = (JoinSet::new(), Probed::default());
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            loop {
                tokio::select! {
                    at = ticks.tick() => drop(asked.spawn(probe(http, path, at))),
                    Some(Ok(took)) = asked.join_next() => probed.note(took),
                    _ = stopped.changed() => break,
                }
            }
            while let Some(took) = asked.join_next().await {
                probed.note(took.unwrap_or_default());
            }
            probed.took.sort_unstable();
            probed
        });
        Self { stop, running }
    }

    /// Ends the loop and gives what it found.
    pub async fn count(mut self) -> Probed {
        self.stop.send_replace(true);
        self.running.join_next().await.and_then(Result::ok).unwrap_or_default()
    }
}

impl Probed {
    fn note(&mut self, took: Option<Duration>) {
        match took {
            Some(took) => self.took.push(took),
            None => self.refused += 1,
        }
    }
}

/// From when it was due until its answer was there; `None`: nobody listened.
async fn probe(http: SocketAddr, path: &str, due: Instant) -> Option<Duration> {
    let answered = async {
        let mut stream = TcpStream::connect(http).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        (!answer.is_empty()).then_some(())
    };
    match timeout(PATIENCE, answered).await {
        Ok(None) => None,
        Ok(Some(())) => Some(due.elapsed()),
        Err(_) => Some(PATIENCE),
    }
}
