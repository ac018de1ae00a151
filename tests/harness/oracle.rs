//! The oracle: many simulated agents in this process that know what they said. Each issues reports with a payload of
//! its own, keeps what is not acknowledged, sends it again after a reconnect as the protocol says, and starts anew now
//! and then. Afterwards it is judged whether history holds what was acknowledged: once, unaltered, in order.

mod agent;
mod history;
mod ledger;
mod link;
mod rest;
mod values;
mod verdict;

pub use history::{Left, at_rest, in_store};
pub use ledger::{Books, Counts, Ledger, Start, payload};
pub use verdict::{Breach, Found, Judgement, judge};

use crate::dice::Dice;
use agent::Agent;
use anyhow::{Result, bail, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How the agents behave.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How many they are.
    pub agents: u32,
    /// Between two reports of one.
    pub every: Duration,
    /// One report in so many asks to be acknowledged at once.
    pub ack_now_in: u64,
    /// One tick in so many is a new start, with what the last one left in its spool.
    pub start_in: u64,
    /// Their wall clocks lie, by up to a day and differently at each connection.
    pub lying_clocks: bool,
    /// After so many reports the definitions change: what came before is a run that has ended, and is sealed.
    pub redefine_in: u64,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            agents: 20,
            every: Duration::from_millis(100),
            ack_now_in: 8,
            start_in: 400,
            lying_clocks: false,
            redefine_in: 24,
        }
    }
}

/// Running agents. They end without a word when dropped.
pub struct Oracle {
    seed: u64,
    ledger: Arc<Ledger>,
    way: watch::Sender<SocketAddr>,
    /// Whether reports are issued.
    issuing: watch::Sender<bool>,
    stop: CancellationToken,
    running: JoinSet<Result<()>>,
    began_ms: i64,
}

impl Oracle {
    /// Agents that speak to whoever listens at `way`.
    #[must_use]
    pub fn begin(seed: u64, habits: Habits, way: SocketAddr) -> Self {
        let (ledger, began_ms) = (Arc::new(Ledger::new(seed, habits.agents)), ledger::wall_ms());
        let (way, issuing) = (watch::Sender::new(way), watch::Sender::new(true));
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        for number in 0..habits.agents {
            let dice = Dice::apart(seed, u64::from(number) + 1);
            let agent = Agent::new(number, habits, Arc::clone(&ledger), dice);
            let (way, issuing, stop) = (way.subscribe(), issuing.subscribe(), stop.clone());
            running.spawn(async move {
                // Whatever it waits for, it ends when it is told to.
                let life = Box::pin(agent.live(way, issuing));
                stop.run_until_cancelled(life).await.unwrap_or(Ok(()))
            });
        }
        Self { seed, ledger, way, issuing, stop, running, began_ms }
    }

    /// What they said so far.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// From the next connection on they go this way.
    pub fn go_by(&self, way: SocketAddr) {
        self.way.send_replace(way);
    }

    /// Waits until so many more acknowledgements have come.
    ///
    /// # Errors
    /// They have not within `limit`.
    pub async fn acknowledged(&self, more: u64, limit: Duration) -> Result<()> {
        let wanted = self.ledger.counts().acks + more;
        let mut acks = self.ledger.acks();
        let reached = acks.wait_for(|acks| *acks >= wanted);
        match tokio::time::timeout(limit, reached).await {
            Ok(_) => Ok(()),
            Err(_) => bail!("{more} further acknowledgements have not come in {limit:?}"),
        }
    }

    /// No more reports are issued; waits until every one that was is acknowledged. How long it took.
    ///
    /// # Errors
    /// Some are not within `limit`: an agent does not come through any more.
    pub async fn settle(&mut self, limit: Duration) -> Result<Duration> {
        let began = Instant::now();
        self.issuing.send_replace(false);
        loop {
            // Also before the first look: an agent may be about to issue one.
            sleep(Duration::from_millis(10)).await;
            if let Some(ended) = self.running.try_join_next() {
                bail!("a simulated agent ended: {ended:?}");
            }
            let silent = self.ledger.unacknowledged();
            if silent.is_empty() {
                return Ok(began.elapsed());
            }
            ensure!(
                began.elapsed() < limit,
                "after {limit:?} {} of {} agents wait for acknowledgements, for instance {:?}",
                silent.len(),
                self.ledger.agents(),
                &silent[..silent.len().min(3)]
            );
        }
    }

    /// Reports are issued again.
    pub fn go_on(&self) {
        self.issuing.send_replace(true);
    }

    /// What the monitor answers by REST, once everything is acknowledged: history's counts and sums of each agent, and
    /// the statuses shown.
    ///
    /// # Errors
    /// The monitor does not answer, or what it says is not what was said to it.
    pub async fn confirm(&self, http: SocketAddr) -> Result<()> {
        rest::confirm(&self.ledger.books(), http).await
    }

    /// The same value by value, of a few agents; how many reports that were. The monitor's wall clock must be right.
    ///
    /// # Errors
    /// The monitor does not answer, or what it says is not what was said to it.
    pub async fn confirm_values(&self, http: SocketAddr) -> Result<u64> {
        values::confirm(&self.ledger.books(), http, self.began_ms).await
    }

    /// Ends the agents, and gives the books.
    pub async fn end(mut self) -> Books {
        self.stop.cancel();
        while self.running.join_next().await.is_some() {}
        self.ledger.books()
    }

    /// What everything here was thrown from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// When it began, unix milliseconds.
    #[must_use]
    pub fn began_ms(&self) -> i64 {
        self.began_ms
    }
}
