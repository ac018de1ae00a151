//! A tower layer: each request has an id, every line it causes carries it, one line tells how it went (two of a
//! stream), and it is counted. It does not know axum or who the peer is; the caller says where to find the route and the peer.

mod access;
mod body;
mod id;
mod requests;
mod traced;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Extensions, Request, Response};
use tracing::Instrument as _;

use access::Access;
pub use body::Body;
pub use id::CorrelationId;
pub use requests::{BUCKETS, Requests, Row};

/// The target of the span `request`; every filter keeps it, because it carries the correlation id.
pub(crate) const SPAN_TARGET: &str = "farol::correlation";

/// The target of access lines.
pub(crate) const ACCESS_TARGET: &str = "access";

/// Find what a server has put into a request's extensions.
type FindRoute = fn(&Extensions) -> Option<&str>;
type FindPeer = fn(&Extensions) -> Option<String>;

/// Gives each request its correlation id and logs one line when it is answered, of a call of gRPC when it ends, and
/// of a stream when it opens and when it ends: INFO, DEBUG when quiet.
///
/// The id is a valid `X-Request-ID`, else the trace id of `traceparent`, else new; it is returned as
/// `X-Request-ID` and put into the request's extensions as [`CorrelationId`]. Where traces are exported, the request's
/// [`Span`](crate::trace::Span) is there too.
#[derive(Clone)]
pub struct Layer {
    settings: Arc<Settings>,
}

#[derive(Clone, Default)]
struct Settings {
    /// Paths that begin so are probed all day: their lines are DEBUG.
    quiet: Vec<String>,
    /// Paths that begin so stream; events by `text/event-stream` are known by that.
    streams: Vec<String>,
    /// The matched route, for instance axum's `MatchedPath`.
    route: Option<FindRoute>,
    /// Who asks, as the listener knows it.
    peer: Option<FindPeer>,
    /// Where requests are counted.
    requests: Option<Arc<Requests>>,
}

impl Layer {
    /// No quiet path, no stream, no route, no peer, no counts.
    #[must_use]
    pub fn new() -> Self {
        Self { settings: Arc::default() }
    }

    /// Requests whose path begins with one of these are logged at DEBUG.
    #[must_use]
    pub fn quiet(mut self, prefixes: &[&str]) -> Self {
        let settings = Arc::make_mut(&mut self.settings);
        settings.quiet.extend(prefixes.iter().map(|prefix| (*prefix).to_owned()));
        self
    }

    /// Requests whose path begins with one of these are streams: told when they open and when they end.
    #[must_use]
    pub fn streams(mut self, prefixes: &[&str]) -> Self {
        let settings = Arc::make_mut(&mut self.settings);
        settings.streams.extend(prefixes.iter().map(|prefix| (*prefix).to_owned()));
        self
    }

    /// Counts each request here when it ends.
    #[must_use]
    pub fn requests(mut self, requests: Arc<Requests>) -> Self {
        Arc::make_mut(&mut self.settings).requests = Some(requests);
        self
    }

    /// Where to find the matched route.
    #[must_use]
    pub fn route(mut self, find: FindRoute) -> Self {
        Arc::make_mut(&mut self.settings).route = Some(find);
        self
    }

    /// Where to find the peer.
    #[must_use]
    pub fn peer(mut self, find: FindPeer) -> Self {
        Arc::make_mut(&mut self.settings).peer = Some(find);
        self
    }
}

impl Default for Layer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> tower::Layer<S> for Layer {
    type Service = Correlated<S>;

    fn layer(&self, inner: S) -> Correlated<S> {
        Correlated { inner, settings: Arc::clone(&self.settings) }
    }
}

/// What [`Layer`] makes of a service.
#[derive(Clone)]
pub struct Correlated<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S, Q, R> tower::Service<Request<Q>> for Correlated<S>
where
    S: tower::Service<Request<Q>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Q>) -> Self::Future {
        let trace = traced::begin(crate::subscriber::tracer(), &request, &self.settings);
        let id = CorrelationId::of(request.headers(), &trace);
        let span = id.span(&trace);
        request.extensions_mut().insert(id.clone());
        if trace.is_some() {
            trace.set("correlation_id", id.as_str());
            request.extensions_mut().insert(trace.clone());
        }
        let access = Access::of(&request, &self.settings, trace);
        let answer = span.in_scope(|| self.inner.call(request));
        let inside = span.clone();
        Box::pin(
            async move {
                let response = answer.await?;
                let access = access.answered(&response);
                let mut response = response.map(|body| Body::new(body, access, inside));
                response.headers_mut().insert(id::X_REQUEST_ID, id.header());
                Ok(response)
            }
            .instrument(span),
        )
    }
}

#[cfg(test)]
mod tests;
