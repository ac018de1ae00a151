//! A rule as it is written. What it means is decided by the modules that compile and step it.

use crate::{Labels, Matcher, Pattern, Severity};
use farol_health::Status;
use farol_series::Reduce;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What is looked at, when it is bad, and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, unique over all rules: the alert's `alertname`.
    pub name: Arc<str>,
    /// What it looks at.
    pub subject: Subject,
    /// Which of it: by the element's labels.
    pub matchers: Vec<Matcher>,
    /// Over which window, for metrics.
    pub reduce: Option<Reduction>,
    /// When it is bad.
    pub judge: Judge,
    /// It must be bad for so long before anybody is told.
    pub for_ms: u64,
    /// It must be well for so long before it is over.
    pub keep_firing_for_ms: u64,
    /// When it is flapping.
    pub flap: Flap,
    /// The labels that make one alert of many elements; `None` where each element is one.
    pub by: Option<Vec<Arc<str>>>,
    /// What holds it back.
    pub depends_on: Vec<Dependency>,
    /// Added to the alert's labels.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Templates for people, by name: `summary`, `description`, `runbook`, ….
    pub annotations: BTreeMap<Arc<str>, Arc<str>>,
    /// Names of actions that it starts.
    pub actions: Vec<Arc<str>>,
}

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// Series of this name, one element each: labels `agent`, the agent's own and the series' own. With `of`, the
    /// value is the per cent that it is of the series of that name with the same labels on the same agent.
    Metric {
        /// Its name.
        name: Arc<str>,
        /// What 100 % is.
        of: Option<Arc<str>>,
    },
    /// Components, one element for each agent's: labels `agent service component kind` and the agent's own.
    Component {
        /// The component's name; `None` is any.
        name: Option<Pattern>,
        /// The kind of its check (`heartbeat`, `tls_certificate`, …); `None` is any.
        kind: Option<Pattern>,
    },
    /// Services over all agents: label `service`.
    Service(Option<Pattern>),
    /// Groups of services: label `group`.
    Group(Option<Pattern>),
    /// Agents: labels `agent` and its own.
    Agent(AgentCondition),
    /// The monitor itself: no labels, but those of the condition (`receiver`).
    Monitor(MonitorCondition),
}

/// What may be wrong with an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentCondition {
    /// It is silent for too long.
    Lost,
    /// It started three times in ten minutes.
    Restarting,
    /// Two processes speak for it.
    IdentityConflict,
    /// Reports of it are lost.
    ReportsDropped,
}

/// What may be wrong with the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonitorCondition {
    /// The store refuses, hangs or has failed.
    StoreUnusable,
    /// A queue is full and drops: label `queue`.
    QueueFull,
    /// A receiver takes nothing: label `receiver`.
    ReceiverFailing,
    /// The wall clock was set.
    ClockJump,
    /// It did not run for a while.
    Blind,
    /// A configuration was refused.
    ReloadFailed,
    /// The outbound beat is not answered.
    HeartbeatFailing,
    /// An action failed or had no effect: label `action`.
    ActionFailed,
}

/// When an element is bad.
#[derive(Clone, Debug, PartialEq)]
pub enum Judge {
    /// By its value.
    Thresholds {
        /// Bad.
        warning: Option<Condition>,
        /// Very bad.
        critical: Option<Condition>,
        /// Well again; without it, whatever is not bad.
        clear: Option<Condition>,
    },
    /// By its status.
    Statuses {
        /// These are bad.
        statuses: Vec<Status>,
        /// Staleness is bad too.
        stale: bool,
        /// How bad.
        severity: Severity,
    },
    /// The condition of the subject is.
    Condition {
        /// How bad.
        severity: Severity,
    },
}

/// A comparison with a number, `value operator number`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub number: f64,
}

/// How two numbers are compared. NaN is never anything but `!=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// `>`
    #[serde(rename = ">")]
    Above,
    /// `>=`
    #[serde(rename = ">=")]
    AtLeast,
    /// `<`
    #[serde(rename = "<")]
    Below,
    /// `<=`
    #[serde(rename = "<=")]
    AtMost,
    /// `==`
    #[serde(rename = "==")]
    Equal,
    /// `!=`
    #[serde(rename = "!=")]
    NotEqual,
}

impl Operator {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

impl Condition {
    /// Whether a value is so.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        match self.operator {
            Operator::Above => value > self.number,
            Operator::AtLeast => value >= self.number,
            Operator::Below => value < self.number,
            Operator::AtMost => value <= self.number,
            Operator::Equal => value == self.number,
            Operator::NotEqual => value != self.number,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operator.as_str(), self.number)
    }
}

/// A window and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduction {
    /// What becomes of the values.
    pub how: Reduce,
    /// So far back.
    pub over_ms: u64,
}

/// When an element is flapping: it began or ended so often within the window. It then stays as it is, firing, until it
/// has done so at most half as often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flap {
    /// Changes between bad and well; 0 never finds flapping.
    pub changes: u32,
    /// In so long.
    pub within_ms: u64,
}

impl Default for Flap {
    fn default() -> Self {
        Self { changes: 6, within_ms: 10 * 60_000 }
    }
}

/// Another rule whose alert holds this one's back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The other rule.
    pub rule: Arc<str>,
    /// Labels that both must have, with the same value.
    pub on: Vec<Arc<str>>,
    /// Dependencies of one redundancy group hold back only together.
    pub redundancy: Option<Arc<str>>,
}

/// Which alert.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AlertId {
    /// The rule's name.
    pub rule: Arc<str>,
    /// The rule's `by` labels of its elements, or all labels of its one.
    pub labels: Labels,
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.rule, self.labels)
    }
}
