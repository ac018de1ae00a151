//! Another configuration for a running standalone, at SIGHUP and at an operator's wish. Decides that both halves
//! take it over or none does.

use super::look_around;
use super::settings::{Inputs, Settings, read};
use crate::terminal::has_hung_up;
use farol_agent::Running;
use farol_health::Registration;
use farol_monitor::app::{ReloadRefused, Reloaded};
use farol_monitor::{ReloadRequest, Reloader};
use farol_shutdown::Handle;
use farol_shutdown::signal::Hangups;
use tokio::sync::mpsc;

/// What a reload goes through.
pub(super) struct Reloads {
    /// Where the configuration comes from.
    pub(super) inputs: Inputs,
    /// The monitor; it notes the outcome for both.
    pub(super) reloader: Reloader,
    /// The agent.
    pub(super) running: Running,
    /// What is logged, as the configuration had it last.
    pub(super) logging: farol_logging::Config,
    /// What the monitor was told last, to go back to.
    pub(super) monitor: farol_monitor::Config,
    /// Where the agent streams to: its monitor stays where it is.
    pub(super) monitors: Vec<farol_agent::Monitor>,
    /// The checks of this machine in force: what was found once is not forgotten because it does not answer now.
    pub(super) found: Vec<Registration>,
    /// Somebody started it at a terminal: SIGHUP may mean that this is gone.
    pub(super) at_terminal: bool,
    /// The process, to end it then.
    pub(super) handle: Handle,
}

impl Reloads {
    /// Reads the configuration again whenever it is asked for.
    pub(super) async fn run(mut self, mut hangups: Hangups, mut wishes: mpsc::Receiver<ReloadRequest>) {
        loop {
            let wish = tokio::select! {
                () = hangups.recv() => None,
                Some(wish) = wishes.recv() => Some(wish),
            };
            if wish.is_none() && self.at_terminal && has_hung_up() {
                return self.handle.shutdown("the terminal is gone");
            }
            let outcome = self.reload().await;
            // The monitor noted it for itself.
            self.running.note_reload(outcome.is_ok());
            if let Some(wish) = wish {
                // An operator who has gone away needs no answer.
                drop(wish.send(outcome));
            }
        }
    }

    async fn reload(&mut self) -> Result<Reloaded, ReloadRefused> {
        let service = self.running.service();
        let settings = match read(&self.inputs, Some(service.clone())) {
            Ok((settings, _)) => settings,
            Err(error) => {
                return Err(self.reloader.refused(error.to_string().lines().map(str::to_owned).collect()));
            }
        };
        let Settings { monitor, mut agent, of_machine, logging } = settings;
        let found = look_around(&mut agent, &service, of_machine, &self.found).await;
        agent.monitors.clone_from(&self.monitors);
        // The monitor first: its certificates may be refused. The agent's checks were judged with the file.
        let mut reloaded = self.reloader.apply(monitor.clone())?;
        let of_agent = tracing::info_span!("agent", part = "agent");
        match of_agent.in_scope(|| self.running.reload(agent)) {
            Ok(done) => {
                let keys = done.needs_restart.into_iter().map(|key| format!("agent.{key}"));
                reloaded.restart_needed.extend(keys);
            }
            Err(error) => {
                self.reloader.apply(self.monitor.clone())?;
                return Err(self.reloader.refused(vec![format!("{error:#}")]));
            }
        }
        let later = farol_logging::take_over(&mut self.logging, &logging);
        reloaded.restart_needed.extend(later.into_iter().map(str::to_owned));
        self.monitor = monitor;
        self.found = found;
        Ok(reloaded)
    }
}
