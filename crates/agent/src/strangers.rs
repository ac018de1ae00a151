//! What an agent's ports say to who asks for something they do not have, or may not have. Text only; what there is, and
//! for whom, is in `probes.rs`.

use axum::Router;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use farol_health::grpc;

/// What is said at the gRPC port to who does not speak it.
const HEALTH_PORT: &str = "this port speaks gRPC (grpc.health.v1) only: ask it with `farol healthcheck grpc://HOST:PORT/SERVICE`; \
                           probes by HTTP go to the agent's HTTP port (`listen.http`)";

/// The agent's HTTP, with a problem document (RFC 9457) for every path and method that it does not have.
pub(crate) fn web(router: Router) -> Router {
    router.fallback(no_such_path).method_not_allowed_fallback(no_such_method)
}

/// The agent's gRPC health, which tells others where to go.
pub(crate) fn health(router: Router) -> Router {
    grpc::only(router, HEALTH_PORT)
}

async fn no_such_path(uri: Uri) -> Response {
    let detail = format!(
        "an agent has nothing at `{:.200}`; it has /health, /health/detailed, /health/ready, /health/live, /livez, \
         /readyz, /healthz and /metrics, the fleet is at its monitor",
        uri.path()
    );
    problem(StatusCode::NOT_FOUND, "no_such_path", &detail)
}

async fn no_such_method() -> Response {
    let detail = "this path has no such method; the Allow header names those it has";
    problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

/// As a monitor answers: RFC 9457.
pub(crate) fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let document = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
    });
    let headers = [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, document.to_string()).into_response()
}
