//! Maintenance windows: work that is planned, once or again and again.

use super::asked::{AFTER, Asked, LIMIT};
use super::json::{Json, List, Time};
use super::named::Named;
use super::problem::Problem;
use super::route::Param;
use super::silences::{Mutes, new_id, written};
use super::told::{Told, author, kept, lasting, log_end, moment, mute_refused, once_each, refused};
use crate::alerting::CONFIGURED;
use crate::app::App;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use farol_logging::event;
use farol_rules::{Days, Recurring, Schedule, Span, TimeOfDay, WindowMode, Zone, read_matchers};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ASKS: &[Param] = &[LIMIT, AFTER];

/// A maintenance window as it is wanted: once, from `from` until `to` or for `lasts`; or again and again, on `days` at
/// `at` of `zone`, each time for `lasts`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWindow {
    /// What it is called.
    name: String,
    /// On what: all of these labels; a pattern is `text`, `!text`, `~expression` or `!~expression`.
    #[serde(deserialize_with = "once_each")]
    r#match: BTreeMap<String, String>,
    /// `mute` when not given: alerts are held back. `drain`: instances take no work, too.
    mode: Option<String>,
    /// Once: from then, RFC 3339; from now on when not given.
    from: Option<String>,
    /// Once: until then.
    to: Option<String>,
    /// For so long: `2h`.
    lasts: Option<String>,
    /// Again and again: `daily`, `mon, fri`, or days of the month `1, 15, -1`.
    days: Option<String>,
    /// Again and again: when it begins, `22:00`.
    at: Option<String>,
    /// Again and again: whose clocks, `Europe/Berlin`; `UTC` when not given.
    zone: Option<String>,
    /// Again and again: until then, RFC 3339; for ever when not given.
    until: Option<String>,
    /// Who wants it.
    author: String,
    /// Why.
    reason: String,
}

/// A maintenance window.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Window {
    /// Its id; those of the configuration begin with `config:`.
    #[schema(value_type = String)]
    id: Arc<str>,
    /// What it is called.
    #[schema(value_type = String)]
    name: Arc<str>,
    /// On what.
    r#match: BTreeMap<String, String>,
    /// `mute` or `drain`.
    mode: &'static str,
    /// It is in force now.
    active: bool,
    /// From when: of the time that is in force, or else the next one.
    from: Option<Time>,
    /// Until when.
    to: Option<Time>,
    /// When it comes again; `null` for one that comes once.
    recurs: Option<Recurs>,
    /// After this it is no more.
    until: Option<Time>,
    /// It stands in the configuration, and is ended there.
    configured: bool,
    /// Who wants it.
    author: String,
    /// Why.
    reason: String,
    /// When it was made; `null` for one of the configuration.
    created: Option<Time>,
    /// How many alerts that fire now it is meant for, whether it is in force or not; `null` in lists.
    mutes: Option<Mutes>,
    /// Services that have too few instances while it drains, as things are now: these are alerted, the window mutes only
    /// what it matches. `null` in lists, and where it drains nothing.
    short: Option<Vec<Short>>,
}

/// A service that has too few instances.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Short {
    /// The service.
    #[schema(value_type = String)]
    service: Arc<str>,
    /// So many of those that are left are up.
    up: u64,
    /// So many must be.
    needed: u64,
}

/// When a window comes again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recurs {
    /// On which days.
    days: String,
    /// When it begins.
    at: String,
    /// Whose clocks.
    zone: String,
    /// For so long.
    lasts_ms: u64,
}

impl Window {
    fn new(window: &farol_rules::Window, now_ms: i64) -> Self {
        let active = window.span(now_ms);
        let span: Option<Span> = active.or_else(|| window.next(now_ms));
        let configured = window.id.starts_with(CONFIGURED);
        Self {
            id: Arc::clone(&window.id),
            name: Arc::clone(&window.name),
            r#match: written(&window.matchers),
            mode: window.mode.as_str(),
            active: active.is_some(),
            from: span.map(|span| Time(span.from_ms)),
            to: span.map(|span| Time(span.to_ms)),
            recurs: match &window.schedule {
                Schedule::Once { .. } => None,
                Schedule::Recurring(recurring) => Some(Recurs {
                    days: recurring.days.to_string(),
                    at: recurring.at.to_string(),
                    zone: recurring.zone.to_string(),
                    lasts_ms: recurring.lasts_ms,
                }),
            },
            until: window.ends_ms.map(Time),
            configured,
            author: window.author.clone(),
            reason: window.reason.clone(),
            created: (!configured).then_some(Time(window.created_ms)),
            mutes: None,
            short: None,
        }
    }

