//! The monitor and the agent that are measured, with all that makes alerts late set to nothing.

use super::{Options, checked};
use crate::clock::{now_ns, sleep_until};
use crate::http::Client;
use anyhow::{Context, bail};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const LOOK_NS: u64 = 5_000_000;
const READY_WITHIN_NS: u64 = 60_000_000_000;
/// What is shown of a log when something went wrong.
const TOLD: usize = 2_000;

const RULES: &str = "rules:
  - {name: part_down, component: \"~part-.*\", status: [unhealthy], for: 0s, flap: {changes: 0}, by: [service, component]}
";

/// Both processes; they end with this.
pub(super) struct System {
    http: SocketAddr,
    _agent: Running,
    _monitor: Running,
    logs: [PathBuf; 2],
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl System {
    pub(super) fn start(
        options: &Options,
        folder: &Path,
        checked: SocketAddr,
        sink: SocketAddr,
    ) -> anyhow::Result<Self> {
        std::fs::write(folder.join("rules.yaml"), RULES)?;
        let monitor = start(&options.monitor, folder, "monitor", &monitor_config(&options.durability, sink))?;
        let ready = monitor.1;
        let address = |of: &str| ready[of].as_str().with_context(|| format!("the ready file has no {of}"));
        let (http, agents) = (address("http")?.parse()?, address("agents")?);
        let agent = start(&options.agent, folder, "agent", &agent_config(options, agents, checked)?)?;
        let logs = ["monitor", "agent"].map(|name| folder.join(name).join("log"));
        Ok(Self { http, _agent: agent.0, _monitor: monitor.0, logs })
    }

    /// Components that are healthy, as the monitor shows it.
    pub(super) async fn healthy(&self) -> anyhow::Result<usize> {
        let http = self.http;
        let page = tokio::task::spawn_blocking(move || Client::new(http).text("/api/v1/fleet")).await??;
        let page: Value = serde_json::from_str(&page)?;
        let healthy = page["components"]["healthy"].as_u64().context("the fleet counts no components")?;
        Ok(usize::try_from(healthy)?)
    }

    /// The ends of both logs.
    pub(super) fn logs(&self) -> String {
        let ends = self.logs.iter().map(|log| {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            text.chars().rev().take(TOLD).collect::<Vec<_>>().into_iter().rev().collect::<String>()
        });
        ends.collect::<Vec<_>>().join("\n")
    }
}

/// Each alert by itself and at once; the least that a group may wait between two notices is a second.
fn monitor_config(durability: &str, sink: SocketAddr) -> String {
    format!(
        "listen: {{http: \"127.0.0.1:0\", agents: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}}
default_rules: false
rules: [../rules.yaml]
store: {{sqlite: {{durability: {durability}}}}}
egress: {{private: true}}
receivers: {{sink: {{webhook: {{url: \"http://{sink}/\"}}}}}}
route: {{receiver: sink, group_by: [\"...\"], group_wait: 0s, critical_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
"
    )
}

fn agent_config(options: &Options, monitor: &str, checked: SocketAddr) -> anyhow::Result<String> {
    let mut config = format!(
        "name: checks\nservice: parts\nmonitors: [\"http://{monitor}\"]\nlisten: {{http: \"127.0.0.1:0\"}}\nchecks:\n"
    );
    let every = options.every * 1e3;
    for name in (0..options.trials).map(checked::name) {
        writeln!(
            config,
            "  - {{name: {name}, interval: {every}ms, deadline: {}ms, failure_threshold: 1, success_threshold: 1, \
             http: {{url: \"http://{checked}/{name}\"}}}}",
            every.min(500.0),
        )?;
    }
    Ok(config)
}

/// Starts it and waits until it is ready; what its ready file says.
fn start(binary: &Path, folder: &Path, name: &str, config: &str) -> anyhow::Result<(Running, Value)> {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder)?;
    let (path, ready, log) = (folder.join("config.yaml"), folder.join("ready.json"), folder.join("log"));
    std::fs::write(&path, config)?;
    let out = File::create(&log)?;
    let mut command = Command::new(binary);
    command.arg("--config").arg(path).arg("--data-dir").arg(folder.join("data"));
    command.arg("--ready-file").arg(&ready).env_clear().env("LOG_LEVEL", "warn").stdin(Stdio::null());
    command.stdout(out.try_clone()?).stderr(out);
    let began = now_ns();
    let mut running = Running(command.spawn().with_context(|| binary.display().to_string())?);
    loop {
        // It is written by a rename: whoever sees it sees all of it.
        if let Ok(text) = std::fs::read_to_string(&ready) {
            return Ok((running, serde_json::from_str(&text)?));
        }
        if running.0.try_wait()?.is_some() || now_ns() - began > READY_WITHIN_NS {
            bail!("{name} is not ready: {}", std::fs::read_to_string(&log).unwrap_or_default());
        }
        sleep_until(now_ns() + LOOK_NS);
    }
}
