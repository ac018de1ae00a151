//! The keys under `http:`. Each further condition is read here.

use super::{Condition, Expect, Http, Settings, Text};
use crate::certificate::{Lifetime, lifetime};
use crate::kind::{Kind, Read};
use crate::pattern::Pattern;
use crate::web;
use farol_config::Map;
use farol_health::Dependency;
use reqwest::header::HeaderName;

pub(crate) const KIND: Kind = Kind { name: "http", host: false, dependency: Dependency::Other, read };

/// The most that may be read of a body.
const BODY_LIMITS: std::ops::RangeInclusive<u64> = 1..=16 << 20;

fn read(m: &mut Map<'_>) -> Option<Read> {
    let request = web::read(m, "http://127.0.0.1:8080/health");
    let method = m.text("method").or("GET");
    let body = m.secret("body").optional();
    let expect = expect(m);
    let (mut request, mut text) = request?;
    text.push_str(&format!("\n{method} {:?}\n{expect:?}", body.as_ref().map(farol_config::Secret::expose)));
    match request.clone().method(&method) {
        Ok(with) => request = with,
        Err(message) => m.problem("method", message),
    }
    if let Some(body) = body {
        request = request.body(body.expose().to_owned());
    }
    match Http::new(Settings { request, expect }) {
        Ok(check) => Some(Read::new(text, check)),
        Err(message) => {
            m.problem_here(message);
            None
        }
    }
}

fn expect(m: &mut Map<'_>) -> Expect {
    let mut expect = Expect::default();
    let mut status = Vec::new();
    for text in m.texts_or("status", &["200-399"]) {
        match Expect::parse_status(&text) {
            Ok(range) => status.push(range),
            Err(message) => m.problem("status", message),
        }
    }
    if !status.is_empty() {
        expect.status = status;
    }
    m.map("expect", |m| answer(m, &mut expect));
    expect
}

/// The keys under `expect:`.
fn answer(m: &mut Map<'_>, expect: &mut Expect) {
    for (name, value) in m.pairs("headers") {
        header(m, "headers", &name);
        expect.headers.push((name, Text::Is(value)));
    }
    for (name, value) in m.pairs("headers_match") {
        header(m, "headers_match", &name);
        if let Some(pattern) = told(m, "headers_match", Pattern::new(&value)) {
            expect.headers.push((name, Text::Matches(pattern)));
        }
    }
    expect.body.extend(m.texts("body").into_iter().map(Text::Contains));
    for text in m.texts("body_matches") {
        expect.body.extend(told(m, "body_matches", Pattern::new(&text)).map(Text::Matches));
    }
    for (pointer, value) in m.pairs("json") {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            m.problem("json", format!("`{pointer}` is not a JSON pointer; write for instance `/{pointer}`"));
        }
        if let Some(condition) = told(m, "json", Condition::parse(&value)) {
            expect.json.push((pointer, condition));
        }
    }
    expect.body_limit = m.bytes("body_limit").within(BODY_LIMITS).or(expect.body_limit);
    expect.certificate =
        lifetime(m, "certificate_warn_below", "certificate_critical_below", Lifetime::default());
}

fn header(m: &mut Map<'_>, key: &str, name: &str) {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        m.problem(key, format!("`{name}` is not a header's name"));
    }
}

fn told<T>(m: &mut Map<'_>, key: &str, parsed: Result<T, String>) -> Option<T> {
    parsed.map_err(|message| m.problem(key, message)).ok()
}
