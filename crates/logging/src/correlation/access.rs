//! The lines of each request: one where it is answered or its call ends, two where it is a stream, at its beginning
//! and at its end. Queries are left out: they may hold secrets.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use tokio::time::Instant;
use tracing::Level;

use super::requests::{Requests, Slot};
use super::{Settings, traced};
use crate::trace::Span;

/// So much of a path is shown.
const PATH_CHARS: usize = 256;
const GRPC_STATUS: &str = "grpc-status";

/// Tells when the request has ended: when it is answered, when its body is sent, or when it is dropped before,
/// because the caller has gone or the handler panicked.
pub(super) struct Access {
    /// Taken by the last line; none from the start when no line would be kept.
    told: Option<Told>,
    /// Where it is counted; taken with the last line.
    counted: Option<(Arc<Requests>, Slot)>,
    /// It is a call of gRPC, whose outcome comes after its body.
    is_rpc: bool,
    /// Its route is one that streams.
    is_stream: bool,
    status: Option<StatusCode>,
    grpc: Option<Grpc>,
    started: Instant,
    /// Of a stream it is its opening alone: one that lasts for days would be seen by nobody.
    span: Span,
}

struct Told {
    quiet: bool,
    method: Method,
    uri: Uri,
    route: Option<String>,
    peer: Option<String>,
}

/// A status of gRPC, by its number.
#[derive(Clone, Copy)]
pub(super) struct Grpc(u8);

impl Access {
    pub(super) fn of<Q>(request: &Request<Q>, settings: &Settings, span: Span) -> Self {
        let path = request.uri().path();
        let starts = |prefixes: &[String]| prefixes.iter().any(|prefix| path.starts_with(prefix));
        let quiet = starts(&settings.quiet);
        let kept = if quiet {
            tracing::enabled!(target: "access", Level::DEBUG)
        } else {
            tracing::enabled!(target: "access", Level::INFO)
        };
        let route = settings.route.and_then(|find| find(request.extensions()));
        let told = kept.then(|| Told {
            quiet,
            method: request.method().clone(),
            uri: request.uri().clone(),
            route: route.map(str::to_owned),
            peer: settings.peer.and_then(|find| find(request.extensions())),
        });
        let counted = settings
            .requests
            .as_ref()
            .map(|requests| (Arc::clone(requests), requests.slot(path, route, request.method())));
        Self {
            told,
            counted,
            is_rpc: is_rpc(request.headers()),
            is_stream: starts(&settings.streams),
            status: None,
            grpc: None,
            started: Instant::now(),
            span,
        }
    }

    /// Gives itself back where the end is that of the body.
    pub(super) fn answered<B>(mut self, response: &Response<B>) -> Option<Self> {
        self.status = Some(response.status());
        traced::answered(&self.span, response.status());
        self.grpc = Grpc::of(response.headers());
        let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        self.is_stream |= kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"));
        let goes_on =
            response.status().is_success() && self.grpc.is_none() && (self.is_rpc || self.is_stream);
        if !goes_on {
            self.end(true);
            return None;
        }
        if self.is_stream {
            if let Some(told) = &self.told {
                told.line("stream opened", self.status, None, self.started.elapsed());
            }
            if !self.span.is_kept() {
                self.span.end();
            }
        }
        Some(self)
    }

    /// What came after the body.
    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        self.grpc = Grpc::of(trailers);
        self.end(true);
    }

    /// The last line, and the count. `whole` when nothing was cut off.
    pub(super) fn end(&mut self, whole: bool) {
        let took = self.started.elapsed();
        if let Some((requests, slot)) = self.counted.take() {
            let failed = self.status.is_some_and(|status| status.is_server_error())
                || self.grpc.is_some_and(Grpc::is_a_failure);
            requests.count(slot, failed, took);
        }
        traced::ended(&std::mem::take(&mut self.span), self.status, self.grpc, whole);
        if let Some(told) = self.told.take() {
            let message = match (self.status, self.is_stream, whole) {
                (None, ..) => "request ended without a response",
                (Some(_), true, true) => "stream ended",
                (Some(_), true, false) => "stream was cut",
                (Some(_), false, true) => "request",
                (Some(_), false, false) => "request was cut",
            };
            told.line(message, self.status, self.grpc, took);
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        self.end(false);
    }
}

pub(super) fn is_rpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

/// A path of a stranger, within bounds: what is longer ends in a mark.
pub(super) fn cut(path: &str) -> Cow<'_, str> {
    match path.char_indices().nth(PATH_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &path[..end])),
        None => Cow::Borrowed(path),
    }
}

impl Told {
    fn line(&self, message: &str, status: Option<StatusCode>, grpc: Option<Grpc>, took: Duration) {
        let status = status.map(|status| status.as_u16());
        let grpc = grpc.map(Grpc::name);
        let duration_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
        let (method, path) = (self.method.as_str(), &*cut(self.uri.path()));
        let (route, peer) = (self.route.as_deref(), self.peer.as_deref());
        if self.quiet {
            tracing::debug!(
                target: "access", method, path, route, status, grpc.status = grpc, duration_ms, peer, "{message}"
            );
        } else {
            tracing::info!(
                target: "access", method, path, route, status, grpc.status = grpc, duration_ms, peer, "{message}"
            );
        }
    }
}

impl Grpc {
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok().map(Self)
    }

    pub(super) fn number(self) -> u8 {
        self.0
    }

    #[rustfmt::skip]
    pub(super) fn name(self) -> &'static str {
        const NAMES: [&str; 17] = [
            "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
            "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
            "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
        ];
        NAMES.get(usize::from(self.0)).copied().unwrap_or("UNKNOWN")
    }

    /// The server's own failure, as a status of 500 and above is one over HTTP.
    pub(super) fn is_a_failure(self) -> bool {
        matches!(self.name(), "UNKNOWN" | "DEADLINE_EXCEEDED" | "INTERNAL" | "UNAVAILABLE" | "DATA_LOSS")
    }
}
