//! A real Alertmanager of our own on a free port of 127.0.0.1, alone, with one receiver that goes nowhere.

use crate::server::{Running, free_port};
use crate::wait::until;
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a start may take.
const READY: Duration = Duration::from_secs(20);
const CONFIG: &str = "alertmanager.yml";

/// A server. Stopped and removed when dropped.
pub struct Alertmanager {
    /// Declared first, so that the server ends before its directory goes.
    running: Running,
    _dir: TempDir,
    port: u16,
    client: reqwest::Client,
}

impl Alertmanager {
    /// A running server.
    ///
    /// # Errors
    /// Alertmanager is not installed or does not start.
    pub async fn start() -> Result<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        for _ in 0..5 {
            let dir = tempfile::Builder::new().prefix("farol-alertmanager-").tempdir()?;
            std::fs::write(dir.path().join(CONFIG), "route: {receiver: none}\nreceivers: [{name: none}]\n")?;
            let port = free_port()?;
            let running = spawn(&dir, port)?;
            let mut alertmanager = Self { running, _dir: dir, port, client: client.clone() };
            if alertmanager.becomes_ready().await? {
                return Ok(alertmanager);
            }
        }
        bail!("no Alertmanager started in five attempts")
    }

    /// Waits until it answers (`true`) or has ended (`false`): another process took its port.
    async fn becomes_ready(&mut self) -> Result<bool> {
        let url = self.url("/-/ready");
        let (running, client) = (&mut self.running, &self.client);
        let mut ended = false;
        until("Alertmanager's readiness", READY, || {
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

    /// The alerts that it holds as active now.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn alerts(&self) -> Result<Vec<Value>> {
        let url = self.url("/api/v2/alerts");
        Ok(self.client.get(url).send().await?.error_for_status()?.json().await?)
    }
}

fn spawn(dir: &TempDir, port: u16) -> Result<Running> {
    let log = File::create(dir.path().join("log"))?;
    let child = Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", dir.path().join(CONFIG).display()))
        .arg(format!("--storage.path={}", dir.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("prometheus-alertmanager is not installed; run scripts/test-deps")?;
    Ok(Running::new(child, Signal::KILL))
}
