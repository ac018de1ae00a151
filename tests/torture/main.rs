//! `farol-torture`: does things to real monitors under simulated agents, from a printed seed, and says whether each
//! invariant held. `scripts/torture` builds and drives it. It is also the monitor with a saboteur in its store.

mod monitor;
mod rounds;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "farol-torture", about = "Does things to monitors under load, and checks what must hold")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Rounds of faults, each with its verdict.
    Run(rounds::Options),
    /// A monitor that crashes at a named point, or whose store is slow.
    Monitor(monitor::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().what {
        What::Run(options) => rounds::run(&options),
        What::Monitor(options) => monitor::run(options),
    };
    done.unwrap_or_else(|error| {
        #[allow(clippy::print_stderr, reason = "the edge of a command")]
        {
            eprintln!("farol-torture: error: {error:#}");
        }
        ExitCode::FAILURE
    })
}
