//! The command line of `farol-agent`: what it reads, and what it does with it. Signals, environment and exit are
//! `main`'s.

use crate::config::{self, Config, Surroundings};
use crate::{Agent, Network, Running};
use anyhow::Context;
use farol_config::{Problems, Sources, Tree};
use farol_shutdown::signal::{Hangups, Signals};
use farol_shutdown::{Budgets, DataDir, ExitReport, Ready, Supervisor};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  farol-agent --config agent.yaml
  farol-agent --config agent.yaml --check-config      is the file right? exits 0 or 64
  farol-agent --dump-config                           every value and where it comes from
  FAROL_AGENT__NAME=web-1 FAROL_AGENT__LISTEN__HTTP='[::]:8511' farol-agent

Environment: FAROL_AGENT__<KEY>__<KEY>, LOG_LEVEL (debug, info, …),
  LOG_FORMAT (structured|json|text|gelf)

Signals:
  SIGTERM, SIGINT  say goodbye, send the last report, end; a second one ends at once
  SIGHUP           read the configuration again and take over its checks and access

Exit codes:
  0 ended as asked   1 a port or directory cannot be had   64 configuration
  75 a part failed or was cut   128 + n on a second signal n";

/// Collects, checks, buffers and streams to the monitor.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "farol-agent", version, after_help = EXAMPLES)]
pub struct Args {
    /// The configuration; without it every value has its default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the agent keeps what must outlive it; held by one process at a time.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Written when the agent is ready, with its addresses.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Read the configuration, tell its problems and end.
    #[arg(long)]
    pub check_config: bool,
    /// Print every value with its source and end.
    #[arg(long)]
    pub dump_config: bool,
}

impl Settings {
    /// Every value with its source.
    #[must_use]
    pub fn dump(&self, tree: &Tree) -> String {
        let mut dump = tree.dump();
        if self.agent.data_dir.is_none() {
            dump.push_str("# data_dir is not set: nothing outlives the process; --data-dir DIR\n");
        }
        dump
    }
}

/// Everything that decides the configuration; read again at each SIGHUP.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The command line.
    pub args: Args,
    /// The environment.
    pub vars: Vec<(OsString, OsString)>,
    /// What the kernel calls this machine.
    pub host_name: Option<String>,
}

/// What a process is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The agent.
    pub agent: Config,
    /// What it logs, and where.
    pub logging: farol_logging::Config,
}

impl Inputs {
    /// Reads the configuration; the tree is for its dump.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(&self) -> Result<(Settings, Tree), Problems> {
        self.load_for(None)
    }

    /// The same for an agent that runs already, and has this service.
    fn load_for(&self, service: Option<String>) -> Result<(Settings, Tree), Problems> {
        let variable = |name: &str| {
            let found = self.vars.iter().find(|(key, _)| key == name)?;
            found.1.to_str().map(str::to_owned)
        };
        let surroundings = Surroundings::read(variable, self.host_name.clone()).with_service(service);
        let data_dir = self.args.data_dir.as_ref().map(|path| path.to_string_lossy().into_owned());
        let mut sources = Sources::new();
        if let Some(path) = &self.args.config {
            sources = sources.file(path);
        }
        for key in &farol_logging::KEYS {
            sources = sources.variable(key.variable, &format!("logging.{}", key.name));
        }
        for key in farol_logging::OTLP_KEYS.iter().filter(|key| !key.variable.is_empty()) {
            sources = sources.fallback(key.variable, &format!("logging.otlp.{}", key.name));
        }
        let tree = sources
            .env("FAROL_AGENT", None, self.vars.iter().cloned())
            .flag("--data-dir", "data_dir", data_dir)
            .load()?;
        let settings = tree.read(|m| {
            let agent = Config::read_alone(m, &surroundings);
            let id = Some(agent.identity.id.clone());
            Settings { logging: config::logging(m).of_process("farol-agent", id), agent }
        })?;
        Ok((settings, tree))
    }
}

/// Runs the agent until it is told to stop. `None`: it could not go on, and the log says why.
pub fn run(inputs: Inputs, settings: Settings, signals: Signals) -> Option<ExitReport> {
    // A record like all others: it goes where the log goes.
    let last_word = |error: anyhow::Error| {
        tracing::error!(critical = true, error = format!("{error:#}"), "the agent cannot go on");
    };
    run_on_a_runtime(inputs, settings, signals).map_err(last_word).ok()
}

fn run_on_a_runtime(inputs: Inputs, settings: Settings, signals: Signals) -> anyhow::Result<ExitReport> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(std::time::Duration::from_secs(60))
        .thread_name("farol-agent")
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let report = runtime.block_on(serve(inputs, settings, signals));
    // A collector may hang in a file system; the process does not wait for it.
    runtime.shutdown_background();
    report
}

async fn serve(inputs: Inputs, settings: Settings, signals: Signals) -> anyhow::Result<ExitReport> {
    let Settings { agent: config, logging } = settings;
    let supervisor = Supervisor::for_process(Budgets::default(), signals)?;
    let handle = supervisor.handle();
    let data_dir = config.data_dir.as_ref().map(|path| DataDir::lock(path, "farol-agent")).transpose()?;
    let network = Arc::new(Network::new(config.tls.clone()));
    let agent = Agent::bind(config, data_dir.as_ref(), &handle, network)?;
    let agent = agent.configured_by(inputs.args.config.clone());
    let addresses = agent.addresses();
    let hangups = farol_shutdown::signal::hangups()?;
    let running = agent.start();
    let ready_file = inputs.args.ready_file.clone();
    let cleaning = handle.cleaning();
    handle.spawn("reload", async move {
        cleaning.run_until_cancelled(reload_at(hangups, inputs, logging, running)).await;
    });
    if let Some(path) = ready_file {
        let ready = Ready {
            agent_http: addresses.http,
            agent_health: addresses.health,
            agent_local: addresses.local,
            ..Ready::default()
        };
        ready.write(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(supervisor.run().await)
}

/// A bad file is refused whole and the old set stays.
async fn reload_at(
    mut hangups: Hangups,
    inputs: Inputs,
    mut logging: farol_logging::Config,
    running: Running,
) {
    loop {
        hangups.recv().await;
        let outcome = match inputs.load_for(Some(running.service())) {
            Ok((new, _)) => running.reload(new.agent).inspect(|_| {
                let later = farol_logging::take_over(&mut logging, &new.logging);
                if !later.is_empty() {
                    tracing::warn!(keys = later.join(", "), "these keys count only after a restart");
                }
            }),
            Err(problems) => Err(problems.into()),
        };
        running.note_reload(outcome.is_ok());
        match outcome {
            Ok(done) => tracing::info!(
                added = done.checks.added.len(),
                removed = done.checks.removed.len(),
                changed = done.checks.changed.len(),
                "the configuration was read again"
            ),
            Err(error) => tracing::error!(%error, "the configuration is refused; the old one stays"),
        }
    }
}
