//! Which answers count as good. Each condition is a field of [`Expect`], what it looks at a field of [`Answer`],
//! and its judgement one line in [`Expect::judge`]. Pure.

use super::condition::{Condition, Text};
use crate::certificate::Lifetime;
use farol_health::Outcome;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::ops::RangeInclusive;

/// The conditions an answer must meet, all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// The status is in one of these ranges.
    pub status: Vec<RangeInclusive<u16>>,
    /// Each header is there, and one of its values is so.
    pub headers: Vec<(String, Text)>,
    /// The body is so.
    pub body: Vec<Text>,
    /// The body is JSON, and what each pointer (RFC 6901) points at is so.
    pub json: Vec<(String, Condition)>,
    /// No more of the body than this many bytes is looked at.
    pub body_limit: u64,
    /// How long the server's certificate should still be valid.
    pub certificate: Lifetime,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            status: vec![200..=399],
            headers: Vec::new(),
            body: Vec::new(),
            json: Vec::new(),
            body_limit: 1 << 20,
            certificate: Lifetime::default(),
        }
    }
}

/// What came back.
pub(super) struct Answer<'a> {
    /// The HTTP status.
    pub(super) status: u16,
    /// A gRPC server gave it.
    pub(super) is_grpc: bool,
    pub(super) headers: &'a HeaderMap,
    /// As much as was read.
    pub(super) body: &'a [u8],
    /// The body is all of it.
    pub(super) whole: bool,
    /// When the server's certificate ends, unix time; `None` without TLS.
    pub(super) expires: Option<i64>,
}

impl Expect {
    /// Reads `204` or `200-299`.
    ///
    /// # Errors
    /// Says what a right one looks like.
    pub fn parse_status(text: &str) -> Result<RangeInclusive<u16>, String> {
        let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=599).contains(code));
        let range = match text.split_once('-') {
            Some((from, to)) => code(from).zip(code(to)),
            None => code(text).map(|code| (code, code)),
        };
        match range {
            Some((from, to)) if from <= to => Ok(from..=to),
            _ => Err(format!("`{text}` is not an HTTP status; write for instance `204` or `200-299`")),
        }
    }

    /// Whether any condition looks at the body.
    pub(super) fn wants_body(&self) -> bool {
        !self.body.is_empty() || !self.json.is_empty()
    }

    /// Healthy, or the first condition that is not met.
    pub(super) fn judge(&self, answer: &Answer<'_>, target: &str, now: Timestamp) -> Outcome {
        grpc_port(answer, target)
            .or_else(|| self.status(answer, target))
            .or_else(|| self.headers(answer, target))
            .or_else(|| self.body(answer, target))
            .or_else(|| self.json(answer, target))
            .or_else(|| self.certificate.judge(answer.expires?, now, target))
            .unwrap_or_else(Outcome::healthy)
    }

    fn status(&self, answer: &Answer<'_>, target: &str) -> Option<Outcome> {
        if self.status.iter().any(|range| range.contains(&answer.status)) {
            return None;
        }
        let message = format!("{target} answers {}, not {}", answer.status, ranges(&self.status));
        Some(Outcome::unhealthy("unexpected_status", message))
    }

    fn headers(&self, answer: &Answer<'_>, target: &str) -> Option<Outcome> {
        let met = |(name, text): &(String, Text)| {
            answer.headers.get_all(name).iter().any(|value| text.holds(value.as_bytes()))
        };
        let (name, text) = self.headers.iter().find(|header| !met(header))?;
        let message =
            format!("{target} does not answer with {text} in its header `{name}`: look at what serves it");
        Some(Outcome::unhealthy("unexpected_header", message))
    }

    fn body(&self, answer: &Answer<'_>, target: &str) -> Option<Outcome> {
        let text = self.body.iter().find(|text| !text.holds(answer.body))?;
        if !answer.whole {
            return Some(self.too_large(target));
        }
        let message = format!("{target} does not answer with {text}: look at what it says instead");
        Some(Outcome::unhealthy("unexpected_body", message))
    }

    fn json(&self, answer: &Answer<'_>, target: &str) -> Option<Outcome> {
        if self.json.is_empty() {
            return None;
        }
        if !answer.whole {
            return Some(self.too_large(target));
        }
        let Ok(document) = serde_json::from_slice::<Value>(answer.body) else {
            let message = format!("{target} does not answer with JSON: look at what it says instead");
            return Some(Outcome::unhealthy("not_json", message));
        };
        self.json.iter().find_map(|(pointer, condition)| match document.pointer(pointer) {
            None => {
                let message = format!("the JSON of {target} has nothing at `{pointer}`: correct the pointer");
                Some(Outcome::unhealthy("json_missing", message))
            }
            Some(value) if condition.holds(value) => None,
            Some(_) => {
                let message =
                    format!("the JSON of {target} is not {condition} at `{pointer}`: look at what it says");
                Some(Outcome::unhealthy("unexpected_json", message))
            }
        })
    }

    fn too_large(&self, target: &str) -> Outcome {
        let limit = self.body_limit;
        let message = format!(
            "what is expected of {target} does not stand in the first {limit} bytes of its body, and no more is \
             read: ask a smaller page, or raise `body_limit`"
        );
        Outcome::unhealthy("body_too_large", message)
    }
}

fn grpc_port(answer: &Answer<'_>, target: &str) -> Option<Outcome> {
    let message =
        format!("{target} is a gRPC port, where every path answers 200: check it with `grpc_health`");
    answer.is_grpc.then(|| Outcome::unhealthy("grpc_port", message))
}

fn ranges(ranges: &[RangeInclusive<u16>]) -> String {
    let words = ranges.iter().map(|range| match (range.start(), range.end()) {
        (from, to) if from == to => from.to_string(),
        (from, to) => format!("{from}-{to}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
