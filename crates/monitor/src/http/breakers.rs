//! Circuit breakers, and what actions did. Decides nothing: breakers are opened and closed by whoever keeps them, and
//! asked by those who make the calls. These are answered at once: what they bring about is kept a moment later.

use super::asked::{AFTER, Asked, LIMIT};
use super::incidents::{after, place, read};
use super::json::{Json, List, Time};
use super::named::Named;
use super::problem::Problem;
use super::range::no_answer;
use super::route::Param;
use super::told::{Told, kept, lasting, refused, signed};
use crate::act::{ActionRecord, Admission, BreakerView, NoSuchBreaker};
use crate::alerting::rules_moment;
use crate::app::App;
use crate::store::{DocumentKind, DocumentPage};
use axum::Extension;
use axum::extract::State;
use farol_logging::event;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ASKS: &[Param] = &[LIMIT, AFTER];

/// Why somebody opens or closes a breaker.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Word {
    /// Who.
    author: String,
    /// Why.
    reason: String,
    /// Open for so long: `10m`. Until someone closes it when not given.
    lasts: Option<String>,
}

/// Whether a call may be made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Admitted {
    /// `allowed`; `probe`: to be made, and how it fares is to be reported; `denied`.
    admission: &'static str,
    /// Denied, asking again pays after so many milliseconds; `null` otherwise, and until someone closes the breaker.
    retry_after_ms: Option<u64>,
}

/// How a call fared that was let through to see.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Fared {
    /// It did well.
    success: bool,
}

/// A circuit breaker.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Breaker {
    /// Its name.
    #[schema(value_type = String)]
    name: Arc<str>,
    /// `closed`, `open` or `half_open`.
    state: &'static str,
    /// Since then.
    since: Time,
    /// Open until then; `null` when it is not open, or until someone closes it.
    until: Option<Time>,
    /// Why it is so: `cause` is `new`, `alert`, `time`, `probes`, `recovered` or `person`, with what belongs to it.
    #[schema(value_type = Object)]
    because: Value,
    /// Alerts that opened it and are not over.
    firing: Vec<String>,
}

