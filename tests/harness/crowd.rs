//! Many agents inside this process: the library as it is, over real sockets, each with a supervisor of its own.

use anyhow::{Context, Result};
use farol_agent::{Agent, Config, Connect, Io, Listen, Monitor, Network, Surroundings};
use farol_config::Sources;
use farol_shutdown::{Budgets, ExitReport, Handle, Supervisor};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Running agents. They end without a word when dropped.
#[derive(Default)]
pub struct Crowd {
    handles: Vec<Handle>,
    running: JoinSet<ExitReport>,
    arrivals: Arc<Arrivals>,
}

/// When connections of the crowd were opened.
#[derive(Default)]
pub struct Arrivals {
    network: Network,
    at: Mutex<Vec<Instant>>,
}

impl Connect for Arrivals {
    fn connect<'a>(&'a self, to: &'a Monitor) -> BoxFuture<'a, io::Result<Io>> {
        async {
            let io = self.network.connect(to).await?;
            self.at.lock().push(Instant::now());
            Ok(io)
        }
        .boxed()
    }
}

impl Crowd {
    /// Adds an agent with this configuration, as `agent.yaml` would hold it.
    ///
    /// # Errors
    /// The configuration is wrong, or a port cannot be had.
    pub fn add(&mut self, config: &str) -> Result<()> {
        let tree = Sources::new().text("agent.yaml", config).load()?;
        self.start(tree.read(|m| Config::read_alone(m, &Surroundings::default()))?)
    }

    /// The same without any listener, so that thousands fit.
    ///
    /// # Errors
    /// The configuration is wrong.
    pub fn add_deaf(&mut self, config: &str) -> Result<()> {
        let tree = Sources::new().text("agent.yaml", config).load()?;
        let mut config = tree.read(|m| Config::read_alone(m, &Surroundings::default()))?;
        config.listen = Listen::default();
        self.start(config)
    }

    fn start(&mut self, config: Config) -> Result<()> {
        let supervisor = Supervisor::new(Budgets::default());
        let handle = supervisor.handle();
        let network = Arc::clone(&self.arrivals) as Arc<dyn Connect>;
        let agent = Agent::bind(config, None, &handle, network)?;
        drop(agent.start());
        self.handles.push(handle);
        self.running.spawn(supervisor.run());
        Ok(())
    }

    /// When connections were opened since the last question, in that order.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Instant> {
        let mut at = std::mem::take(&mut *self.arrivals.at.lock());
        at.sort_unstable();
        at
    }

    /// Ends all of them as SIGTERM would, and gives their reports.
    ///
    /// # Errors
    /// One panicked.
    pub async fn stop(mut self) -> Result<Vec<ExitReport>> {
        for handle in &self.handles {
            handle.shutdown("the test is over");
        }
        let mut reports = Vec::new();
        while let Some(report) = self.running.join_next().await {
            reports.push(report.context("an agent panicked")?);
        }
        Ok(reports)
    }
}
