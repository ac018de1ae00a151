//! The real monitor with a saboteur between its journal and its store. All else is as `farol-monitor` does it.

use anyhow::{Context, Result};
use farol_monitor::arguments::Arguments;
use farol_monitor::{Monitor, process, store};
use farol_shutdown::{Budgets, DataDir, Handle, Ready, Supervisor, signal};
use farol_tests::saboteur::{Crash, Saboteur};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// End at this point: NAME, or NAME:TIME for a later time of reaching it.
    #[arg(long)]
    crash: Option<Crash>,
    /// Each commit takes so many milliseconds longer.
    #[arg(long, default_value_t = 0)]
    slow_ms: u64,
    #[command(flatten)]
    arguments: Arguments,
}

#[tokio::main]
pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let env: Vec<_> = std::env::vars_os().collect();
    let (settings, _) = process::read(&options.arguments, &env)?;
    let supervisor = Supervisor::for_process(Budgets::default(), signal::terminations()?)?;
    let handle = supervisor.handle();
    let _logs = farol_logging::init(settings.logging)?;
    let data_dir = DataDir::lock(&options.arguments.data_dir, "farol-torture")?;
    Box::pin(start(&options, settings.monitor, &data_dir, &handle)).await?;
    Ok(supervisor.run().await.exit_code())
}

async fn start(
    options: &Options,
    config: farol_monitor::Config,
    data_dir: &DataDir,
    handle: &Handle,
) -> Result<()> {
    let (settings, crash, slow) =
        (config.store.clone(), options.crash, Duration::from_millis(options.slow_ms));
    let monitor = Monitor::bind(config, data_dir.path(), handle)?;
    let at = monitor.addresses()?;
    let folder = data_dir.path().to_owned();
    let opened = async move {
        let within = store::open(&settings, &folder).await?;
        Ok(Arc::new(Saboteur::open(within, crash, slow)) as Arc<dyn store::Store>)
    };
    let running = monitor.run_over(opened).await?;
    if let Some(file) = &options.arguments.ready_file {
        let ready = Ready {
            http: Some(at.http),
            agents: Some(at.agents),
            health: Some(at.health),
            ..Ready::default()
        };
        ready.write(file).with_context(|| format!("--ready-file {}", file.display()))?;
    }
    // Nobody reloads it; what could, must live as long as it does.
    handle.cleanup("reloads", Duration::from_secs(1), move || async move { drop(running) });
    Ok(())
}
