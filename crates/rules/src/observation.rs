//! What the fleet tells the rules, one thing at a time and in order. Says nothing of what follows from it.

use crate::{AgentCondition, Ending, Labels, Level, MonitorCondition};
use farol_health::Status;
use std::sync::Arc;

/// Something that was seen.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// A component's status, whenever it or what stands behind it changes.
    Component(ComponentSeen),
    /// A component is gone.
    ComponentGone {
        /// Its agent's id.
        agent: Arc<str>,
        /// Its service.
        service: Arc<str>,
        /// Its name.
        component: Arc<str>,
        /// How.
        how: Ending,
    },
    /// A service's status.
    Service(Arc<str>, Shown),
    /// A service is gone.
    ServiceGone(Arc<str>),
    /// A group's status.
    Group(Arc<str>, Shown),
    /// A group is gone.
    GroupGone(Arc<str>),
    /// All services and groups that there are, said at the start and when the rules are others: what was known of others
    /// is gone.
    Exist {
        /// The services.
        services: Vec<Arc<str>>,
        /// The groups.
        groups: Vec<Arc<str>>,
    },
    /// A series' value as a rule judges it.
    Measured(Measured),
    /// A rule looks no more at this element of an agent's series: it is stale, and gone if it does not come back.
    ReadingGone {
        /// The rule's name.
        rule: Arc<str>,
        /// The element.
        labels: Labels,
        /// It will not come back, and is gone at once; otherwise what measures it may only give nothing for a while.
        for_good: bool,
    },
    /// All elements of an agent's series that rules look at, the first time since the monitor started, or none where it
    /// has no series any more: what it was known to have besides is stale, and gone if it does not come back.
    Looked {
        /// Its labels, `agent` among them.
        labels: Labels,
        /// Rule and labels of each.
        elements: Vec<(Arc<str>, Labels)>,
        /// Its labels are others than it was known under: what is not among these will not come back, and is gone at once.
        for_good: bool,
    },
    /// Something is wrong with an agent, or not any more.
    Agent {
        /// Its labels, `agent` among them.
        labels: Labels,
        /// What.
        condition: AgentCondition,
        /// Whether it is so.
        is: Is,
    },
    /// An agent is gone, with all that it was part of.
    AgentGone {
        /// Its id.
        agent: Arc<str>,
        /// How.
        how: Ending,
    },
    /// Something is wrong with the monitor, or not any more.
    Monitor {
        /// What.
        condition: MonitorCondition,
        /// Which receiver, queue or action; empty where there is one only.
        labels: Labels,
        /// Whether it is so.
        is: Is,
        /// For people: what is wrong.
        why: Arc<str>,
    },
}

/// Whether a condition is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// From now on, until it is said to be over.
    On,
    /// It is over.
    Off,
    /// It happened: over when it has not happened again for a while.
    Happened,
}

/// What a service or group shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A status.
    Status(Status),
    /// Everything that counts is under maintenance.
    Maintenance,
    /// What it shows is of before the monitor started, or stood still: without what its agents said then it would show
    /// something else, and they have a while to speak.
    Past,
}

/// A component as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentSeen {
    /// Its agent's labels, `agent` among them.
    pub agent: Labels,
    /// Its service.
    pub service: Arc<str>,
    /// Its name.
    pub component: Arc<str>,
    /// The kind of its check.
    pub kind: Arc<str>,
    /// The last status that counted.
    pub status: Status,
    /// Whether that is of now.
    pub evidence: Evidence,
    /// The last result's code.
    pub reason: Arc<str>,
    /// The last result's words.
    pub message: Arc<str>,
}

/// What stands behind a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// It is of now.
    Now,
    /// Nothing was heard of it for too long, though its agent speaks.
    Stale,
    /// Nothing is known of it: its agent is lost.
    Absent,
    /// It is of before the monitor started, or stood still: its agent has a while to speak.
    Past,
    /// It is meant to be so: its agent leaves, or holds it under maintenance.
    Excused,
}

/// A series' latest value under one rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The version of the set of rules that it was judged by: under another one it says nothing.
    pub set: u64,
    /// The rule's name.
    pub rule: Arc<str>,
    /// The element.
    pub labels: Labels,
    /// What the rule says of it.
    pub level: Level,
    /// The value, reduced over the rule's window.
    pub value: f64,
    /// If nothing more is heard for so long it is stale, milliseconds.
    pub fresh_for_ms: u64,
}
