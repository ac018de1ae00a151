//! The probes of the fleet's services and groups. Decides the documents; a status is 200 or 503 by the same rule as
//! everywhere, and the caller's machine decides how much is told.

use super::json::{self, Time};
use super::named::Named;
use super::problem::Problem;
use super::services::{Counts, Instance, instances, unknown};
use crate::app::App;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use farol_health::aggregate::Aggregate;
use farol_health::{Details, PeerIsLoopback};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// After so many seconds what is drained may be asked again, where nobody knows until when it is.
const RETRY_AFTER: u64 = 30;

/// A service in one look.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServiceHealth {
    /// The service.
    #[schema(value_type = String)]
    service: Arc<str>,
    /// What it shows: a status, or `maintenance`.
    status: &'static str,
    /// Now.
    timestamp: Time,
    /// Since when it shows it.
    since: Time,
    /// So many instances are healthy or degraded.
    up: u64,
    /// And so many must be, of those that count now.
    needed: u64,
    /// How many instances show what.
    instances: Counts,
}

/// Whether traffic may go to a service.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServiceReady {
    /// It may.
    ready: bool,
    /// The service.
    #[schema(value_type = String)]
    service: Arc<str>,
    /// What its readiness components show by the service's policy, or the service where none is marked.
    status: &'static str,
    /// Now.
    timestamp: Time,
}

/// A service with its instances.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServiceDetailed {
    /// The service.
    #[schema(value_type = String)]
    service: Arc<str>,
    /// What it shows: a status, or `maintenance`.
    status: &'static str,
    /// Now.
    timestamp: Time,
    /// Since when it shows it.
    since: Time,
    /// Its instances, by agent.
    instances: BTreeMap<String, DetailedInstance>,
}

/// One agent's part of a service.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DetailedInstance {
    /// What it shows.
    status: &'static str,
    /// Its components, by name.
    components: BTreeMap<String, DetailedComponent>,
}

/// One component of an instance.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DetailedComponent {
    /// What it shows.
    status: &'static str,
    /// The last status of a stale one.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status: Option<&'static str>,
    /// A stable code.
    #[schema(value_type = String)]
    reason: Arc<str>,
    /// For people; only on the monitor's machine, unless the configuration says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    message: Option<Arc<str>>,
    /// When the last result came.
    checked_at: Option<Time>,
    /// How long ago that is.
    age_ms: Option<u64>,
}

/// A group in one look.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupHealth {
    /// The group.
    #[schema(value_type = String)]
    group: Arc<str>,
    /// The worst of its services.
    status: &'static str,
    /// Now.
    timestamp: Time,
    /// Since when it shows it.
    since: Time,
    /// Its services and what each shows.
    services: BTreeMap<String, &'static str>,
}

/// `until_ms` tells until when windows drain it, in the wall clock's milliseconds.
fn tell<T: Serialize>(
    app: &App,
    shown: Aggregate,
    body: &T,
    until_ms: impl FnOnce() -> Option<i64>,
) -> Response {
    let status = if shown.is_up() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = json::answer(status, body);
    if shown == Aggregate::Maintenance {
        let left = |until_ms: i64| until_ms.saturating_sub(app.clock.now().wall_ms).max(1).unsigned_abs();
        let seconds = until_ms().map_or(RETRY_AFTER, |until_ms| left(until_ms).div_ceil(1_000));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

pub(super) async fn service(State(app): State<Arc<App>>, Named(name): Named) -> Result<Response, Problem> {
    let view = app.fleet.service(&name).ok_or_else(|| unknown(&name))?;
    let timestamp = Time(app.clock.now().wall_ms);
    let body = ServiceHealth {
        service: view.name,
        status: view.shown.as_str(),
        timestamp,
        since: Time(view.since_ms),
        up: view.counts.up(),
        needed: view.policy.needed(view.counts.counted()),
        instances: view.counts.into(),
    };
    Ok(tell(&app, view.shown, &body, || app.fleet.drained_until(&name)))
}

pub(super) async fn ready(State(app): State<Arc<App>>, Named(name): Named) -> Result<Response, Problem> {
    let view = app.fleet.service(&name).ok_or_else(|| unknown(&name))?;
    let body = ServiceReady {
        ready: view.ready.is_up(),
        service: view.name,
        status: view.ready.as_str(),
        timestamp: Time(app.clock.now().wall_ms),
    };
    Ok(tell(&app, view.ready, &body, || app.fleet.drained_until(&name)))
}

pub(super) async fn detailed(
    State(app): State<Arc<App>>,
    Extension(PeerIsLoopback(local)): Extension<PeerIsLoopback>,
    Named(name): Named,
) -> Result<Response, Problem> {
    let view = app.fleet.service(&name).ok_or_else(|| unknown(&name))?;
    let details = match app.details {
        Details::Always => true,
        Details::Loopback => local,
        Details::Never => false,
    };
    let all = instances(&app, &name).into_iter();
    let body = ServiceDetailed {
        status: view.shown.as_str(),
        timestamp: Time(app.clock.now().wall_ms),
        since: Time(view.since_ms),
        instances: all.map(|i| (i.agent.to_string(), instance(&app, &name, &i, details))).collect(),
        service: view.name,
    };
    Ok(tell(&app, view.shown, &body, || app.fleet.drained_until(&name)))
}

fn instance(app: &App, service: &str, instance: &Instance, details: bool) -> DetailedInstance {
    let mut components = BTreeMap::new();
    let now = app.clock.now();
    if let Some(agent) = app.fleet.agent(&instance.agent) {
        let live = agent.live.lock();
        for component in live.components.iter().filter(|c| *c.service == *service) {
            let told = DetailedComponent {
                status: component.shown(live.draining()).as_str(),
                last_status: component.stale.then(|| component.hard.as_str()),
                reason: if component.stale { "stale".into() } else { Arc::clone(&component.reason) },
                message: details.then(|| Arc::clone(&component.message)),
                checked_at: component.checked_wall_ms.map(Time),
                age_ms: component.checked_run_ms.map(|at| now.run_ms.saturating_sub(at)),
            };
            components.insert(component.name.to_string(), told);
        }
    }
    DetailedInstance { status: instance.status, components }
}

/// There is no liveness of a remote thing: the 404 says why.
pub(super) async fn live(Named(name): Named) -> Problem {
    Problem::not_found(
        "no_remote_liveness",
        format!(
            "liveness is asked of a process itself, never of another: a monitor that lost sight of `{name:.200}` \
             would have it killed. Ask the process's own /health/live, or /health/services/{name:.200}/ready here"
        ),
    )
}

pub(super) async fn group(State(app): State<Arc<App>>, Named(name): Named) -> Result<Response, Problem> {
    let view = app.fleet.group(&name).ok_or_else(|| {
        Problem::not_found("unknown_group", format!("there is no group `{name:.200}`; see /api/v1/groups"))
    })?;
    let body = GroupHealth {
        group: view.name,
        status: view.shown.as_str(),
        timestamp: Time(app.clock.now().wall_ms),
        since: Time(view.since_ms),
        services: view.services.iter().map(|(name, shown)| (name.to_string(), shown.as_str())).collect(),
    };
    let until_ms = || view.services.iter().filter_map(|(name, _)| app.fleet.drained_until(name)).min();
    Ok(tell(&app, view.shown, &body, until_ms))
}
