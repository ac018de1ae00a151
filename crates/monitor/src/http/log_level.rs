//! Another log level for the running process, until it is changed again, the configuration's changes, or it ends.

use super::asked::Asked;
use super::json::Json;
use super::problem::Problem;
use super::route::{Kind, Param};
use axum::Extension;
use axum::http::StatusCode;
use farol_logging::Filter;
use farol_logging::event;
use serde::Serialize;
use utoipa::ToSchema;

/// What is asked.
pub(super) const ASKS: &[Param] = &[Param::required(
    "level",
    Kind::Text,
    "trace, debug, info, warning, error, critical, or directives such as `info,farol_monitor=debug`",
)];

/// The level that was set.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogLevel {
    /// What is kept from now on.
    level: String,
    /// What was kept before.
    before: String,
}

pub(super) async fn set(Extension(asked): Extension<Asked>) -> Result<Json<LogLevel>, Problem> {
    let wished = asked.text("level").unwrap_or_default();
    let filter: Filter = wished.parse().map_err(|error: farol_logging::NotUnderstood| {
        Problem::bad_request("bad_level", error.to_string())
    })?;
    let before = farol_logging::level();
    let Some(before) = before.filter(|_| farol_logging::set_level(&filter)) else {
        let what = "this process has no log of its own whose level could be set";
        return Err(Problem::new(StatusCode::CONFLICT, "no_log", what));
    };
    event::business("log_level_set").outcome("success").subject(&filter).detail(&before).log();
    Ok(Json(LogLevel { level: filter.to_string(), before: before.to_string() }))
}
