//! Farol beside Prometheus and VictoriaMetrics, one after the other, with the same samples: an hour of every agent
//! written as fast as it is taken, then the page of all series, ranges, memory, disk, and starts with and without it.

pub(crate) mod rules;
mod server;
mod write;

use crate::load::folder_bytes;
use crate::past::{self, Past};
use crate::rows::Recording;
use crate::tape::{ASKED, RACK, Tape};
use crate::{clock, closed, http, round};
use anyhow::Context;
use serde_json::{Value, json};
use server::{Kind, Server};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use write::{Rounds, Senders, Shape, Written};

/// An hour has so many at the recording's step.
const EVERY_MS: i64 = 10_000;
const STEP_MS: i64 = 15_000;
/// A monitor counts what it holds in memory so often, and a bit.
const SWEPT_NS: u64 = 35_000_000_000;
/// One request for each agent's report, as an agent would send it; and as Prometheus' own sender does.
const ONE_EACH: Shape = Shape { name: "a request for each report", agents_a_request: 1, connections: 4 };
const TOGETHER: Shape = Shape { name: "2 000 samples a request", agents_a_request: 20, connections: 2 };

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The recording to replay.
    #[arg(long)]
    recording: PathBuf,
    /// The monitor's binary.
    #[arg(long)]
    monitor: PathBuf,
    /// Agents of 100 series.
    #[arg(long, default_value_t = 1_000)]
    agents: usize,
    /// Reports of each, 10 s apart: 360 are an hour.
    #[arg(long, default_value_t = 360)]
    rounds: u64,
    /// Starts of each, empty and full.
    #[arg(long, default_value_t = 5)]
    starts: usize,
    /// How often a page is asked for.
    #[arg(long, default_value_t = 10)]
    pages: usize,
    /// How often a range is asked for.
    #[arg(long, default_value_t = 40)]
    ranges: usize,
    /// Seconds of probes in each of two ways.
    #[arg(long, default_value_t = 5.0)]
    probe_seconds: f64,
    /// Only these: farol, prometheus, victoria-metrics.
    #[arg(long)]
    system: Vec<String>,
}

/// Lines of JSON; a system that is not installed is told in one.
pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Value>> {
    anyhow::ensure!(options.agents > 0 && options.rounds > 3 && options.starts > 0, "too little to measure");
    let tape = Arc::new(Tape::new(Recording::read(&options.recording)?)?.with_racks());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut lines = Vec::new();
    for kind in [Kind::Farol, Kind::Prometheus, Kind::VictoriaMetrics] {
        let asked = |name: &String| kind.name().starts_with(name.as_str());
        if !options.system.is_empty() && !options.system.iter().any(asked) {
            continue;
        }
        let binary = match kind {
            Kind::Farol => Some(options.monitor.clone()),
            Kind::Prometheus | Kind::VictoriaMetrics => installed(kind.name()),
        };
        let Some(binary) = binary else {
            lines.push(json!({"bench": "missing", "what": kind.name(), "package": kind.name()}));
            continue;
        };
        let folder = tempfile::tempdir()?;
        let bench = Bench { options, tape: &tape, kind, binary, folder: folder.path(), runtime: &runtime };
        lines.append(&mut bench.run().with_context(|| kind.name())?);
    }
    Ok(lines)
}

/// Where a program is, by the search path and where Debian puts servers.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/bin".into(), "/usr/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

struct Bench<'a> {
    options: &'a Options,
    tape: &'a Arc<Tape>,
    kind: Kind,
    binary: PathBuf,
    folder: &'a Path,
    runtime: &'a tokio::runtime::Runtime,
}

