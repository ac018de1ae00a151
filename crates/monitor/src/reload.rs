//! Another configuration for a running monitor. Decides what can be taken over and what needs a restart; who asks
//! for it (a signal, an operator) and how the files are read is the process's business.

use crate::alerting::condition;
use crate::app::{App, Reload, ReloadRefused, Reloaded};
use crate::config::Config;
use crate::fleet::{Effects, Event, EventKind};
use crate::monitor::Certificates;
use farol_rules::{Labels, MonitorCondition};
use farol_shutdown::listener::{Access, Reread, Tls};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// An operator's wish for a reload, and where its outcome is told.
pub type ReloadRequest = oneshot::Sender<Result<Reloaded, ReloadRefused>>;

/// Gives a running monitor another configuration.
#[derive(Clone)]
pub struct Reloader {
    app: Arc<App>,
    certificates: Certificates,
    /// The configuration of the start: what only a restart takes over is compared with it.
    started: Arc<Config>,
}

impl Reloader {
    pub(crate) fn new(app: Arc<App>, certificates: Certificates, config: Config) -> Self {
        Self { app, certificates, started: Arc::new(config) }
    }

    /// Takes over a new configuration and reads the certificates again: all of it, or nothing.
    pub fn apply(&self, new: Config) -> Result<Reloaded, ReloadRefused> {
        let reread: Result<Vec<_>, _> = self.certificates.all().map(Tls::reread).collect();
        let certificates = reread.map_err(|error| self.refused(vec![error.to_string()]))?;
        let prepared = self.app.alerting.prepare(&new).map_err(|problem| self.refused(vec![problem]))?;
        certificates.into_iter().for_each(Reread::take_over);
        self.app.alerting.configure(prepared, &new, &self.app);
        let restart_needed: Vec<String> =
            self.started.needs_restart(&new).into_iter().map(str::to_owned).collect();
        let now = self.app.clock.now();
        self.app.ingest.policy.store(Arc::new(new.ingest.clone()));
        self.app.scrapes.set_max_series(new.scrape_max_series);
        let access = Access {
            read_any: new.access.read_any,
            hosts: new.access.hosts.iter().cloned().collect(),
            ..Access::clone(&self.app.access.load())
        };
        self.app.access.store(Arc::new(access));
        self.app.fleet.declare(&new.services, &new.groups, now);
        let mut event = Event::new(EventKind::Reload, now.wall_ms);
        if !restart_needed.is_empty() {
            event =
                event.message(format!("these take effect at the next start: {}", restart_needed.join(", ")));
        }
        self.note(true, event);
        Ok(Reloaded { restart_needed })
    }

    /// Notes that a configuration was refused whole: the old one stays.
    pub fn refused(&self, problems: Vec<String>) -> ReloadRefused {
        for problem in &problems {
            tracing::error!(problem, "a problem of the configuration");
        }
        let mut event =
            Event::new(EventKind::Reload, self.app.clock.now().wall_ms).message(problems.join("; "));
        event.reason = Some("refused".into());
        self.note(false, event);
        ReloadRefused(problems)
    }

    fn note(&self, went_well: bool, event: Event) {
        self.app.reloads.note(went_well, event.at_ms);
        let why = if went_well { None } else { event.message.as_deref() };
        let seen = condition(MonitorCondition::ReloadFailed, Labels::default(), why);
        self.app.alerting.see(&[seen], self.app.clock.now());
        self.app
            .ingest
            .outlet
            .publish(&Effects { events: vec![event], ..Effects::default() }, self.app.clock.now());
    }
}

/// Passes an operator's wish on to whoever runs the process, and waits for the outcome.
pub(crate) fn by_request(wish: mpsc::Sender<ReloadRequest>) -> Reload {
    Box::new(move || {
        let wish = wish.clone();
        Box::pin(async move {
            let (tell, told) = oneshot::channel();
            let nobody = || ReloadRefused(vec!["this process takes no reload; restart it".to_owned()]);
            wish.send(tell).await.map_err(|_| nobody())?;
            told.await.map_err(|_| nobody())?
        })
    })
}
