//! Actions that an alert starts: scaling and circuit breakers, guarded. Takes requests, asks the guard, lets one attempt
//! an action run at a time and tells a record of each. Whether an action may run is decided in `guard.rs` and
//! `blast.rs`, what it changes in `scale.rs` and `breaker.rs`, how it is carried out in `attempt.rs`.

mod attempt;
mod blast;
mod breaker;
mod breakers;
mod carried;
mod failure;
mod guard;
mod kubernetes;
mod mirror;
mod record;
mod runner;
mod scale;
mod settings;
mod webhook;

pub use blast::{Blast, BlastRadius, Population, Scope, Wide};
pub use breaker::{Admission, Breaker, BreakerPolicy, Cause, State};
pub use breakers::{BreakerView, Breakers, Kept, NoSuchBreaker};
pub use failure::Failure;
pub use guard::{Guard, Limit, MOST_PER_HOUR, Policy, Refusal, Verdict};
pub use kubernetes::{Access, CA_FILE, TOKEN_FILE, Workload, WorkloadKind};
pub use mirror::Mirror;
pub use record::{ActionRecord, Outcome};
pub use runner::Runner;
pub use scale::{Amount, Bounds, target};
pub use settings::{Action, Settings, Verify, What};
pub use webhook::Webhook;

use arc_swap::ArcSwap;
use farol_rules::{Act, AlertId, Labels, Moment};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

/// So many requests wait; of more each is refused, recorded and counted. Alerts that begin in one step ask at once.
const QUEUE: usize = 1_024;

/// Says whether an alert still fires in this episode; `None` when that is not known, because data is missing.
pub type Firing = Arc<dyn Fn(&AlertId, i64) -> Option<bool> + Send + Sync>;

/// Waits until everything that was told is kept; not for long where the store does not take it.
pub type Recorded = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What actions need of the process around them.
#[derive(Clone)]
pub struct Surroundings {
    /// For webhooks: follows no redirects, and goes only where it may.
    pub client: reqwest::Client,
    /// The clocks.
    pub now: Arc<dyn Fn() -> Moment + Send + Sync>,
    /// Whether an alert still fires.
    pub firing: Firing,
    /// How many there are of what an alert with these labels is about.
    pub population: Arc<dyn Fn(&Labels) -> Population + Send + Sync>,
    /// Takes every record. Called without a lock of actions, must not block; of a refusal perhaps by who asks.
    pub tell: Arc<dyn Fn(ActionRecord) + Send + Sync>,
    /// Whether that is kept.
    pub recorded: Recorded,
}

/// An alert asks for an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRequest {
    /// Of the attempt: all records have it, and what is asked again after a restart is the same attempt.
    pub id: String,
    /// The action's name.
    pub action: Arc<str>,
    /// Which alert.
    pub alert: AlertId,
    /// In which of its episodes.
    pub episode_ms: i64,
    /// Of which incident.
    pub incident: String,
    /// The alert's labels: `service` says whose instances are counted.
    pub labels: Labels,
    /// When, unix milliseconds.
    pub asked_ms: i64,
}

impl ActionRequest {
    /// What a rule's alert asks for.
    #[must_use]
    pub fn of(act: Act, asked_ms: i64) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            action: act.action,
            alert: act.alert,
            episode_ms: act.episode_ms,
            incident: act.incident.to_string(),
            labels: act.labels,
            asked_ms,
        }
    }

    /// What was asked for before a restart.
    fn again(record: &ActionRecord) -> Self {
        Self {
            id: record.id.clone(),
            action: Arc::clone(&record.action),
            alert: record.alert.clone(),
            episode_ms: record.episode_ms,
            incident: record.incident.clone(),
            labels: record.labels.clone(),
            asked_ms: record.asked_ms,
        }
    }
}

/// The actions: a handle to ask them by. What it takes is carried out by its [`Runner`].
#[derive(Clone)]
pub struct Actions {
    inner: Arc<Inner>,
    queue: mpsc::Sender<ActionRequest>,
}

struct Inner {
    settings: ArcSwap<Settings>,
    surroundings: Surroundings,
    breakers: Arc<Breakers>,
    /// Locked for a look or a step, never over an await.
    state: Mutex<Decisions>,
    /// Requests that the queue had no room for.
    dropped: AtomicU64,
    /// Other settings are in force.
    reloaded: Notify,
}

/// What decisions rest on.
#[derive(Default)]
struct Decisions {
    /// By action: kept over a reload that takes it out, so that putting it back gives no new budget.
    guards: BTreeMap<Arc<str>, Guard>,
    blast: Blast,
}

