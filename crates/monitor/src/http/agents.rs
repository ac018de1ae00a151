//! The agents of the fleet: the list, one of them, and forgetting one that is lost.

use super::asked::{AFTER, Asked, LIMIT};
use super::json::{Json, List, Time};
use super::named::Named;
use super::problem::Problem;
use super::route::{Kind, Param};
use crate::app::App;
use crate::clock::Moment;
use crate::fleet::{Live, Presence};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ASKS: &[Param] = &[
    LIMIT,
    AFTER,
    Param::new(
        "presence",
        Kind::Word(&["here", "held", "restored", "leaving", "lost"]),
        "Only agents with this presence.",
    ),
    Param::new("connected", Kind::Word(&["true", "false"]), "Only agents whose stream is open, or is not."),
];

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agent {
    /// Its id.
    #[schema(value_type = String)]
    id: Arc<str>,
    /// What it runs beside: `pod`, `node` or `host`.
    role: &'static str,
    /// `here`, `held` (it restarts), `restored` (the monitor restarted), `leaving` or `lost`.
    presence: &'static str,
    /// Its software version.
    #[schema(value_type = String)]
    version: Arc<str>,
    /// Its labels.
    #[schema(value_type = BTreeMap<String, String>)]
    labels: Arc<BTreeMap<String, String>>,
    /// The start that spoke last: unix milliseconds, or more where its clock went back.
    boot: u64,
    /// Its report interval.
    interval_ms: u32,
    /// When it last spoke of now.
    last_seen_at: Time,
    /// How long ago that is. An agent is lost by another count, in which the time stands still that the monitor did
    /// not run.
    age_ms: u64,
    /// How far its wall clock is ahead of the monitor's.
    skew_ms: i64,
    /// Its stream is open.
    connected: bool,
    /// How many components it has.
    components: usize,
    /// How many series it has.
    series: usize,
    /// The services it is part of.
    #[schema(value_type = Vec<String>)]
    services: Vec<Arc<str>>,
}

impl Agent {
    fn new(id: &Arc<str>, live: &Live, now: Moment) -> Self {
        Self {
            id: Arc::clone(id),
            role: live.role.as_str(),
            presence: live.presence.as_str(),
            version: Arc::clone(&live.version),
            labels: Arc::clone(&live.labels),
            boot: live.boot.number,
            interval_ms: live.interval_ms,
            last_seen_at: Time(live.last_seen_ms),
            age_ms: u64::try_from(now.wall_ms.saturating_sub(live.last_seen_ms)).unwrap_or(0),
            skew_ms: live.skew_ms,
            connected: live.stream.is_some(),
            components: live.components.len(),
            series: live.samples.series(),
            services: live.services(),
        }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Json<List<Agent>> {
    let (limit, now) = (asked.limit(), app.clock.now());
    let presence = asked.text("presence");
    let connected = asked.text("connected");
    let wanted = |live: &Live| {
        presence.is_none_or(|word| live.presence.as_str() == word)
            && connected.is_none_or(|word| live.stream.is_some() == (word == "true"))
    };
    let most = if presence.is_some() || connected.is_some() { usize::MAX } else { limit + 1 };
    let items = app.fleet.agents_after(asked.after(), false, most).into_iter().filter_map(|agent| {
        let live = agent.live.lock();
        wanted(&live).then(|| Agent::new(&agent.id, &live, now))
    });
    Json(List::page(items.take(limit + 1).collect(), limit, |agent| agent.id.to_string()))
}

pub(super) async fn one(State(app): State<Arc<App>>, Named(id): Named) -> Result<Json<Agent>, Problem> {
    let agent = app.fleet.agent(&id).ok_or_else(|| unknown(&id))?;
    let live = agent.live.lock();
    Ok(Json(Agent::new(&agent.id, &live, app.clock.now())))
}

pub(super) async fn forget(State(app): State<Arc<App>>, Named(id): Named) -> Result<StatusCode, Problem> {
    let agent = app.fleet.agent(&id).ok_or_else(|| unknown(&id))?;
    if !app.fleet.forget(&id, app.clock.now()) {
        let presence = agent.live.lock().presence;
        return Err(Problem::new(StatusCode::CONFLICT, "agent_not_lost", not_lost(&id, presence)));
    }
    Ok(StatusCode::NO_CONTENT)
}

fn not_lost(id: &str, presence: Presence) -> String {
    format!("agent `{id}` is {}; only a lost agent can be forgotten: stop it first", presence.as_str())
}

fn unknown(id: &str) -> Problem {
    Problem::not_found("unknown_agent", format!("there is no agent `{id:.200}`; see /api/v1/agents"))
}
