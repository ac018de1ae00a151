//! `/health/groups/{name}`: a group's status under its own HTTP code, and what its members show. What a group shows is
//! decided in `group`.

use super::{refusing, reply_with, unkept};
use crate::aggregate::Aggregate;
use crate::group::Groups;
use crate::probe::{self, Source};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// What the handler reads.
#[derive(Clone)]
struct Grouped {
    source: Arc<dyn Source>,
    groups: Arc<Groups>,
}

/// `/health/groups/{name}` for GET and HEAD, to be merged with [`router`](super::router). It tells names and statuses
/// only, so it has no details to withhold.
pub fn group_router(source: Arc<dyn Source>, groups: Groups) -> Router {
    unkept()
        .route("/health/groups/{name}", refusing().get(answer))
        .with_state(Grouped { source, groups: Arc::new(groups) })
}

#[allow(clippy::unused_async, reason = "a handler is async")]
async fn answer(State(grouped): State<Grouped>, Path(name): Path<String>) -> Response {
    let Some(group) = grouped.groups.get(&name) else {
        let document = probe::no_group(&grouped.groups);
        return reply_with(StatusCode::NOT_FOUND, false, "application/problem+json", document.to_string());
    };
    let (shown, document) = probe::group(group, &probe::Moment::of(&*grouped.source, true));
    let code = StatusCode::from_u16(group.code(shown)).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let retry = shown == Aggregate::Maintenance && !code.is_success();
    reply_with(code, retry, "application/json", document.to_string())
}
