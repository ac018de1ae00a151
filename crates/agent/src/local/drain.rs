//! The local API's drain: takes the agent out of service before its end, as a preStop hook needs it. What the monitor is
//! told is the stream's; there is no way back, because a Goodbye stands until its stream ends.

use super::Api;
use crate::stream::goodbye_word;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// Asked again, it changes nothing and says so by 200.
pub(super) async fn drain(State(api): State<Arc<Api>>) -> Response {
    let is_new = api.own.drain();
    let goodbye = api.role.map(goodbye_word);
    if is_new {
        tracing::info!(
            goodbye,
            "the agent drains, as the local API was asked; it runs on until it is stopped"
        );
    }
    let status = if is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, json!({"draining": true, "goodbye": goodbye}).to_string()).into_response()
}
