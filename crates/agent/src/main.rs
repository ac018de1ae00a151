//! `farol-agent`: argv, environment, signals and exit codes, and nothing else.

use clap::Parser;
use farol_agent::command::{Args, Inputs, run};
use farol_shutdown::exit;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { exit::CONFIG } else { exit::OK });
        }
    };
    match start(args) {
        Ok(code) => code,
        Err(error) => {
            writeln!(std::io::stderr(), "farol-agent: {error:#}").ok();
            ExitCode::from(exit::FAILURE)
        }
    }
}

fn start(args: Args) -> anyhow::Result<ExitCode> {
    let signals = farol_shutdown::signal::terminations()?;
    let host_name = rustix::system::uname().nodename().to_str().ok().map(str::to_owned);
    let inputs = Inputs { args, vars: std::env::vars_os().collect(), host_name };
    let told = |problem: &dyn std::fmt::Display| {
        writeln!(std::io::stderr(), "{problem}").ok();
        Ok(ExitCode::from(exit::CONFIG))
    };
    let (settings, tree) = match inputs.load() {
        Ok(read) => read,
        Err(problems) => return told(&problems),
    };
    if inputs.args.dump_config {
        std::io::stdout().write_all(settings.dump(&tree).as_bytes())?;
        return Ok(ExitCode::from(exit::OK));
    }
    if inputs.args.check_config {
        writeln!(std::io::stdout(), "the configuration is sound")?;
        return Ok(ExitCode::from(exit::OK));
    }
    let _guard = farol_logging::init(settings.logging.clone())?;
    Ok(run(inputs, settings, signals).map_or(ExitCode::from(exit::FAILURE), |report| report.exit_code()))
}
