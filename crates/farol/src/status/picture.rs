//! The fleet at one moment, as its monitor told it. Decides what the services make together, and when two
//! pictures say the same.

use farol_health::Status;
use farol_health::aggregate::{self, Aggregate};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;

/// A list as it came.
#[derive(Debug)]
pub(super) struct Many<T> {
    /// What is read of its items.
    pub(super) items: Vec<T>,
    /// The items themselves, for programs.
    pub(super) raw: Vec<Value>,
    /// The monitor has more.
    pub(super) more: bool,
}

/// The fleet at one moment.
#[derive(Debug)]
pub(super) struct Picture {
    /// How many of what.
    pub(super) fleet: Fleet,
    /// The same as it came.
    pub(super) raw: Value,
    /// All services.
    pub(super) services: Many<Service>,
    /// All groups.
    pub(super) groups: Many<Group>,
    /// The components that do not show healthy, the worst first.
    pub(super) components: Many<Component>,
    /// The agents that are not simply here or have no stream, the lost ones first.
    pub(super) agents: Many<Agent>,
}

/// The fleet in one look.
#[derive(Debug, Deserialize)]
pub(super) struct Fleet {
    /// How many agents are where, `total` among them.
    pub(super) agents: BTreeMap<String, u64>,
    /// How many groups show what, `total` among them.
    #[serde(default)]
    pub(super) groups: BTreeMap<String, u64>,
    /// How many components show what, `total` among them.
    pub(super) components: BTreeMap<String, u64>,
    /// How the monitor's store does.
    pub(super) store: Store,
}

/// A monitor's store.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Store {
    /// It keeps what it is given.
    pub(super) takes: bool,
    /// Why it does not.
    pub(super) reason: Option<String>,
}

/// A service.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Service {
    pub(super) name: String,
    #[serde(rename = "status", deserialize_with = "shown")]
    pub(super) shown: Aggregate,
    pub(super) since: Timestamp,
    /// How many instances show what.
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) policy: Policy,
}

/// How many instances must be up.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Policy {
    pub(super) at_least: Option<u64>,
    pub(super) percent: Option<u64>,
    #[serde(default)]
    pub(super) all: bool,
}

/// A group.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Group {
    pub(super) name: String,
    #[serde(rename = "status", deserialize_with = "shown")]
    pub(super) shown: Aggregate,
    pub(super) since: Timestamp,
    pub(super) services: Vec<Member>,
}

/// A service of a group.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Member {
    pub(super) service: String,
    #[serde(rename = "status", deserialize_with = "shown")]
    pub(super) shown: Aggregate,
}

/// A component.
#[derive(Debug, Deserialize)]
pub(super) struct Component {
    pub(super) agent: String,
    pub(super) service: String,
    pub(super) component: String,
    #[serde(rename = "status", deserialize_with = "shown")]
    pub(super) shown: Aggregate,
    /// As last told: stays true beneath staleness.
    #[serde(deserialize_with = "shown")]
    pub(super) last_status: Aggregate,
    pub(super) message: String,
    /// How old the last result is.
    pub(super) age_ms: Option<u64>,
    pub(super) changed_at: Timestamp,
    pub(super) stale: bool,
    pub(super) required: bool,
}

/// An agent.
#[derive(Debug, Deserialize)]
pub(super) struct Agent {
    pub(super) id: String,
    pub(super) presence: String,
    /// Its stream is open.
    pub(super) connected: bool,
    /// When it spoke last.
    pub(super) last_seen_at: Timestamp,
    pub(super) services: Vec<String>,
}

/// A status of a newer monitor is unknown.
fn shown<'de, D: Deserializer<'de>>(from: D) -> Result<Aggregate, D::Error> {
    let word = String::deserialize(from)?;
    Ok(match word.as_str() {
        "maintenance" => Aggregate::Maintenance,
        word => Aggregate::Status(word.parse().unwrap_or(Status::Unknown)),
    })
}

impl Picture {
    /// What all services make together; a fleet without any is unknown.
    pub(super) fn status(&self) -> Aggregate {
        aggregate::group(self.services.items.iter().map(|service| service.shown))
    }

    /// Whether nothing but ages differs.
    pub(super) fn says_the_same_as(&self, other: &Self) -> bool {
        let components = |picture: &Self| {
            let what = |c: &Component| {
                (c.agent.clone(), c.service.clone(), c.component.clone(), c.shown, c.message.clone())
            };
            picture.components.items.iter().map(what).collect::<Vec<_>>()
        };
        let agents = |picture: &Self| {
            let what = |agent: &Agent| (agent.id.clone(), agent.presence.clone(), agent.connected);
            picture.agents.items.iter().map(what).collect::<Vec<_>>()
        };
        self.services.items == other.services.items
            && self.groups.items == other.groups.items
            && self.fleet.store == other.fleet.store
            && components(self) == components(other)
            && agents(self) == agents(other)
    }
}
