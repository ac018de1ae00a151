//! What an agent's ports say to who asks for something they do not have, or may not have. Text only; what there is, and
//! for whom, is in `probes.rs`.

use crate::problem::Problem;
use axum::Router;
use axum::http::{StatusCode, Uri};
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

async fn no_such_path(uri: Uri) -> Problem {
    let detail = format!(
        "an agent has nothing at `{:.200}`; it has /health, /health/detailed, /health/ready, /health/live, /livez, \
         /readyz, /healthz and /metrics, the fleet is at its monitor",
        uri.path()
    );
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", detail)
}

async fn no_such_method() -> Problem {
    let detail = "this path has no such method; the Allow header names those it has";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
