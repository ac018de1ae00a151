//! The monitor's ingest in this process, fed below the transport: whole streams of the protocol, as gRPC messages, for
//! more agents than a machine has sockets. What is left out: sockets and TLS, the guarded listener, HTTP/2, and the
//! log's lines. All else is the monitor's own code, from gRPC's framing to SQLite's commits.

mod feeder;
mod inbox;
mod pipeline;
pub(crate) mod ruled;

use crate::http::metric;
use crate::process;
use crate::rows::Recording;
use crate::tape::Tape;
use feeder::{Feeder, Pace, Work};
use pipeline::Pipeline;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// What is handed in must be committed so long after.
const COMMITTED_WITHIN: Duration = Duration::from_secs(60);
/// Told with each result.
const LEFT_OUT: &str =
    "sockets, TLS, listener, HTTP/2, log lines; handing a message over and waking its stream is the feed's";

/// How many agents, how fast, for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The recording to replay.
    #[arg(long)]
    recording: PathBuf,
    /// How many agents.
    #[arg(long, default_value_t = 100_000)]
    agents: usize,
    /// Seconds between two reports of an agent.
    #[arg(long, default_value_t = 10.0)]
    interval: f64,
    /// Seconds to measure at that rate, after every agent has reported twice.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Seconds to measure as fast as it can; 0 for not at all.
    #[arg(long, default_value_t = 20.0)]
    flat_out: f64,
    /// Threads of the monitor.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Where the store is; a temporary folder when not given.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// Feeds, first at the agents' rate, then as fast as it can. One line of JSON each.
pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Value>> {
    anyhow::ensure!(options.agents > 0 && options.interval > 0.0, "agents and an interval are needed");
    let tape = Arc::new(Tape::new(Recording::read(&options.recording)?)?);
    let temporary = tempfile::tempdir()?;
    let folder = options.folder.as_deref().unwrap_or(temporary.path());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(options.threads).enable_all().build()?;
    runtime.block_on(feed(options, &tape, folder))
}

async fn feed(options: &Options, tape: &Arc<Tape>, folder: &Path) -> anyhow::Result<Vec<Value>> {
    let interval = Duration::from_secs_f64(options.interval);
    let mut pipeline = Pipeline::open(folder).await?;
    let empty = resident()?;
    let inboxes = pipeline.connect(options.agents, tape, interval).await?;
    let feeder = Feeder::start(inboxes, Arc::clone(tape), interval, pipeline.counts_committed())?;
    feeder.set(Pace::Rate);
    let twice = 2 * options.agents as u64;
    let warm_up = Instant::now();
    pipeline.wait_until_taken(twice, 3 * interval + COMMITTED_WITHIN).await?;
    // The store is through with what a beginning brings: the agents and their components.
    pipeline.wait_until_even((options.agents as f64 / options.interval) as u64 + 1).await?;
    let warm_up = warm_up.elapsed();
    let at_rate = measure(&pipeline, &feeder, folder, options.seconds).await?;
    pipeline.check()?;
    let mut lines = vec![at_rate.to_json(options, "rate", empty, warm_up)];
    if options.flat_out > 0.0 {
        feeder.set(Pace::FlatOut);
        sleep(Duration::from_secs(2)).await;
        let flat_out = measure(&pipeline, &feeder, folder, options.flat_out).await?;
        lines.push(flat_out.to_json(options, "flat out", empty, warm_up));
    }
    feeder.set(Pace::Stop);
    let sent = feeder.end()?;
    // Late is told too: with the figures, which do not count then.
    let late = timeout(COMMITTED_WITHIN, pipeline.committed(sent)).await.is_err();
    let lacks = if late { sent.saturating_sub(pipeline.committed_reports()) } else { 0 };
    for line in &mut lines {
        line["reports_not_committed"] = json!(lacks);
        line["reports_handed_over"] = json!(sent);
        line["reports_taken"] = json!(pipeline.taken());
    }
    pipeline.check()?;
    pipeline.close().await?;
    Ok(lines)
}

/// What was so between two moments.
struct Window {
    seconds: f64,
    work: Work,
    committed: u64,
    /// Of the whole process without the feeding thread.
    cpu_seconds: f64,
    resident: f64,
    page: String,
    store_before: u64,
    store_bytes: u64,
    log_bytes: u64,
}

