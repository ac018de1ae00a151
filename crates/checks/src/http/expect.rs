//! Which answers count as good. Each further condition (on headers, body, JSON) is a field of [`Expect`], what
//! it looks at a field of [`Answer`], and its judgement one line in [`Expect::judge`]. Pure.

use crate::failure::Failure;
use std::ops::RangeInclusive;

/// The conditions an answer must meet, all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expect {
    /// The status is in one of these ranges.
    pub status: Vec<RangeInclusive<u16>>,
}

impl Default for Expect {
    fn default() -> Self {
        Self { status: vec![200..=399] }
    }
}

/// What came back.
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// A gRPC server gave it.
    pub(super) is_grpc: bool,
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

    /// The first condition that is not met.
    pub(super) fn judge(&self, answer: &Answer, target: &str) -> Result<(), Failure> {
        if answer.is_grpc {
            let message =
                format!("{target} is a gRPC port, where every path answers 200: check it with `grpc_health`");
            return Err(Failure::theirs("grpc_port", message));
        }
        if !self.status.iter().any(|range| range.contains(&answer.status)) {
            let message = format!("{target} answers {}, not {}", answer.status, ranges(&self.status));
            return Err(Failure::theirs("unexpected_status", message));
        }
        Ok(())
    }
}

fn ranges(ranges: &[RangeInclusive<u16>]) -> String {
    let words = ranges.iter().map(|range| match (range.start(), range.end()) {
        (from, to) if from == to => from.to_string(),
        (from, to) => format!("{from}-{to}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_outside_the_expected_status_is_a_failure() {
        let own = Expect { status: vec![200..=200, 404..=404] };
        let table = [
            (&Expect::default(), 200, true),
            (&Expect::default(), 399, true),
            (&Expect::default(), 400, false),
            (&Expect::default(), 503, false),
            (&own, 404, true),
            (&own, 204, false),
        ];
        for (expect, status, good) in table {
            assert_eq!(
                expect.judge(&Answer { status, is_grpc: false }, "http://api").is_ok(),
                good,
                "{status}"
            );
        }
        let failure = own.judge(&Answer { status: 503, is_grpc: false }, "http://api").unwrap_err();
        assert_eq!(failure.message, "http://api answers 503, not 200, 404");
    }

    #[test]
    fn a_grpc_port_is_no_web_server_whatever_status_it_gives() {
        for status in [200, 415] {
            let failure =
                Expect::default().judge(&Answer { status, is_grpc: true }, "http://api").unwrap_err();
            assert_eq!(failure.reason, "grpc_port");
            assert!(failure.message.contains("http://api") && failure.message.contains("grpc_health"));
        }
    }

    #[test]
    fn a_status_is_one_code_or_a_range() {
        let table = [
            ("204", Some(204..=204)),
            ("200-299", Some(200..=299)),
            ("2xx", None),
            ("99", None),
            ("600", None),
            ("299-200", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(Expect::parse_status(text).ok(), expected, "{text}");
        }
    }
}
