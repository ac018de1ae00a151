//! The process: arguments, environment, signals and exit codes. What is done is the library's.

use clap::Parser;
use farol::cli::{Cli, Command, StandaloneArgs};
use farol::terminal::{Terminal, complain};
use farol::{Error, Found, Status, standalone};
use farol_shutdown::{Budgets, Supervisor, exit, signal};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { exit::CONFIG } else { exit::OK });
        }
    };
    let mut terminal = Terminal::stdout(std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()));
    // Where the code tells a status, what could not be found out is "unknown".
    let tells_a_status =
        matches!(cli.command, Some(Command::Check(_) | Command::Status(_) | Command::Alerts(_)));
    let failed = if tells_a_status { 3 } else { exit::FAILURE };
    let result = match &cli.command {
        Some(command) => command.run(std::env::vars_os().collect(), &mut terminal).map(code),
        None => alone(cli.standalone, &mut terminal),
    };
    ExitCode::from(result.unwrap_or_else(|error| {
        complain(&error.to_string());
        if error.is_configuration() { exit::CONFIG } else { failed }
    }))
}

fn code(found: Found) -> u8 {
    let Found::Status(aggregate) = found else { return u8::from(found != Found::Fine) };
    match aggregate.status() {
        Some(Status::Healthy) => 0,
        // Under maintenance all is as somebody wants it, and nothing is served.
        Some(Status::Degraded) | None => 1,
        Some(Status::Unhealthy) => 2,
        Some(Status::Unknown | Status::Starting) => 3,
    }
}

fn alone(args: StandaloneArgs, terminal: &mut Terminal) -> Result<u8, Error> {
    let host_name = rustix::system::uname().nodename().to_str().ok().map(str::to_owned);
    let inputs = standalone::Inputs { args, env: std::env::vars_os().collect(), host_name };
    let Some(settings) = standalone::prepare(&inputs, terminal)? else { return Ok(exit::OK) };
    let supervisor = Supervisor::for_process(Budgets::default(), signal::terminations()?)?;
    Ok(standalone::run(inputs, settings, supervisor, signal::hangups, terminal)?.code)
}
