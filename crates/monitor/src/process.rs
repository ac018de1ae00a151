//! The life of a `farol-monitor` process: configuration, data directory, monitor, reloads. Knows no signals and no
//! environment but what it is given.

use crate::arguments::Arguments;
use crate::{Config, Monitor, ReloadRequest, Reloader, Running, config};
use anyhow::Context;
use farol_config::{Map, Problems};
use farol_shutdown::signal::Hangups;
use farol_shutdown::{DataDir, ExitReport, Handle, Ready, Supervisor};
use std::ffi::OsString;
use tokio::sync::mpsc;

/// A variable of the environment.
pub type Variable = (OsString, OsString);

/// What a process is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The monitor.
    pub monitor: Config,
    /// What it logs, and where.
    pub logging: farol_logging::Config,
}

/// Reads the configuration: what was read, and its dump.
pub fn read(arguments: &Arguments, env: &[Variable]) -> Result<(Settings, String), Problems> {
    let tree = arguments.sources(env).load()?;
    let logging = |m: &mut Map<'_>| config::logging(m).of_process("farol-monitor", None);
    let settings = tree.read(|m| Settings { logging: logging(m), monitor: Config::read(m) })?;
    let unused = config::unused_variables(&settings.monitor.store, env);
    Ok((settings, format!("{}{unused}# --data-dir {}\n", tree.dump(), arguments.data_dir.display())))
}

/// Runs the monitor until it is told to stop. `None`: it could not go on, and the log says why.
pub async fn run(
    arguments: Arguments,
    env: Vec<Variable>,
    settings: Settings,
    supervisor: Supervisor,
    hangups: Hangups,
) -> Option<ExitReport> {
    let handle = supervisor.handle();
    let served = async {
        // Held until everything has ended.
        let data_dir = DataDir::lock(&arguments.data_dir, "farol-monitor")?;
        let start = Box::pin(start(arguments, env, settings, hangups, &data_dir, &handle));
        handle.unless_stopping(start).await.transpose()?;
        anyhow::Ok(supervisor.run().await)
    };
    // A record like all others: it goes where the log goes.
    let last_word = |error: anyhow::Error| {
        tracing::error!(critical = true, error = format!("{error:#}"), "the monitor cannot go on");
    };
    served.await.map_err(last_word).ok()
}

/// Starts the monitor under the supervisor and returns when it is ready.
async fn start(
    arguments: Arguments,
    env: Vec<Variable>,
    Settings { monitor: config, logging }: Settings,
    hangups: Hangups,
    data_dir: &DataDir,
    handle: &Handle,
) -> anyhow::Result<()> {
    for line in config::unused_variables(&config.store, &env).lines() {
        tracing::info!(detail = line.trim_start_matches("# "), "variables of the environment are not used");
    }
    let monitor = Monitor::bind(config, data_dir.path(), handle)?;
    let addresses = monitor.addresses()?;
    let Running { reloader, wishes } = monitor.run().await?;
    if let Some(file) = &arguments.ready_file {
        let ready = Ready {
            http: Some(addresses.http),
            agents: Some(addresses.agents),
            health: Some(addresses.health),
            ..Ready::default()
        };
        ready.write(file).with_context(|| format!("--ready-file {}", file.display()))?;
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = arguments.config.as_ref().map(|file| tracing::field::display(file.display())),
        listen.http = %addresses.http,
        listen.agents = %addresses.agents,
        listen.health = %addresses.health,
        data_dir = %data_dir.path().display(),
        "the monitor is ready"
    );
    let end = handle.cleaning();
    handle.spawn("reload", async move {
        let from = (arguments, env);
        end.run_until_cancelled(reloads(&from, logging, reloader, hangups, wishes)).await;
    });
    Ok(())
}

/// Reads the configuration again at each SIGHUP and each operator's wish.
async fn reloads(
    from: &(Arguments, Vec<Variable>),
    mut logging: farol_logging::Config,
    reloader: Reloader,
    mut hangups: Hangups,
    mut wishes: mpsc::Receiver<ReloadRequest>,
) {
    loop {
        let wish = tokio::select! {
            () = hangups.recv() => None,
            Some(wish) = wishes.recv() => Some(wish),
        };
        let outcome = match read(&from.0, &from.1) {
            Ok((new, _)) => reloader.apply(new.monitor).map(|mut reloaded| {
                let later = farol_logging::take_over(&mut logging, &new.logging);
                reloaded.restart_needed.extend(later.into_iter().map(str::to_owned));
                reloaded
            }),
            Err(problems) => Err(reloader.refused(problems.iter().map(ToString::to_string).collect())),
        };
        if let Some(wish) = wish {
            // An operator who has gone away needs no answer.
            drop(wish.send(outcome));
        }
    }
}
