//! The components of the fleet: each part of each agent, with what it said and what is made of it.

use super::asked::{AFTER, Asked, LIMIT};
use super::json::{Json, List, Time};
use super::route::{Kind, Param};
use crate::app::App;
use crate::clock::Moment;
use crate::fleet::{self, Live, Presence};
use axum::Extension;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ASKS: &[Param] = &[
    LIMIT,
    AFTER,
    Param::new("agent", Kind::Text, "Only components of this agent."),
    Param::new("service", Kind::Text, "Only components of this service."),
    Param::new("component", Kind::Text, "Only components of this name."),
    Param::new(
        "shown_as",
        Kind::Word(&["unknown", "starting", "healthy", "degraded", "unhealthy", "maintenance"]),
        "Only components that are shown so.",
    ),
];

/// A component.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Component {
    /// Its agent.
    #[schema(value_type = String)]
    agent: Arc<str>,
    /// Its service.
    #[schema(value_type = String)]
    service: Arc<str>,
    /// Its name.
    #[schema(value_type = String)]
    component: Arc<str>,
    /// What it shows: `unknown` when stale, `maintenance` when drained, else `last_status`.
    status: &'static str,
    /// The same, by the name of the filter.
    shown_as: &'static str,
    /// The status that counts, as last told; it stays true beneath staleness and maintenance.
    last_status: &'static str,
    /// What the last result said.
    soft: &'static str,
    /// A stable code: `stale` when stale, else `last_reason`.
    #[schema(value_type = String)]
    reason: Arc<str>,
    /// The last result's code.
    #[schema(value_type = String)]
    last_reason: Arc<str>,
    /// For people.
    #[schema(value_type = String)]
    message: Arc<str>,
    /// When the last result came; `null` when none ever did.
    checked_at: Option<Time>,
    /// How long ago that is; time in which the monitor did not run is left out.
    age_ms: Option<u64>,
    /// When what it shows last changed.
    changed_at: Time,
    /// Nothing was heard of it for too long.
    stale: bool,
    /// Told before the monitor restarted; the agent has not spoken since.
    restored: bool,
    /// Drained by its agent, or leaving with it.
    maintenance: bool,
    /// The instance depends on it.
    required: bool,
    /// Readiness asks it.
    readiness: bool,
    /// The kind of its check.
    #[schema(value_type = String)]
    kind: Arc<str>,
}

impl Component {
    fn new(agent: &Arc<str>, live: &Live, component: &fleet::Component, now: Moment) -> Self {
        let draining = live.draining();
        let shown = component.shown(draining).as_str();
        Self {
            agent: Arc::clone(agent),
            service: Arc::clone(&component.service),
            component: Arc::clone(&component.name),
            status: shown,
            shown_as: shown,
            last_status: component.hard.as_str(),
            soft: component.soft.as_str(),
            reason: if component.stale { "stale".into() } else { Arc::clone(&component.reason) },
            last_reason: Arc::clone(&component.reason),
            message: Arc::clone(&component.message),
            checked_at: component.checked_wall_ms.map(Time),
            age_ms: component.checked_run_ms.map(|checked| now.run_ms.saturating_sub(checked)),
            changed_at: Time(component.changed_wall_ms),
            stale: component.stale,
            restored: matches!(live.presence, Presence::Restored { .. }),
            maintenance: component.is_left_out(draining),
            required: component.required,
            readiness: component.readiness,
            kind: Arc::clone(&component.kind),
        }
    }

    /// Its place in the list.
    fn key(&self) -> String {
        format!("{}/{}/{}", self.agent, self.service, self.component)
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Json<List<Component>> {
    let (limit, now) = (asked.limit(), app.clock.now());
    let is = |name: &str, value: &str| asked.text(name).is_none_or(|wanted| wanted == value);
    let after: Vec<&str> = asked.after().map(|after| after.splitn(3, '/').collect()).unwrap_or_default();
    let agents = match asked.text("agent") {
        Some(id) => app.fleet.agent(id).into_iter().collect(),
        None => app.fleet.agents_after(after.first().copied(), true, usize::MAX),
    };
    let mut items = Vec::new();
    for agent in agents {
        let mut of_agent: Vec<Component> = {
            let live = agent.live.lock();
            let wanted = |c: &&fleet::Component| {
                is("service", &c.service)
                    && is("component", &c.name)
                    && is("shown_as", c.shown(live.draining()).as_str())
            };
            live.components.iter().filter(wanted).map(|c| Component::new(&agent.id, &live, c, now)).collect()
        };
        of_agent.sort_unstable_by(|a, b| (&a.service, &a.component).cmp(&(&b.service, &b.component)));
        let comes_after =
            |c: &Component| [&*c.agent, &*c.service, &*c.component].as_slice() > after.as_slice();
        items.extend(of_agent.into_iter().filter(|c| after.is_empty() || comes_after(c)));
        if items.len() > limit {
            break;
        }
    }
    items.truncate(limit + 1);
    Json(List::page(items, limit, Component::key))
}
