//! Reading the configuration again, when an operator asks.

use super::json::Json;
use super::problem::Problem;
use crate::app::{App, ReloadRefused};
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A reload that was taken over.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reloaded {
    /// Keys that changed and take effect at the next start only.
    restart_needed: Vec<String>,
}

pub(super) async fn reload(State(app): State<Arc<App>>) -> Result<Json<Reloaded>, Problem> {
    match (app.reload)().await {
        Ok(reloaded) => Ok(Json(Reloaded { restart_needed: reloaded.restart_needed })),
        Err(ReloadRefused(problems)) => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "configuration_refused",
            format!("nothing was changed: {}", problems.join("; ")),
        )),
    }
}
