//! Why a receiver is told something, or is not.

use super::super::json::{Json, Time};
use super::super::named::Named;
use super::super::notifications::unknown_receiver;
use super::super::problem::Problem;
use super::text;
use crate::alerting::rules_moment;
use crate::app::App;
use crate::notify::LaneStats;
use crate::notify::receivers::is_meant;
use axum::extract::State;
use farol_rules::Labels;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// So many conversations are given.
const TALKS: usize = 200;

/// How a receiver does.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct ReceiverWhy {
    /// The name that was asked for.
    pub(super) receiver: String,
    /// Who is meant by it: itself, or each of its peers. What follows is of all of them together.
    pub(super) peers: Vec<String>,
    /// Notices that wait, those on their way included.
    pub(super) waiting: usize,
    /// Those on their way.
    pub(super) in_flight: usize,
    /// The oldest waits for so long.
    pub(super) oldest_ms: Option<u64>,
    /// Notices that it took since the start.
    pub(super) sent: u64,
    /// Attempts that failed since the start.
    pub(super) failed: u64,
    /// Notices that died since the start.
    pub(super) dead: u64,
    /// Why the last attempt failed, since it fails for a minute, or a notice died.
    pub(super) failing: Option<String>,
    /// Why the last attempt failed, if it did.
    pub(super) last_failure: Option<String>,
    /// When that was.
    pub(super) last_failed: Option<Time>,
    /// When a notice that waits is tried next, at the earliest.
    pub(super) next: Option<Time>,
    /// What it is told of now; 200 at most.
    pub(super) conversations: Vec<Talk>,
    /// For people.
    pub(super) text: Vec<String>,
}

/// What a receiver is told of one group of alerts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReceiverConversation)]
pub(in super::super) struct Talk {
    /// Who is told.
    pub(super) receiver: String,
    /// The labels that its alerts agree in.
    #[schema(value_type = BTreeMap<String, String>)]
    pub(super) group: Labels,
    /// So many of its alerts fire by the notices that were made for it, those among them that wait or are dead.
    pub(super) told: usize,
    /// When the next notice is made, if nothing changes: a reminder, mostly.
    pub(super) next: Option<Time>,
    /// The place of the route in the configuration.
    #[schema(value_type = String)]
    pub(super) route: Arc<str>,
}

pub(in super::super) async fn receiver(
    State(app): State<Arc<App>>,
    Named(name): Named,
) -> Result<Json<ReceiverWhy>, Problem> {
    let now = app.clock.now();
    let all = app.alerting.dispatcher().stats();
    let meant: Vec<(Arc<str>, LaneStats)> = all.into_iter().filter(|(one, _)| is_meant(one, &name)).collect();
    if meant.is_empty() {
        return Err(unknown_receiver(&name));
    }
    let mut talks: Vec<Talk> = {
        let book = app.alerting.book();
        let of = |peer| book.conversations_with(peer, rules_moment(now)).take(TALKS);
        let all = meant.iter().flat_map(|(peer, _)| of(peer)).take(TALKS);
        all.map(|talk| Talk {
            receiver: talk.id.receiver.to_string(),
            group: talk.id.group,
            told: talk.told,
            next: talk.due_in_ms.map(|due_ms| Time(now.wall_ms.saturating_add_unsigned(due_ms))),
            route: talk.route,
        })
        .collect()
    };
    talks.sort_by(|a, b| (&a.receiver, &a.group).cmp(&(&b.receiver, &b.group)));
    let failing = meant.iter().filter_map(|(peer, stats)| {
        let why = stats.failing.as_deref()?;
        Some(if **peer == *name { why.to_owned() } else { format!("{peer}: {why}") })
    });
    let failing: Vec<String> = failing.collect();
    let last = meant.iter().filter_map(|(_, stats)| stats.last_failure.clone()).max();
    let next_in_ms = meant.iter().filter_map(|(_, stats)| stats.next_in_ms).min();
    let mut why = ReceiverWhy {
        last_failed: last.as_ref().map(|(at_ms, _)| Time(*at_ms)),
        last_failure: last.map(|(_, why)| why),
        next: next_in_ms.map(|in_ms| Time(now.wall_ms.saturating_add_unsigned(in_ms))),
        receiver: name,
        peers: meant.iter().map(|(peer, _)| peer.to_string()).collect(),
        waiting: meant.iter().map(|(_, stats)| stats.waiting).sum(),
        in_flight: meant.iter().map(|(_, stats)| stats.in_flight).sum(),
        oldest_ms: meant.iter().filter_map(|(_, stats)| stats.oldest_ms).max(),
        sent: meant.iter().map(|(_, stats)| stats.sent).sum(),
        failed: meant.iter().map(|(_, stats)| stats.failed).sum(),
        dead: meant.iter().map(|(_, stats)| stats.dead).sum(),
        failing: (!failing.is_empty()).then(|| failing.join("; ")),
        conversations: talks,
        text: Vec::new(),
    };
    why.text = text::of_receiver(&why);
    Ok(Json(why))
}
