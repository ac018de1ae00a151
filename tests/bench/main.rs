//! `farol-bench`: records real samples of this machine, replays them as many agents against a monitor, and measures
//! processes from outside. `scripts/bench` drives it and prints the table. Each result is a line of JSON.

mod alerts;
mod checks;
mod clock;
mod closed;
mod feed;
mod http;
mod idle;
mod load;
mod past;
mod peers;
mod probe;
mod process;
mod record;
mod rows;
mod rule_set;
mod silent;
mod soak;
mod starts;
mod table;
mod tape;

use clap::{Parser, Subcommand};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Parser)]
#[command(name = "farol-bench", about = "Records real samples, replays them as agents, measures processes")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Writes one row of this machine's samples per interval to a file.
    Record {
        /// The file to write.
        file: PathBuf,
        /// Rows to write.
        #[arg(long, default_value_t = 180)]
        rows: usize,
        /// Seconds between two rows.
        #[arg(long, default_value_t = 10.0)]
        every: f64,
    },
    /// Replays a recorded file as agents that stream to a monitor, and tells what it cost.
    Load(load::Options),
    /// Runs the monitor's ingest in this process and feeds it below the transport.
    Feed(feed::Options),
    /// Tells what rules cost the ingest that `feed` runs, in time and memory.
    Rules(feed::ruled::Options),
    /// Tells what the same rules cost Prometheus.
    PeerRules(peers::rules::Options),
    /// Tells what running processes cost.
    Idle(idle::Options),
    /// Tells what a request costs a server, and how long its answers take at a fixed rate.
    Probe(closed::Options),
    /// Farol beside Prometheus and VictoriaMetrics with the same samples.
    Peers(peers::Options),
    /// How long after a check sees a failure a webhook begins.
    Alerts(alerts::Options),
    /// Tells what many checks cost one agent, and how regularly it runs them.
    Checks(checks::Options),
    /// Tells what thousands of silent connections do to those who ask.
    Silent(silent::Options),
    /// Watches a loaded monitor for a long time: memory, open files, tasks, journal.
    Soak(soak::Options),
    /// Prints results that are lines of JSON as a Markdown table with goals.
    Table {
        /// Files of results; a later one is taken before an earlier one.
        files: Vec<PathBuf>,
    },
    /// Tells how long a process takes until it is ready.
    Starts(starts::Options),
}

fn run(what: &What) -> anyhow::Result<Vec<Value>> {
    match what {
        What::Table { files } => table::print(files).map(|()| Vec::new()),
        What::Record { file, rows, every } => {
            record::record(file, *rows, Duration::from_secs_f64(*every)).map(|()| Vec::new())
        }
        What::Load(options) => load::run(options).map(|line| vec![line]),
        What::Feed(options) => feed::run(options),
        What::Rules(options) => feed::ruled::run(options).map(|line| vec![line]),
        What::PeerRules(options) => peers::rules::run(options).map(|line| vec![line]),
        What::Idle(options) => idle::run(options),
        What::Probe(options) => closed::run(options).map(|line| vec![line]),
        What::Peers(options) => peers::run(options),
        What::Alerts(options) => alerts::run(options).map(|line| vec![line]),
        What::Checks(options) => checks::run(options).map(|line| vec![line]),
        What::Silent(options) => silent::run(options),
        What::Soak(options) => soak::run(options).map(|line| vec![line]),
        What::Starts(options) => starts::run(options).map(|line| vec![line]),
    }
}

/// Four significant digits: more would claim a precision that is not there.
pub(crate) fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

fn main() -> ExitCode {
    match run(&Arguments::parse().what) {
        #[allow(clippy::print_stdout, reason = "the result of a command")]
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "the edge of a command")]
            {
                eprintln!("farol-bench: error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::round;

    #[test]
    fn four_digits_are_kept() {
        for (value, expected) in
            [(123_456.0, 123_500.0), (0.012_345_6, 0.012_35), (-9.999_96, -10.0), (0.0, 0.0)]
        {
            assert!((round(value) - expected).abs() < 1e-12, "{value}: {}", round(value));
        }
        assert!(round(f64::NAN).is_nan());
    }
}
