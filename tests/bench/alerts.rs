//! From a check that sees a failure to the first byte of the webhook: a real agent and a real monitor as processes of
//! their own, and in this one the server that the agent checks and the one that is told. One failure at a time, each of
//! another component.

mod checked;
mod sink;
mod system;

use crate::probe::percentile;
use crate::round;
use anyhow::{Context, bail};
use checked::Checked;
use serde_json::{Value, json};
use sink::{Posted, Sink, Word};
use std::path::PathBuf;
use std::time::Duration;
use system::System;
use tokio::time::{Instant, sleep, timeout_at};

/// A failure must be told in this time, and its end.
const TOLD_WITHIN: Duration = Duration::from_secs(30);
/// Everything must be healthy in this time.
const HEALTHY_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// What to run, and how often.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The monitor's binary.
    #[arg(long)]
    monitor: PathBuf,
    /// The agent's binary.
    #[arg(long)]
    agent: PathBuf,
    /// Failures; the agent has as many checks.
    #[arg(long, default_value_t = 200)]
    trials: usize,
    /// Seconds between two runs of a check.
    #[arg(long, default_value_t = 0.5)]
    every: f64,
    /// The store's: normal or full.
    #[arg(long, default_value = "normal")]
    durability: String,
    /// Where the store is; a temporary folder when not given.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// One line of JSON.
pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    anyhow::ensure!(options.trials > 0 && options.every >= 0.1, "at least a trial, and 0.1 s between runs");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(options))
}

async fn measure(options: &Options) -> anyhow::Result<Value> {
    let temporary = tempfile::tempdir()?;
    let folder = options.folder.as_deref().unwrap_or(temporary.path());
    let checked = Checked::listen(options.trials).await?;
    let mut sink = Sink::listen().await?;
    let system = System::start(options, folder, checked.address(), sink.address())?;
    wait_until_healthy(&system, options.trials).await?;
    let mut trials = Vec::new();
    for number in 0..options.trials {
        let trial = trial(number, &checked, &mut sink).await;
        trials.push(trial.with_context(|| format!("failure {}: {}", number + 1, system.logs()))?);
    }
    Ok(told(options, &trials, sink.strays()))
}

async fn wait_until_healthy(system: &System, components: usize) -> anyhow::Result<()> {
    let until = Instant::now() + HEALTHY_WITHIN;
    loop {
        let healthy = system.healthy().await?;
        if healthy >= components {
            return Ok(());
        }
        if Instant::now() >= until {
            bail!("only {healthy} of {components} components are healthy: {}", system.logs());
        }
        sleep(LOOK).await;
    }
}

/// What one failure took.
struct Trial {
    /// From the check's answer to the first byte.
    whole_ns: u64,
    /// Until the monitor had decided on the notice, by the wall clock, which both count in whole milliseconds.
    decided_ms: i64,
}

async fn trial(number: usize, checked: &Checked, sink: &mut Sink) -> anyhow::Result<Trial> {
    checked.fail(number);
    let told = word(sink, number, false).await.context("nobody was told of it")?;
    let failed = checked.failed(number).context("it was told and had not failed")?;
    checked.mend(number);
    word(sink, number, true).await.context("nobody was told of its end")?;
    Ok(Trial {
        whole_ns: told.first_byte_ns.saturating_sub(failed.at_ns),
        decided_ms: told.decided_ms - failed.wall_ms,
    })
}

/// The word on this component; words on others are strays, and counted.
async fn word(sink: &mut Sink, number: usize, ended: bool) -> anyhow::Result<Posted> {
    let wanted = Word { component: checked::name(number), ended };
    timeout_at(Instant::now() + TOLD_WITHIN, sink.next(&wanted)).await.context("not in time")?
}

fn told(options: &Options, trials: &[Trial], strays: usize) -> Value {
    let mut whole: Vec<u64> = trials.iter().map(|trial| trial.whole_ns).collect();
    whole.sort_unstable();
    let ms = |share| percentile(&whole, share).map(|ns| round(ns as f64 / 1e6));
    let mut decided: Vec<i64> = trials.iter().map(|trial| trial.decided_ms).collect();
    decided.sort_unstable();
    json!({
        "bench": "alerts",
        "trials": trials.len(),
        "durability": options.durability,
        "checks_per_second": round(options.trials as f64 / options.every),
        "p50_ms": ms(0.50),
        "p99_ms": ms(0.99),
        "max_ms": ms(1.0),
        "decided_after_p50_ms": decided[decided.len() / 2],
        "decided_after_max_ms": decided[decided.len() - 1],
        "strays": strays,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_percentiles_of_what_the_failures_took() {
        let options = Options {
            monitor: PathBuf::new(),
            agent: PathBuf::new(),
            trials: 4,
            every: 0.5,
            durability: "full".to_owned(),
            folder: None,
        };
        let trial = |ms: u64| Trial { whole_ns: ms * 1_000_000, decided_ms: ms.cast_signed() / 2 };
        let line = told(&options, &[trial(9), trial(2), trial(4), trial(3)], 1);
        let number = |name: &str| line[name].as_f64().unwrap();
        assert_eq!((number("p50_ms"), number("p99_ms"), number("max_ms")), (3.0, 9.0, 9.0), "{line}");
        assert_eq!((number("decided_after_p50_ms"), number("strays")), (2.0, 1.0), "{line}");
        assert_eq!(line["durability"], "full");
    }
}
