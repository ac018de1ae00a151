//! The name of one request: taken from the caller when it is safe to repeat, else made here.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::{Span, field};

use super::SPAN_TARGET;
use crate::otlp::TraceIds;
use crate::trace;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const MAX_LENGTH: usize = 128;

/// The correlation id of a request; it is in the request's extensions, and handlers may pass it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrelationId(Arc<str>);

impl CorrelationId {
    /// At most 128 characters of `[A-Za-z0-9._-]`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A new one, for what this process begins itself.
    #[must_use]
    pub fn new() -> Self {
        Self::fresh()
    }

    /// That of a trace, where it is recorded; else a new one.
    #[must_use]
    pub fn of_trace(trace: &trace::Span) -> Self {
        trace.ids().map_or_else(Self::fresh, |(trace, _)| Self(trace.to_string().into()))
    }

    /// A span whose lines all carry this id, at every level, and those of the trace where it is recorded.
    #[must_use]
    pub fn span(&self, trace: &trace::Span) -> Span {
        let span = tracing::error_span!(
            target: SPAN_TARGET,
            "request",
            correlation_id = self.as_str(),
            trace_id = field::Empty,
            span_id = field::Empty,
        );
        if let Some((trace_id, span_id)) = trace.ids() {
            span.record(TraceIds::TRACE, field::display(trace_id));
            span.record(TraceIds::SPAN, field::display(span_id));
        }
        span
    }

    /// What tells a peer of it: `x-request-id`, and `traceparent` of the trace, or where it could be a trace's id.
    pub fn headers(&self, trace: &trace::Span) -> impl Iterator<Item = (&'static str, String)> {
        let traceparent = trace.traceparent().or_else(|| {
            let parent = || uuid::Uuid::new_v4().as_u64_pair().0 | 1;
            self.is_trace_id().then(|| format!("00-{}-{:016x}-01", self.0, parent()))
        });
        let traceparent = traceparent.map(|parent| ("traceparent", parent));
        [("x-request-id", self.0.to_string())].into_iter().chain(traceparent)
    }

    fn is_trace_id(&self) -> bool {
        self.0.len() == 32
            && self.0.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && self.0.bytes().any(|byte| byte != b'0')
    }

    /// `X-Request-ID` if it is valid, else the trace id of a valid `traceparent`, else the trace's, else a new one.
    pub(super) fn of(headers: &HeaderMap, trace: &trace::Span) -> Self {
        let header = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let given = header(&X_REQUEST_ID)
            .filter(|text| is_request_id(text))
            .or_else(|| header(&TRACEPARENT).and_then(Parent::of).map(|parent| parent.trace));
        given.map_or_else(|| Self::of_trace(trace), |text| Self(text.into()))
    }

    /// As long as a W3C trace id and unique, not secret: random per process, then counted, because a random
    /// number for each probe would cost a system call.
    fn fresh() -> Self {
        static PROCESS: OnceLock<u64> = OnceLock::new();
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let process = PROCESS.get_or_init(|| uuid::Uuid::new_v4().as_u64_pair().1);
        Self(format!("{process:016x}{:016x}", NEXT.fetch_add(1, Relaxed)).into())
    }

    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0)
            .expect("an id holds only letters, digits, dots, underlines and hyphens")
    }
}

impl Default for CorrelationId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_request_id(text: &str) -> bool {
    (1..=MAX_LENGTH).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// W3C trace context: `version-trace id-parent id-flags`, lower-case hexadecimal; later versions may append.
pub(super) struct Parent<'a> {
    pub(super) trace: &'a str,
    pub(super) span: &'a str,
    pub(super) is_sampled: bool,
}

impl<'a> Parent<'a> {
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let hex = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let mut parts = text.trim().split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let shaped = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
        let extended = parts.next().is_some();
        let known = version != "ff" && !(version == "00" && extended);
        let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        let is_sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
        let sound = shaped && known && !zero(trace) && !zero(parent);
        sound.then_some(Self { trace, span: parent, is_sampled })
    }
}

#[cfg(test)]
mod tests {
    use super::{CorrelationId, Parent, is_request_id};
    use crate::trace::Span;
    use http::{HeaderMap, HeaderValue};

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn only_safe_request_ids_are_repeated() {
        let (longest, too_long) = ("a".repeat(128), "a".repeat(129));
        for (text, valid) in [
            ("a", true),
            ("Az09._-", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("two words", false),
            ("a\"b", false),
            ("a/b", false),
            ("é", false),
            ("a\r\nb", false),
        ] {
            assert_eq!(is_request_id(text), valid, "{text:?}");
        }
    }

    #[test]
    fn traceparent_gives_its_trace_id_when_it_is_valid() {
        let parent = "00f067aa0ba902b7";
        for (text, expected) in [
            (format!("00-{TRACE}-{parent}-01"), Some(TRACE)),
            (format!("cc-{TRACE}-{parent}-01-later"), Some(TRACE)),
            (format!("00-{TRACE}-{parent}-01-later"), None),
            (format!("ff-{TRACE}-{parent}-01"), None),
            (format!("00-{}-{parent}-01", "0".repeat(32)), None),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
            (format!("00-{}-{parent}-01", TRACE.to_uppercase()), None),
            (format!("00-{TRACE}-{parent}"), None),
            (String::new(), None),
        ] {
            assert_eq!(Parent::of(&text).map(|parent| parent.trace), expected, "{text}");
        }
    }

    #[test]
    fn what_is_sent_to_a_peer_gives_it_the_same_id() {
        let id = CorrelationId::new();
        for name in ["x-request-id", "traceparent"] {
            let (_, value) = id.headers(&Span::none()).find(|(known, _)| *known == name).unwrap();
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(&value).unwrap());
            assert_eq!(CorrelationId::of(&headers, &Span::none()), id, "{name}: {value}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("mine-1"));
        assert_eq!(
            CorrelationId::of(&headers, &Span::none()).headers(&Span::none()).count(),
            1,
            "no trace has this name"
        );
    }

    #[test]
    fn the_request_id_wins_then_the_trace_then_a_new_one() {
        let mut headers = HeaderMap::new();
        let first = CorrelationId::of(&headers, &Span::none());
        let second = CorrelationId::of(&headers, &Span::none());
        assert_ne!(first, second);
        assert_eq!(first.as_str().len(), 32);
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        headers.insert("traceparent", HeaderValue::from_str(&parent).unwrap());
        headers.insert("x-request-id", HeaderValue::from_bytes(b"forged\xff\"").unwrap());
        assert_eq!(CorrelationId::of(&headers, &Span::none()).as_str(), TRACE);
        headers.insert("x-request-id", HeaderValue::from_static("mine-1"));
        assert_eq!(CorrelationId::of(&headers, &Span::none()).as_str(), "mine-1");
    }
}
