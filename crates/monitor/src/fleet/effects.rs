//! What a step of the fleet brings about: rows for the store and events for those who watch. Pure data.

use crate::store::{AgentKey, AgentRecord, ComponentKey, ComponentRecord, Covered, StatusChange};
use farol_rules::Observation;
use std::sync::Arc;

/// Everything that one step brought about.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// For `/api/v1/events` and the log, in order.
    pub events: Vec<Event>,
    /// For the alert rules, in order.
    pub observed: Vec<Observation>,
    /// Instances that were not bad and are: service and agent. What was restored or is told anew is none.
    pub went_bad: Vec<(Arc<str>, Arc<str>)>,
    /// For history and uptime.
    pub changes: Vec<StatusChange>,
    /// Times that are known after all.
    pub covered: Vec<Covered>,
    /// Components as they are now.
    pub components: Vec<ComponentRecord>,
    /// Components that are gone.
    pub removed: Vec<ComponentKey>,
    /// Agents that are new or changed.
    pub agents: Vec<AgentRecord>,
    /// Agents that are gone.
    pub forgotten: Vec<AgentKey>,
    /// A service's or group's status may read differently now.
    pub shown_changed: bool,
}

impl Effects {
    /// Whether nothing came about.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.observed.is_empty()
            && self.went_bad.is_empty()
            && self.changes.is_empty()
            && self.components.is_empty()
            && self.removed.is_empty()
            && self.agents.is_empty()
            && self.covered.is_empty()
            && self.forgotten.is_empty()
            && !self.shown_changed
    }
}

/// Something that people may want to see when it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, unix milliseconds.
    pub at_ms: i64,
    /// What.
    pub kind: EventKind,
    /// The agent it is about.
    pub agent: Option<Arc<str>>,
    /// The service it is about.
    pub service: Option<Arc<str>>,
    /// The component it is about.
    pub component: Option<Arc<str>>,
    /// The group it is about.
    pub group: Option<Arc<str>>,
    /// What it was before.
    pub from: Option<&'static str>,
    /// What it is now.
    pub to: Option<&'static str>,
    /// A stable code.
    pub reason: Option<Arc<str>>,
    /// For people.
    pub message: Option<Arc<str>>,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// An agent's stream opened.
    AgentConnected,
    /// An agent's stream ended.
    AgentDisconnected,
    /// An agent was silent for too long: what it said is stale.
    AgentLost,
    /// A lost agent spoke again.
    AgentBack,
    /// An agent ended as planned, with its workload.
    AgentLeft,
    /// An agent said that it stops.
    AgentGoodbye,
    /// An agent was taken out of the fleet.
    AgentForgotten,
    /// Two processes speak for one agent.
    IdentityConflict,
    /// An agent's clock was mapped anew.
    ClockMapped,
    /// Reports are lost.
    ReportsDropped,
    /// A component shows another status.
    ComponentStatus,
    /// A component is gone.
    ComponentRemoved,
    /// A service shows another status.
    ServiceStatus,
    /// A group shows another status.
    GroupStatus,
    /// The monitor did not run for a while.
    Blind,
    /// The store refuses, or takes again.
    Store,
    /// The configuration was read again.
    Reload,
    /// An alert fires.
    AlertFired,
    /// An alert is worse, or less bad.
    AlertSeverity,
    /// An alert is over.
    AlertResolved,
    /// An alert is held back, or not any more.
    AlertHeld,
}

impl EventKind {
    /// The word in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentConnected => "agent_connected",
            Self::AgentDisconnected => "agent_disconnected",
            Self::AgentLost => "agent_lost",
            Self::AgentBack => "agent_back",
            Self::AgentLeft => "agent_left",
            Self::AgentGoodbye => "agent_goodbye",
            Self::AgentForgotten => "agent_forgotten",
            Self::IdentityConflict => "identity_conflict",
            Self::ClockMapped => "clock_mapped",
            Self::ReportsDropped => "reports_dropped",
            Self::ComponentStatus => "component_status",
            Self::ComponentRemoved => "component_removed",
            Self::ServiceStatus => "service_status",
            Self::GroupStatus => "group_status",
            Self::Blind => "blind",
            Self::Store => "store",
            Self::Reload => "reload",
            Self::AlertFired => "alert_fired",
            Self::AlertSeverity => "alert_severity",
            Self::AlertResolved => "alert_resolved",
            Self::AlertHeld => "alert_held",
        }
    }
}

impl Event {
    /// An event about nothing in particular yet.
    #[must_use]
    pub fn new(kind: EventKind, at_ms: i64) -> Self {
        Self {
            at_ms,
            kind,
            agent: None,
            service: None,
            component: None,
            group: None,
            from: None,
            to: None,
            reason: None,
            message: None,
        }
    }

    /// About this agent.
    #[must_use]
    pub fn agent(mut self, id: &Arc<str>) -> Self {
        self.agent = Some(Arc::clone(id));
        self
    }

    /// A change from one word to another.
    #[must_use]
    pub fn change(mut self, from: &'static str, to: &'static str) -> Self {
        self.from = Some(from);
        self.to = Some(to);
        self
    }

    /// With words for people.
    #[must_use]
    pub fn message(mut self, text: impl Into<Arc<str>>) -> Self {
        self.message = Some(text.into());
        self
    }
}