async fn measure(
    pipeline: &Pipeline,
    feeder: &Feeder,
    folder: &Path,
    seconds: f64,
) -> anyhow::Result<Window> {
    let store_before = file_bytes(folder, "farol.db");
    let (began, work, cpu) = (Instant::now(), feeder.work(), process_cpu());
    let committed = pipeline.committed_reports();
    sleep(Duration::from_secs_f64(seconds)).await;
    let (work, cpu) = (feeder.work().since(work), process_cpu() - cpu);
    Ok(Window {
        seconds: began.elapsed().as_secs_f64(),
        committed: pipeline.committed_reports() - committed,
        cpu_seconds: cpu - work.cpu_ns as f64 / 1e9,
        work,
        resident: resident()?,
        page: pipeline.metrics().await?,
        store_before,
        store_bytes: file_bytes(folder, "farol.db"),
        log_bytes: file_bytes(folder, "farol.db-wal"),
    })
}

impl Window {
    fn to_json(&self, options: &Options, mode: &str, empty: f64, warm_up: Duration) -> Value {
        let (reports, samples) = (self.work.reports as f64, self.work.samples as f64);
        let agents = options.agents as f64;
        // The monitor tells what history takes up, where it keeps some in memory.
        let history = metric(&self.page, "farol_history_memory_bytes");
        let grown = self.resident - empty;
        json!({
            "bench": "feed",
            "mode": mode,
            "agents": options.agents,
            "interval_seconds": options.interval,
            "warm_up_seconds": round(warm_up.as_secs_f64()),
            "seconds": round(self.seconds),
            "threads": options.threads,
            "reports_per_second": round(reports / self.seconds),
            "committed_per_second": round(self.committed as f64 / self.seconds),
            "samples_per_second": round(samples / self.seconds),
            "message_bytes_per_sample": round(self.work.bytes as f64 / samples),
            "monitor_cpu_us_per_report": round(self.cpu_seconds * 1e6 / reports),
            "monitor_cpu_us_per_sample": round(self.cpu_seconds * 1e6 / samples),
            "monitor_cores": round(self.cpu_seconds / self.seconds),
            "feeder_cores": round(self.work.cpu_ns as f64 / 1e9 / self.seconds),
            "late": self.work.late,
            "resident_mib": round(self.resident / 1_048_576.0),
            "kib_per_agent_without_history": round((grown - history.unwrap_or(0.0)) / 1_024.0 / agents),
            "kib_per_agent_with_history": history.map(|_| round(grown / 1_024.0 / agents)),
            "history_bytes": history,
            "store_bytes_grown": self.store_bytes.saturating_sub(self.store_before),
            "store_bytes": self.store_bytes,
            "log_bytes": self.log_bytes,
            "left_out": LEFT_OUT,
        })
    }
}

fn round(value: f64) -> f64 {
    crate::round(value)
}

fn process_cpu() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn resident() -> anyhow::Result<f64> {
    Ok(process::read(std::process::id())?.resident_bytes)
}

/// 0 for a file that is not there.
fn file_bytes(folder: &Path, name: &str) -> u64 {
    folder.join(name).metadata().map_or(0, |about| about.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_agents_are_fed_at_their_rate_and_flat_out_and_all_is_committed() {
        let options = Options {
            recording: concat!(env!("CARGO_MANIFEST_DIR"), "/bench/rows.tsv").into(),
            agents: 40,
            interval: 0.4,
            seconds: 0.8,
            flat_out: 0.4,
            threads: 2,
            folder: None,
        };
        let lines = run(&options).unwrap();
        assert_eq!(lines.len(), 2);
        let number = |line: usize, name: &str| lines[line][name].as_f64().unwrap();
        assert!((60.0..140.0).contains(&number(0, "reports_per_second")), "{lines:?}");
        assert!(number(1, "reports_per_second") > 1.5 * number(0, "reports_per_second"), "{lines:?}");
        assert!(number(0, "monitor_cpu_us_per_report") > 0.0, "{lines:?}");
        assert!(number(1, "store_bytes") + number(1, "log_bytes") > 100_000.0, "{lines:?}");
    }
}
