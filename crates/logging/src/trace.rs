//! Spans that are exported by OTLP, of requests and of what this process begins itself. Where traces are not exported
//! there is none, and nothing is done. Decides their names and attributes; no value of a header or a query is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue, SpanId, TraceFlags, TraceId, Value};
use opentelemetry_sdk::trace::SdkTracer;

/// A span on its way, or none. Clones are the same span; it ends with the last of them, if not before.
#[derive(Clone, Debug, Default)]
pub struct Span(Option<Arc<Recorded>>);

#[derive(Debug)]
struct Recorded {
    context: Context,
    /// Who answers the request ends it.
    kept: AtomicBool,
}

/// Who asked, as the request's `traceparent` says.
pub(crate) struct Caller {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    pub(crate) is_sampled: bool,
}

impl Span {
    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// A call of gRPC that this process makes: the beginning of a trace.
    #[must_use]
    pub fn client(service: &'static str, method: &'static str) -> Self {
        let Some(tracer) = crate::subscriber::tracer() else { return Self::none() };
        Self::call(tracer, service, method)
    }

    pub(crate) fn call(tracer: &SdkTracer, service: &'static str, method: &'static str) -> Self {
        let span = Self::begin(tracer, format!("{service}/{method}"), SpanKind::Client, &Context::new());
        span.set("rpc.system", "grpc");
        span.set("rpc.service", service);
        span.set("rpc.method", method);
        span
    }

    /// A part of this one.
    #[must_use]
    pub fn child(&self, name: &'static str) -> Self {
        let (Some(recorded), Some(tracer)) = (&self.0, crate::subscriber::tracer()) else {
            return Self::none();
        };
        Self::begin(tracer, name.to_owned(), SpanKind::Internal, &recorded.context)
    }

    /// The answer to a request, for the caller where it said who it is.
    pub(crate) fn server(tracer: &SdkTracer, name: String, caller: Option<Caller>) -> Self {
        let context = caller.map_or_else(Context::new, |Caller { trace, span, is_sampled }| {
            let flags = if is_sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
            let caller = SpanContext::new(trace, span, flags, true, TraceState::NONE);
            Context::new().with_remote_span_context(caller)
        });
        Self::begin(tracer, name, SpanKind::Server, &context)
    }

    fn begin(tracer: &SdkTracer, name: String, kind: SpanKind, context: &Context) -> Self {
        let span = tracer.build_with_context(SpanBuilder::from_name(name).with_kind(kind), context);
        Self(Some(Arc::new(Recorded { context: context.with_span(span), kept: AtomicBool::new(false) })))
    }

    /// Says more of it; never a secret.
    pub fn set(&self, name: &'static str, text: &str) {
        self.attribute(name, || text.to_owned().into());
    }

    pub(crate) fn attribute(&self, name: &'static str, value: impl FnOnce() -> Value) {
        if let Some(recorded) = &self.0
            && recorded.context.span().is_recording()
        {
            recorded.context.span().set_attribute(KeyValue::new(name, value()));
        }
    }

    /// Something happened within it.
    pub fn event(&self, name: &'static str) {
        if let Some(recorded) = &self.0 {
            recorded.context.span().add_event(name, Vec::new());
        }
    }

    /// It did not go well.
    pub fn fail(&self, why: &str) {
        if let Some(recorded) = &self.0 {
            recorded.context.span().set_status(Status::error(why.to_owned()));
        }
    }

    /// It is over; what is said of it later is lost.
    pub fn end(&self) {
        if let Some(recorded) = &self.0 {
            recorded.context.span().end();
        }
    }

    /// The request goes on when it was answered, and who answers it ends the span.
    pub fn keep(&self) {
        if let Some(recorded) = &self.0 {
            recorded.kept.store(true, Relaxed);
        }
    }

    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.0.as_ref().is_some_and(|recorded| recorded.kept.load(Relaxed))
    }

    /// Its trace's id and its own, where it is recorded.
    pub(crate) fn ids(&self) -> Option<(TraceId, SpanId)> {
        let recorded = self.0.as_ref()?;
        let span = recorded.context.span();
        let of = span.span_context();
        of.is_sampled().then(|| (of.trace_id(), of.span_id()))
    }

    /// What tells a peer of it, sampled or not.
    pub(crate) fn traceparent(&self) -> Option<String> {
        let recorded = self.0.as_ref()?;
        let span = recorded.context.span();
        let of = span.span_context();
        let flags = u8::from(of.is_sampled());
        Some(format!("00-{}-{}-{flags:02x}", of.trace_id(), of.span_id()))
    }
}
