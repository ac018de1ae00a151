//! Guarded actions against servers that speak: a double of a Kubernetes API server, webhooks, a real Redis. What may run
//! is decided purely and tested there; here is what leaves, what is told, and what a failure on the way makes of it.

mod breakers;
mod crash_points;
mod guarded;
mod restart;
mod scale;
mod webhook;

use farol_monitor::act::{
    Access, Action, ActionRecord, ActionRequest, Actions, BlastRadius, Bounds, Outcome, Policy, Population,
    Runner, Settings, Surroundings, Verify, What, Workload, WorkloadKind,
};
use farol_rules::{AlertId, Labels, Moment};
use farol_tests::kubernetes::Kubernetes;
use farol_tests::wait::until;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);
/// What is scaled.
const PAYMENTS: &str = "deployments/shop/payments";

/// Tells requests apart.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// The process around the actions.
struct World {
    firing: Arc<Mutex<Option<bool>>>,
    records: Arc<Mutex<Vec<ActionRecord>>>,
    /// Added to the time that has truly passed, milliseconds.
    ahead: Arc<AtomicU64>,
    began: Instant,
    /// What the running clock shows when the time of the test begins.
    booted_ms: u64,
}

impl World {
    /// In which the alert fires.
    fn new() -> Self {
        Self {
            firing: Arc::new(Mutex::new(Some(true))),
            records: Arc::default(),
            ahead: Arc::default(),
            began: Instant::now(),
            booted_ms: 0,
        }
    }

    fn surroundings(&self) -> Surroundings {
        let (ahead, began, booted_ms) = (Arc::clone(&self.ahead), self.began, self.booted_ms);
        let (firing, records) = (Arc::clone(&self.firing), Arc::clone(&self.records));
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        Surroundings {
            client: client.build().unwrap(),
            now: Arc::new(move || moment(&ahead, began, booted_ms)),
            firing: Arc::new(move |_, _| *firing.lock()),
            population: Arc::new(|_| Population { instances: 10, agents: 100 }),
            tell: Arc::new(move |record| records.lock().push(record)),
            recorded: Arc::new(|| Box::pin(std::future::ready(()))),
        }
    }

    fn now(&self) -> Moment {
        moment(&self.ahead, self.began, self.booted_ms)
    }

    fn pass(&self, time: Duration) {
        self.ahead.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
    }

    fn says(&self, firing: Option<bool>) {
        *self.firing.lock() = firing;
    }

    fn request(&self, action: &str) -> ActionRequest {
        ActionRequest {
            id: format!("run-{}", REQUESTS.fetch_add(1, Ordering::Relaxed)),
            action: action.into(),
            alert: alert(),
            episode_ms: 7,
            incident: "i-1".into(),
            labels: Labels::from([("service", "payments")]),
            asked_ms: self.now().wall_ms,
        }
    }

    fn records(&self) -> Vec<ActionRecord> {
        self.records.lock().clone()
    }

    /// The outcomes of all records so far.
    fn outcomes(&self) -> Vec<Outcome> {
        self.records().into_iter().map(|record| record.outcome).collect()
    }

    /// Waits for so many attempts to have ended; gives the last record.
    async fn ended(&self, attempts: usize) -> ActionRecord {
        let last =
            || self.records().into_iter().filter(|record| record.outcome.is_last()).collect::<Vec<_>>();
        let waited = until("the end of an attempt", LIMIT, async || last().len() >= attempts).await;
        assert!(waited.is_ok(), "{waited:?}; so far {:?}", self.outcomes());
        last().pop().unwrap()
    }

    /// Waits until a record is so.
    async fn told(&self, what: &str, is: impl Fn(&Outcome) -> bool) {
        let waited = until(what, LIMIT, async || self.outcomes().iter().any(&is)).await;
        assert!(waited.is_ok(), "{waited:?}; so far {:?}", self.outcomes());
    }
}

fn moment(ahead: &AtomicU64, began: Instant, booted_ms: u64) -> Moment {
    let passed = began.elapsed().as_millis() as u64 + ahead.load(Ordering::Relaxed);
    Moment { run_ms: booted_ms + passed, wall_ms: 1_800_000_000_000 + passed as i64 }
}

fn alert() -> AlertId {
    AlertId { rule: "slow".into(), labels: Labels::from([("service", "payments")]) }
}

fn verifying(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Verifying { .. })
}

/// Actions that run. They end with it.
struct Live {
    actions: Actions,
    stopping: CancellationToken,
    running: JoinSet<()>,
}

impl Live {
    fn start(settings: Settings, world: &World) -> Self {
        let (actions, runner) = Actions::new(settings, world.surroundings());
        Self::run(actions, runner)
    }

    fn run(actions: Actions, runner: Runner) -> Self {
        let (stopping, mut running) = (CancellationToken::new(), JoinSet::new());
        running.spawn(runner.run(stopping.clone()));
        Self { actions, stopping, running }
    }

    /// An orderly end.
    async fn stop(mut self) {
        self.stopping.cancel();
        self.running.join_next().await.unwrap().unwrap();
    }
}

/// A cluster with ten payments at most, and access to it.
struct Site {
    cluster: Kubernetes,
    folder: TempDir,
}

impl Site {
    async fn with(replicas: u32) -> Self {
        let cluster = Kubernetes::start("t0ken").await.unwrap();
        cluster.make(PAYMENTS, replicas);
        let site = Self { cluster, folder: tempfile::tempdir().unwrap() };
        std::fs::write(site.file("ca"), site.cluster.authority()).unwrap();
        site.give("t0ken");
        site
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The token that the monitor is given from now on.
    fn give(&self, token: &str) {
        std::fs::write(self.file("token"), format!("{token}\n")).unwrap();
    }

    fn replicas(&self) -> u32 {
        self.cluster.replicas(PAYMENTS).unwrap()
    }

    /// One action, `up`: by two, between 2 and 10, no pause, looked at after 1 s and rolled back.
    fn settings(&self) -> Settings {
        let workload = Workload::parse(WorkloadKind::Deployment, "shop/payments").unwrap();
        let access = Access {
            url: self.cluster.url(),
            token_file: Some(self.file("token")),
            ca_file: Some(self.file("ca")),
            deadline: Duration::from_secs(5),
        };
        let what = What::Scale { workload, by: "+2".parse().unwrap(), bounds: Bounds { min: 2, max: 10 } };
        Settings {
            actions: [("up".into(), action(what))].into(),
            kubernetes: Some(access),
            radius: BlastRadius::default(),
            mirror: None,
        }
    }

    /// The same, changed.
    fn settings_but(&self, change: impl FnOnce(&mut Action)) -> Settings {
        let mut settings = self.settings();
        change(settings.actions.get_mut("up").unwrap());
        settings
    }
}

fn action(what: What) -> Action {
    Action {
        what,
        policy: Policy { cool_down_ms: 0, per_hour: 100, dry_run: false },
        verify: Some(Verify { after_ms: 1_000, roll_back: true }),
    }
}
