//! `farol-bench`: records real samples of this machine, and replays them as many agents against a monitor.
//! `scripts/bench` drives it and prints the table.

mod load;
mod record;
mod rows;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Parser)]
#[command(name = "farol-bench", about = "Records real samples and replays them as simulated agents")]
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
        #[arg(long, default_value_t = 190)]
        rows: usize,
        /// Seconds between two rows.
        #[arg(long, default_value_t = 10.0)]
        every: f64,
    },
    /// Replays a recorded file as agents that stream to a monitor, and prints what it cost as JSON.
    Load(load::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().what {
        What::Record { file, rows, every } => record::record(&file, rows, Duration::from_secs_f64(every)),
        What::Load(options) => load::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "the edge of a command")]
            {
                eprintln!("farol-bench: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
