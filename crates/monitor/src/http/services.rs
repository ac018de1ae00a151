//! The services and groups of the fleet, and the bare array that scripts read.

use super::asked::{AFTER, Asked, LIMIT};
use super::json::{Json, List, Time};
use super::named::Named;
use super::problem::Problem;
use super::route::Param;
use crate::app::App;
use crate::fleet::{GroupView, ServiceView};
use axum::Extension;
use axum::extract::State;
use farol_health::aggregate::{Aggregate, InstanceCounts, Policy};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ASKS: &[Param] = &[LIMIT, AFTER];

/// How many instances show what.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Counts {
    healthy: u32,
    degraded: u32,
    unhealthy: u32,
    unknown: u32,
    starting: u32,
    draining: u32,
}

impl From<InstanceCounts> for Counts {
    fn from(counts: InstanceCounts) -> Self {
        let InstanceCounts { healthy, degraded, unhealthy, unknown, starting, draining } = counts;
        Self { healthy, degraded, unhealthy, unknown, starting, draining }
    }
}

/// How many instances must be up; what is given must hold together.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Needs {
    /// So many.
    at_least: Option<u32>,
    /// So many per hundred.
    percent: Option<u8>,
    /// Every one.
    all: bool,
}

impl From<Policy> for Needs {
    fn from(policy: Policy) -> Self {
        let none = policy.at_least.is_none() && policy.percent.is_none() && !policy.all;
        Self {
            at_least: if none { Some(1) } else { policy.at_least },
            percent: policy.percent,
            all: policy.all,
        }
    }
}

/// An agent's part of a service.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Instance {
    /// The agent.
    #[schema(value_type = String)]
    pub(super) agent: Arc<str>,
    /// What the instance shows.
    pub(super) status: &'static str,
}

/// The instances of a service.
pub(super) fn instances(app: &App, service: &str) -> Vec<Instance> {
    let all = app.fleet.instances(service).into_iter();
    all.map(|(agent, shown)| Instance { agent, status: shown.as_str() }).collect()
}

/// A service.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Service {
    /// Its name.
    #[schema(value_type = String)]
    name: Arc<str>,
    /// What it shows: a status, or `maintenance`.
    status: &'static str,
    /// What its readiness components show, or the same where none is marked.
    readiness: &'static str,
    /// Since when it shows it.
    since: Time,
    /// How many instances show what.
    counts: Counts,
    /// How many must be up.
    policy: Needs,
    /// It stands in the configuration.
    declared: bool,
    /// Its instances, in the order of their agents' ids.
    instances: Vec<Instance>,
}

impl Service {
    fn new(app: &App, view: ServiceView) -> Self {
        Self {
            instances: instances(app, &view.name),
            status: view.shown.as_str(),
            readiness: view.ready.as_str(),
            since: Time(view.since_ms),
            counts: view.counts.into(),
            policy: view.policy.into(),
            declared: view.declared,
            name: view.name,
        }
    }
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Group {
    /// Its name.
    #[schema(value_type = String)]
    name: Arc<str>,
    /// The worst of its services, drained ones left out.
    status: &'static str,
    /// Since when it shows it.
    since: Time,
    /// Its services.
    services: Vec<Member>,
}

/// A service of a group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Member {
    /// The service.
    #[schema(value_type = String)]
    service: Arc<str>,
    /// What it shows.
    status: &'static str,
}

impl From<GroupView> for Group {
    fn from(view: GroupView) -> Self {
        let member = |(service, shown): (Arc<str>, Aggregate)| Member { service, status: shown.as_str() };
        Self {
            name: view.name,
            status: view.shown.as_str(),
            since: Time(view.since_ms),
            services: view.services.into_iter().map(member).collect(),
        }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Json<List<Service>> {
    let limit = asked.limit();
    let views = app.fleet.services().into_iter();
    let after = views.filter(|view| asked.after().is_none_or(|after| &*view.name > after));
    let items = after.take(limit + 1).map(|view| Service::new(&app, view)).collect();
    Json(List::page(items, limit, |service| service.name.to_string()))
}

pub(super) async fn one(State(app): State<Arc<App>>, Named(name): Named) -> Result<Json<Service>, Problem> {
    let view = app.fleet.service(&name).ok_or_else(|| unknown(&name))?;
    Ok(Json(Service::new(&app, view)))
}

pub(super) async fn groups(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Json<List<Group>> {
    let limit = asked.limit();
    let views = app.fleet.groups().into_iter();
    let after = views.filter(|view| asked.after().is_none_or(|after| &*view.name > after));
    let items = after.take(limit + 1).map(Group::from).collect();
    Json(List::page(items, limit, |group| group.name.to_string()))
}

/// A service as scripts read it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Plain {
    /// Its name.
    #[schema(value_type = String)]
    id: Arc<str>,
    /// Its name again.
    #[schema(value_type = String)]
    name: Arc<str>,
    /// What it shows: a status, or `maintenance`.
    status: &'static str,
    /// Traffic may go there.
    ready: bool,
    /// When one of its components last told a result.
    last_check: Option<Time>,
    /// What the worst of its components says; `null` while the service is healthy.
    error_message: Option<String>,
}

/// The bare array: a script pipes it into `jq '.[] | select(.id == "payments")'`.
pub(super) async fn plain(State(app): State<Arc<App>>) -> Json<Vec<Plain>> {
    let views = app.fleet.services().into_iter();
    Json(views.map(|view| plain_of(&app, view)).collect())
}

fn plain_of(app: &App, view: ServiceView) -> Plain {
    let healthy = view.shown == Aggregate::Status(farol_health::Status::Healthy);
    let mut last_check = None;
    let mut worst: Option<(u8, String)> = None;
    for (id, _) in app.fleet.instances(&view.name) {
        let Some(agent) = app.fleet.agent(&id) else { continue };
        let live = agent.live.lock();
        for component in live.components.iter().filter(|c| c.service == view.name) {
            last_check = last_check.max(component.checked_wall_ms);
            let number = component.shown(live.draining()).as_u8();
            let bad = matches!(
                component.status(),
                farol_health::Status::Degraded | farol_health::Status::Unhealthy
            );
            if bad && worst.as_ref().is_none_or(|(known, _)| number > *known) {
                worst = Some((number, format!("{} on {id}: {}", component.name, component.message)));
            }
        }
    }
    Plain {
        id: Arc::clone(&view.name),
        status: view.shown.as_str(),
        ready: view.ready.is_up(),
        last_check: last_check.map(Time),
        error_message: worst.map(|(_, text)| text).filter(|_| !healthy),
        name: view.name,
    }
}

pub(super) fn unknown(name: &str) -> Problem {
    Problem::not_found("unknown_service", format!("there is no service `{name:.200}`; see /api/v1/services"))
}
