//! The keys under `http:`. Each further condition is read here.

use super::{Expect, Http, Settings};
use crate::kind::{Kind, Read};
use farol_config::Map;
use farol_health::Dependency;

pub(crate) const KIND: Kind = Kind { name: "http", host: false, dependency: Dependency::Other, read };

fn read(m: &mut Map<'_>) -> Option<Read> {
    let url = m.url("url").example("http://127.0.0.1:8080/health");
    let url = url.check(|url| Settings::from_url(url.expose()).map(drop)).required();
    let mut text = url.expose().to_owned();
    let mut settings = Settings::from_url(url.expose()).ok()?;
    for (name, value) in m.secret_pairs("headers") {
        text.push_str(&format!("\n{name}: {}", value.expose()));
        match settings.clone().header(&name, value.expose()) {
            Ok(with) => settings = with,
            Err(message) => m.problem("headers", message),
        }
    }
    let expect = expect(m);
    text.push_str(&format!("\n{expect:?}"));
    match Http::new(settings.expect(expect)) {
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
    expect
}
