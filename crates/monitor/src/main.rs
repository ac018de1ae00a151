//! The process: arguments, environment, signals and exit codes. What is done is the library's.

use clap::Parser;
use farol_monitor::arguments::Arguments;
use farol_monitor::process;
use farol_shutdown::{Budgets, Supervisor, exit, signal};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { exit::CONFIG } else { exit::OK });
        }
    };
    let env: Vec<_> = std::env::vars_os().collect();
    let settings = match process::read(&arguments, &env) {
        Ok((_, dump)) if arguments.dump_config => return say(exit::OK, dump.trim_end()),
        Ok(_) if arguments.check_config => return say(exit::OK, "the configuration is sound"),
        Ok((settings, _)) => settings,
        Err(problems) => return say(exit::CONFIG, &problems.to_string()),
    };
    match run(arguments, env, settings) {
        Ok(code) => code,
        Err(error) => say(exit::FAILURE, &format!("farol-monitor: {error:#}")),
    }
}

#[tokio::main]
async fn run(
    arguments: Arguments,
    env: Vec<process::Variable>,
    settings: process::Settings,
) -> anyhow::Result<ExitCode> {
    let supervisor = Supervisor::for_process(Budgets::default(), signal::terminations()?)?;
    let _logs = farol_logging::init(settings.logging.clone())?;
    let report = Box::pin(process::run(arguments, env, settings, supervisor, signal::hangups()?)).await;
    Ok(report.map_or(ExitCode::from(exit::FAILURE), |report| report.exit_code()))
}

fn say(code: u8, text: &str) -> ExitCode {
    let written = if code == exit::OK {
        writeln!(std::io::stdout(), "{text}")
    } else {
        writeln!(std::io::stderr(), "{text}")
    };
    ExitCode::from(if written.is_ok() { code } else { exit::FAILURE })
}
