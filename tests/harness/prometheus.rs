//! A real Prometheus of our own on a free port of 127.0.0.1 that scrapes what a test names, once a second.

use crate::server::{Running, free_port};
use crate::wait::until;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;
use std::fmt::Write;
use std::fs::File;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a start may take.
const READY: Duration = Duration::from_secs(20);
const CONFIG: &str = "prometheus.yml";

/// A server. Stopped and removed when dropped.
pub struct Prometheus {
    /// Declared first, so that the server ends before its directory goes.
    running: Running,
    _dir: TempDir,
    port: u16,
    client: reqwest::Client,
}

impl Prometheus {
    /// A running server with one job for each name, address and path.
    ///
    /// # Errors
    /// Prometheus is not installed or does not start.
    pub async fn scraping(jobs: &[(&str, SocketAddr, &str)]) -> Result<Self> {
        let mut config = String::from("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n");
        for (job, address, path) in jobs {
            writeln!(
                config,
                "  - {{job_name: {job}, metrics_path: {path}, static_configs: [{{targets: ['{address}']}}]}}"
            )?;
        }
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        for _ in 0..5 {
            let dir = tempfile::Builder::new().prefix("farol-prometheus-").tempdir()?;
            std::fs::write(dir.path().join(CONFIG), &config)?;
            let port = free_port()?;
            let running = spawn(&dir, port)?;
            let mut prometheus = Self { running, _dir: dir, port, client: client.clone() };
            if prometheus.becomes_ready().await? {
                return Ok(prometheus);
            }
        }
        bail!("no Prometheus started in five attempts")
    }

    /// Waits until it answers (`true`) or has ended (`false`): another process took its port.
    async fn becomes_ready(&mut self) -> Result<bool> {
        let url = self.url("/-/ready");
        let (running, client) = (&mut self.running, &self.client);
        let mut ended = false;
        until("Prometheus's readiness", READY, || {
            ended = running.has_ended();
            let request = client.get(&url).send();
            async move { ended || request.await.is_ok_and(|answer| answer.status().is_success()) }
        })
        .await?;
        Ok(!running.has_ended())
    }

    /// The URL of one of its pages.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// `data` of an answer of its API.
    ///
    /// # Errors
    /// It does not answer, or with an error.
    pub async fn api(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let url = self.url(&format!("/api/v1/{path}"));
        let mut answer: Value = self.client.get(url).query(query).send().await?.json().await?;
        ensure!(answer["status"] == "success", "{path} {query:?}: {answer}");
        Ok(answer["data"].take())
    }

    /// What an expression gives now: the samples of an instant vector.
    ///
    /// # Errors
    /// It does not answer, or with an error.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let mut data = self.api("query", &[("query", expression)]).await?;
        match data["result"].take() {
            Value::Array(samples) => Ok(samples),
            other => bail!("{expression} gives {other}"),
        }
    }
}

fn spawn(dir: &TempDir, port: u16) -> Result<Running> {
    let log = File::create(dir.path().join("log"))?;
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", dir.path().join(CONFIG).display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("prometheus is not installed; run scripts/test-deps")?;
    Ok(Running::new(child, Signal::KILL))
}
