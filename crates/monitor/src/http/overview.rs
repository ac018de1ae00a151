//! The fleet in one look: how many of what show what.

use super::json::{Json, Time};
use crate::app::App;
use crate::fleet::Presence;
use axum::extract::State;
use farol_health::Status;
use farol_health::aggregate::Aggregate;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The fleet in one look.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Overview {
    /// Now.
    at: Time,
    /// The id of the newest event this look takes in.
    event: String,
    /// The agents.
    agents: Agents,
    /// How many services show what.
    services: Shown,
    /// How many groups show what.
    groups: Shown,
    /// How many components show what.
    components: Components,
    /// Series defined by the agents.
    series: usize,
    /// What is being kept.
    store: Kept,
}

/// How many agents are where.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Agents {
    total: usize,
    connected: usize,
    here: usize,
    held: usize,
    restored: usize,
    leaving: usize,
    lost: usize,
}

/// How many show what.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Shown {
    total: usize,
    healthy: usize,
    degraded: usize,
    unhealthy: usize,
    unknown: usize,
    starting: usize,
    maintenance: usize,
}

impl Shown {
    fn add(&mut self, shown: Aggregate) {
        self.total += 1;
        *match shown {
            Aggregate::Status(Status::Healthy) => &mut self.healthy,
            Aggregate::Status(Status::Degraded) => &mut self.degraded,
            Aggregate::Status(Status::Unhealthy) => &mut self.unhealthy,
            Aggregate::Status(Status::Unknown) => &mut self.unknown,
            Aggregate::Status(Status::Starting) => &mut self.starting,
            Aggregate::Maintenance => &mut self.maintenance,
        } += 1;
    }
}

impl FromIterator<Aggregate> for Shown {
    fn from_iter<I: IntoIterator<Item = Aggregate>>(all: I) -> Self {
        let mut shown = Self::default();
        all.into_iter().for_each(|one| shown.add(one));
        shown
    }
}

/// How many components show what.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Components {
    #[serde(flatten)]
    #[schema(inline)]
    shown: Shown,
    /// Unknown because nothing was heard of them.
    stale: usize,
}

/// How the store does.
#[derive(Debug, Serialize, ToSchema)]
struct Kept {
    /// It takes what it is given.
    takes: bool,
    /// Why it does not.
    reason: Option<String>,
    /// When it last took something.
    last_commit_at: Option<Time>,
}

impl Overview {
    pub(super) fn of(app: &App) -> Self {
        // Before the look: what comes in between is told again rather than missed.
        let event = app.events.id(app.events.newest());
        let (mut agents, mut components, mut series) = (Agents::default(), Components::default(), 0);
        for agent in app.fleet.agents() {
            let live = agent.live.lock();
            agents.total += 1;
            agents.connected += usize::from(live.stream.is_some());
            *match live.presence {
                Presence::Here => &mut agents.here,
                Presence::Held { .. } => &mut agents.held,
                Presence::Restored { .. } => &mut agents.restored,
                Presence::Leaving { .. } => &mut agents.leaving,
                Presence::Lost { .. } => &mut agents.lost,
            } += 1;
            live.components.iter().for_each(|c| components.shown.add(c.shown(live.draining())));
            components.stale += live.stale_components();
            series += live.samples.series();
        }
        let health = app.journal.health();
        Self {
            at: Time(app.clock.now().wall_ms),
            event,
            agents,
            services: app.fleet.services().iter().map(|view| view.shown).collect(),
            groups: app.fleet.groups().iter().map(|view| view.shown).collect(),
            components,
            series,
            store: Kept {
                takes: health.refusing.is_none() && !health.failed,
                reason: health.refusing.map(|(_, why)| why),
                last_commit_at: health.last_commit_ms.map(Time),
            },
        }
    }
}

pub(super) async fn fleet(State(app): State<Arc<App>>) -> Json<Overview> {
    Json(Overview::of(&app))
}
