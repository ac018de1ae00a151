//! Which requests are traced, under which name, and in whose trace.

use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, Request, StatusCode};
use opentelemetry::Context;
use opentelemetry::trace::Status;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan, SpanData, SpanProcessor};
use parking_lot::Mutex;

use super::{Settings, answered, begin, ended};
use crate::correlation::access::Grpc;
use crate::correlation::{CorrelationId, Requests};
use crate::otlp::tracer;
use crate::trace::Span;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// What has ended.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Kept {
    fn on_start(&self, _: &mut SdkSpan, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Kept {
    fn only(&self) -> SpanData {
        let spans = self.0.lock();
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans[0].clone()
    }
}

fn kept(share: f64) -> (Kept, SdkTracer) {
    let kept = Kept::default();
    (kept.clone(), tracer(kept, Some(share)))
}

#[derive(Clone)]
struct Route(&'static str);

fn settings() -> Settings {
    let route = |extensions: &Extensions| extensions.get::<Route>().map(|route| route.0);
    let requests = Requests::new("http", ["/a", "/svc.Name/Call"]);
    Settings {
        quiet: vec!["/health".to_owned()],
        route: Some(route),
        peer: Some(|_| Some("10.0.0.7:1".to_owned())),
        requests: Some(Arc::new(requests)),
        ..Settings::default()
    }
}

fn request(method: &str, path: &str, route: Option<&'static str>, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(route) = route {
        request = request.extension(Route(route));
    }
    request.body(()).unwrap()
}

fn fields(span: &SpanData) -> Vec<String> {
    span.attributes.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect()
}

#[test]
fn a_span_is_named_by_its_route_and_never_by_what_a_stranger_makes_up() {
    let grpc = [("content-type", "application/grpc+proto")];
    for (method, path, route, headers, name) in [
        ("GET", "/a?token=s3cret", Some("/a"), &[][..], "GET /a"),
        ("GET", "/b/7", Some("/b/{id}"), &[], "GET /b/{id}"),
        ("GET", "/nowhere/9", None, &[], "GET"),
        ("BREW", "/a", Some("/a"), &[], "HTTP"),
        ("POST", "/svc.Name/Call", Some("/svc.Name/{*rest}"), &grpc, "svc.Name/Call"),
        ("POST", "/svc.Name/Made.Up", Some("/svc.Name/{*rest}"), &grpc, "POST /svc.Name/{*rest}"),
    ] {
        let (kept, tracer) = kept(1.0);
        let span = begin(Some(&tracer), &request(method, path, route, headers), &settings());
        answered(&span, StatusCode::OK);
        ended(&span, Some(StatusCode::OK), None, true);
        let span = kept.only();
        assert_eq!(span.name, name, "{path}");
        let told = fields(&span);
        assert!(told.contains(&"network.peer.address=10.0.0.7:1".to_owned()), "{told:?}");
        assert!(told.contains(&"http.response.status_code=200".to_owned()), "{told:?}");
        assert!(!told.iter().any(|field| field.contains("s3cret")), "{told:?}");
        assert_eq!(span.status, Status::Unset);
    }
}

#[test]
fn what_is_probed_is_traced_only_for_a_caller_that_records() {
    let sampled = format!("00-{TRACE}-{CALLER}-01");
    let not_sampled = format!("00-{TRACE}-{CALLER}-00");
    for (path, parent, share, recorded, in_callers) in [
        ("/a", None, 1.0, true, false),
        ("/a", None, 0.0, false, false),
        ("/a", Some(&sampled), 0.0, true, true),
        ("/a", Some(&not_sampled), 1.0, false, true),
        ("/health/ready", None, 1.0, false, false),
        ("/health/ready", Some(&not_sampled), 1.0, false, false),
        ("/health/ready", Some(&sampled), 1.0, true, true),
    ] {
        let (kept, tracer) = kept(share);
        let headers: Vec<_> = parent.iter().map(|parent| ("traceparent", parent.as_str())).collect();
        let request = request("GET", path, None, &headers);
        let span = begin(Some(&tracer), &request, &settings());
        assert_eq!(span.ids().is_some(), recorded, "{path} {parent:?} {share}");
        let id = CorrelationId::of(request.headers(), &span);
        match span.ids() {
            Some((trace, _)) => assert_eq!(id.as_str(), trace.to_string(), "one id for lines and spans"),
            None => assert_eq!(id.as_str() == TRACE, parent.is_some()),
        }
        let told = span.traceparent();
        let flags = if recorded { "-01" } else { "-00" };
        assert!(told.is_none_or(|told| told.ends_with(flags) && told.contains(TRACE) == in_callers));
        drop(span);
        assert_eq!(kept.0.lock().len(), usize::from(recorded), "it ends with the last of its clones");
        if recorded && in_callers {
            assert_eq!(kept.only().parent_span_id.to_string(), CALLER);
        }
    }
}

#[test]
fn what_failed_is_an_error_and_what_is_not_traced_costs_nothing() {
    for (status, grpc, whole, error) in [
        (Some(StatusCode::NOT_FOUND), None, true, false),
        (Some(StatusCode::SERVICE_UNAVAILABLE), None, true, true),
        (Some(StatusCode::OK), Some("5"), true, false),
        (Some(StatusCode::OK), Some("13"), true, true),
        (Some(StatusCode::OK), None, false, true),
        (None, None, false, true),
    ] {
        let (kept, tracer) = kept(1.0);
        let span = begin(Some(&tracer), &request("GET", "/a", None, &[]), &settings());
        if let Some(status) = status {
            answered(&span, status);
        }
        let mut headers = http::HeaderMap::new();
        if let Some(code) = grpc {
            headers.insert("grpc-status", code.parse().unwrap());
        }
        ended(&span, status, Grpc::of(&headers), whole);
        assert_eq!(matches!(kept.only().status, Status::Error { .. }), error, "{status:?} {grpc:?} {whole}");
    }
    let none = begin(None, &request("GET", "/a", None, &[]), &settings());
    assert!(!none.is_some() && none.traceparent().is_none());
    assert!(!Span::client("svc.Name", "Call").is_some(), "nothing is exported here");
}