impl From<BreakerView> for Breaker {
    fn from(view: BreakerView) -> Self {
        Self {
            name: view.name,
            state: view.state,
            since: Time(view.since_ms),
            until: view.until_ms.map(Time),
            because: serde_json::to_value(&view.because).unwrap_or_default(),
            firing: view.firing.iter().map(ToString::to_string).collect(),
        }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Json<List<Breaker>> {
    let mut all = app.alerting.actions().breakers().all(rules_moment(app.clock.now()));
    all.retain(|breaker| asked.after().is_none_or(|after| &*breaker.name > after));
    let items = all.into_iter().take(asked.limit() + 1).map(Breaker::from).collect();
    Json(List::page(items, asked.limit(), |breaker: &Breaker| breaker.name.to_string()))
}

pub(super) async fn open(
    State(app): State<Arc<App>>,
    Named(name): Named,
    Told(word): Told<Word>,
) -> Result<Json<Breaker>, Problem> {
    signed(&word.author, &word.reason)?;
    let lasts_ms = word.lasts.as_deref().map(|text| lasting("lasts", text)).transpose()?;
    let by = (word.author.as_str(), word.reason.as_str());
    let breakers = app.alerting.actions().breakers();
    let now = rules_moment(app.clock.now());
    breakers.open(&name, by, lasts_ms.map(i64::unsigned_abs), now).map_err(|why| unknown(&name, why))?;
    event::business("breaker_opened").outcome("success").subject(&name).detail(&word.author).log();
    answer(&app, &name).await
}

pub(super) async fn close(
    State(app): State<Arc<App>>,
    Named(name): Named,
    Told(word): Told<Word>,
) -> Result<Json<Breaker>, Problem> {
    signed(&word.author, &word.reason)?;
    if word.lasts.is_some() {
        return Err(refused("`lasts` is for opening; leave it out".to_owned()));
    }
    let by = (word.author.as_str(), word.reason.as_str());
    let now = rules_moment(app.clock.now());
    app.alerting.actions().breakers().close(&name, by, now).map_err(|why| unknown(&name, why))?;
    event::business("breaker_closed").outcome("success").subject(&name).detail(&word.author).log();
    answer(&app, &name).await
}

pub(super) async fn admit(
    State(app): State<Arc<App>>,
    Named(name): Named,
) -> Result<Json<Admitted>, Problem> {
    let now = rules_moment(app.clock.now());
    let said = app.alerting.actions().breakers().admit(&name, now).map_err(|why| unknown(&name, why))?;
    let (admission, retry_after_ms) = match said {
        Admission::Allowed => ("allowed", None),
        Admission::Probe => ("probe", None),
        Admission::Denied { retry_after_ms } => ("denied", retry_after_ms),
    };
    Ok(Json(Admitted { admission, retry_after_ms }))
}

pub(super) async fn report(
    State(app): State<Arc<App>>,
    Named(name): Named,
    Told(fared): Told<Fared>,
) -> Result<Json<Breaker>, Problem> {
    let (breakers, now) = (app.alerting.actions().breakers(), rules_moment(app.clock.now()));
    breakers.report(&name, fared.success, now).map_err(|why| unknown(&name, why))?;
    let view = breakers.status(&name, now).ok_or_else(|| unknown(&name, NoSuchBreaker))?;
    Ok(Json(view.into()))
}

fn unknown(name: &str, why: NoSuchBreaker) -> Problem {
    Problem::not_found("unknown_breaker", format!("`{name:.100}`: {why}; /api/v1/breakers lists them"))
}

/// The breaker as it is, once that is kept.
async fn answer(app: &App, name: &str) -> Result<Json<Breaker>, Problem> {
    let now = app.clock.now();
    let breakers = app.alerting.actions().breakers();
    let view = breakers.status(name, rules_moment(now)).ok_or_else(|| unknown(name, NoSuchBreaker))?;
    let number = app.alerting.keep_breakers(|known| known == name, Vec::new());
    kept(app, number).await?;
    Ok(Json(view.into()))
}

/// What an action did, or would have done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Action {
    /// The same over all that is told of one attempt.
    id: String,
    /// The action's name.
    #[schema(value_type = String)]
    action: Arc<str>,
    /// What it acts on.
    target: String,
    /// The alert that started it.
    alert: String,
    /// Its incident.
    incident: String,
    /// When it was asked for.
    asked: Time,
    /// When it was begun.
    at: Time,
    /// When this was known.
    known: Time,
    /// It only tells what it would do.
    dry_run: bool,
    /// Replicas before.
    before: Option<u32>,
    /// Replicas after.
    after: Option<u32>,
    /// How it went: `outcome` names it, beside what belongs to it.
    #[schema(value_type = Object)]
    outcome: Value,
}

impl From<ActionRecord> for Action {
    fn from(record: ActionRecord) -> Self {
        Self {
            outcome: serde_json::to_value(&record.outcome).unwrap_or_default(),
            id: record.id,
            action: record.action,
            target: record.target,
            alert: record.alert.to_string(),
            incident: record.incident,
            asked: Time(record.asked_ms),
            at: Time(record.at_ms),
            known: Time(record.known_ms),
            dry_run: record.dry_run,
            before: record.before,
            after: record.after,
        }
    }
}

pub(super) async fn actions(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<List<Action>>, Problem> {
    let limit = asked.limit();
    let page = DocumentPage { after: after(&asked)?, limit: limit + 1, ..DocumentPage::default() };
    let mut found = app.store.documents(DocumentKind::Action, page).await.map_err(|e| no_answer(&e))?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|document| place(document.at_ms, &document.key));
    let items = read::<ActionRecord>(&found).into_iter().map(Action::from).collect();
    Ok(Json(List { items, next }))
}
