//! Incidents: alerts of one cause, each with its time line. Those that go on are the book's, the others the store's.

use super::asked::{AFTER, Asked, LIMIT};
use super::json::{Json, List, Time};
use super::named::Named;
use super::problem::Problem;
use super::range::{TO, no_answer};
use super::route::{Kind, Param};
use crate::alerting::short_id;
use crate::app::App;
use crate::store::{Document, DocumentKind, DocumentPage};
use axum::Extension;
use axum::extract::State;
use farol_rules::{Entry, EntryKind, Labels};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use utoipa::ToSchema;

/// So many lines of a time line are given, the last ones.
const LINES: usize = 2_000;

pub(super) const ASKS: &[Param] = &[
    LIMIT,
    AFTER,
    Param::new("from", Kind::Time, "Only incidents that began then or later."),
    TO,
    Param::new("open", Kind::Word(&["true", "false"]), "Only incidents that go on, or that are over."),
];

/// An incident in short.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Incident {
    /// Its id.
    #[schema(value_type = String)]
    id: Arc<str>,
    /// It goes on.
    open: bool,
    /// The alert that began it.
    cause: String,
    /// The worst that any of its alerts was.
    severity: &'static str,
    /// When it began.
    began: Time,
    /// When its last alert ended.
    ended: Option<Time>,
    /// So many alerts belong to it.
    alerts: usize,
    /// So many of them still fire.
    firing: usize,
}

/// An incident with its time line.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Whole {
    /// In short.
    #[serde(flatten)]
    #[schema(inline)]
    incident: Incident,
    /// Its alerts; a thousand at most are named.
    named: Vec<Member>,
    /// What happened, oldest first; the last 2000 lines.
    timeline: Vec<Line>,
}

/// An alert of an incident.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IncidentAlert)]
pub(super) struct Member {
    /// Its name in paths.
    id: String,
    /// The rule's name.
    #[schema(value_type = String)]
    rule: Arc<str>,
    /// Its own labels.
    #[schema(value_type = BTreeMap<String, String>)]
    labels: Labels,
    /// It still fires.
    firing: bool,
}

/// A line of a time line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IncidentLine)]
pub(super) struct Line {
    /// When.
    at: Time,
    /// What: `fired`, `raised`, `fell`, `resolved`, `held`, `released`, `flapping`, `status`, `notified`, `acknowledged`,
    /// `unacknowledged`, `action`.
    #[schema(value_type = String)]
    kind: EntryKind,
    /// The alert that it is about.
    alert: Option<String>,
    /// For people.
    text: String,
}

impl Incident {
    fn new(incident: &farol_rules::Incident) -> Self {
        let firing = incident.alerts.values().filter(|fires| **fires).count();
        let (more_firing, more) = incident.more;
        Self {
            id: Arc::clone(&incident.id),
            open: incident.ended_ms.is_none(),
            cause: incident.cause.to_string(),
            severity: incident.severity.as_str(),
            began: Time(incident.began_ms),
            ended: incident.ended_ms.map(Time),
            alerts: incident.alerts.len() + more as usize,
            firing: firing + more_firing as usize,
        }
    }

    fn place(&self) -> String {
        place(self.began.0, &self.id)
    }
}

/// Where a page of documents goes on.
pub(super) fn place(at_ms: i64, key: &str) -> String {
    format!("{at_ms}:{key}")
}

/// After which document a page begins.
pub(super) fn after(asked: &Asked) -> Result<Option<(i64, Arc<str>)>, Problem> {
    let Some(text) = asked.after() else { return Ok(None) };
    let place = text.split_once(':').and_then(|(at_ms, key)| Some((at_ms.parse().ok()?, Arc::from(key))));
    place.map(Some).ok_or_else(|| {
        Problem::bad_request("bad_parameter", "`after` is not what a page ended with; give the `next` of one")
    })
}

