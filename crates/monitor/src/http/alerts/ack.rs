//! Taking care of an alert, and not any more.

use super::super::asked::Asked;
use super::super::json::Json;
use super::super::named::Named;
use super::super::problem::Problem;
use super::super::told::{Told, author, end, kept, log_end, mute_refused};
use super::{Alert, find, unknown};
use crate::alerting::rules_moment;
use crate::app::App;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use farol_logging::event;
use farol_rules::{Acknowledgement, Severity};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Somebody takes care of an alert.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Acknowledge {
    /// Who.
    author: String,
    /// What is done.
    reason: String,
    /// Until then at most: RFC 3339. Without it until the alert ends or becomes worse.
    until: Option<String>,
    /// Or for so long: `2h`.
    lasts: Option<String>,
}

pub(in super::super) async fn acknowledge(
    State(app): State<Arc<App>>,
    Named(name): Named,
    Told(told): Told<Acknowledge>,
) -> Result<Json<Alert>, Problem> {
    let id = find(&app, &name).ok_or_else(|| unknown(&name))?;
    let now = app.clock.now();
    let ends_ms = end((told.until.as_deref(), told.lasts.as_deref()), now.wall_ms, now.wall_ms)?;
    let ack = Acknowledgement {
        alert: id.clone(),
        // The book puts in those of the alert.
        episode_ms: 0,
        severity: Severity::Warning,
        author: told.author,
        reason: told.reason,
        at_ms: now.wall_ms,
        ends_ms,
    };
    let author = ack.author.clone();
    let number = app.alerting.acknowledge(ack).map_err(|error| mute_refused(&error))?;
    let Some(number) = number else { return Err(not_firing()) };
    event::business("alert_acknowledged").outcome("success").subject(&id).detail(author).log();
    kept(&app, number).await?;
    let shown = app.alerting.book().alert(&id, rules_moment(app.clock.now())).ok_or_else(not_firing)?;
    Ok(Json(Alert::new(&app, shown)))
}

fn not_firing() -> Problem {
    let detail = "the alert does not fire; only one that fires can be acknowledged";
    Problem::new(StatusCode::CONFLICT, "alert_not_firing", detail)
}

pub(in super::super) async fn unacknowledge(
    State(app): State<Arc<App>>,
    Named(name): Named,
    Extension(asked): Extension<Asked>,
) -> Result<StatusCode, Problem> {
    let by = author(&asked)?;
    let id = find(&app, &name).ok_or_else(|| unknown(&name))?;
    let Some(number) = app.alerting.unacknowledge(&id, by) else {
        let detail = "nobody has acknowledged this alert, or its acknowledgement ended with it";
        return Err(Problem::not_found("not_acknowledged", detail));
    };
    log_end("alert_unacknowledged", &id, by);
    kept(&app, number).await?;
    Ok(StatusCode::NO_CONTENT)
}
