//! Simulated agents: each has a connection and a stream of its own and replays recorded rows from its own place in
//! the recording. Measures the monitor from outside: its CPU and memory in /proc, and how its probes
//! answer under the same load.

mod agent;
pub(crate) mod socket;
mod tally;

use crate::http::{Client, metric};
use crate::probe::{Latency, Prober};
use crate::process::{self, Machine, Reading};
use crate::round;
use crate::rows::Recording;
use crate::tape::Tape;
use agent::Plan;
use anyhow::Context;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tally::{Counts, Tally};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// All agents must be connected after this and an interval.
const CONNECTED_WITHIN: Duration = Duration::from_secs(60);
/// Agents connect in such crowds: so many, then a pause.
const CROWD: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);
/// Probes are asked for so long, under the same load, once the rest is measured.
const PROBED: Duration = Duration::from_secs(10);
/// Looks at the monitor's memory, a second apart, before it is taken as it is.
const SETTLED_WITHIN: usize = 15;

/// How to load a monitor.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The recording to replay.
    #[arg(long)]
    recording: PathBuf,
    /// The monitor's agents port; loopback only.
    #[arg(long)]
    agents_addr: SocketAddr,
    /// The monitor's HTTP port, for probes.
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
    /// Seconds to measure, after every agent has reported.
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// Probes a second, for ten seconds after that.
    #[arg(long, default_value_t = 200)]
    probes: u32,
    /// The monitor's data directory, to see how its store grows.
    #[arg(long)]
    store: Option<PathBuf>,
}

/// Loads the monitor and prints one line of JSON.
pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    anyhow::ensure!(options.agents_addr.ip().is_loopback(), "load goes to loopback only");
    let tape = Arc::new(Tape::new(Recording::read(&options.recording)?)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(load(options, tape))
}

async fn load(options: &Options, tape: Arc<Tape>) -> anyhow::Result<Value> {
    let tally = Arc::new(Tally::default());
    let stop = CancellationToken::new();
    let interval = Duration::from_secs_f64(options.interval);
    let empty = process::read(options.pid).context("reading the monitor's /proc")?;
    let began = Instant::now();
    let mut agents = JoinSet::new();
    for number in 0..options.agents {
        let plan = Plan { number, monitor: options.agents_addr, interval, tape: Arc::clone(&tape) };
        agents.spawn(agent::run(plan, Arc::clone(&tally), stop.clone()));
        if number % CROWD == CROWD - 1 {
            sleep(PAUSE).await;
        }
    }
    tally.wait_until_all_reported_twice(options.agents, CONNECTED_WITHIN + 2 * interval).await?;
    settle(options.pid, empty.resident_bytes).await?;
    let warm_up = began.elapsed();
    let window = measure(options, &tally).await?;
    stop.cancel();
    while agents.join_next().await.is_some() {}
    let mut line = window.to_json(options, &tape, &tally, &empty);
    line["warm_up_seconds"] = json!(round(warm_up.as_secs_f64()));
    Ok(line)
}

/// Waits until the monitor's memory stands nearly still: what is freed late, and what grows with the first reports.
async fn settle(pid: u32, empty: f64) -> anyhow::Result<()> {
    let mut before = process::read(pid)?.resident_bytes;
    for _ in 0..SETTLED_WITHIN {
        sleep(Duration::from_secs(1)).await;
        let now = process::read(pid)?.resident_bytes;
        if (now - before).abs() < (now - empty).abs() / 200.0 {
            break;
        }
        before = now;
    }
    Ok(())
}

