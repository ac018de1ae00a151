//! The documents that probes read, made from one [`Moment`] of a process. They decide wording, shape and
//! whether the answer is good; they ask no component, read no clock (only [`Moment::of`] does) and know no HTTP.

mod detailed;
mod ietf;
mod spelling;
mod text;

pub use ietf::{Page, ietf};
pub use text::{Endpoint, Text, text};

use crate::aggregate::{self, Aggregate, Part};
use crate::group::{Group, Groups};
use crate::{ComponentView, Dependency, Snapshot, Status, clock};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What a process tells of itself. Every method is called for each probe, so each must be O(1) and never wait.
pub trait Source: Send + Sync + 'static {
    /// The components as they stand.
    fn snapshot(&self) -> Arc<Snapshot>;

    /// The last beat of the process's own heartbeat task, on the boot clock; its start before the first beat.
    fn heartbeat_ms(&self) -> u64;

    /// When the process started, on the boot clock.
    fn born_ms(&self) -> u64;

    /// Its listeners are up and its state is restored.
    fn started(&self) -> bool;

    /// A shutdown has begun.
    fn stopping(&self) -> bool;

    /// The version shown.
    fn version(&self) -> &str;

    /// The process is alive while its heartbeat is younger than this.
    fn heartbeat_limit(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// Moves whenever a status, `started` or `stopping` may have changed. It only makes gRPC watchers look at
    /// once: without it (the default, a receiver whose sender is gone) they look every 100 ms.
    fn changed(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
}

/// One moment of a process: all that a document is made of.
#[derive(Clone, Debug)]
pub struct Moment<'a> {
    /// The components as they stand.
    pub snapshot: Arc<Snapshot>,
    /// Now, on the boot clock.
    pub now_ms: u64,
    /// Now, on the wall clock. Only printed.
    pub now: Timestamp,
    /// When the process started, on the boot clock.
    pub born_ms: u64,
    /// The last heartbeat, on the boot clock.
    pub heartbeat_ms: u64,
    /// The process is alive while its heartbeat is younger than this.
    pub heartbeat_limit: Duration,
    /// Its listeners are up and its state is restored.
    pub started: bool,
    /// A shutdown has begun.
    pub stopping: bool,
    /// The version shown.
    pub version: &'a str,
    /// Whether the reader may see messages, metadata, figures and the version.
    pub details: bool,
}

impl<'a> Moment<'a> {
    /// Reads the clocks and the source.
    pub fn of(source: &'a dyn Source, details: bool) -> Self {
        Self {
            snapshot: source.snapshot(),
            now_ms: clock::boot_ms(),
            now: Timestamp::now(),
            born_ms: source.born_ms(),
            heartbeat_ms: source.heartbeat_ms(),
            heartbeat_limit: source.heartbeat_limit(),
            started: source.started(),
            stopping: source.stopping(),
            version: source.version(),
            details,
        }
    }

    /// How old the last heartbeat is.
    #[must_use]
    pub fn heartbeat_age(&self) -> Duration {
        Duration::from_millis(self.now_ms.saturating_sub(self.heartbeat_ms))
    }

    /// Liveness: the heartbeat is young enough. Asks no component, and a shutdown does not change it.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.heartbeat_age() < self.heartbeat_limit
    }

    /// Readiness: started, not stopping, and the readiness components up.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.started && !self.stopping && self.dependable().is_up()
    }

    /// What the readiness components make together, each treated as required: maintenance while the process
    /// drains, healthy where there are none.
    fn dependable(&self) -> Aggregate {
        if self.snapshot.draining {
            return Aggregate::Maintenance;
        }
        aggregate::instance(self.dependencies().map(|c| Part { required: true, ..part(c, self.now_ms) }))
    }

    fn overall(&self) -> Aggregate {
        overall(&self.snapshot, self.now_ms)
    }

    /// Why the process was put under maintenance by hand, for those who may know.
    fn maintenance(&self) -> Option<&str> {
        self.snapshot.maintenance.as_deref().filter(|_| self.details)
    }

    /// What is shown for one component: with the process each of its components drains.
    fn shown(&self, component: &ComponentView) -> Aggregate {
        if self.snapshot.draining { Aggregate::Maintenance } else { shown(component, self.now_ms) }
    }

    fn dependencies(&self) -> impl Iterator<Item = &ComponentView> {
        self.snapshot.components.iter().map(|c| &**c).filter(|c| c.readiness)
    }
}

/// A document and whether it is good news.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Good news: HTTP says 200, else 503.
    pub ok: bool,
    /// Bad news only because the process is under maintenance: asking again later makes sense.
    pub maintenance: bool,
    /// The document.
    pub body: Value,
}