/// Documents that can be read; others are left out and told.
pub(super) fn read<T: DeserializeOwned>(documents: &[Document]) -> Vec<T> {
    let one = |document: &Document| match serde_json::from_slice(&document.body) {
        Ok(read) => Some(read),
        Err(error) => {
            tracing::warn!(kind = ?document.kind, key = &*document.key, %error, "a document cannot be read");
            None
        }
    };
    documents.iter().filter_map(one).collect()
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<List<Incident>>, Problem> {
    let (limit, now_ms) = (asked.limit(), app.clock.now().wall_ms);
    let from_ms = asked.time_ms("from", now_ms).unwrap_or(i64::MIN);
    let to_ms = asked.time_ms("to", now_ms).unwrap_or(i64::MAX);
    let mut after = after(&asked)?;
    // Newest first, as the store gives them.
    let mut open: Vec<Incident> = app.alerting.book().incidents().map(Incident::new).collect();
    open.retain(|incident| (from_ms..=to_ms).contains(&incident.began.0));
    let is_after = |incident: &Incident| {
        after.as_ref().is_none_or(|(at_ms, key)| (incident.began.0, &*incident.id) < (*at_ms, &**key))
    };
    open.retain(is_after);
    let mut items = if asked.text("open") == Some("false") { Vec::new() } else { open };
    let mut over = Vec::new();
    while asked.text("open") != Some("true") && over.len() <= limit {
        let page = DocumentPage { from_ms, to_ms, prefix: None, after: after.clone(), limit: limit + 1 };
        let found = app.store.documents(DocumentKind::Incident, page).await.map_err(|e| no_answer(&e))?;
        let is_last = found.len() <= limit;
        after = found.last().map(|document| (document.at_ms, Arc::clone(&document.key)));
        let read = read::<farol_rules::Incident>(&found);
        over.extend(read.iter().filter(|incident| incident.ended_ms.is_some()).map(Incident::new));
        if is_last {
            break;
        }
    }
    // One that was reopened is over in the store until that is committed.
    over.retain(|incident| items.iter().all(|open| open.id != incident.id));
    items.extend(over);
    items.sort_unstable_by(|a, b| (b.began.0, &b.id).cmp(&(a.began.0, &a.id)));
    items.truncate(limit + 1);
    Ok(Json(List::page(items, limit, Incident::place)))
}

pub(super) async fn one(State(app): State<Arc<App>>, Named(id): Named) -> Result<Json<Whole>, Problem> {
    let open = app.alerting.book().incidents().find(|incident| *incident.id == *id).cloned();
    let incident = match open {
        Some(incident) => incident,
        None => stored(&app, &id).await?.ok_or_else(|| {
            let detail =
                format!("there is no incident `{id:.100}`, or it is too old; /api/v1/incidents lists them");
            Problem::not_found("unknown_incident", detail)
        })?,
    };
    let prefix = Some(format!("{id}/").into());
    let page = DocumentPage { prefix, limit: LINES, ..DocumentPage::default() };
    let found = app.store.documents(DocumentKind::IncidentEntry, page).await.map_err(|e| no_answer(&e))?;
    let mut lines = read::<Entry>(&found);
    lines.reverse();
    let named = incident.alerts.iter().map(|(alert, fires)| Member {
        id: short_id(alert),
        rule: Arc::clone(&alert.rule),
        labels: alert.labels.clone(),
        firing: *fires,
    });
    let line = |entry: Entry| Line {
        at: Time(entry.at_ms),
        kind: entry.kind,
        alert: entry.alert.map(|alert| alert.to_string()),
        text: entry.text,
    };
    Ok(Json(Whole {
        named: named.collect(),
        timeline: lines.into_iter().map(line).collect(),
        incident: Incident::new(&incident),
    }))
}

async fn stored(app: &App, id: &str) -> Result<Option<farol_rules::Incident>, Problem> {
    let page = DocumentPage { prefix: Some(id.into()), limit: 16, ..DocumentPage::default() };
    let found = app.store.documents(DocumentKind::Incident, page).await.map_err(|e| no_answer(&e))?;
    let exact: Vec<Document> = found.into_iter().filter(|document| *document.key == *id).collect();
    Ok(read(&exact).pop())
}