impl Actions {
    /// Actions by these settings, and what carries them out.
    #[must_use]
    pub fn new(settings: Settings, surroundings: Surroundings) -> (Self, Runner) {
        let breakers = Arc::new(Breakers::new(settings.breakers()));
        let (queue, requests) = mpsc::channel(QUEUE);
        let inner = Arc::new(Inner {
            settings: ArcSwap::from_pointee(settings),
            surroundings,
            breakers,
            state: Mutex::default(),
            dropped: AtomicU64::new(0),
            reloaded: Notify::new(),
        });
        (Self { inner: Arc::clone(&inner), queue }, Runner::new(inner, requests))
    }

    /// What is to be kept together with what asks, before it [starts](Self::start): a restart asks again where nothing
    /// later is kept.
    #[must_use]
    pub fn asked(&self, request: &ActionRequest) -> ActionRecord {
        self.inner.record_of(request, Outcome::Asked)
    }

    /// Asks for an action; returns at once. What becomes of it is told in records, a refusal too.
    pub fn start(&self, request: ActionRequest) {
        // Once the runner has ended, at the end of the process, the next start asks again.
        if let Err(mpsc::error::TrySendError::Full(request)) = self.queue.try_send(request) {
            self.inner.dropped.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(action = &*request.action, "an action was refused: too many wait");
            self.inner.refuse(&request, Refusal::QueueFull);
        }
    }

    /// An instance went bad. To be told of every one, actions or not: that is what the blast radius is judged by.
    pub fn note_bad(&self, service: &Arc<str>, agent: &Arc<str>, now: Moment) {
        let settings = self.inner.settings.load();
        self.inner.state.lock().blast.note_bad(&settings.radius, service, agent, now);
    }

    /// Whether a failure that this service is part of is so wide that it is one incident without automatic action.
    #[must_use]
    pub fn wide(&self, service: Option<&str>, population: Population, now: Moment) -> Option<Wide> {
        let settings = self.inner.settings.load();
        self.inner.state.lock().blast.judge(&settings.radius, service, population, now)
    }

    /// An alert is over: breakers that wait for it know.
    pub fn resolved(&self, alert: &AlertId, now: Moment) {
        self.inner.breakers.resolved(alert, now);
    }

    /// The breaker that an attempt is about.
    pub(crate) fn breaker_of(&self, record: &ActionRecord) -> Option<Arc<str>> {
        let settings = self.inner.settings.load();
        match &settings.actions.get(&record.action)?.what {
            What::Breaker { name, .. } => Some(Arc::clone(name)),
            What::Scale { .. } | What::Webhook { .. } => None,
        }
    }

    /// The breakers.
    #[must_use]
    pub fn breakers(&self) -> &Arc<Breakers> {
        &self.inner.breakers
    }

    /// Other settings, from the next request on. What is under way ends by those that it began with. The names of the
    /// breakers that are no more.
    pub fn replace(&self, settings: Settings) -> Vec<Arc<str>> {
        let gone = self.inner.breakers.replace(settings.breakers());
        self.inner.settings.store(Arc::new(settings));
        self.inner.reloaded.notify_one();
        gone
    }

    /// Requests that were refused because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.inner.dropped.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn now(&self) -> Moment {
        (self.surroundings.now)()
    }

    fn tell(&self, record: ActionRecord) {
        (self.surroundings.tell)(record);
    }

    /// Whether what a request is part of is wide by now.
    fn wide(&self, request: &ActionRequest, radius: &BlastRadius) -> Option<Wide> {
        let service = request.labels.get("service").map(AsRef::as_ref);
        let population = (self.surroundings.population)(&request.labels);
        self.state.lock().blast.judge(radius, service, population, self.now())
    }

    fn record(&self, request: &ActionRequest, action: Option<&Action>, outcome: Outcome) -> ActionRecord {
        let now = self.now();
        ActionRecord {
            id: request.id.clone(),
            action: Arc::clone(&request.action),
            target: action.map(|action| action.what.target()).unwrap_or_default(),
            alert: request.alert.clone(),
            episode_ms: request.episode_ms,
            incident: request.incident.clone(),
            labels: request.labels.clone(),
            asked_ms: request.asked_ms,
            run_ms: now.run_ms,
            at_ms: now.wall_ms,
            known_ms: now.wall_ms,
            dry_run: action.is_some_and(|action| action.policy.dry_run),
            before: None,
            after: None,
            object: None,
            outcome,
        }
    }

    fn record_of(&self, request: &ActionRequest, outcome: Outcome) -> ActionRecord {
        self.record(request, self.settings.load().actions.get(&request.action), outcome)
    }

    fn refuse(&self, request: &ActionRequest, refusal: Refusal) {
        self.tell(self.record_of(request, Outcome::Refused { refusal }));
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actions").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}