    /// With what comes of it.
    fn whole(app: &App, window: &farol_rules::Window, now_ms: i64) -> Self {
        let short = || {
            let all = app.fleet.short_without(&window.matchers).into_iter();
            all.map(|short| Short { service: short.service, up: short.up, needed: short.needed }).collect()
        };
        Self {
            mutes: Some(Mutes::of(app, &window.matchers)),
            short: (window.mode == WindowMode::Drain).then(short),
            ..Self::new(window, now_ms)
        }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Json<List<Window>> {
    let (limit, now_ms) = (asked.limit(), app.clock.now().wall_ms);
    let mut known: Vec<farol_rules::Window> = app.alerting.book().windows().to_vec();
    known.retain(|window| asked.after().is_none_or(|after| &*window.id > after) && !window.is_over(now_ms));
    known.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let all = known.iter().take(limit + 1).map(|window| Window::new(window, now_ms)).collect();
    Json(List::page(all, limit, |window| window.id.to_string()))
}

pub(super) async fn one(State(app): State<Arc<App>>, Named(id): Named) -> Result<Json<Window>, Problem> {
    let known = app.alerting.book().windows().iter().find(|window| *window.id == *id).cloned();
    let window = known.ok_or_else(|| unknown(&id))?;
    Ok(Json(Window::whole(&app, &window, app.clock.now().wall_ms)))
}

fn unknown(id: &str) -> Problem {
    let detail = format!("there is no maintenance window `{id:.100}`; /api/v1/maintenance lists them");
    Problem::not_found("unknown_window", detail)
}

fn mode(text: Option<&str>) -> Result<WindowMode, Problem> {
    match text {
        None | Some("mute") => Ok(WindowMode::Mute),
        Some("drain") => Ok(WindowMode::Drain),
        Some(other) => Err(refused(format!("`mode` is `{other:.100}`; write `mute` or `drain`"))),
    }
}

fn parsed<T: FromStr<Err: Display>>(key: &str, text: Option<&str>) -> Result<T, Problem> {
    let text = text.ok_or_else(|| {
        refused(format!("`{key}` is missing; a window that comes again has `days`, `at` and `lasts`"))
    })?;
    text.parse().map_err(|error: T::Err| refused(format!("`{key}`: {error:.300}")))
}

fn schedule(wanted: &NewWindow, now_ms: i64) -> Result<Schedule, Problem> {
    let lasts_ms = wanted.lasts.as_deref().map(|text| lasting("lasts", text)).transpose()?;
    let is_recurring = wanted.days.is_some() || wanted.at.is_some() || wanted.zone.is_some();
    if !is_recurring {
        if wanted.until.is_some() {
            return Err(refused("`until` is for a window that comes again; give `to`".to_owned()));
        }
        let from_ms = wanted.from.as_deref().map(|text| moment("from", text, now_ms)).transpose()?;
        let from_ms = from_ms.unwrap_or(now_ms);
        let to_ms = match (wanted.to.as_deref(), lasts_ms) {
            (Some(to), None) => moment("to", to, now_ms)?,
            (None, Some(lasts_ms)) => from_ms.saturating_add(lasts_ms),
            _ => return Err(refused("give either `to` or `lasts`, such as `2h`".to_owned())),
        };
        return Ok(Schedule::Once { from_ms, to_ms });
    }
    if wanted.from.is_some() || wanted.to.is_some() {
        let why = "`from` and `to` stand beside `days`, `at` or `zone`; a window is once, or again and again";
        return Err(refused(why.to_owned()));
    }
    let lasts_ms =
        lasts_ms.ok_or_else(|| refused("`lasts` is missing; write for instance `2h`".to_owned()))?;
    Ok(Schedule::Recurring(Recurring {
        zone: parsed::<Zone>("zone", wanted.zone.as_deref().or(Some("UTC")))?,
        days: parsed::<Days>("days", wanted.days.as_deref())?,
        at: parsed::<TimeOfDay>("at", wanted.at.as_deref())?,
        lasts_ms: lasts_ms.unsigned_abs(),
    }))
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    Told(wanted): Told<NewWindow>,
) -> Result<Json<Window>, Problem> {
    let now_ms = app.clock.now().wall_ms;
    let window = farol_rules::Window {
        id: new_id(),
        schedule: schedule(&wanted, now_ms)?,
        matchers: read_matchers(&wanted.r#match).map_err(|error| mute_refused(&error))?,
        mode: mode(wanted.mode.as_deref())?,
        ends_ms: wanted.until.as_deref().map(|text| moment("until", text, now_ms)).transpose()?,
        name: wanted.name.into(),
        author: wanted.author,
        reason: wanted.reason,
        created_ms: now_ms,
    };
    let number = app.alerting.maintain(window.clone()).map_err(|error| mute_refused(&error))?;
    event::business("maintenance_added").outcome("success").subject(&window.id).detail(&window.author).log();
    kept(&app, number).await.map_err(|problem| problem.about(&window.id))?;
    Ok(Json(Window::whole(&app, &window, now_ms)))
}

pub(super) async fn end_now(
    State(app): State<Arc<App>>,
    Named(id): Named,
    Extension(asked): Extension<Asked>,
) -> Result<StatusCode, Problem> {
    let by = author(&asked)?;
    if id.starts_with(CONFIGURED) {
        let detail = "this window stands in the configuration; take it out there and reload";
        return Err(Problem::new(StatusCode::CONFLICT, "configured_window", detail));
    }
    let number = app.alerting.end_maintenance(&id, by).ok_or_else(|| unknown(&id))?;
    log_end("maintenance_ended", &id, by);
    kept(&app, number).await?;
    Ok(StatusCode::NO_CONTENT)
}
