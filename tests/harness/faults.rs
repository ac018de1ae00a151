//! What is done to a monitor under load, and whether it holds afterwards: each fault is one file, used in short by the
//! tests and for long by `farol-torture`.

pub mod clock;
pub mod crash;
pub mod disk;
pub mod kill;
pub mod pause;
pub mod slow;
pub mod storm;
pub mod telling;

use crate::dice::Dice;
use crate::oracle::{Habits, Judgement, Oracle, judge};
use crate::postgres::Postgres;
use crate::victim::{Ground, Means, Victim};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// After a fault every agent must be acknowledged within this.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// By how much a report's time may be off: an agent's Hello may lie that long on its way.
const SLACK_MS: i64 = 10_000;

/// Which store, before there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Sqlite,
    /// A PostgreSQL of its own.
    Postgres,
}

impl Kind {
    /// An empty one.
    ///
    /// # Errors
    /// PostgreSQL does not start.
    pub async fn ground(self) -> Result<Ground> {
        Ok(match self {
            Self::Sqlite => Ground::Sqlite,
            Self::Postgres => Ground::Postgres(Box::new(Postgres::start().await?)),
        })
    }
}

/// A monitor, and the oracle's agents around it.
pub struct Scene {
    /// The monitor.
    pub victim: Victim,
    /// The agents.
    pub oracle: Oracle,
    /// What is thrown for the faults.
    pub dice: Dice,
    /// By how much a report's time may be off; `None` where the monitor's clock is moved.
    pub slack_ms: Option<i64>,
    /// How it is started when nothing is to happen.
    pub means: Means,
}

impl Scene {
    /// A running monitor over an empty store, and agents that speak to it.
    ///
    /// # Errors
    /// The monitor does not start.
    pub async fn begin(ground: Ground, seed: u64, habits: Habits) -> Result<Self> {
        Self::with(Victim::new(ground, "")?, Means::default(), seed, habits).await
    }

    /// The same with a victim of one's own, started so.
    ///
    /// # Errors
    /// The monitor does not start.
    pub async fn with(mut victim: Victim, means: Means, seed: u64, habits: Habits) -> Result<Self> {
        victim.start(&means).await?;
        let oracle = Oracle::begin(seed, habits, victim.at().agents);
        Ok(Self { victim, oracle, dice: Dice::apart(seed, 0), slack_ms: Some(SLACK_MS), means })
    }

    /// Starts the monitor as when nothing is to happen.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(&mut self) -> Result<()> {
        self.victim.start(&self.means).await
    }

    /// The fault is over: every agent is acknowledged soon, and the monitor answers what it was told. Then reports are
    /// issued again. How long it took until all were acknowledged.
    ///
    /// # Errors
    /// An invariant does not hold.
    pub async fn check(&mut self) -> Result<Duration> {
        let took = self.settled().await?;
        self.oracle.go_on();
        Ok(took)
    }

    async fn settled(&mut self) -> Result<Duration> {
        let took = self.oracle.settle(SETTLED_WITHIN).await?;
        self.oracle.confirm(self.victim.at().http).await?;
        if self.slack_ms.is_some() {
            self.oracle.confirm_values(self.victim.at().http).await?;
        }
        Ok(took)
    }

    /// The end: checks, ends the monitor in order, and compares what its store holds with what was said.
    ///
    /// # Errors
    /// An invariant does not hold.
    pub async fn finish(&mut self) -> Result<Judgement> {
        self.settled().await?;
        let ended = self.victim.stop().await?;
        ensure!(ended.code == 0, "the monitor ended with {}: {}", ended.code, ended.log);
        let books = self.oracle.ledger().books();
        let left = self.victim.found(&books).await.context("reading what the monitor left")?;
        let mut judgement = judge(&books, &left.found, self.slack_ms);
        judgement.sealed = left.sealed;
        judgement.counts = self.oracle.ledger().counts();
        judgement.sound()?;
        ensure!(
            judgement.found == judgement.counts.issued,
            "{judgement:?}: not all that was issued is there"
        );
        Ok(judgement)
    }

    /// What its store holds, for who looks into what broke.
    pub async fn autopsy(&mut self) -> String {
        // It may have ended by itself.
        drop(self.victim.kill().await);
        let books = self.oracle.ledger().books();
        let left = self.victim.found(&books).await;
        let judged = left.map(|left| judge(&books, &left.found, self.slack_ms));
        match judged {
            Ok(judgement) => {
                let wrong = judgement.sound().map_or_else(|error| error.to_string(), |()| "sound".to_owned());
                format!("the store holds {} reports; {wrong}", judgement.found)
            }
            Err(error) => format!("the store cannot be read: {error:#}"),
        }
    }
}
