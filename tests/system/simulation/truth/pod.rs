//! A pod of the truth table: an agent with one check, which says what the script says, and one figure with it.

use super::super::network::{AGENTS, Epoch, Ways};
use farol_agent::{Agent, Listen, Surroundings};
use farol_config::Sources;
use farol_health::{Figure, Outcome, Registration, Spec, Status, Unit, check_fn};
use farol_shutdown::{Budgets, Handle, Supervisor};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Reports and checks come so far from each other.
pub(super) const EVERY: Duration = Duration::from_secs(5);
/// The figure's series.
pub(super) const LOAD: &str = "load_percent";

/// What the check says.
#[derive(Clone, Copy)]
struct Word {
    status: Status,
    /// `None`: without the figure.
    load: Option<f64>,
}

/// A pod's host.
pub(super) struct Pod {
    name: String,
    epoch: Epoch,
    host_root: PathBuf,
    word: Arc<Mutex<Word>>,
    handle: Mutex<Option<Handle>>,
    ends: AtomicBool,
}

impl Pod {
    pub(super) fn new(name: String, epoch: Epoch, host_root: PathBuf) -> Arc<Self> {
        let word = Arc::new(Mutex::new(Word { status: Status::Healthy, load: Some(10.0) }));
        Arc::new(Self {
            name,
            epoch,
            host_root,
            word,
            handle: Mutex::default(),
            ends: AtomicBool::new(false),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn say(&self, status: Status) {
        self.word.lock().status = status;
    }

    pub(super) fn measure(&self, load: Option<f64>) {
        self.word.lock().load = load;
    }

    /// SIGTERM.
    pub(super) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(handle) = &*self.handle.lock() {
            handle.shutdown("the pod is deleted");
        }
    }

    /// One start of it; ends when it is asked to, or when something is wrong.
    pub(super) async fn run(self: Arc<Self>, monitor: &'static str) -> turmoil::Result {
        self.epoch.join().await;
        let text = format!(
            "name: {}\nrole: pod\nlabels: {{cluster: eu}}\nmonitors: [\"http://{monitor}:{AGENTS}\"]\ninterval: {}s\n",
            self.name,
            EVERY.as_secs()
        );
        let tree = Sources::new().text("agent.yaml", &text).load()?;
        let surroundings = Surroundings::default();
        let mut config = tree.read(|m| farol_agent::Config::read_alone(m, &surroundings))?;
        config.listen = Listen::default();
        config.host_root = Some(self.host_root.clone());
        config.checks = vec![self.check()];
        let supervisor = Supervisor::new(Budgets::default());
        let agent = Agent::bind(config, None, &supervisor.handle(), Arc::new(Ways))?;
        let _running = agent.start();
        *self.handle.lock() = Some(supervisor.handle());
        let report = supervisor.run().await;
        if self.ends.load(Ordering::Relaxed) && report.code == 0 {
            return Ok(());
        }
        Err(format!("{} ended: {report:?}", self.name).into())
    }

    fn check(&self) -> Registration {
        let spec = Spec {
            interval: EVERY,
            ttl: Spec::default_ttl(EVERY, Duration::from_millis(500)),
            failure_threshold: 2,
            success_threshold: 2,
            ..Spec::new("db", "pay")
        };
        let word = Arc::clone(&self.word);
        let ask = move || {
            let word = *word.lock();
            let mut outcome = Outcome::new(word.status, "said", "");
            outcome.figures.extend(word.load.map(|load| Figure::gauge(LOAD, load, Unit::Percent)));
            std::future::ready(outcome)
        };
        Registration::new(spec, check_fn("said", ask))
    }
}
