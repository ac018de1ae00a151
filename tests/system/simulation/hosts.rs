//! The monitor and the agents as hosts of the simulation: the libraries as they are, over the three seams. What they
//! issued is kept outside, for it must be known after a crash.

use super::network::{AGENTS, Epoch, HEALTH, HTTP, Listener, Ways};
use farol_agent::{Agent, Counts, Listen, Running, Surroundings};
use farol_config::Sources;
use farol_health::clock::wall_ms;
use farol_health::{Figure, Outcome, Registration, Spec, Status, Unit, check_fn};
use farol_monitor::store::Store;
use farol_monitor::{Listeners, Monitor};
use farol_shutdown::{Budgets, Handle, Supervisor};
use farol_tests::memory_store::MemoryStore;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

/// A reading of the simulated clock lacks what passes on the machine between its two halves, when that is busy. Starts
/// of one agent are further from each other.
const READING_MS: i64 = 150;

/// The metric whose every sample is another number.
pub(crate) const METRIC: &str = "nonce";
/// Samples of the starts of an agent are so far from each other.
const PER_START: usize = 1_000_000;

/// A monitor's host: its store outlives it.
pub(crate) struct MonitorSeat {
    epoch: Epoch,
    data_dir: PathBuf,
    /// Further lines of its configuration.
    further: String,
    /// The running one's supervisor.
    handle: Mutex<Option<Handle>>,
    /// Its end was asked for.
    ends: AtomicBool,
    /// As the running monitor has it open.
    pub store: Mutex<Arc<MemoryStore>>,
}

impl MonitorSeat {
    pub(crate) fn new(epoch: Epoch, data_dir: PathBuf) -> Arc<Self> {
        Self::with(epoch, data_dir, "")
    }

    /// One with further lines of configuration.
    pub(crate) fn with(epoch: Epoch, data_dir: PathBuf, further: &str) -> Arc<Self> {
        Arc::new(Self {
            epoch,
            data_dir,
            further: further.to_owned(),
            handle: Mutex::default(),
            ends: AtomicBool::new(false),
            store: Mutex::default(),
        })
    }

    /// SIGTERM.
    pub(crate) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(handle) = &*self.handle.lock() {
            handle.shutdown("it is stopped");
        }
    }

    /// One start of it; ends when it is asked to, or when something is wrong.
    pub(crate) async fn run(self: Arc<Self>) -> turmoil::Result {
        self.epoch.join().await;
        self.ends.store(false, Ordering::Relaxed);
        let text =
            format!("agents: {{insecure: true}}\naccess: {{read: any}}\ndetails: always\n{}", self.further);
        let tree = Sources::new().text("monitor.yaml", &text).load()?;
        let config = tree.read(farol_monitor::Config::read)?;
        let supervisor = Supervisor::new(Budgets::default());
        *self.handle.lock() = Some(supervisor.handle());
        let listeners = Listeners {
            http: Listener::bind(HTTP).await?,
            agents: Listener::bind(AGENTS).await?,
            health: Listener::bind(HEALTH).await?,
        };
        let monitor = Monitor::with(config, &self.data_dir, &supervisor.handle(), listeners)?;
        let store = {
            let mut current = self.store.lock();
            *current = Arc::new(current.reopened());
            Arc::clone(&current) as Arc<dyn Store>
        };
        let _running = monitor.run_over(async { Ok(store) }).await?;
        let report = supervisor.run().await;
        if self.ends.load(Ordering::Relaxed) && report.code == 0 {
            return Ok(());
        }
        Err(format!("the monitor ended: {report:?}").into())
    }
}

/// An agent's host.
pub(crate) struct AgentSeat {
    pub number: usize,
    epoch: Epoch,
    /// Hosts of monitors, in the order of its configuration.
    monitors: Vec<String>,
    /// An empty folder in the place of the host's file systems: what this machine measures is none of the plan.
    host_root: PathBuf,
    /// What its checks say.
    said: Arc<AtomicU8>,
    /// All its starts.
    pub starts: Mutex<Vec<Start>>,
    /// Its end was asked for.
    ends: AtomicBool,
}

