//! How long components and services were what, over a range. Decides the spelling; what counts as up is
//! `crate::uptime`'s.

use super::asked::{AFTER, Asked, LIMIT};
use super::json::{Json, List, Time};
use super::problem::Problem;
use super::range::{TO, no_answer, range};
use super::route::{Kind, Param};
use crate::app::App;
use crate::store::{ComponentFilter, ComponentKey, StatusChange};
use crate::uptime::{self, Uptime};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use utoipa::ToSchema;

/// The range when nothing is said.
const DAY_MS: i64 = 86_400_000;

pub(super) const ASKS: &[Param] = &[
    LIMIT,
    AFTER,
    Param::new("agent", Kind::Text, "Only components of this agent; services are then left out."),
    Param::new("service", Kind::Text, "Only this service and its components."),
    Param::new("component", Kind::Text, "Only components of this name; services are then left out."),
    Param::new("from", Kind::Time, "From here; one day before `to` when not given."),
    TO,
];

/// How long what was what.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Uptimes {
    /// Where the range begins.
    from: Time,
    /// Where it ends.
    to: Time,
    /// The services, each as its policy makes it of its instances at each moment; on the first page only.
    services: Vec<ServiceUptime>,
    /// The components.
    items: Vec<ComponentUptime>,
    /// Give this as `after` for the next page; `null` on the last one.
    next: Option<String>,
}

/// A service's uptime.
#[derive(Debug, Serialize, ToSchema)]
struct ServiceUptime {
    /// The service.
    service: String,
    #[serde(flatten)]
    #[schema(inline)]
    times: Times,
}

/// A component's uptime.
#[derive(Debug, Serialize, ToSchema)]
struct ComponentUptime {
    /// The agent.
    #[schema(value_type = String)]
    agent: Arc<str>,
    /// The service.
    #[schema(value_type = String)]
    service: Arc<str>,
    /// The component.
    #[schema(value_type = String)]
    component: Arc<str>,
    #[serde(flatten)]
    #[schema(inline)]
    times: Times,
}

/// All parts together are the whole range.
#[derive(Debug, Serialize, ToSchema)]
struct Times {
    /// Healthy and degraded time, of all but maintenance, blind and absent time; `null` when nothing counts.
    uptime_ratio: Option<f64>,
    healthy_ms: u64,
    degraded_ms: u64,
    unhealthy_ms: u64,
    /// Never seen, stale, or saying so.
    unknown_ms: u64,
    starting_ms: u64,
    maintenance_ms: u64,
    /// No monitor watched.
    blind_ms: u64,
    /// It was not there.
    absent_ms: u64,
}

impl From<Uptime> for Times {
    fn from(uptime: Uptime) -> Self {
        Self {
            uptime_ratio: uptime.ratio(),
            healthy_ms: uptime.healthy_ms,
            degraded_ms: uptime.degraded_ms,
            unhealthy_ms: uptime.unhealthy_ms,
            unknown_ms: uptime.unknown_ms,
            starting_ms: uptime.starting_ms,
            maintenance_ms: uptime.maintenance_ms,
            blind_ms: uptime.blind_ms,
            absent_ms: uptime.absent_ms,
        }
    }
}

/// What the store knows of a range.
struct Known {
    changes: Vec<StatusChange>,
    blind: Vec<(i64, i64)>,
    from_ms: i64,
    to_ms: i64,
}

pub(super) async fn read(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<Uptimes>, Problem> {
    let (from_ms, to_ms) = range(&asked, DAY_MS, app.clock.now().wall_ms)?;
    let _place = app.questions.place()?;
    let text = |name| asked.text(name).map(str::to_owned);
    let filter =
        ComponentFilter { agent: text("agent"), service: text("service"), component: text("component") };
    let whole_services = filter.agent.is_none() && filter.component.is_none() && asked.after().is_none();
    let changes = app.store.status_changes(filter, from_ms, to_ms).await.map_err(|e| no_answer(&e))?;
    let blind = app.store.blind(from_ms, to_ms).await.map_err(|e| no_answer(&e))?;
    let known = Known { changes, blind, from_ms, to_ms };
    // Many changes take longer than others should wait.
    let summed = tokio::task::spawn_blocking(move || {
        let items = components(&known, asked.after(), asked.limit());
        let services = if whole_services { services(&app, known) } else { Vec::new() };
        Uptimes { from: Time(from_ms), to: Time(to_ms), services, items: items.items, next: items.next }
    });
    summed.await.map(Json).map_err(|error| {
        tracing::error!(%error, "an uptime was not summed up");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a bug in the monitor; its log says more")
    })
}

fn components(known: &Known, after: Option<&str>, limit: usize) -> List<ComponentUptime> {
    let after: Vec<&str> = after.map(|after| after.splitn(3, '/').collect()).unwrap_or_default();
    let all = uptime::components(&known.changes, &known.blind, known.from_ms, known.to_ms).into_iter();
    let comes_after = |key: &ComponentKey| {
        after.is_empty() || [&*key.agent, &*key.service, &*key.component].as_slice() > after.as_slice()
    };
    let items =
        all.filter(|(key, _)| comes_after(key)).take(limit + 1).map(|(key, uptime)| ComponentUptime {
            agent: key.agent,
            service: key.service,
            component: key.component,
            times: uptime.into(),
        });
    List::page(items.collect(), limit, |c| format!("{}/{}/{}", c.agent, c.service, c.component))
}

fn services(app: &App, known: Known) -> Vec<ServiceUptime> {
    let required = required(app);
    let mut by_service: BTreeMap<Arc<str>, Vec<StatusChange>> = BTreeMap::new();
    for change in known.changes {
        by_service.entry(Arc::clone(&change.key.service)).or_default().push(change);
    }
    let sum = |(service, changes): (Arc<str>, Vec<StatusChange>)| {
        let policy = app.fleet.service(&service).map(|view| view.policy).unwrap_or_default();
        // What is gone counted as required: that is the default.
        let required = |key: &ComponentKey| required.get(key).copied().unwrap_or(true);
        let (from_ms, to_ms) = (known.from_ms, known.to_ms);
        let uptime = uptime::service(&changes, &policy, required, &known.blind, from_ms, to_ms);
        ServiceUptime { service: service.to_string(), times: uptime.into() }
    };
    by_service.into_iter().map(sum).collect()
}

fn required(app: &App) -> HashMap<ComponentKey, bool> {
    let mut all = HashMap::new();
    for agent in app.fleet.agents() {
        let live = agent.live.lock();
        for component in &live.components {
            let key = ComponentKey {
                agent: Arc::clone(&agent.id),
                service: Arc::clone(&component.service),
                component: Arc::clone(&component.name),
            };
            all.insert(key, component.required);
        }
    }
    all
}
