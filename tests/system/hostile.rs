//! What strangers may send to a monitor: each broken stream, request and byte is answered with what is wrong, is
//! counted, and disturbs nobody else.

mod bytes;
mod declared;
mod edges;
mod floods;
mod identity;
mod layouts;
mod order;
mod peer;
mod requests;
mod volume;

use anyhow::{Context, Result, ensure};
use farol_tests::process::Process;
use farol_tests::wait::until;
use peer::{PATIENCE, Peer};
use serde_json::Value;
use tempfile::TempDir;

/// A real monitor, and an agent that does all as it should: whatever else happens, it must not notice.
struct Scene {
    monitor: Process,
    honest: Peer,
    folder: TempDir,
}

impl Scene {
    async fn start() -> Result<Self> {
        Self::with("").await
    }

    /// With this configuration.
    async fn with(config: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let monitor = monitor(&folder, config).await?;
        let well = || async { monitor.get("/health").await.is_ok_and(|(status, _)| status == 200) };
        until("the monitor's own health", PATIENCE, well).await?;
        let mut honest = Peer::connect(&monitor, "honest").await?;
        honest.be_live().await?;
        Ok(Self { monitor, honest, folder })
    }

    async fn peer(&self, agent: &str) -> Result<Peer> {
        Peer::connect(&self.monitor, agent).await
    }

    /// A stream that has said nothing yet.
    async fn stranger(&self) -> Result<Peer> {
        Peer::open(self.monitor.address("agents")).await
    }

    /// The honest agent's next report is taken and acknowledged, and it is healthy.
    async fn nobody_else_noticed(&mut self) -> Result<()> {
        self.honest.report_is_acked().await.context("the honest agent")?;
        let body = self.monitor.json("/api/v1/components").await?;
        let all = body["items"].as_array().context("a list")?;
        let own = all.iter().find(|c| c["agent"] == "honest").context("the honest agent's component")?;
        ensure!(own["status"] == "healthy", "the honest agent's component: {own}");
        let (status, text) = self.monitor.get("/health/live").await?;
        ensure!(status == 200, "alive: {text}");
        Ok(())
    }

    /// The sum of all samples of a metric of the monitor's own.
    async fn count(&self, metric: &str) -> Result<u64> {
        let (status, page) = self.monitor.get("/metrics").await?;
        ensure!(status == 200, "/metrics: {status} {page}");
        let of_metric = |line: &&str| {
            line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
        };
        let mut values = page.lines().filter(of_metric).peekable();
        ensure!(values.peek().is_some(), "/metrics has no {metric}");
        let value = |line: &str| Ok(line.rsplit_once(' ').context("a sample")?.1.parse::<f64>()?);
        Ok(values.map(value).sum::<Result<f64>>()? as u64)
    }

    /// Nothing of what came made it panic.
    fn is_sound(&self) -> Result<()> {
        let log = self.monitor.log();
        let panics: Vec<&str> = log.lines().filter(|line| line.contains("panicked")).collect();
        ensure!(panics.is_empty(), "{}", panics.join("\n"));
        Ok(())
    }

    /// Resident memory, MiB.
    fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.monitor.pid()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
        let kib: u64 = line.split_ascii_whitespace().nth(1).context("a number")?.parse()?;
        Ok(kib / 1024)
    }
}

/// A monitor on free ports, with this configuration.
async fn monitor(folder: &TempDir, config: &str) -> Result<Process> {
    let file = folder.path().join("monitor.yaml");
    std::fs::write(&file, config)?;
    let file = file.to_str().context("a path in UTF-8")?.to_owned();
    let free = "127.0.0.1:0";
    let args = ["--http", free, "--agents", free, "--health", free, "--config", &file];
    Process::start("farol-monitor", &args, folder.path()).await
}

/// The components of one agent, by name.
fn of_agent<'v>(list: &'v Value, agent: &str) -> Vec<&'v Value> {
    list["items"].as_array().into_iter().flatten().filter(|item| item["agent"] == agent).collect()
}
