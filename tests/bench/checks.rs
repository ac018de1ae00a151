//! One agent with many checks: how regularly it asks, seen from the ports that it asks, and what that costs. One more
//! check hangs for ever. Each port stands for one check, so nothing has to be asked of the agent.

use crate::probe::percentile;
use crate::{clock, process};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// First runs are spread over so much, and the figures of the start are others than those later on.
const WARM_UP: Duration = Duration::from_secs(5);
/// Connections that wait to be noted; the one who takes them does nothing else.
const WAITING: usize = 65_536;

/// Which agent, how many checks, for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The agent's binary.
    #[arg(long)]
    binary: PathBuf,
    /// Checks, one TCP port each.
    #[arg(long, default_value_t = 300)]
    checks: usize,
    /// Seconds between two runs of a check.
    #[arg(long, default_value_t = 1.0)]
    every: f64,
    /// A monitor's address for agents, to which the agent streams meanwhile.
    #[arg(long)]
    monitor: Option<SocketAddr>,
    /// Seconds to measure.
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
}

/// Ends with this process.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(options))
}

async fn measure(options: &Options) -> anyhow::Result<Value> {
    let (note, mut arrivals) = mpsc::channel(WAITING);
    let mut ports = JoinSet::new();
    let mut checks = "checks:\n".to_owned();
    for number in 0..options.checks {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        writeln!(
            checks,
            "  - {{name: check-{number}, tcp: {{address: \"{}\"}}, interval: {}ms, deadline: 500ms}}",
            listener.local_addr()?,
            options.every * 1e3,
        )?;
        ports.spawn(accept(listener, number, note.clone()));
    }
    // A server that takes connections and never says a word.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(
        checks,
        "  - {{name: hangs, http: {{url: \"http://{}/\"}}, interval: {}ms, deadline: 500ms}}",
        silent.local_addr()?,
        options.every * 1e3,
    )?;
    ports.spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            held.push(connection);
        }
    });
    let folder = tempfile::tempdir()?;
    let agent = start(options, &folder, &checks)?;
    let pid = agent.0.id();
    sleep(WARM_UP).await;
    while arrivals.try_recv().is_ok() {}
    let before = process::read(pid).context("the agent has ended; run it with the same checks to see why")?;
    let (began, until) = (clock::now_ns(), Instant::now() + Duration::from_secs_f64(options.seconds));
    let mut seen: Vec<Vec<u64>> = vec![Vec::new(); options.checks];
    loop {
        tokio::select! {
            () = sleep_until(until) => break,
            Some((number, at)) = arrivals.recv() => seen[number].push(at),
        }
    }
    let (after, seconds) = (process::read(pid)?, (clock::now_ns() - began) as f64 / 1e9);
    let cpu = after.cpu_since(&before);
    let jitter = Jitter::of(&seen, options.every, seconds)?;
    Ok(json!({
        "bench": "checks",
        "checks": options.checks,
        "every_seconds": options.every,
        "seconds": seconds.round(),
        "runs": jitter.runs,
        "runs_missed": jitter.missed,
        "cpu_ms_per_second": round(cpu * 1e3 / seconds),
        "cpu_us_per_run": round(cpu * 1e6 / jitter.runs.max(1) as f64),
        "resident_mib": round(after.resident_bytes / 1_048_576.0),
        "jitter_p50_ms": round(jitter.p50_ms),
        "jitter_p99_ms": round(jitter.p99_ms),
        "jitter_max_ms": round(jitter.max_ms),
    }))
}

async fn accept(listener: TcpListener, number: usize, note: mpsc::Sender<(usize, u64)>) {
    // Gone when the measurement is over.
    while listener.accept().await.is_ok() && note.send((number, clock::now_ns())).await.is_ok() {}
}

fn start(options: &Options, folder: &tempfile::TempDir, checks: &str) -> anyhow::Result<Agent> {
    let config = folder.path().join("agent.yaml");
    let monitors = options.monitor.map_or(String::new(), |address| format!("\"http://{address}\""));
    let text =
        format!("name: many-checks\nmonitors: [{monitors}]\nlisten: {{http: \"127.0.0.1:0\"}}\n{checks}");
    std::fs::write(&config, text)?;
    let mut command = Command::new(&options.binary);
    command.arg("--config").arg(&config).arg("--data-dir").arg(folder.path().join("data"));
    command.env("LOG_LEVEL", "error").stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.spawn().with_context(|| format!("{} cannot be run", options.binary.display()))?;
    Ok(Agent(child))
}

/// How far the time between two runs of a check was from its interval.
struct Jitter {
    runs: usize,
    /// Runs fewer than there should have been, each check for itself.
    missed: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Jitter {
    fn of(seen: &[Vec<u64>], every: f64, seconds: f64) -> anyhow::Result<Self> {
        let off = |pair: &[u64]| ((pair[1] - pair[0]) as f64 - every * 1e9).abs() as u64;
        let mut off: Vec<u64> = seen.iter().flat_map(|runs| runs.windows(2).map(off)).collect();
        off.sort_unstable();
        let due = (seconds / every).floor() as usize;
        let missed = seen.iter().map(|runs| due.saturating_sub(runs.len() + 1)).sum();
        let ms = |share| percentile(&off, share).map(|ns| ns as f64 / 1e6);
        let (Some(p50_ms), Some(p99_ms), Some(max_ms)) = (ms(0.5), ms(0.99), ms(1.0)) else {
            bail!("no check ran twice");
        };
        Ok(Self { runs: seen.iter().map(Vec::len).sum(), missed, p50_ms, p99_ms, max_ms })
    }
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_the_distance_from_the_interval_in_either_direction() {
        let ms = |ms: u64| ms * 1_000_000;
        let seen =
            [vec![ms(5), ms(1_005), ms(2_015), ms(3_000)], vec![ms(500), ms(1_500)], vec![ms(1), ms(1_001)]];
        let jitter = Jitter::of(&seen, 1.0, 4.2).unwrap();
        assert_eq!((jitter.runs, jitter.missed), (8, 2), "one less than due may be at the edge");
        assert_eq!((jitter.p50_ms, jitter.max_ms), (0.0, 15.0));
        assert!(Jitter::of(&[vec![1], vec![2]], 1.0, 4.0).is_err());
    }
}
