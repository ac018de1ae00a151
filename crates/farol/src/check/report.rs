//! What `farol check` prints: a table for people, JSON for programs. The JSON's keys are promised in --help.

use crate::table;
use crate::terminal::{Terminal, one_line};
use farol_health::aggregate::Aggregate;
use farol_health::{ComponentView, Figure, Status};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A line a check, and one for all.
pub(super) fn table(status: Aggregate, views: &[Arc<ComponentView>], terminal: &Terminal) -> String {
    let rows: Vec<_> = views
        .iter()
        .map(|view| {
            vec![
                view.hard.to_string(),
                view.name.to_string(),
                view.service.to_string(),
                view.response_time.map(took).unwrap_or_default(),
                words(view),
            ]
        })
        .collect();
    let rows = table::render(&["STATUS", "CHECK", "SERVICE", "TOOK", "MESSAGE"], &rows, terminal);
    format!("{rows}\n\n{}", table::paint(&summary(status, views), terminal.has_colour()))
}

/// The message, and that the check is optional where that explains the whole.
fn words(view: &ComponentView) -> String {
    let failed = matches!(view.hard, Status::Unhealthy | Status::Unknown);
    match (failed && !view.required, view.message.is_empty()) {
        (false, _) => view.message.to_string(),
        (true, true) => "(optional)".to_owned(),
        (true, false) => format!("{} (optional)", view.message),
    }
}

fn summary(status: Aggregate, views: &[Arc<ComponentView>]) -> String {
    let bad: Vec<_> =
        views.iter().filter(|view| view.hard != Status::Healthy).map(|view| one_line(&view.name)).collect();
    let count = match views.len() {
        1 => "1 check".to_owned(),
        n => format!("{n} checks"),
    };
    match bad.len() {
        0 => format!("{status}: {count}"),
        n => format!("{status}: {count}, {n} not healthy: {}", bad.join(", ")),
    }
}

/// Whole milliseconds, below 10 with one decimal.
fn took(took: Duration) -> String {
    let ms = took.as_secs_f64() * 1_000.0;
    if ms < 9.95 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// The whole as one object.
pub(super) fn json(status: Aggregate, views: &[Arc<ComponentView>], now: Timestamp) -> Value {
    let components: Vec<_> = views.iter().map(|view| component(view)).collect();
    json!({ "status": status.as_str(), "timestamp": format!("{now:.3}"), "components": components })
}

fn component(view: &ComponentView) -> Value {
    let metadata: Map<String, Value> =
        view.metadata.iter().map(|(key, value)| (key.to_string(), value.as_str().into())).collect();
    json!({
        "name": &*view.name,
        "service": &*view.service,
        "kind": view.kind,
        "required": view.required,
        "status": view.hard.as_str(),
        "reason": &*view.reason,
        "message": &*view.message,
        "response_time_ms": view.response_time.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3),
        "figures": view.figures.iter().map(figure).collect::<Vec<_>>(),
        "metadata": metadata,
    })
}

/// A value that is no number is `null`.
fn figure(figure: &Figure) -> Value {
    let labels: Map<String, Value> =
        figure.labels.iter().map(|(key, value)| (key.to_string(), value.as_str().into())).collect();
    json!({ "name": &*figure.name, "value": figure.value, "labels": labels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_health::{Dependency, Unit};

    fn view(name: &str, status: Status, required: bool, message: &str) -> Arc<ComponentView> {
        Arc::new(ComponentView {
            name: name.into(),
            service: "shop".into(),
            kind: "tcp",
            required,
            readiness: false,
            dependency: Dependency::Other,
            hard: status,
            soft: status,
            reason: "ok".into(),
            message: message.into(),
            figures: Arc::new([
                Figure::gauge("ratio", 0.5, Unit::None).label("mount", "/"),
                Figure::gauge("nothing", f64::NAN, Unit::None),
            ]),
            metadata: Arc::new([("version".into(), "17".to_owned())]),
            response_time: Some(Duration::from_micros(2_345)),
            checked_ms: Some(1),
            checked_at: None,
            changed_at: Timestamp::UNIX_EPOCH,
            ttl_ms: 1,
            maintenance: false,
        })
    }

    #[test]
    fn a_table_says_what_is_not_healthy_and_why() {
        let views = [
            view("disk", Status::Healthy, false, ""),
            view("cache", Status::Unhealthy, false, "refused"),
            view("database", Status::Unhealthy, true, "no\nanswer"),
        ];
        let text = table(Status::Unhealthy.into(), &views, &Terminal::plain(std::io::sink()));
        assert_eq!(
            text,
            "STATUS     CHECK     SERVICE  TOOK    MESSAGE\n\
             healthy    disk      shop     2.3 ms\n\
             unhealthy  cache     shop     2.3 ms  refused (optional)\n\
             unhealthy  database  shop     2.3 ms  no answer\n\
             \n\
             unhealthy: 3 checks, 2 not healthy: cache, database"
        );
    }

    #[test]
    fn all_healthy_is_one_short_line() {
        let views = [view("disk", Status::Healthy, true, "")];
        assert!(
            table(Status::Healthy.into(), &views, &Terminal::plain(std::io::sink()))
                .ends_with("\n\nhealthy: 1 check")
        );
    }

    #[test]
    fn the_json_has_the_promised_keys() {
        let now: Timestamp = "2026-01-15T10:30:00.5Z".parse().unwrap();
        let value = json(Status::Degraded.into(), &[view("cache", Status::Unknown, false, "?")], now);
        let expected = json!({
            "status": "degraded",
            "timestamp": "2026-01-15T10:30:00.500Z",
            "components": [{
                "name": "cache", "service": "shop", "kind": "tcp", "required": false, "status": "unknown",
                "reason": "ok", "message": "?", "response_time_ms": 2.345,
                "figures": [
                    {"name": "ratio", "value": 0.5, "labels": {"mount": "/"}},
                    {"name": "nothing", "value": null, "labels": {}},
                ],
                "metadata": {"version": "17"},
            }],
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn times_below_ten_milliseconds_have_one_decimal() {
        for (micros, expected) in [(40, "0.0 ms"), (9_940, "9.9 ms"), (9_960, "10 ms"), (512_345, "512 ms")] {
            assert_eq!(took(Duration::from_micros(micros)), expected);
        }
    }
}
