//! What happened lately: as a list, or as a stream for those who accept `text/event-stream`.

use super::asked::{Asked, LIMIT};
use super::feed;
use super::json::{Json, List, Time};
use super::problem::Problem;
use super::route::{Kind, Param};
use crate::app::App;
use crate::events::Resume;
use crate::fleet::Event;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, http::HeaderValue};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ASKS: &[Param] = &[
    LIMIT,
    Param::new(
        "after",
        Kind::Text,
        "Only events after this id; without it the list holds the last events, and the stream begins now.",
    ),
    Param::new("agent", Kind::Text, "Only events of this agent."),
    Param::new("service", Kind::Text, "Only events of this service."),
    Param::new("kind", Kind::Text, "Only events of this kind, for instance `component_status`."),
];

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct Told {
    /// Its id: `<epoch>-<n>`, rising.
    pub(super) id: String,
    /// When.
    at: Time,
    /// What.
    kind: &'static str,
    /// The agent it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    agent: Option<Arc<str>>,
    /// The service it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    service: Option<Arc<str>>,
    /// The component it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    component: Option<Arc<str>>,
    /// The group it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    group: Option<Arc<str>>,
    /// What it was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'static str>,
    /// What it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'static str>,
    /// A stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reason: Option<Arc<str>>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    message: Option<Arc<str>>,
}

impl Told {
    pub(super) fn new(app: &App, number: u64, event: Event) -> Self {
        let Event { at_ms, kind, agent, service, component, group, from, to, reason, message } = event;
        let (id, at, kind) = (app.events.id(number), Time(at_ms), kind.as_str());
        Self { id, at, kind, agent, service, component, group, from, to, reason, message }
    }
}

/// Which events a reader wants.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    agent: Option<String>,
    service: Option<String>,
    kind: Option<String>,
}

impl Wanted {
    fn read(asked: &Asked) -> Self {
        let text = |name| asked.text(name).map(str::to_owned);
        Self { agent: text("agent"), service: text("service"), kind: text("kind") }
    }

    pub(super) fn wants(&self, event: &Event) -> bool {
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
        };
        is(&self.agent, event.agent.as_deref())
            && is(&self.service, event.service.as_deref())
            && is(&self.kind, Some(event.kind.as_str()))
    }
}

pub(super) async fn read(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = Wanted::read(&asked);
    if wants_stream(&headers) {
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
        return feed::open(app, wanted, last.or(asked.after()));
    }
    list(&app, &asked, &wanted).map(|list| Json(list).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|v: &HeaderValue| v.to_str().ok());
    accepted.any(|ranges| {
        ranges.split(',').any(|range| {
            range.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(feed::MEDIA_TYPE)
        })
    })
}

/// Oldest first. Without `after` the last ones.
fn list(app: &App, asked: &Asked, wanted: &Wanted) -> Result<List<Told>, Problem> {
    let limit = asked.limit();
    let gone = || {
        Problem::new(
            StatusCode::GONE,
            "event_gone",
            "what came after this id is no longer kept, or the monitor restarted; ask without `after`",
        )
    };
    let all = match asked.text("after") {
        None => app.events.kept(),
        Some(id) => match app.events.resume(id) {
            Resume::After(number) => app.events.after(number, usize::MAX).ok_or_else(gone)?,
            Resume::Reset => return Err(gone()),
        },
    };
    let mut items: Vec<_> = all.into_iter().filter(|(_, event)| wanted.wants(event)).collect();
    if asked.text("after").is_none() {
        items.drain(..items.len().saturating_sub(limit));
    }
    items.truncate(limit + 1);
    let items = items.into_iter().map(|(number, event)| Told::new(app, number, event)).collect();
    Ok(List::page(items, limit, |told: &Told| told.id.clone()))
}
