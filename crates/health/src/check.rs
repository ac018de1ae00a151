//! What a check is and what it answers. When it runs and how its answers count is decided by the checker.

use crate::Status;
use futures::future::BoxFuture;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One question about one thing beside us.
///
/// The checker drops the future at its deadline, so it must be safe to cancel at any await. What must block does so
/// in `tokio::task::block_in_place` or `spawn_blocking`: code that simply holds its thread can stop the timers of
/// the whole process, which liveness then tells. A run that cannot be dropped is not run again until it ends.
pub trait Check: Send + Sync + 'static {
    /// The kind as it stands in the configuration, for instance `postgres`.
    fn kind(&self) -> &'static str;

    /// Whom it asks, for messages: an address without anything secret. `None` for what asks nobody.
    fn target(&self) -> Option<String> {
        None
    }

    /// Asks once. A failure is an [`Outcome`], never an error.
    fn run(&self) -> BoxFuture<'_, Outcome>;
}

/// A check made of a function, for what only the application itself can tell.
pub fn check_fn<F, A>(kind: &'static str, ask: F) -> impl Check
where
    F: Fn() -> A + Send + Sync + 'static,
    A: Future<Output = Outcome> + Send + 'static,
{
    FromFn { kind, ask }
}

struct FromFn<F> {
    kind: &'static str,
    ask: F,
}

impl<F, A> Check for FromFn<F>
where
    F: Fn() -> A + Send + Sync + 'static,
    A: Future<Output = Outcome> + Send + 'static,
{
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        Box::pin((self.ask)())
    }
}

/// The answer of one run of a check. A failed check is data.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What the check saw.
    pub status: Status,
    /// A stable code in snake case that programs may match on: `ok`, `connection_refused`, …
    pub reason: Cow<'static, str>,
    /// What a human should know and do. Holds no moving figure.
    pub message: String,
    /// The figures measured on the way.
    pub figures: Vec<Figure>,
    /// Facts that seldom change, such as a server's version.
    pub metadata: Vec<(Cow<'static, str>, String)>,
    /// How long what was asked about took, where the check itself only looks that up. `None`: as long as the run.
    pub took: Option<Duration>,
}

impl Outcome {
    /// An answer without figures and metadata.
    pub fn new(status: Status, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            message: message.into(),
            figures: Vec::new(),
            metadata: Vec::new(),
            took: None,
        }
    }

    /// All is well: reason `ok`, no message.
    #[must_use]
    pub fn healthy() -> Self {
        Self::new(Status::Healthy, "ok", "")
    }

    /// It works, but worse than it should.
    pub fn degraded(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Status::Degraded, reason, message)
    }

    /// It does not work.
    pub fn unhealthy(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Status::Unhealthy, reason, message)
    }

    /// The check could not tell.
    pub fn unknown(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Status::Unknown, reason, message)
    }

    /// Adds a figure.
    #[must_use]
    pub fn with(mut self, figure: Figure) -> Self {
        self.figures.push(figure);
        self
    }

    /// Says how long what was asked about took.
    #[must_use]
    pub fn took(mut self, took: Option<Duration>) -> Self {
        self.took = took;
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn with_fact(mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }
}

/// How a figure moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up, until its source restarts.
    Counter,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    None,
    /// Per hundred; shown as `45%`.
    Percent,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

/// One measured number. It becomes a series, and a field of `/health/detailed` when `shown_as` says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The series' name in Prometheus style, for instance `database_connections_active`.
    pub name: Cow<'static, str>,
    /// The number.
    pub value: f64,
    /// Gauge or counter.
    pub kind: Kind,
    /// What it counts.
    pub unit: Unit,
    /// What tells this series from others of the same name, for instance the mount point.
    pub labels: Vec<(Cow<'static, str>, String)>,
    /// Where it stands in `/health/detailed`: a key, with a dot for one level of nesting
    /// (`connections.active`).
    pub shown_as: Option<&'static str>,
}

impl Figure {
    /// A figure that goes up and down.
    pub fn gauge(name: impl Into<Cow<'static, str>>, value: f64, unit: Unit) -> Self {
        Self { name: name.into(), value, kind: Kind::Gauge, unit, labels: Vec::new(), shown_as: None }
    }

    /// A figure that only goes up.
    pub fn counter(name: impl Into<Cow<'static, str>>, value: f64, unit: Unit) -> Self {
        Self { kind: Kind::Counter, ..Self::gauge(name, value, unit) }
    }

    /// Shows the figure under this key of `/health/detailed`.
    #[must_use]
    pub fn shown_as(mut self, key: &'static str) -> Self {
        self.shown_as = Some(key);
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }
}

/// Which words `/health/ready` uses for a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// `connected` and `disconnected`.
    Database,
    /// The store of this process: `connected` and, as soon as it is degraded, which says that it refuses,
    /// `disconnected`.
    Store,
    /// `available` and `unavailable`.
    Other,
}

/// How a component is checked and counted. [`Spec::new`] holds every default.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The component's name, unique in this process.
    pub name: String,
    /// The service it belongs to.
    pub service: String,
    /// Whether the instance is unhealthy when this is; otherwise it is degraded.
    pub required: bool,
    /// Whether readiness asks it.
    pub readiness: bool,
    /// Time between two runs.
    pub interval: Duration,
    /// A run that takes longer is `unhealthy: deadline exceeded`.
    pub deadline: Duration,
    /// So many worse results in a row count as a change.
    pub failure_threshold: u32,
    /// So many better results in a row count as a change.
    pub success_threshold: u32,
    /// A result older than this is stale. Default: 3 intervals and one deadline.
    pub ttl: Duration,
    /// How long a component may say `starting` before its last result counts.
    pub start_grace: Duration,
    /// A healthy answer slower than this is degraded.
    pub degraded_above: Option<Duration>,
    /// Labels of the component.
    pub labels: BTreeMap<String, String>,
    /// The word readiness uses.
    pub dependency: Dependency,
    /// Nobody is asked: results are told to the checker as they come, and the check runs one interval after the
    /// last of them, to say what the silence means.
    pub told: bool,
}

impl Spec {
    /// The defaults: required, no readiness, every 10 s with a deadline of 500 ms, thresholds 3 and 2,
    /// start grace 30 s.
    pub fn new(name: impl Into<String>, service: impl Into<String>) -> Self {
        let interval = Duration::from_secs(10);
        let deadline = Duration::from_millis(500);
        Self {
            name: name.into(),
            service: service.into(),
            required: true,
            readiness: false,
            interval,
            deadline,
            failure_threshold: 3,
            success_threshold: 2,
            ttl: Self::default_ttl(interval, deadline),
            start_grace: Duration::from_secs(30),
            degraded_above: None,
            labels: BTreeMap::new(),
            dependency: Dependency::Other,
            told: false,
        }
    }

    /// Three intervals and one deadline.
    #[must_use]
    pub fn default_ttl(interval: Duration, deadline: Duration) -> Duration {
        interval.saturating_mul(3).saturating_add(deadline)
    }
}

/// A check with its specification.
#[derive(Clone)]
pub struct Registration {
    /// How it is run and counted.
    pub spec: Spec,
    /// What is run.
    pub check: Arc<dyn Check>,
    /// Equal for an unchanged check: a reload then keeps its state. Made from the check's configuration.
    pub fingerprint: u64,
}

impl Registration {
    /// A check that stays the same as long as its specification does.
    pub fn new(spec: Spec, check: impl Check) -> Self {
        Self { spec, check: Arc::new(check), fingerprint: 0 }
    }
}

/// What may name a check, a service or a group.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
