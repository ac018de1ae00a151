//! The keys under `prometheus:`.

use super::{ACCEPT, Limits, Prometheus, Selector, Settings, Several};
use crate::kind::{Kind, Read};
use crate::pattern::Bound;
use crate::web;
use farol_config::Map;
use farol_health::{Dependency, Status};

pub(crate) const KIND: Kind = Kind { name: "prometheus", host: false, dependency: Dependency::Other, read };

const SEVERAL: &[(&str, Several)] = &[
    ("each", Several::Each),
    ("sum", Several::Sum),
    ("min", Several::Min),
    ("max", Several::Max),
    ("avg", Several::Avg),
];
const MISSING: &[(&str, Status)] = &[
    ("unknown", Status::Unknown),
    ("healthy", Status::Healthy),
    ("degraded", Status::Degraded),
    ("unhealthy", Status::Unhealthy),
];

fn read(m: &mut Map<'_>) -> Option<Read> {
    let request = web::read(m, "http://127.0.0.1:9100/metrics");
    let named = m.has("metric");
    let metric = m.text("metric").example("queue_depth{queue=\"mail\"}").required();
    let selector = Selector::parse(&metric);
    let limits = Limits {
        several: m.one_of("several", SEVERAL).or(Several::Each),
        degraded: bound(m, "degraded"),
        unhealthy: bound(m, "unhealthy"),
        missing: m.one_of("missing", MISSING).or(Status::Unknown),
    };
    let selector = match selector {
        Ok(selector) => selector,
        Err(message) if named => {
            m.problem("metric", message);
            return None;
        }
        Err(_) => return None,
    };
    let (request, text) = request?;
    let text = format!("{text}\n{metric} {limits:?}");
    let request =
        if request.has_header("accept") { request } else { request.header("accept", ACCEPT).ok()? };
    match Prometheus::new(Settings { request, selector, limits }) {
        Ok(check) => Some(Read::new(text, check)),
        Err(message) => {
            m.problem_here(message);
            None
        }
    }
}

fn bound(m: &mut Map<'_>, key: &str) -> Option<Bound> {
    let text = m.text(key).example("> 80").optional()?;
    Bound::parse(&text).map_err(|message| m.problem(key, message)).ok()
}
