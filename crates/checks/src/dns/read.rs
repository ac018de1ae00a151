//! The keys under `dns:`.

use super::records::ALL;
use super::{Dns, RecordType, Settings};
use crate::kind::{Kind, Read};
use farol_config::Map;
use farol_health::Dependency;

pub(crate) const KIND: Kind = Kind { name: "dns", host: false, dependency: Dependency::Other, read };

fn read(m: &mut Map<'_>) -> Option<Read> {
    let types = ALL.map(|(word, kind, _)| (word, kind));
    let records = m.one_of("type", &types).or(RecordType::A);
    let server = m.host_port("server").example("10.0.0.1:53").optional();
    let exact = m.flag("exact").or(false);
    let names = m.texts("names");
    let expect = m.texts("expect");
    if names.is_empty() {
        m.problem("names", "is missing or empty; write for instance `names: [db.example]`");
    }
    let (first, more) = names.split_first()?;
    let mut settings = told(m, "names", Settings::of(first))?;
    for name in more {
        settings = told(m, "names", settings.name(name))?;
    }
    settings = settings.records(records).exact(exact);
    if let Some(server) = server {
        settings = settings.server(&server.host, server.port);
    }
    for record in &expect {
        settings = told(m, "expect", settings.expect(record))?;
    }
    if exact && settings.expect.is_empty() {
        m.problem("exact", "expects nothing at all; write what is meant under `expect`, or remove it");
    }
    Some(Read::new(format!("{settings:?}"), Dns::new(settings)))
}

fn told<T>(m: &mut Map<'_>, key: &str, parsed: Result<T, String>) -> Option<T> {
    parsed.map_err(|message| m.problem(key, message)).ok()
}
