//! The keys under `grpc_health:`.

use super::{GrpcHealth, Mode, Settings};
use crate::kind::{Kind, Read};
use crate::trust;
use farol_config::Map;
use farol_health::Dependency;

pub(crate) const KIND: Kind = Kind { name: "grpc_health", host: false, dependency: Dependency::Other, read };

fn read(m: &mut Map<'_>) -> Option<Read> {
    let url = m.url("url").example("http://127.0.0.1:50051");
    let url = url.check(|url| Settings::from_url(url.expose()).map(drop)).required();
    let service = m.text("service").optional().unwrap_or_default();
    let mode = m.one_of("mode", &[("check", Mode::Check), ("watch", Mode::Watch)]).or(Mode::Check);
    let trust = trust::read(m);
    let mut text = format!("{} {service} {mode:?} {}", url.expose(), trust.text());
    let mut settings = Settings::from_url(url.expose()).ok()?.service(service).mode(mode).trust(trust);
    for (name, value) in m.secret_pairs("metadata") {
        text.push_str(&format!("\n{name}: {}", value.expose()));
        match settings.clone().metadata(&name, value.expose()) {
            Ok(with) => settings = with,
            Err(message) => m.problem("metadata", message),
        }
    }
    match GrpcHealth::new(settings) {
        Ok(check) => Some(Read::new(text, check)),
        Err(message) => {
            m.problem_here(message);
            None
        }
    }
}
