//! All kinds together: how they are read and built, what is told of mistakes, and the messages that their tests send.

use super::*;
use crate::notify::egress::{Egress, Policy};
use crate::notify::message::{AlertWord, Listed, Why};
use farol_config::Sources;
use farol_rules::{Labels, Severity};
use std::collections::BTreeMap;

pub(in crate::notify) fn alert(id: &str, pod: &str) -> AlertWord {
    AlertWord {
        id: id.to_owned(),
        alert_id: "874d33fe987af934".into(),
        rule: "cpu_high".into(),
        labels: Labels::from([("alertname", "cpu_high"), ("severity", "critical"), ("pod", pod)]),
        severity: Severity::Critical,
        ended: None,
        since_ms: 1_772_366_400_000,
        ended_ms: None,
        value: Some(92.5),
        annotations: BTreeMap::from([("summary".to_owned(), format!("CPU 92.5% on {pod}"))]),
        elements: Listed::from_iter([pod]),
        holds: Listed::default(),
        incident: None,
    }
}

pub(super) fn message(alerts: Vec<AlertWord>) -> Message {
    Message {
        notice_id: "notice-1".into(),
        conversation: "ops/cpu_high".into(),
        receiver: "ops".into(),
        why: Why::First,
        group: Labels::from([("alertname", "cpu_high")]),
        alerts,
        held_back: 0,
        others: 0,
        unrecorded: false,
        at_ms: 1_772_366_460_000,
        external_url: Some("https://farol.test/".into()),
    }
}

/// Whatever may stand in a label or in what a check says.
pub(super) fn hostile() -> Message {
    let text = "{{ 7*7 }} ${HOME} <script>alert(1)</script> @channel <!everyone> <@U1> <http://evil.test|x> \
                \r\nBcc: evil@evil.test \x1b[31m \u{202e}gpj *b* `c`";
    let mut hostile = alert(text, text);
    hostile.rule = text.into();
    hostile.annotations.insert("description".into(), text.into());
    hostile.holds = Listed::from_iter([text, text]);
    hostile.elements = Listed::from_iter([text, text]);
    let mut message = message(vec![hostile]);
    message.group = Labels::from([("pod", text), ("x", "y")]);
    message.receiver = text.into();
    message
}

fn read(text: &str) -> Result<Vec<(String, Option<Settings>)>, String> {
    let egress = Egress::new(Policy::default());
    let tree = Sources::new().text("monitor.yaml", text).load().map_err(|p| p.to_string())?;
    tree.read(|m| m.entries("receivers", |_, m| Settings::read(m, &egress))).map_err(|p| p.to_string())
}