async fn measure(options: &Options, tally: &Tally) -> anyhow::Result<Window> {
    let time = Duration::from_secs_f64(options.seconds);
    let prober = Prober::new(options.http_addr, "/health/ready");
    let (rate, began) = (options.probes, Instant::now());
    let machine = Machine::read()?;
    let (monitor, myself) = (process::read(options.pid)?, process::read(std::process::id())?);
    let counts = tally.counts();
    let store = options.store.as_deref().map(folder_bytes);
    sleep(time).await;
    let (monitor_end, myself_end) = (process::read(options.pid)?, process::read(std::process::id())?);
    let seconds = began.elapsed().as_secs_f64();
    let counts = tally.counts().since(counts);
    let machine_cpu = Machine::read()?.busy_since(&machine);
    // Afterwards: what probes cost is no report's.
    let probes = tokio::task::spawn_blocking(move || prober.run(rate, PROBED));
    let window = Window {
        seconds,
        counts,
        monitor_cpu: monitor_end.cpu_since(&monitor),
        own_cpu: myself_end.cpu_since(&myself),
        machine_cpu,
        monitor: monitor_end,
        probes: probes.await?,
        history: metric(&page(options.http_addr).await?, "farol_history_memory_bytes"),
        store_grown: options.store.as_deref().map(folder_bytes).zip(store).map(|(now, then)| now - then),
    };
    Ok(window)
}

/// What was measured between two moments.
struct Window {
    seconds: f64,
    counts: Counts,
    monitor_cpu: f64,
    own_cpu: f64,
    machine_cpu: f64,
    monitor: Reading,
    probes: Latency,
    /// What the monitor says that history takes up in memory, where it keeps some.
    history: Option<f64>,
    /// Bytes by which the store's files grew; they grow in leaps.
    store_grown: Option<f64>,
}

/// The monitor's own page.
async fn page(address: SocketAddr) -> anyhow::Result<String> {
    tokio::task::spawn_blocking(move || Client::new(address).text("/metrics")).await?
}

/// The bytes of all files in a folder and below.
pub(crate) fn folder_bytes(folder: &Path) -> f64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => folder_bytes(&entry.path()),
        Ok(about) => about.len() as f64,
        // It is gone since it was listed.
        Err(_) => 0.0,
    };
    entries.map(bytes).sum()
}

impl Window {
    fn to_json(&self, options: &Options, tape: &Tape, tally: &Tally, empty: &Reading) -> Value {
        let (reports, samples) = (self.counts.reports as f64, self.counts.samples as f64);
        let (sent, acked) = tally.sent_and_acked();
        let grown = self.monitor.resident_bytes - empty.resident_bytes;
        let others = (self.machine_cpu - self.monitor_cpu - self.own_cpu).max(0.0);
        json!({
            "bench": "load",
            "agents": options.agents,
            "interval_seconds": options.interval,
            "seconds": round(self.seconds),
            "series_per_agent": tape.series().len(),
            "reports_per_second": round(reports / self.seconds),
            "reports_per_second_due": round(options.agents as f64 / options.interval),
            "samples_per_second": round(samples / self.seconds),
            "monitor_cpu_us_per_report": round(self.monitor_cpu * 1e6 / reports),
            "monitor_cpu_us_per_sample": round(self.monitor_cpu * 1e6 / samples),
            "monitor_cores": round(self.monitor_cpu / self.seconds),
            "wire_bytes_per_sample": round(self.counts.sent_bytes as f64 / samples),
            "wire_bytes_per_report": round(self.counts.sent_bytes as f64 / reports),
            "message_bytes_per_sample": round(self.counts.message_bytes as f64 / samples),
            "answer_bytes_per_report": round(self.counts.received_bytes as f64 / reports),
            "monitor_resident_mib": round(self.monitor.resident_bytes / 1_048_576.0),
            "monitor_kib_per_agent": round((grown - self.history.unwrap_or(0.0)) / 1_024.0 / options.agents as f64),
            "monitor_kib_per_agent_with_history": self.history.map(|_| round(grown / 1_024.0 / options.agents as f64)),
            "history_bytes": self.history,
            "store_bytes_grown": self.store_grown,
            "probes": self.probes.probes,
            "probe_p50_ms": round(self.probes.p50_ms),
            "probe_p99_ms": round(self.probes.p99_ms),
            "probe_max_ms": round(self.probes.max_ms),
            "probe_errors": self.probes.errors,
            "agent_errors": tally.errors(),
            "agent_errors_told": tally.told(),
            "reports_not_acknowledged": sent.saturating_sub(acked),
            "load_cores": round(self.own_cpu / self.seconds),
            "other_cores_busy": round(others / self.seconds),
        })
    }
}
