//! How long a process takes from its start until it is ready: its ready file is there and `/health/ready` says 200.

use crate::clock::{now_ns, sleep_until};
use crate::probe::Prober;
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How often the ready file is looked for.
const LOOK_NS: u64 = 200_000;
/// A process that is not ready after this is broken.
const PATIENCE_NS: u64 = 30_000_000_000;
const LISTENERS: [&str; 3] = ["--http", "--agents", "--health"];

/// What to start, and how often.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The binary: `farol` or `farol-monitor`.
    #[arg(long)]
    binary: PathBuf,
    /// How it is called in the result.
    #[arg(long)]
    what: String,
    /// Starts, each in an empty folder.
    #[arg(long, default_value_t = 10)]
    runs: usize,
}

/// Starts it again and again; the median, the shortest and the longest time.
pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    anyhow::ensure!(options.runs > 0, "at least one run is needed");
    let mut took = Vec::new();
    for number in 0..options.runs {
        took.push(start(&options.binary).with_context(|| format!("start {}", number + 1))?);
    }
    took.sort_unstable();
    let ms = |ns: u64| (ns as f64 / 1e4).round() / 1e2;
    Ok(json!({
        "bench": "start",
        "what": options.what,
        "runs": took.len(),
        "median_ms": ms((took[(took.len() - 1) / 2] + took[took.len() / 2]) / 2),
        "min_ms": ms(took[0]),
        "max_ms": ms(took[took.len() - 1]),
    }))
}

fn start(binary: &Path) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    let (ready, log) = (folder.path().join("ready.json"), folder.path().join("log"));
    let mut command = Command::new(binary);
    command.arg("--data-dir").arg(folder.path().join("data")).arg("--ready-file").arg(&ready);
    for listener in LISTENERS {
        command.args([listener, "127.0.0.1:0"]);
    }
    command.env_clear().stdin(Stdio::null());
    let out = File::create(&log)?;
    command.stdout(out.try_clone()?).stderr(out);
    let began = now_ns();
    let mut process = Running(command.spawn().with_context(|| binary.display().to_string())?);
    let took = wait(&mut process, &ready, began)
        .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
    process.end()?;
    Ok(took)
}

fn wait(process: &mut Running, ready: &Path, began: u64) -> anyhow::Result<u64> {
    let text = loop {
        // It is written by a rename: whoever sees it sees all of it.
        if let Ok(text) = std::fs::read_to_string(ready) {
            break text;
        }
        process.must_run(began)?;
        sleep_until(now_ns() + LOOK_NS);
    };
    let ready: Value = serde_json::from_str(&text)?;
    let http = ready["http"].as_str().context("the ready file names no http")?.parse()?;
    let mut prober = Prober::new(http, "/health/ready");
    while !prober.ask().is_ok_and(|status| status == 200) {
        process.must_run(began)?;
        sleep_until(now_ns() + LOOK_NS);
    }
    Ok(now_ns() - began)
}

/// A child process that does not outlive this value.
struct Running(Child);

impl Running {
    fn must_run(&mut self, began: u64) -> anyhow::Result<()> {
        if let Some(status) = self.0.try_wait()? {
            bail!("ended before it was ready: {status}");
        }
        anyhow::ensure!(now_ns() - began < PATIENCE_NS, "not ready in time");
        Ok(())
    }

    fn end(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.0), Signal::TERM)?;
        let status = self.0.wait()?;
        anyhow::ensure!(status.success(), "SIGTERM ended it with {status}");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
