//! What the book wants done: told, kept, noted, acted on. Pure data, in the order in which it came about.

use crate::incident::{Entry, Incident};
use crate::{AlertId, Ending, Labels, MutedBy, Notice, SavedConversation, SavedLife, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Something to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Somebody must be told.
    Notify(Box<Telling>),
    /// Something must outlast the process.
    Keep(Keep),
    /// An alert changed.
    Alert(AlertEvent),
    /// A line of an incident's time line.
    Entry(Arc<str>, Entry),
    /// Somebody may hear of an alert whose rule starts actions, for the first time since it began.
    Act(Act),
}

/// What must outlast the process; `None` is to be forgotten.
#[derive(Clone, Debug)]
pub enum Keep {
    /// An element's life.
    Element(ElementId, Option<Box<SavedElement>>),
    /// An alert.
    Alert(AlertId, Option<Box<SavedAlert>>),
    /// What a receiver was told of a group.
    Conversation(ConversationId, Option<Box<SavedConversation>>),
    /// An incident.
    Incident(Arc<Incident>),
    /// A silence is over, and need not be kept.
    SilenceOver(Arc<str>),
    /// A maintenance window is over, and need not be kept.
    WindowOver(Arc<str>),
    /// An acknowledgement is over: its alert ended or became worse, or its time is up.
    Acknowledged(AlertId),
}

/// Which element of which rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ElementId {
    /// The rule's name.
    pub rule: Arc<str>,
    /// All its labels.
    pub labels: Labels,
}

/// Which conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConversationId {
    /// The receiver.
    pub receiver: Arc<str>,
    /// What its alerts agree in.
    pub group: Labels,
}

/// An element as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedElement {
    /// Its life.
    pub life: SavedLife,
    /// The fingerprint of the rule that it lives under: under another one it begins anew.
    pub fingerprint: u64,
    /// What was seen last.
    pub seen: Seen,
    /// It is over by itself when it has not happened again for a while.
    #[serde(default)]
    pub happens: bool,
    /// For how long it holds others back though it does not fire.
    #[serde(default, skip_serializing_if = "SavedHold::is_none")]
    pub hold: SavedHold,
}

/// Up to when an element holds others back though it does not fire, unix milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedHold {
    /// Because it is pending.
    pub(crate) pending_ms: Option<i64>,
    /// How much of that is left once there is news of it, milliseconds, where there was none since the restart before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pending_left_ms: Option<u64>,
    /// Because it fired a moment ago.
    pub(crate) ended_ms: Option<i64>,
}

impl SavedHold {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// An alert as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedAlert {
    /// When it began, unix milliseconds: tells one time that it fires apart from others.
    pub episode_ms: i64,
    /// How bad it is.
    pub severity: Severity,
    /// Why and when it ended.
    pub ended: Option<(Ending, i64)>,
    /// The incident that it belongs to.
    pub incident: Option<Arc<str>>,
    /// What its rule adds to its labels.
    pub rule_labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Nobody could hear of it: held back, muted or acknowledged.
    #[serde(default)]
    pub quiet: bool,
    /// The silence or maintenance window that muted it.
    #[serde(default)]
    pub muted_by: Option<String>,
    /// Nobody could hear of it yet in this episode: what its rule starts is still to be started.
    #[serde(default)]
    pub to_act: bool,
    /// The most elements that fired at once.
    #[serde(default)]
    pub most: usize,
    /// Of one that ended: its elements as they were when they fired; at most [`crate::NAMED_AT_MOST`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<ElementView>,
}

/// What was last seen of an element.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The value, for metrics.
    pub value: Option<f64>,
    /// The status, for components, services and groups.
    pub status: Option<Arc<str>>,
    /// A stable code.
    pub reason: Option<Arc<str>>,
    /// For people.
    pub message: Option<Arc<str>>,
    /// When, unix milliseconds.
    pub at_ms: i64,
}

/// A receiver must be told.
#[derive(Clone, Debug)]
pub struct Telling {
    /// Who, and of what.
    pub to: ConversationId,
    /// What.
    pub notice: Notice,
    /// The notice's alerts as they are now: the firing ones first, each in the notice's order.
    pub alerts: Vec<AlertView>,
    /// When, unix milliseconds.
    pub at_ms: i64,
}

/// An alert as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertView {
    /// Which.
    pub id: AlertId,
    /// Its labels, those of its rule, `alertname` and `severity` among them.
    pub labels: Labels,
    /// How bad.
    pub severity: Severity,
    /// Since when, unix milliseconds.
    pub since_ms: i64,
    /// Why and when it ended.
    pub ended: Option<(Ending, i64)>,
    /// Its elements that fire, or those that last did: at most [`crate::NAMED_AT_MOST`].
    pub elements: Vec<ElementView>,
    /// How many there are; of an alert that ended, the most at once.
    pub elements_count: usize,
    /// What holds it back: at most [`crate::NAMED_AT_MOST`].
    pub held_by: Vec<String>,
    /// What mutes it.
    pub muted: Option<MuteView>,
    /// Who takes care of it.
    pub acknowledged_by: Option<String>,
    /// Alerts that it holds back: at most [`crate::NAMED_AT_MOST`].
    pub holds: Vec<String>,
    /// How many there are.
    pub holds_count: usize,
    /// The templates of its rule.
    pub annotations: BTreeMap<Arc<str>, Arc<str>>,
    /// Its incident.
    pub incident: Option<Arc<str>>,
    /// Its elements are flapping.
    pub flapping: bool,
    /// Nothing was heard of any of its elements for too long.
    pub stale: bool,
}

/// What mutes something now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MuteView {
    /// The silence or maintenance window; of several, what holds longest.
    pub by: MutedBy,
    /// Who wants it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Until then, unix milliseconds.
    pub until_ms: i64,
    /// So many others mute it, too.
    pub others: usize,
}

impl fmt::Display for MuteView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}: {}", self.by, self.author, self.reason)
    }
}

/// An element of an alert as it is now, or as it was when it last fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ElementView {
    /// All its labels.
    pub labels: Labels,
    /// What was last seen of it.
    pub seen: Seen,
    /// Nothing was heard of it for too long.
    pub stale: bool,
}

/// An alert changed.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertEvent {
    /// Which.
    pub id: AlertId,
    /// What it is now.
    pub change: AlertChange,
    /// When, unix milliseconds.
    pub at_ms: i64,
    /// For people.
    pub text: String,
}

/// How an alert changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertChange {
    /// It would fire if it goes on.
    Pending,
    /// It fires.
    Fired(Severity),
    /// It is worse, or less bad.
    Severity(Severity),
    /// It is over.
    Resolved(Ending),
    /// It is held back, or not any more.
    Held(bool),
}

/// An action must be started.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// Its name.
    pub action: Arc<str>,
    /// For which alert.
    pub alert: AlertId,
    /// Since when it fires.
    pub episode_ms: i64,
    /// Its labels.
    pub labels: Labels,
    /// Its incident.
    pub incident: Arc<str>,
}
