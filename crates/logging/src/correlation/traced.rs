//! The span of each request that is traced. Decides which are not: what is probed all day, unless its caller records
//! the trace.

use http::{HeaderMap, Method, Request, StatusCode};
use opentelemetry::{SpanId, TraceId};
use opentelemetry_sdk::trace::SdkTracer;

use super::Settings;
use super::access::{Grpc, cut, is_rpc};
use super::id::{Parent, TRACEPARENT};
use crate::trace::{Caller, Span};

/// Others are not named: anybody may make them up.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::CONNECT,
    Method::TRACE,
];

/// The span of a request, in its caller's trace where it has one.
pub(super) fn begin<Q>(tracer: Option<&SdkTracer>, request: &Request<Q>, settings: &Settings) -> Span {
    let Some(tracer) = tracer else { return Span::none() };
    let caller = caller(request.headers());
    let path = request.uri().path();
    let quiet = settings.quiet.iter().any(|prefix| path.starts_with(prefix));
    if quiet && caller.as_ref().is_none_or(|caller| !caller.is_sampled) {
        return Span::none();
    }
    let method = request.method();
    let known = METHODS.contains(method);
    let method = if known { method.as_str() } else { "_OTHER" };
    let route = settings.route.and_then(|find| find(request.extensions()));
    let rpc = is_rpc(request.headers()).then(|| path.strip_prefix('/')?.split_once('/')).flatten();
    // Anybody may make up others.
    let rpc = rpc.filter(|_| settings.requests.as_ref().is_some_and(|requests| requests.knows(path)));
    let name = match (rpc, route, known) {
        (Some((service, call)), ..) => format!("{service}/{call}"),
        (None, Some(route), true) => format!("{method} {route}"),
        (None, None, true) => method.to_owned(),
        (None, _, false) => "HTTP".to_owned(),
    };
    let span = Span::server(tracer, name, caller);
    span.set("http.request.method", method);
    span.attribute("url.path", || cut(path).into_owned().into());
    if let Some((service, call)) = rpc {
        span.set("rpc.system", "grpc");
        span.set("rpc.service", service);
        span.set("rpc.method", call);
    } else if let Some(route) = route {
        span.set("http.route", route);
    }
    if let Some(peer) = settings.peer.and_then(|find| find(request.extensions())) {
        span.set("network.peer.address", &peer);
    }
    span
}

fn caller(headers: &HeaderMap) -> Option<Caller> {
    let parent = Parent::of(headers.get(TRACEPARENT)?.to_str().ok()?)?;
    let (trace, span) = (TraceId::from_hex(parent.trace).ok()?, SpanId::from_hex(parent.span).ok()?);
    Some(Caller { trace, span, is_sampled: parent.is_sampled })
}

/// The request was answered.
pub(super) fn answered(span: &Span, status: StatusCode) {
    span.attribute("http.response.status_code", || i64::from(status.as_u16()).into());
    if status.is_server_error() {
        span.fail(status.canonical_reason().unwrap_or_default());
    }
}

/// The request is over; `whole` when nothing was cut off.
pub(super) fn ended(span: &Span, status: Option<StatusCode>, grpc: Option<Grpc>, whole: bool) {
    if let Some(grpc) = grpc {
        span.attribute("rpc.grpc.status_code", || i64::from(grpc.number()).into());
        if grpc.is_a_failure() {
            span.fail(grpc.name());
        }
    }
    if status.is_none() || !whole {
        span.fail("cut off");
    }
    span.end();
}

#[cfg(test)]
mod tests;
