//! What every request of the local API passes before its handler: it comes from this machine, names it, is of no
//! page of another's, and its body is small and comes soon.

use super::Api;
use crate::problem::Problem;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use farol_shutdown::listener::Access;
use std::sync::Arc;
use std::time::Duration;

/// Bodies are not larger.
const BODY_BYTES: usize = 64 * 1024;
/// And come within this.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Keeps the one rule there is.
pub(super) async fn keep(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    match admit(&api, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn admit(api: &Api, request: Request) -> Result<Request, Problem> {
    // Whatever `access` says of readers, nobody beyond this machine tells how it is.
    let hosts = api.own.access.load().hosts.clone();
    let access = Access { read_any: false, hosts, bound: Vec::new() };
    access.check_name(request.uri(), request.headers())?;
    access.check_reader(request.extensions())?;
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let too_large = || {
        let detail = format!("the body has more than {BODY_BYTES} bytes; send less");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    };
    let (parts, body) = request.into_parts();
    if body.size_hint().lower() > BODY_BYTES as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_WITHIN, to_bytes(body, BODY_BYTES)).await {
        Ok(Ok(bytes)) => Ok(Request::from_parts(parts, Body::from(bytes))),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => {
            let detail = format!("the body did not come within {} s", BODY_WITHIN.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail))
        }
    }
}
