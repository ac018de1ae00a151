//! The keys under `tls_certificate:`.

use super::{Settings, TlsCertificate};
use crate::certificate;
use crate::kind::{Kind, Read};
use crate::trust;
use farol_config::Map;
use farol_health::Dependency;

pub(crate) const KIND: Kind =
    Kind { name: "tls_certificate", host: false, dependency: Dependency::Other, read };

fn read(m: &mut Map<'_>) -> Option<Read> {
    let address = m.host_port("address").example("api.example:443").required();
    let name = m.text("name").optional();
    let trust = trust::read(m);
    let mut settings = told(m, "address", Settings::at(&address.host, address.port))?.trust(trust);
    if let Some(name) = &name {
        settings = told(m, "name", settings.name(name))?;
    }
    let lifetime = certificate::lifetime(m, "warn_below", "critical_below", settings.lifetime);
    settings = settings.lifetime(lifetime);
    let text = format!("{address} {name:?} {lifetime:?} {}", settings.trust.text());
    let check = TlsCertificate::new(settings).map_err(|message| m.problem_here(message)).ok()?;
    Some(Read::new(text, check))
}

fn told<T>(m: &mut Map<'_>, key: &str, parsed: Result<T, String>) -> Option<T> {
    parsed.map_err(|message| m.problem(key, message)).ok()
}
