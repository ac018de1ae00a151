//! A monitor and its agents: real processes in one temporary folder, each on ports of its own.

use crate::process::{self, Ended, Process};
use crate::sse::{Event, Events};
use crate::wait::until;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything that must come may take to come.
pub const SOON: Duration = Duration::from_secs(20);

/// A monitor, and a folder for its agents.
pub struct Stack {
    /// Declared first, so that the process ends before its folder goes.
    monitor: Option<Process>,
    /// Where it listens: the same after each restart.
    addresses: Addresses,
    config: PathBuf,
    /// What the monitor finds in its environment besides.
    env: Vec<(String, String)>,
    folder: TempDir,
}

/// Where a monitor listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// REST, probes, scrape.
    pub http: SocketAddr,
    /// Agents' streams.
    pub agents: SocketAddr,
    /// gRPC health.
    pub health: SocketAddr,
}

impl Addresses {
    /// Those that a process told in its ready file.
    #[must_use]
    pub fn of(process: &Process) -> Self {
        Self {
            http: process.address("http"),
            agents: process.address("agents"),
            health: process.address("health"),
        }
    }
}

impl Stack {
    /// A running monitor with this configuration; `listen` is given by flags.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(config: &str) -> Result<Self> {
        Self::start_with(config, Vec::new()).await
    }

    /// The same with these variables in the monitor's environment.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_with(config: &str, env: Vec<(String, String)>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("farol-").tempdir()?;
        let path = folder.path().join("monitor.yaml");
        fs::write(&path, config)?;
        let any: SocketAddr = "127.0.0.1:0".parse()?;
        let any = Addresses { http: any, agents: any, health: any };
        let monitor = start_monitor(&path, any, &env, folder.path()).await?;
        let addresses = Addresses::of(&monitor);
        Ok(Self { monitor: Some(monitor), addresses, config: path, env, folder })
    }

    /// The running monitor.
    #[must_use]
    pub fn monitor(&self) -> &Process {
        self.monitor.as_ref().expect("the monitor runs")
    }

    /// Where it listens, running or not.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The monitor's data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("monitor/data")
    }

    /// A place for a file or an agent's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `kill -9` of the monitor.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill_monitor(&mut self) -> Result<()> {
        self.monitor.take().context("the monitor does not run")?.kill().await
    }

    /// SIGTERM for the monitor, and its end.
    ///
    /// # Errors
    /// It does not run, or does not end.
    pub async fn stop_monitor(&mut self) -> Result<Ended> {
        self.monitor.take().context("the monitor does not run")?.stop().await
    }

    /// Starts the monitor again with the same data and on the same ports.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_monitor(&mut self) -> Result<()> {
        ensure!(self.monitor.is_none(), "the monitor runs already");
        let started = start_monitor(&self.config, self.addresses, &self.env, self.folder.path());
        self.monitor = Some(started.await?);
        Ok(())
    }

    /// Starts the agent `name` with this configuration besides its name, its monitor and its ports. A second start
    /// of the same name goes on with the same data.
    ///
    /// # Errors
    /// It does not start.
    pub async fn agent(&self, name: &str, config: &str) -> Result<Process> {
        self.agent_through(self.addresses.agents, name, config).await
    }

    /// The same by another way than the monitor's own address.
    ///
    /// # Errors
    /// It does not start.
    pub async fn agent_through(&self, way: SocketAddr, name: &str, config: &str) -> Result<Process> {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder)?;
        let path = write_config(&folder, way, name, config)?;
        let path = path.to_str().context("a path in UTF-8")?;
        Process::start("farol-agent", &["--config", path], &folder).await
    }

    /// Writes an agent's file; a running agent reads it at SIGHUP.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn configure(&self, name: &str, config: &str) -> Result<PathBuf> {
        write_config(&self.folder.path().join(name), self.addresses.agents, name, config)
    }

    /// GET of a path of the monitor's HTTP port whose answer is JSON, whatever its status.
    ///
    /// # Errors
    /// It does not answer in JSON.
    pub async fn json(&self, path: &str) -> Result<Value> {
        let (status, body) = process::get(self.addresses.http, path).await?;
        serde_json::from_str(&body).with_context(|| format!("{path}: {status} {body}"))
    }

    /// All items of a list.
    ///
    /// # Errors
    /// It does not answer with a list of one page.
    pub async fn items(&self, path: &str) -> Result<Vec<Value>> {
        let list = self.json(path).await?;
        ensure!(list["next"].is_null(), "{path} has more than one page");
        Ok(list["items"].as_array().with_context(|| format!("{path}: {list}"))?.clone())
    }

    /// The HTTP status of a path of the monitor.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn status(&self, path: &str) -> Result<u16> {
        Ok(process::get(self.addresses.http, path).await?.0)
    }

    /// What `/api/v1/components` says of one component.
    ///
    /// # Errors
    /// The monitor does not answer.
    pub async fn component(&self, agent: &str, component: &str) -> Result<Option<Value>> {
        let path = format!("/api/v1/components?agent={agent}&component={component}");
        Ok(self.items(&path).await?.into_iter().next())
    }

    /// Waits until a component is shown so.
    ///
    /// # Errors
    /// It is not within `limit`.
    pub async fn shows(&self, agent: &str, component: &str, shown: &str, limit: Duration) -> Result<Value> {
        let mut last = Value::Null;
        let what = format!("{agent}/{component} is {shown}");
        let found = until(&what, limit, async || {
            last = self.component(agent, component).await.ok().flatten().unwrap_or_default();
            last["shown_as"] == shown
        });
        found.await.with_context(|| format!("it is {last}"))?;
        Ok(last)
    }

    /// The status of a service.
    ///
    /// # Errors
    /// The monitor does not answer.
    pub async fn service(&self, name: &str) -> Result<String> {
        let service = self.json(&format!("/health/services/{name}")).await?;
        Ok(service["status"].as_str().unwrap_or_default().to_owned())
    }

    /// All that happened since the monitor started, oldest first.
    ///
    /// # Errors
    /// The monitor does not answer, or more happened than one page holds.
    pub async fn history(&self) -> Result<Vec<Value>> {
        self.items("/api/v1/events?limit=1000").await
    }

    /// The same of one kind alone.
    ///
    /// # Errors
    /// As [`history`](Self::history).
    pub async fn history_of(&self, kind: &str) -> Result<Vec<Value>> {
        self.items(&format!("/api/v1/events?limit=1000&kind={kind}")).await
    }

    /// Follows the events from now on. What comes first is the snapshot.
    ///
    /// # Errors
    /// The monitor does not answer with a stream.
    pub async fn events(&self) -> Result<Events> {
        let mut events = Events::open(self.addresses.http, "/api/v1/events", None).await?;
        match events.next().await? {
            Some(Event { name, .. }) if name == "snapshot" => Ok(events),
            other => bail!("the first event is {other:?}"),
        }
    }
}

async fn start_monitor(
    config: &Path,
    at: Addresses,
    env: &[(String, String)],
    folder: &Path,
) -> Result<Process> {
    let config = config.to_str().context("a path in UTF-8")?;
    let (http, agents, health) = (at.http.to_string(), at.agents.to_string(), at.health.to_string());
    let args = ["--config", config, "--http", &http, "--agents", &agents, "--health", &health];
    let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Process::start_with("farol-monitor", &args, &env, &folder.join("monitor")).await
}

fn write_config(folder: &Path, monitor: SocketAddr, name: &str, config: &str) -> Result<PathBuf> {
    let path = folder.join("agent.yaml");
    let listen = "listen: {http: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}";
    fs::write(&path, format!("name: {name}\nmonitors: [\"http://{monitor}\"]\n{listen}\n{config}"))?;
    Ok(path)
}
