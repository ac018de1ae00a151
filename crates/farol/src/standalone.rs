//! `farol` alone: a monitor and an agent in one process. Decides the order in which the two begin and end; what
//! each does is its own, and what they are told is in `standalone/settings.rs`.

mod companion;
mod greeting;
mod reload;
mod settings;

use settings::read;
pub use settings::{Inputs, Settings};

use crate::machine;
use crate::terminal::Terminal;
use crate::verdict::Error;
use anyhow::Context;
use companion::Companion;
use farol_health::Registration;
use farol_monitor::{Monitor, Running};
use farol_shutdown::signal::Hangups;
use farol_shutdown::{DataDir, ExitReport, Handle, Ready, Supervisor};
use greeting::Greeting;
use std::io;

/// Reads the configuration, and does what `--check-config` and `--dump-config` want; `None` where that was all.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn prepare(inputs: &Inputs, terminal: &mut Terminal) -> Result<Option<Settings>, Error> {
    let (settings, dump) = read(inputs, None)?;
    if inputs.args.dump_config {
        terminal.print(&dump)?;
    } else if inputs.args.check_config {
        terminal.print("the configuration is sound")?;
    } else {
        return Ok(Some(settings));
    }
    Ok(None)
}

/// Runs both until the process is told to stop. `hangups` is called on the runtime.
///
/// # Errors
/// A port or a directory cannot be had.
pub fn run(
    inputs: Inputs,
    settings: Settings,
    supervisor: Supervisor,
    hangups: impl FnOnce() -> io::Result<Hangups>,
    terminal: &mut Terminal,
) -> Result<ExitReport, Error> {
    let _logs = farol_logging::init(settings.logging.clone()).map_err(|e| Error::Failed(e.to_string()))?;
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(async {
        let handle = supervisor.handle();
        // Held until everything has ended.
        let data_dir = DataDir::lock(&inputs.args.data_dir, "farol")?;
        let start = Box::pin(start(inputs, settings, hangups()?, &data_dir, &handle, terminal));
        handle.unless_stopping(start).await.transpose()?;
        anyhow::Ok(supervisor.run().await)
    });
    // A check may hang in a file system; the process does not wait for it.
    runtime.shutdown_background();
    // From here on the last word is a record like all others: it goes where the log goes.
    report.map_err(|error| {
        tracing::error!(critical = true, error = format!("{error:#}"), "this process cannot go on");
        Error::Logged
    })
}

/// Returns when both are ready.
async fn start(
    inputs: Inputs,
    settings: Settings,
    hangups: Hangups,
    data_dir: &DataDir,
    handle: &Handle,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let Settings { monitor: told, mut agent, of_machine, logging } = settings;
    let https = told.tls.http.is_some();
    let monitor = Monitor::bind(told.clone(), data_dir.path(), handle)?;
    let addresses = monitor.addresses()?;
    // Beside the monitor, whose store may take its time: the agent looks after its checks meanwhile.
    let beside = async {
        let service = agent.identity.service.clone();
        let found = look_around(&mut agent, &service, of_machine, &[]).await;
        let (id, checks) = (agent.identity.id.clone(), names(&agent.checks));
        let companion = Companion::bind(agent, &told, addresses.agents, data_dir)?;
        let (its, monitors) = (companion.addresses(), companion.monitors.clone());
        anyhow::Ok((found, id, checks, its, monitors, companion.run(handle)))
    };
    let (monitor, (found, id, checks, its, monitors, running)) = tokio::try_join!(monitor.run(), beside)?;
    let Running { reloader, wishes } = monitor;
    let looked_at = running.clone();
    let reloads = reload::Reloads {
        inputs: inputs.clone(),
        reloader,
        running,
        logging,
        monitor: told,
        monitors,
        found,
        at_terminal: terminal.is_interactive(),
        handle: handle.clone(),
    };
    let end = handle.cleaning();
    handle.spawn("reload", async move {
        Box::pin(end.run_until_cancelled(reloads.run(hangups, wishes))).await;
    });
    if let Some(file) = &inputs.args.ready_file {
        let ready = Ready {
            http: Some(addresses.http),
            agents: Some(addresses.agents),
            health: Some(addresses.health),
            agent_http: its.http,
            agent_health: its.health,
            agent_local: its.local,
        };
        ready.write(file).with_context(|| format!("--ready-file {}", file.display()))?;
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = inputs.args.config.as_ref().map(|file| tracing::field::display(file.display())),
        agent.id = id,
        listen.http = %addresses.http,
        listen.agents = %addresses.agents,
        listen.health = %addresses.health,
        data_dir = %data_dir.path().display(),
        "ready"
    );
    if terminal.is_interactive() {
        greeting::after_the_first_lines(&looked_at).await;
        let greeting = Greeting { agent: &id, checks: &checks, addresses, https, data_dir: data_dir.path() };
        terminal.print(&greeting.text())?;
    }
    Ok(())
}

/// Gives an agent without a list the checks of this machine, and returns them.
async fn look_around(
    agent: &mut farol_agent::Config,
    service: &str,
    of_machine: bool,
    before: &[Registration],
) -> Vec<Registration> {
    if !of_machine {
        return Vec::new();
    }
    agent.checks = machine::checks(service, before).await;
    agent.checks.clone()
}

fn names(checks: &[Registration]) -> Vec<String> {
    checks.iter().map(|check| check.spec.name.clone()).collect()
}