/// `/health`: status, time, uptime, version.
#[must_use]
pub fn health(moment: &Moment<'_>) -> Answer {
    let overall = moment.overall();
    let mut body = Map::new();
    body.insert("status".into(), overall.as_str().into());
    body.insert("timestamp".into(), spelling::time(moment.now).into());
    body.insert("uptime".into(), spelling::uptime(moment.now_ms.saturating_sub(moment.born_ms)).into());
    if moment.details {
        body.insert("version".into(), moment.version.into());
    }
    if let Some(reason) = moment.maintenance() {
        body.insert("maintenance".into(), reason.into());
    }
    answer(overall, body.into())
}

/// `/health/detailed`: every component with its figures.
#[must_use]
pub fn detailed(moment: &Moment<'_>) -> Answer {
    let overall = moment.overall();
    let components: Map<String, Value> = moment
        .snapshot
        .components
        .iter()
        .map(|c| (c.name.to_string(), detailed::component(c, moment)))
        .collect();
    let mut body = Map::new();
    body.insert("status".into(), overall.as_str().into());
    body.insert("timestamp".into(), spelling::time(moment.now).into());
    if let Some(reason) = moment.maintenance() {
        body.insert("maintenance".into(), reason.into());
    }
    body.insert("components".into(), components.into());
    answer(overall, body.into())
}

/// `/health/ready`: may traffic come, and the word for each dependency.
#[must_use]
pub fn ready(moment: &Moment<'_>) -> Answer {
    let dependencies: Map<String, Value> =
        moment.dependencies().map(|c| (c.name.to_string(), word(c, moment).into())).collect();
    let ready = moment.ready();
    Answer {
        ok: ready,
        maintenance: moment.dependable() == Aggregate::Maintenance,
        body: json!({"ready": ready, "dependencies": dependencies}),
    }
}

/// `/health/live`: does the process itself still turn.
#[must_use]
pub fn live(moment: &Moment<'_>) -> Answer {
    let last = moment.now.checked_sub(moment.heartbeat_age()).unwrap_or(moment.now);
    let alive = moment.alive();
    Answer {
        ok: alive,
        maintenance: false,
        body: json!({"alive": alive, "last_heartbeat": spelling::time(last)}),
    }
}

/// `/health/groups/{name}`: what the group shows, and the document with its members.
#[must_use]
pub fn group(group: &Group, moment: &Moment<'_>) -> (Aggregate, Value) {
    let (shown, members) = group.view(&moment.snapshot, moment.now_ms);
    let members: Map<String, Value> =
        members.into_iter().map(|(name, shown)| (name.to_owned(), shown.as_str().into())).collect();
    let document = json!({
        "group": group.name(),
        "status": shown.as_str(),
        "timestamp": spelling::time(moment.now),
        "components": members,
    });
    (shown, document)
}

/// The problem document for a group that there is not. It does not repeat what was asked for.
#[must_use]
pub fn no_group(groups: &Groups) -> Value {
    let known: Vec<_> = groups.iter().map(Group::name).collect();
    json!({
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "unknown_group",
        "detail": format!("there is no such group; known here: {}", known.join(", ")),
    })
}

/// The word of `/health/ready` for one dependency.
fn word(component: &ComponentView, moment: &Moment<'_>) -> &'static str {
    match (moment.shown(component), component.dependency) {
        (Aggregate::Maintenance, _) => "maintenance",
        (Aggregate::Status(Status::Healthy | Status::Degraded), Dependency::Database)
        | (Aggregate::Status(Status::Healthy), Dependency::Store) => "connected",
        (Aggregate::Status(Status::Healthy | Status::Degraded), Dependency::Other) => "available",
        (Aggregate::Status(Status::Unhealthy), Dependency::Database)
        | (Aggregate::Status(Status::Degraded | Status::Unhealthy), Dependency::Store) => "disconnected",
        (Aggregate::Status(Status::Unhealthy), Dependency::Other) => "unavailable",
        (Aggregate::Status(status @ (Status::Starting | Status::Unknown)), _) => status.as_str(),
    }
}

fn answer(overall: Aggregate, body: Value) -> Answer {
    Answer { ok: overall.is_up(), maintenance: overall == Aggregate::Maintenance, body }
}

/// The status of a process at `now_ms` of the boot clock: maintenance while it drains, else the instance rule
/// over its components.
#[must_use]
pub fn overall(snapshot: &Snapshot, now_ms: u64) -> Aggregate {
    if snapshot.draining {
        return Aggregate::Maintenance;
    }
    aggregate::instance(snapshot.components.iter().map(|c| part(c, now_ms)))
}

/// A component as the instance rule counts it.
pub(crate) fn part(component: &ComponentView, now_ms: u64) -> Part {
    Part { status: component.status_at(now_ms), required: component.required, drained: component.maintenance }
}

/// What is shown for one component: maintenance lies over its status.
pub(crate) fn shown(component: &ComponentView, now_ms: u64) -> Aggregate {
    if component.maintenance { Aggregate::Maintenance } else { component.status_at(now_ms).into() }
}

#[cfg(test)]
mod tests;