#[test]
fn every_kind_is_read_and_built() {
    let text = r#"
receivers:
  a: {slack: {url: "https://hooks.slack.com/services/T/B/x"}}
  b: {pagerduty: {routing_key: 0123456789abcdef}}
  c: {email: {server: "mail.test:587", from: "farol@test.example", to: ["ops@test.example", "Bob <b@c.example>"], username: u, password: p}}
  d: {webhook: {url: "https://example.org/hook", secret: s, headers: {Authorization: "Bearer x"}}}
  e: {alertmanager: {urls: ["https://am1.example", "https://am2.example/prefix"], valid_for: 6h}}
  f: {log: {}}
  g: {log: }
"#;
    let read = read(text).unwrap();
    let egress = Egress::new(Policy::default());
    let kinds: Vec<&str> =
        read.iter().map(|(_, settings)| settings.as_ref().unwrap().build(&egress).unwrap().kind()).collect();
    assert_eq!(kinds, ["slack", "pagerduty", "email", "webhook", "alertmanager", "log", "log"]);
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_never_with_the_secret() {
    for (written, expected) in [
        ("a: {}", "receivers.a: is of no kind; name one of slack, pagerduty"),
        ("a: {slak: {url: x}}", "unknown key `slak`; did you mean `slack`?"),
        ("a: {log: {}, slack: {url: \"https://h.test/\"}}", "receivers.a.log: stands beside `slack`"),
        ("a: {slack: {}}", "receivers.a.slack.url: is required"),
        ("a: {slack: {url: \"http://169.254.169.254/S3CRET\"}}", "169.254.169.254 is a link-local address"),
        ("a: {slack: {url: \"http://127.0.0.1/S3CRET\"}}", "allow it under `egress`"),
        ("a: {slack: {url: \"file:///S3CRET\"}}", "is no web address"),
        ("a: {slack: {url: \"S3CRET\"}}", "is no web address"),
        ("a: {pagerduty: {routing_key: \"S3CRET-x\"}}", "is no integration key"),
        (
            "a: {webhook: {url: \"https://h.test/\", headers: {\"b ad\": S3CRET}}}",
            "`b ad` is no header's name",
        ),
        ("a: {webhook: {url: \"https://h.test/\", headers: {host: S3CRET}}}", "written by Farol itself"),
        ("a: {webhook: {url: \"https://h.test/\", ca: /nonexistent}}", "/nonexistent cannot be read"),
        ("a: {alertmanager: {urls: []}}", "names no peer"),
        ("a: {alertmanager: {urls: [\"https://am.test\", \"https://am.test/\"]}}", "names a peer twice"),
        ("a: {alertmanager: {urls: [\"https://am.test/?S3CRET\"]}}", "has a query"),
        ("a: {alertmanager: {urls: [\"https://am.test\"], username: u}}", "stand together"),
        ("a: {email: {server: \"m.test:25\", from: x@y.test, to: [nonsense]}}", "holds what is no address"),
        (
            "a: {email: {server: \"m.test:25\", from: x@y.test, to: [a@b.test], username: u, password_file: /nonexistent}}",
            "/nonexistent",
        ),
        ("a: {email: {server: \"m.test:25\", from: x@y.test, to: []}}", "names 0 addresses"),
        ("a: {email: {server: \"169.254.169.254:25\", from: x@y.test, to: [a@b.test]}}", "link-local"),
        ("a: {log: {level: x}}", "unknown key `level`"),
    ] {
        let error = read(&format!("receivers:\n  {written}\n")).unwrap_err();
        assert!(error.starts_with("monitor.yaml:2: ") && error.contains(expected), "{written}: {error}");
        assert!(!error.contains("S3CRET"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn nothing_that_is_secret_is_shown() {
    let text = r#"
receivers:
  a: {slack: {url: "https://hooks.slack.com/services/S3CRET"}}
  b: {pagerduty: {routing_key: S3CRET}}
  c: {email: {server: "mail.test:587", from: f@t.example, to: [o@t.example], username: u, password: S3CRET}}
  d: {webhook: {url: "https://example.org/S3CRET", secret: S3CRET, headers: {Authorization: S3CRET}}}
  e: {alertmanager: {urls: ["https://am1.example"], username: u, password: S3CRET}}
"#;
    let shown = format!("{:?}", read(text).unwrap());
    assert!(shown.contains("mail.test") && !shown.contains("S3CRET"), "{shown}");
    let tree = Sources::new().text("monitor.yaml", text).load().unwrap();
    let egress = Egress::new(Policy::default());
    tree.read(|m| m.entries("receivers", |_, m| Settings::read(m, &egress))).unwrap();
    let dump = tree.dump();
    assert!(dump.contains("mail.test") && !dump.contains("S3CRET"), "{dump}");
}

#[test]
fn a_message_reads_back_as_it_was_written() {
    let message = hostile();
    let text = serde_json::to_string(&message).unwrap();
    assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
    assert!(text.starts_with(r#"{"notice_id":"notice-1","conversation":"ops/cpu_high""#), "{text}");
}

#[test]
fn keys_that_no_header_may_hold_become_digests() {
    assert_eq!(token("notice-1:a/b"), "notice-1:a/b");
    for unsafe_key in ["a\r\nb", "", "ä", "a b", &"x".repeat(200)] {
        assert!(token(unsafe_key).len() == 64, "{unsafe_key}");
    }
    assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
