//! The process: arguments, environment, signals and exit codes. What is done is the library's.

use clap::Parser;
use farol::cli::{Cli, Command};
use farol::terminal::{Terminal, complain};
use farol::{Error, Status, check, completions, healthcheck, status};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let mut terminal = Terminal::stdout(std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()));
    let env = std::env::vars_os().collect();
    // A failure means 3, "unknown", where the code says a status.
    let (result, failed) = match &cli.command {
        None => (Ok(0), 1),
        Some(Command::Check(args)) => (wait(check::run(args, env, &mut terminal)).map(code), 3),
        Some(Command::Healthcheck(args)) => {
            (wait(healthcheck::run(args, &mut terminal)).map(|ok| u8::from(!ok)), 1)
        }
        Some(Command::Completions { shell }) => (completions::run(*shell, &mut terminal).map(|()| 0), 1),
        Some(Command::Status(args)) => (wait(status::run(args, &mut terminal)).map(code), 3),
    };
    ExitCode::from(result.unwrap_or_else(|error| {
        complain(&error.to_string());
        if error.is_configuration() { 64 } else { failed }
    }))
}

fn wait<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Under maintenance all is as somebody wants it, and nothing is served.
fn code(found: farol::Aggregate) -> u8 {
    match found.status() {
        Some(Status::Healthy) => 0,
        Some(Status::Degraded) | None => 1,
        Some(Status::Unhealthy) => 2,
        Some(Status::Unknown | Status::Starting) => 3,
    }
}