impl Bench<'_> {
    fn run(&self) -> anyhow::Result<Vec<Value>> {
        let mut lines = vec![self.starts(false)?];
        let data = self.folder.join("full");
        let server = Server::start(self.kind, &self.binary, &data)?;
        lines.push(self.probe(&server)?);
        let empty = server.reading()?.resident_bytes;
        let from_ms = jiff::Timestamp::now().as_millisecond() - (self.rounds() + 1) * EVERY_MS;
        let mut open = Vec::new();
        match self.kind {
            Kind::Farol => {
                let (line, streams) = self.backlog(&server, from_ms)?;
                lines.push(line);
                open = streams;
                // Before that the monitor has not looked at what it holds.
                clock::sleep_until(clock::now_ns() + SWEPT_NS);
            }
            Kind::Prometheus | Kind::VictoriaMetrics => {
                lines.append(&mut self.remote_write(&server, from_ms)?)
            }
        }
        lines.push(self.page(&server)?);
        lines.push(self.range(&server, from_ms)?);
        let held = self.held(&server, empty)?;
        let block = self.snapshot(&server, &data)?;
        drop(open);
        server.end()?;
        lines.push(self.stored(held, folder_bytes(&data.join("data")), block));
        lines.push(self.starts(true)?);
        Ok(lines)
    }

    fn rounds(&self) -> i64 {
        i64::try_from(self.options.rounds).unwrap_or(i64::MAX)
    }

    fn probe(&self, server: &Server) -> anyhow::Result<Value> {
        closed::run(&closed::Options {
            what: self.kind.name().to_owned(),
            pid: server.pid(),
            http_addr: server.http,
            path: self.kind.ready_path().to_owned(),
            connections: 64,
            seconds: self.options.probe_seconds,
            rate: 1_000,
        })
    }

    fn series(&self) -> f64 {
        (self.options.agents * self.tape.series().len()) as f64
    }

    fn samples(&self) -> f64 {
        self.series() * self.options.rounds as f64
    }

    /// What the hour takes up in memory; of history in it Farol tells itself, where it keeps some.
    fn held(&self, server: &Server, empty: f64) -> anyhow::Result<Value> {
        let resident = server.reading()?.resident_bytes;
        let history = match self.kind {
            // Nothing means that it has not looked yet.
            Kind::Farol => http::metric(&server.client().text("/metrics")?, "farol_history_memory_bytes")
                .filter(|bytes| *bytes > 0.0),
            Kind::Prometheus | Kind::VictoriaMetrics => None,
        };
        Ok(json!({
            "bench": "held",
            "what": self.kind.name(),
            "series": self.series(),
            "samples": self.samples(),
            "resident_mib": round(resident / 1_048_576.0),
            "resident_kib_per_series": round((resident - empty) / 1_024.0 / self.series()),
            "history_bytes_per_sample": history.map(|bytes| round(bytes / self.samples())),
            "history_kib_per_series": history.map(|bytes| round(bytes / 1_024.0 / self.series())),
        }))
    }

    /// And on disk, after its end.
    fn stored(&self, mut held: Value, disk: f64, block: Option<f64>) -> Value {
        held["disk_bytes_per_sample"] = json!(round(disk / self.samples()));
        held["block_bytes_per_sample"] = json!(block.map(|bytes| round(bytes / self.samples())));
        held
    }

    /// Starts on an empty folder each, or on the full one.
    fn starts(&self, full: bool) -> anyhow::Result<Value> {
        let mut took = Vec::new();
        for number in 0..self.options.starts {
            let folder = if full { "full".to_owned() } else { format!("empty-{number}") };
            let server = Server::start(self.kind, &self.binary, &self.folder.join(folder))?;
            took.push(server.ready_ms);
            server.end()?;
        }
        took.sort_by(f64::total_cmp);
        let known = if full { self.options.agents * self.tape.series().len() } else { 0 };
        Ok(json!({
            "bench": "ready",
            "what": self.kind.name(),
            "known_series": known,
            "starts": took.len(),
            "median_ms": round(took[took.len() / 2]),
            "min_ms": round(took[0]),
            "max_ms": round(took[took.len() - 1]),
        }))
    }

    /// The hour as the agents' backlog, and their streams.
    fn backlog(&self, server: &Server, from_ms: i64) -> anyhow::Result<(Value, Vec<past::Open>)> {
        let past = Past {
            tape: Arc::clone(self.tape),
            agents: self.options.agents,
            rounds: self.options.rounds,
            from_ms,
            every_ms: EVERY_MS,
        };
        let (before, began) = (server.reading()?, clock::now_ns());
        let open = self.runtime.block_on(past::fill(server.agents, &past))?;
        let written = Written {
            samples: (self.options.rounds + 1) * (self.options.agents * self.tape.series().len()) as u64,
            requests: self.options.rounds.div_ceil(64) * self.options.agents as u64,
            bytes: 0,
            seconds: (clock::now_ns() - began) as f64 / 1e9,
            cpu_seconds: server.reading()?.cpu_since(&before),
        };
        Ok((self.ingested("the agents' backlog", written), open))
    }

    /// The first half as agents would send it, the second as Prometheus does, then a round of now.
    fn remote_write(&self, server: &Server, from_ms: i64) -> anyhow::Result<Vec<Value>> {
        let mut senders = Senders::new(self.tape, self.options.agents);
        let (half, all) = (self.options.rounds / 2, self.options.rounds);
        let mut lines = Vec::new();
        for (name, shape, rounds) in [
            ("new series", TOGETHER, 0..1),
            (ONE_EACH.name, ONE_EACH, 1..half),
            (TOGETHER.name, TOGETHER, half..all),
        ] {
            let rounds = Rounds { rounds, from_ms, every_ms: EVERY_MS };
            lines.push(self.ingested(name, senders.write(server, self.tape, shape, &rounds)?));
        }
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let now = Rounds { rounds: 0..1, from_ms: now_ms, every_ms: EVERY_MS };
        senders.write(server, self.tape, TOGETHER, &now)?;
        Ok(lines)
    }

    fn ingested(&self, how: &str, written: Written) -> Value {
        let samples = written.samples as f64;
        json!({
            "bench": "ingest",
            "what": self.kind.name(),
            "how": how,
            "samples": written.samples,
            "requests": written.requests,
            "seconds": round(written.seconds),
            "samples_per_second": round(samples / written.seconds),
            "cpu_us_per_sample": round(written.cpu_seconds * 1e6 / samples),
            "wire_bytes_per_sample": (written.bytes > 0).then(|| round(written.bytes as f64 / samples)),
        })
    }

    /// Every series as it is now.
    fn page(&self, server: &Server) -> anyhow::Result<Value> {
        let mut client = server.client();
        let (mut first, mut whole, mut bytes, mut series) = (Vec::new(), Vec::new(), 0, 0);
        let expected = self.options.agents * self.tape.series().len();
        // The first one is not counted: with VictoriaMetrics the last samples become visible only after a second.
        let mut tries = 0;
        while series < expected {
            let page = client.text(self.kind.page())?;
            series = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
            anyhow::ensure!(tries < 20 || series >= expected, "the page has {series} series of {expected}");
            tries += 1;
            clock::sleep_until(clock::now_ns() + 500_000_000);
        }
        let before = server.reading()?;
        for _ in 0..self.options.pages {
            let answer = client.get(self.kind.page())?;
            anyhow::ensure!(answer.status == 200, "the page: {}", answer.status);
            (first, bytes) = ([first, vec![answer.first_byte_ns]].concat(), answer.body.len());
            whole.push(answer.whole_ns);
        }
        let after = server.reading()?;
        Ok(json!({
            "bench": "page",
            "what": self.kind.name(),
            "series": series,
            "bytes": bytes,
            "pages": whole.len(),
            "first_byte_ms": median_ms(&mut first),
            "median_ms": median_ms(&mut whole),
            "cpu_ms": round(after.cpu_since(&before) * 1e3 / self.options.pages as f64),
            "grown_mib": round((after.resident_bytes - before.resident_bytes) / 1_048_576.0),
        }))
    }

    /// One metric of a hundred agents over the hour, another hundred each time.
    fn range(&self, server: &Server, from_ms: i64) -> anyhow::Result<Value> {
        let mut client = server.client();
        let to_ms = from_ms + self.rounds() * EVERY_MS;
        let (mut took, mut bytes, mut series) = (Vec::new(), 0, 0);
        let racks = self.options.agents.div_ceil(RACK);
        let before = server.reading()?;
        for number in 0..self.options.ranges {
            let path = self.kind.range(ASKED, number % racks, from_ms, to_ms);
            let answer = client.get(&path)?;
            let text = String::from_utf8_lossy(answer.body);
            anyhow::ensure!(answer.status == 200, "{path}: {} {text}", answer.status);
            if number == 0 {
                series = text.matches(r#""bench:pod-"#).count();
            }
            (bytes, took) = (answer.body.len(), [took, vec![answer.whole_ns]].concat());
        }
        let cpu = server.reading()?.cpu_since(&before);
        anyhow::ensure!(series == RACK.min(self.options.agents), "a range has {series} series");
        Ok(json!({
            "bench": "range",
            "what": self.kind.name(),
            "series": series,
            "steps": (to_ms - from_ms) / STEP_MS,
            "bytes": bytes,
            "asked": took.len(),
            "first_ms": round(took[0] as f64 / 1e6),
            "median_ms": median_ms(&mut took),
            "cpu_ms": round(cpu * 1e3 / self.options.ranges as f64),
        }))
    }

    /// What Prometheus' samples take up once they are a block: its log and its head are not that.
    fn snapshot(&self, server: &Server, data: &Path) -> anyhow::Result<Option<f64>> {
        if self.kind != Kind::Prometheus {
            return Ok(None);
        }
        let mut client = server.client();
        let status = client.post("/api/v1/admin/tsdb/snapshot", "", &[])?.status;
        anyhow::ensure!(status == 200, "Prometheus makes no snapshot: {status}");
        let snapshots = data.join("data/snapshots");
        let bytes = folder_bytes(&snapshots);
        std::fs::remove_dir_all(&snapshots)?;
        Ok(Some(bytes))
    }
}

fn median_ms(ns: &mut [u64]) -> f64 {
    ns.sort_unstable();
    ns.get(ns.len() / 2).map_or(f64::NAN, |ns| round(*ns as f64 / 1e6))
}
