//! Simulated agents: each has a connection and a stream of its own and replays recorded rows from its own place in
//! the recording. Measures the monitor from outside: its CPU and memory in /proc, and probes meanwhile.

mod agent;
mod probe;
mod process;

use crate::rows::Recording;
use agent::{Plan, Tally};
use anyhow::Context;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How to load a monitor.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The recording to replay.
    #[arg(long)]
    recording: PathBuf,
    /// The monitor's agents port; loopback only.
    #[arg(long)]
    agents_addr: SocketAddr,
    /// The monitor's HTTP port, for probes meanwhile.
    #[arg(long)]
    http_addr: SocketAddr,
    /// The monitor's process id.
    #[arg(long)]
    pid: u32,
    /// How many agents.
    #[arg(long, default_value_t = 1_000)]
    agents: usize,
    /// Seconds between two reports of an agent.
    #[arg(long, default_value_t = 10.0)]
    interval: f64,
    /// Seconds to measure, after all agents are connected.
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// Probes a second meanwhile.
    #[arg(long, default_value_t = 200)]
    probes: u32,
}

/// Loads the monitor and prints one line of JSON.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    anyhow::ensure!(options.agents_addr.ip().is_loopback(), "load goes to loopback only");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(load(options))
}

async fn load(options: &Options) -> anyhow::Result<()> {
    let recording = Arc::new(Recording::read(&options.recording)?);
    let tally = Arc::new(Tally::default());
    let stop = CancellationToken::new();
    let before = process::read(options.pid).context("reading the monitor's /proc")?;
    let mut agents = JoinSet::new();
    for number in 0..options.agents {
        let plan = Plan {
            number,
            monitor: options.agents_addr,
            interval: Duration::from_secs_f64(options.interval),
            recording: Arc::clone(&recording),
        };
        agents.spawn(agent::run(plan, Arc::clone(&tally), stop.clone()));
        if number % 50 == 49 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    tally.wait_for_streams(options.agents, Duration::from_secs(120)).await?;
    tokio::time::sleep(Duration::from_secs_f64(options.interval)).await;
    let (start, reports, bytes) = (process::read(options.pid)?, tally.reports(), tally.bytes());
    let began = tokio::time::Instant::now();
    let probes =
        probe::run(options.http_addr, options.probes, Duration::from_secs_f64(options.seconds)).await?;
    let took = began.elapsed().as_secs_f64();
    let end = process::read(options.pid)?;
    let reports = tally.reports() - reports;
    let bytes = tally.bytes() - bytes;
    stop.cancel();
    while agents.join_next().await.is_some() {}
    let series = recording.series.len() as f64;
    let cpu = end.cpu_seconds - start.cpu_seconds;
    let line = serde_json::json!({
        "agents": options.agents,
        "interval_seconds": options.interval,
        "series_per_agent": recording.series.len(),
        "reports_per_second": reports as f64 / took,
        "monitor_cpu_us_per_report": cpu * 1e6 / reports as f64,
        "monitor_cpu_us_per_sample": cpu * 1e6 / reports as f64 / series,
        "monitor_cores": cpu / took,
        "wire_bytes_per_report": bytes as f64 / reports as f64,
        "wire_bytes_per_sample": bytes as f64 / reports as f64 / series,
        "monitor_resident_mib": end.resident_bytes / 1_048_576.0,
        "monitor_kib_per_agent": (end.resident_bytes - before.resident_bytes) / 1_024.0 / options.agents as f64,
        "acks": tally.acks(),
        "stream_errors": tally.errors(),
        "probe_p50_ms": probes.p50_ms,
        "probe_p99_ms": probes.p99_ms,
        "probe_errors": probes.errors,
    });
    #[allow(clippy::print_stdout, reason = "the result of a command")]
    {
        println!("{line}");
    }
    Ok(())
}
