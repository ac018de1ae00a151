//! What each condition makes of an answer.

use super::*;
use crate::pattern::Pattern;
use farol_health::Status;
use std::time::Duration;

const NOW: i64 = 1_000_000;

fn judge(expect: &Expect, answer: &Answer<'_>) -> Outcome {
    expect.judge(answer, "http://api", Timestamp::from_second(NOW).unwrap())
}

fn said(expect: &Expect, headers: &HeaderMap, body: &str) -> String {
    let answer =
        Answer { status: 200, headers, body: body.as_bytes(), whole: true, expires: None, is_grpc: false };
    judge(expect, &answer).reason.into_owned()
}

#[test]
fn an_answer_outside_the_expected_status_is_a_failure() {
    let own = Expect { status: vec![200..=200, 404..=404], ..Expect::default() };
    let headers = HeaderMap::new();
    let judge = |expect: &Expect, status| {
        judge(
            expect,
            &Answer { status, headers: &headers, body: b"", whole: true, expires: None, is_grpc: false },
        )
    };
    let table = [
        (&Expect::default(), 200, true),
        (&Expect::default(), 399, true),
        (&Expect::default(), 400, false),
        (&Expect::default(), 503, false),
        (&own, 404, true),
        (&own, 204, false),
    ];
    for (expect, status, good) in table {
        assert_eq!(judge(expect, status).status == Status::Healthy, good, "{status}");
    }
    let outcome = judge(&own, 503);
    assert_eq!(
        (outcome.reason.as_ref(), outcome.message.as_str()),
        ("unexpected_status", "http://api answers 503, not 200, 404")
    );
}

#[test]
fn a_grpc_port_is_no_web_server_whatever_status_it_gives() {
    let headers = HeaderMap::new();
    for status in [200, 415] {
        let answer =
            Answer { status, headers: &headers, body: b"", whole: true, expires: None, is_grpc: true };
        let outcome = judge(&Expect::default(), &answer);
        assert_eq!(outcome.reason, "grpc_port");
        assert!(outcome.message.contains("http://api") && outcome.message.contains("grpc_health"));
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

#[test]
fn one_of_a_headers_values_must_be_as_expected() {
    let mut headers = HeaderMap::new();
    headers.append("x-cache", "MISS".parse().unwrap());
    headers.append("x-cache", "HIT from a".parse().unwrap());
    for (text, reason) in [
        (Text::Is("MISS".into()), "ok"),
        (Text::Is("HIT".into()), "unexpected_header"),
        (Text::Matches(Pattern::new("^HIT").unwrap()), "ok"),
    ] {
        let expect = Expect { headers: vec![("X-Cache".into(), text.clone())], ..Expect::default() };
        assert_eq!(said(&expect, &headers, ""), reason, "{text}");
        assert_eq!(said(&expect, &HeaderMap::new(), ""), "unexpected_header", "{text}");
    }
}

#[test]
fn body_and_json_are_judged_only_when_they_came_whole() {
    let json = |pointer: &str, condition: &str| Expect {
        json: vec![(pointer.to_owned(), Condition::parse(condition).unwrap())],
        ..Expect::default()
    };
    let text = Expect { body: vec![Text::Contains("ready".into())], ..Expect::default() };
    let none = HeaderMap::new();
    for (expect, body, reason) in [
        (&text, "is ready", "ok"),
        (&text, "is not", "unexpected_body"),
        (&json("/status", "ok"), r#"{"status":"ok"}"#, "ok"),
        (&json("/status", "ok"), r#"{"status":"bad"}"#, "unexpected_json"),
        (&json("/queues/0/depth", "< 5"), r#"{"queues":[{"depth":4}]}"#, "ok"),
        (&json("/queues/1/depth", "< 5"), r#"{"queues":[{"depth":4}]}"#, "json_missing"),
        (&json("/status", "ok"), "<html>", "not_json"),
        (&json("", "ok"), "\"ok\"", "ok"),
        (&json("/a", "ok"), &"[".repeat(100_000), "not_json"),
    ] {
        assert_eq!(said(expect, &none, body), reason, "{body:.40}");
    }
    for (expect, body, reason) in [
        (&text, "is ready", "ok"),
        (&text, "is", "body_too_large"),
        (&json("/status", "ok"), r#"{"status":"ok"}"#, "body_too_large"),
    ] {
        let answer = Answer {
            status: 200,
            headers: &none,
            body: body.as_bytes(),
            whole: false,
            expires: None,
            is_grpc: false,
        };
        assert_eq!(judge(expect, &answer).reason, reason, "{body}");
    }
}

#[test]
fn no_message_repeats_what_came() {
    let expect = Expect {
        headers: vec![("x-a".into(), Text::Is("1".into()))],
        json: vec![("/a".into(), Condition::parse("< 5").unwrap())],
        ..Expect::default()
    };
    let mut headers = HeaderMap::new();
    let mut message = |header: &str, body: &str| {
        headers.insert("x-a", header.parse().unwrap());
        let answer = Answer {
            status: 200,
            headers: &headers,
            body: body.as_bytes(),
            whole: true,
            expires: None,
            is_grpc: false,
        };
        judge(&expect, &answer).message
    };
    assert_eq!(message("7", ""), message("8", ""));
    assert_eq!(message("1", r#"{"a":7}"#), message("1", r#"{"a":8}"#));
}

#[test]
fn a_certificate_near_its_end_is_told_after_everything_else() {
    let days = |days: u64| Some(Duration::from_secs(days * 86_400));
    let certificate = Lifetime { warn_below: days(21), critical_below: days(7) };
    let expect = Expect { certificate, ..Expect::default() };
    let none = HeaderMap::new();
    for (status, left, wanted) in [
        (200, Some(30), (Status::Healthy, "ok")),
        (200, Some(20), (Status::Degraded, "certificate_expires_soon")),
        (200, Some(6), (Status::Unhealthy, "certificate_expires_soon")),
        (200, None, (Status::Healthy, "ok")),
        (500, Some(6), (Status::Unhealthy, "unexpected_status")),
    ] {
        let expires = left.map(|left: i64| NOW + left * 86_400);
        let outcome = judge(
            &expect,
            &Answer { status, headers: &none, body: b"", whole: true, expires, is_grpc: false },
        );
        assert_eq!((outcome.status, outcome.reason.as_ref()), wanted, "{status} {left:?}");
    }
}
