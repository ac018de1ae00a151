//! Many agents inside this process: the library as it is, over real sockets, each with a supervisor of its own.

use anyhow::{Context, Result};
use farol_agent::{Agent, Config, Network, Surroundings};
use farol_config::Sources;
use farol_shutdown::{Budgets, ExitReport, Handle, Supervisor};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Running agents. They end without a word when dropped.
#[derive(Default)]
pub struct Crowd {
    handles: Vec<Handle>,
    running: JoinSet<ExitReport>,
}

impl Crowd {
    /// Adds an agent with this configuration, as `agent.yaml` would hold it.
    ///
    /// # Errors
    /// The configuration is wrong, or a port cannot be had.
    pub fn add(&mut self, config: &str) -> Result<()> {
        let tree = Sources::new().text("agent.yaml", config).load()?;
        let config = tree.read(|m| Config::read_alone(m, &Surroundings::default()))?;
        let supervisor = Supervisor::new(Budgets::default());
        let handle = supervisor.handle();
        let network = Arc::new(Network::new(None));
        let agent = Agent::bind(config, None, &handle, network)?;
        drop(agent.start());
        self.handles.push(handle);
        self.running.spawn(supervisor.run());
        Ok(())
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
