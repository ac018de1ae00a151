//! Silences: whatever matches is not told of for a time.

use super::asked::{AFTER, Asked, LIMIT};
use super::json::{Json, List, Time};
use super::named::Named;
use super::problem::Problem;
use super::route::Param;
use super::told::{Told, author, end, kept, log_end, moment, mute_refused, once_each, refused};
use crate::app::App;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use farol_logging::event;
use farol_rules::{Matcher, SilenceState, read_matchers};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ASKS: &[Param] = &[LIMIT, AFTER];

/// A silence as it is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSilence {
    /// Which alerts: all of these, of the labels of their elements, `alertname` and `severity` among them; a pattern is
    /// `text`, `!text`, `~expression` or `!~expression`.
    #[serde(deserialize_with = "once_each")]
    r#match: BTreeMap<String, String>,
    /// From then: RFC 3339. From now on when not given.
    starts: Option<String>,
    /// Until then.
    ends: Option<String>,
    /// Or for so long from its start: `2h`.
    lasts: Option<String>,
    /// Who wants it.
    author: String,
    /// Why.
    reason: String,
}

/// A silence.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Silence {
    /// Its id.
    #[schema(value_type = String)]
    id: Arc<str>,
    /// Which alerts.
    r#match: BTreeMap<String, String>,
    /// `pending` or `active`.
    state: &'static str,
    /// From then.
    starts: Time,
    /// Until then.
    ends: Time,
    /// Who wants it.
    author: String,
    /// Why.
    reason: String,
    /// When it was made.
    created: Time,
    /// How many alerts that fire now it is meant for; `null` in lists.
    mutes: Option<Mutes>,
}

/// How many alerts that fire now are meant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Mutes {
    /// With every element.
    whole: usize,
    /// With some of their elements: they are told of for the others.
    partly: usize,
}

impl Mutes {
    pub(super) fn of(app: &App, matchers: &[Matcher]) -> Self {
        let (whole, partly) = app.alerting.book().meant(matchers);
        Self { whole, partly }
    }
}

/// Matchers as people write them.
pub(super) fn written(matchers: &[Matcher]) -> BTreeMap<String, String> {
    matchers.iter().map(|matcher| (matcher.label.to_string(), matcher.pattern.to_string())).collect()
}

/// A new id.
pub(super) fn new_id() -> Arc<str> {
    let mut id = uuid::Uuid::new_v4().simple().to_string();
    id.truncate(16);
    id.into()
}

impl Silence {
    fn new(silence: &farol_rules::Silence, now_ms: i64) -> Self {
        Self {
            id: Arc::clone(&silence.id),
            r#match: written(&silence.matchers),
            state: match silence.state(now_ms) {
                SilenceState::Pending => "pending",
                SilenceState::Active => "active",
                SilenceState::Expired => "expired",
            },
            starts: Time(silence.starts_ms),
            ends: Time(silence.ends_ms),
            author: silence.author.clone(),
            reason: silence.reason.clone(),
            created: Time(silence.created_ms),
            mutes: None,
        }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Json<List<Silence>> {
    let (limit, now_ms) = (asked.limit(), app.clock.now().wall_ms);
    let mut all: Vec<Silence> = {
        let book = app.alerting.book();
        let known = book.silences().iter().filter(|silence| silence.state(now_ms) != SilenceState::Expired);
        known.map(|silence| Silence::new(silence, now_ms)).collect()
    };
    all.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    all.retain(|silence| asked.after().is_none_or(|after| &*silence.id > after));
    Json(List::page(all, limit, |silence| silence.id.to_string()))
}

pub(super) async fn one(State(app): State<Arc<App>>, Named(id): Named) -> Result<Json<Silence>, Problem> {
    let known = app.alerting.book().silences().iter().find(|silence| *silence.id == *id).cloned();
    let silence = known.ok_or_else(|| unknown(&id))?;
    let mutes = Some(Mutes::of(&app, &silence.matchers));
    Ok(Json(Silence { mutes, ..Silence::new(&silence, app.clock.now().wall_ms) }))
}

fn unknown(id: &str) -> Problem {
    let detail = format!("there is no silence `{id:.100}`, or it has ended; /api/v1/silences lists them");
    Problem::not_found("unknown_silence", detail)
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    Told(wanted): Told<NewSilence>,
) -> Result<Json<Silence>, Problem> {
    let now_ms = app.clock.now().wall_ms;
    let starts_ms = wanted.starts.as_deref().map(|text| moment("starts", text, now_ms)).transpose()?;
    let starts_ms = starts_ms.unwrap_or(now_ms);
    let ends_ms = end((wanted.ends.as_deref(), wanted.lasts.as_deref()), starts_ms, now_ms)?;
    let Some(ends_ms) = ends_ms else {
        return Err(refused("it has no end; give `ends`, or `lasts` such as `2h`".to_owned()));
    };
    let silence = farol_rules::Silence {
        id: new_id(),
        matchers: read_matchers(&wanted.r#match).map_err(|error| mute_refused(&error))?,
        starts_ms,
        ends_ms,
        author: wanted.author,
        reason: wanted.reason,
        created_ms: now_ms,
    };
    let number = app.alerting.silence(silence.clone()).map_err(|error| mute_refused(&error))?;
    event::business("silence_added").outcome("success").subject(&silence.id).detail(&silence.author).log();
    kept(&app, number).await.map_err(|problem| problem.about(&silence.id))?;
    let mutes = Some(Mutes::of(&app, &silence.matchers));
    Ok(Json(Silence { mutes, ..Silence::new(&silence, now_ms) }))
}

pub(super) async fn end_now(
    State(app): State<Arc<App>>,
    Named(id): Named,
    Extension(asked): Extension<Asked>,
) -> Result<StatusCode, Problem> {
    let by = author(&asked)?;
    let number = app.alerting.unsilence(&id, by).ok_or_else(|| unknown(&id))?;
    log_end("silence_ended", &id, by);
    kept(&app, number).await?;
    Ok(StatusCode::NO_CONTENT)
}
