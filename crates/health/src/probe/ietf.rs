//! The same news as `application/health+json` (draft-inadarei-api-health-check): pass, warn or fail. Decides
//! nothing that the plain documents do not decide.

use super::{Answer, Moment, live, ready, spelling};
use crate::aggregate::Aggregate;
use crate::{ComponentView, Dependency, Figure, Status, Unit};
use serde_json::{Map, Value, json};

/// Which of the four documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// `/health`
    Health,
    /// `/health/detailed`
    Detailed,
    /// `/health/ready`
    Ready,
    /// `/health/live`
    Live,
}

/// The document in the IETF form. Good and bad news are the plain document's.
#[must_use]
pub fn ietf(page: Page, moment: &Moment<'_>) -> Answer {
    match page {
        Page::Health => whole(moment, Map::new()),
        Page::Detailed => whole(moment, checks(moment, moment.snapshot.components.iter().map(|c| &**c))),
        Page::Ready => readiness(moment),
        Page::Live => liveness(moment),
    }
}

fn whole(moment: &Moment<'_>, checks: Map<String, Value>) -> Answer {
    let overall = moment.overall();
    let mut body = head(moment, verdict(overall));
    if verdict(overall) != "pass" {
        body.insert("notes".into(), json!([overall.as_str()]));
    }
    if !checks.is_empty() {
        body.insert("checks".into(), checks.into());
    }
    Answer { body: body.into(), ..super::health(moment) }
}

fn readiness(moment: &Moment<'_>) -> Answer {
    let plain = ready(moment);
    let verdict = if plain.ok { verdict(moment.dependable()) } else { "fail" };
    let mut body = head(moment, verdict);
    let checks = checks(moment, moment.dependencies());
    if !checks.is_empty() {
        body.insert("checks".into(), checks.into());
    }
    Answer { body: body.into(), ..plain }
}

fn liveness(moment: &Moment<'_>) -> Answer {
    let plain = live(moment);
    let verdict = if plain.ok { "pass" } else { "fail" };
    let mut body = head(moment, verdict);
    let mut beat = Map::new();
    beat.insert("componentType".into(), "component".into());
    beat.insert("observedValue".into(), spelling::number(moment.heartbeat_age().as_secs_f64()).into());
    beat.insert("observedUnit".into(), "s".into());
    beat.insert("status".into(), verdict.into());
    beat.insert("time".into(), plain.body["last_heartbeat"].clone());
    body.insert("checks".into(), json!({"heartbeat:age": [beat]}));
    Answer { body: body.into(), ..plain }
}

fn head(moment: &Moment<'_>, verdict: &'static str) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("status".into(), verdict.into());
    if moment.details {
        body.insert("version".into(), moment.version.into());
    }
    body
}

/// Healthy passes, degraded warns, all else fails.
fn verdict(of: Aggregate) -> &'static str {
    match of {
        Aggregate::Status(Status::Healthy) => "pass",
        Aggregate::Status(Status::Degraded) => "warn",
        _ => "fail",
    }
}

/// `<component>:<measurement>` to its list of one. A component without a response time stands under its name.
fn checks<'c>(
    moment: &Moment<'_>,
    components: impl Iterator<Item = &'c ComponentView>,
) -> Map<String, Value> {
    let mut checks = Map::new();
    for view in components {
        let mut first = observation(view, moment);
        let key = match view.response_time {
            Some(took) => {
                let ms = (took.as_secs_f64() * 10_000.0).round() / 10.0;
                first.insert("observedValue".into(), spelling::number(ms).into());
                first.insert("observedUnit".into(), "ms".into());
                format!("{}:responseTime", view.name)
            }
            None => view.name.to_string(),
        };
        checks.insert(key, json!([first]));
        if moment.details {
            for figure in view.figures.iter() {
                measured(view, figure, moment, &mut checks);
            }
        }
    }
    checks
}

/// Adds one shown figure as a measurement of its own.
fn measured(view: &ComponentView, figure: &Figure, moment: &Moment<'_>, checks: &mut Map<String, Value>) {
    let (Some(key), Some(value)) = (figure.shown_as, spelling::number(figure.value)) else { return };
    let mut entry = observation(view, moment);
    entry.insert("observedValue".into(), value.into());
    let unit = match figure.unit {
        Unit::None => None,
        Unit::Percent => Some("percent"),
        Unit::Bytes => Some("bytes"),
        Unit::Seconds => Some("s"),
    };
    if let Some(unit) = unit {
        entry.insert("observedUnit".into(), unit.into());
    }
    checks.entry(format!("{}:{key}", view.name)).or_insert_with(|| json!([entry]));
}

/// What all measurements of a component share.
fn observation(view: &ComponentView, moment: &Moment<'_>) -> Map<String, Value> {
    let verdict = verdict(moment.shown(view));
    let mut entry = Map::new();
    entry.insert("componentId".into(), (&*view.name).into());
    entry.insert("componentType".into(), component_type(view).into());
    entry.insert("status".into(), verdict.into());
    if let Some(at) = view.checked_at {
        entry.insert("time".into(), spelling::time(at).into());
    }
    if moment.details && verdict != "pass" && !view.message.is_empty() {
        entry.insert("output".into(), (&*view.message).into());
    }
    entry
}

fn component_type(view: &ComponentView) -> &'static str {
    match (view.dependency, view.kind) {
        (Dependency::Database, _) => "datastore",
        (_, "system" | "disk" | "memory" | "cpu" | "file_descriptors" | "process") => "system",
        _ => "component",
    }
}