/// One start of an agent.
#[derive(Clone)]
pub(crate) struct Start {
    /// The number of its boot is one of these.
    pub boots: std::ops::RangeInclusive<u64>,
    /// The agent, or what is left of it.
    pub running: Running,
    /// Its supervisor's.
    pub handle: Handle,
    /// Each sample of [`METRIC`], in its order.
    pub issued: Arc<Mutex<Vec<u64>>>,
}

impl AgentSeat {
    pub(crate) fn new(number: usize, epoch: Epoch, monitors: &[&str], host_root: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            number,
            epoch,
            monitors: monitors.iter().map(|name| (*name).to_owned()).collect(),
            host_root,
            said: Arc::new(AtomicU8::new(Status::Healthy as u8)),
            starts: Mutex::default(),
            ends: AtomicBool::new(false),
        })
    }

    pub(crate) fn name(&self) -> String {
        format!("agent-{}", self.number)
    }

    pub(crate) fn say(&self, status: Status) {
        self.said.store(status as u8, Ordering::Relaxed);
    }

    /// What became of the reports of its last start.
    pub(crate) fn counts(&self) -> Counts {
        self.starts.lock().last().map(|start| start.running.counts()).unwrap_or_default()
    }

    /// SIGTERM.
    pub(crate) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(start) = self.starts.lock().last() {
            start.handle.shutdown("the simulation is over");
        }
    }

    /// One start of it; ends when it is asked to, or when something is wrong.
    pub(crate) async fn run(self: Arc<Self>) -> turmoil::Result {
        self.epoch.join().await;
        let list: Vec<_> = self.monitors.iter().map(|host| format!("\"http://{host}:{AGENTS}\"")).collect();
        let text = format!("name: {}\nmonitors: [{}]\ninterval: 1s\n", self.name(), list.join(", "));
        let tree = Sources::new().text("agent.yaml", &text).load()?;
        let surroundings = Surroundings::default();
        let mut config = tree.read(|m| farol_agent::Config::read_alone(m, &surroundings))?;
        config.listen = Listen::default();
        config.host_root = Some(self.host_root.clone());
        let issued = Arc::new(Mutex::new(Vec::new()));
        let first = self.starts.lock().len() * PER_START;
        config.checks = vec![
            self.check("part", &format!("own-{}", self.number), Some((first, Arc::clone(&issued)))),
            self.check("share", "shared", None),
        ];
        let supervisor = Supervisor::new(Budgets::default());
        let before = wall_ms();
        let agent = Agent::bind(config, None, &supervisor.handle(), Arc::new(Ways))?;
        let boots = u64::try_from(before - READING_MS)?..=u64::try_from(wall_ms() + READING_MS)?;
        let running = agent.start();
        let handle = supervisor.handle();
        self.starts.lock().push(Start { boots, running, handle, issued });
        let report = supervisor.run().await;
        if self.ends.load(Ordering::Relaxed) && report.code == 0 {
            return Ok(());
        }
        Err(format!("{} ended: {report:?}", self.name()).into())
    }

    /// A check that says what the agent's checks say; with the samples it issues.
    fn check(
        &self,
        name: &str,
        service: &str,
        issues: Option<(usize, Arc<Mutex<Vec<u64>>>)>,
    ) -> Registration {
        let spec = Spec {
            interval: Duration::from_secs(1),
            failure_threshold: 1,
            success_threshold: 1,
            start_grace: Duration::ZERO,
            ..Spec::new(name, service)
        };
        let said = Arc::clone(&self.said);
        let ask = move || {
            let status = Status::from_u8(said.load(Ordering::Relaxed)).expect("stored as one");
            let mut outcome = Outcome::new(status, "said", "");
            if let Some((first, issued)) = &issues {
                let mut issued = issued.lock();
                let nonce = (first + issued.len()) as u64;
                issued.push(nonce);
                outcome.figures = vec![Figure::gauge(METRIC, nonce as f64, Unit::None)];
            }
            std::future::ready(outcome)
        };
        Registration::new(spec, check_fn("said", ask))
    }
}
