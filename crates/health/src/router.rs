//! The probe routes as an axum router, for any process. It reads a [`Source`] and never runs a check; it
//! decides who may see details and which of the two JSON forms goes out. Statuses and wording are `probe`'s.

mod accept;
mod groups;

pub use groups::group_router;

use crate::PeerIsLoopback;
use crate::probe::{self, Answer, Endpoint, Moment, Page, Source};
use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use std::sync::Arc;

/// After so many seconds a process under maintenance may be asked again.
const RETRY_AFTER: &str = "30";

/// Who sees messages, metadata, figures and the version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Details {
    /// Everyone.
    Always,
    /// Callers on this machine.
    #[default]
    Loopback,
    /// No one.
    Never,
}

impl Details {
    fn allowed(self, request: &Request) -> bool {
        match self {
            Self::Always => true,
            Self::Loopback => {
                request.extensions().get::<PeerIsLoopback>().is_some_and(|PeerIsLoopback(local)| *local)
            }
            Self::Never => false,
        }
    }
}

/// What every handler reads.
#[derive(Clone)]
struct Probes {
    source: Arc<dyn Source>,
    details: Details,
}

/// `/health`, `/health/detailed`, `/health/ready`, `/health/live`, `/livez`, `/readyz` and `/healthz`, each for
/// GET and HEAD.
///
/// The caller's address is read from the request's [`PeerIsLoopback`] extension.
pub fn router(source: Arc<dyn Source>, details: Details) -> Router {
    unkept()
        .route("/health", document(Page::Health, probe::health))
        .route("/health/detailed", document(Page::Detailed, probe::detailed))
        .route("/health/ready", document(Page::Ready, probe::ready))
        .route("/health/live", document(Page::Live, probe::live))
        .route("/livez", text(Endpoint::Livez))
        .route("/readyz", text(Endpoint::Readyz))
        .route("/healthz", text(Endpoint::Healthz))
        .with_state(Probes { source, details })
}

/// A JSON route in both of its forms.
fn document(page: Page, plain: fn(&Moment<'_>) -> Answer) -> MethodRouter<Probes> {
    refusing().get(async move |State(probes): State<Probes>, request: Request| {
        let moment = Moment::of(&*probes.source, probes.details.allowed(&request));
        let (answer, kind) = if accept::prefers_health_json(request.headers()) {
            (probe::ietf(page, &moment), "application/health+json")
        } else {
            (plain(&moment), "application/json")
        };
        reply(answer.ok, answer.maintenance, kind, answer.body.to_string())
    })
}

/// A route in Kubernetes' text.
fn text(endpoint: Endpoint) -> MethodRouter<Probes> {
    refusing().get(
        async move |State(probes): State<Probes>,
                    Query(query): Query<Vec<(String, String)>>,
                    request: Request| {
            let moment = Moment::of(&*probes.source, probes.details.allowed(&request));
            let verbose = query.iter().any(|(key, _)| key == "verbose");
            let exclude = query.iter().filter(|(key, _)| key == "exclude").map(|(_, name)| name.as_str());
            let text = probe::text(endpoint, &moment, verbose, exclude);
            reply(text.ok, text.maintenance, "text/plain; charset=utf-8", text.body)
        },
    )
}

/// A router whose 404s below `/health` no cache keeps: what is not there yet may come. Where a process brings a fallback
/// of its own, that answers.
fn unkept<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().layer(from_fn(async |request: Request, next: Next| {
        let ours = request.uri().path().starts_with("/health");
        let response = next.run(request).await;
        if ours { not_stored(response).await } else { response }
    }))
}

/// A route's beginning: the 405 that it has for other methods is kept by no cache either. Where a process brings one of
/// its own, that answers.
fn refusing<S: Clone + Send + Sync + 'static>() -> MethodRouter<S> {
    MethodRouter::new().layer(map_response(not_stored))
}

#[allow(clippy::unused_async, reason = "a layer is async")]
async fn not_stored(mut response: Response) -> Response {
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn reply(ok: bool, maintenance: bool, kind: &'static str, body: String) -> Response {
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply_with(status, maintenance && !ok, kind, body)
}

fn reply_with(status: StatusCode, retry: bool, kind: &'static str, body: String) -> Response {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if retry {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    }
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests;
