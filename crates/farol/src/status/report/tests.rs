//! The tables and the JSON, to the letter.

use super::*;
use crate::status::picture::{Fleet, Many};

fn many<T: for<'de> serde::Deserialize<'de>>(items: Value) -> Many<T> {
    let raw: Vec<Value> = serde_json::from_value(items).unwrap();
    let items = raw.iter().map(|item| T::deserialize(item).unwrap()).collect();
    Many { items, raw, more: false }
}

/// So many agents and components, so many of them in a bad way.
fn fleet(total: u64, bad: u64, takes: bool) -> (Fleet, Value) {
    let raw = json!({
        "agents": {"total": total, "lost": bad}, "components": {"total": total, "healthy": total - bad, "unhealthy": bad},
        "store": {"takes": takes, "reason": "the disk is full"}, "series": 9,
    });
    (serde_json::from_value(raw.clone()).unwrap(), raw)
}

fn picture() -> Picture {
    let (fleet, raw) = fleet(4, 2, true);
    Picture {
        fleet,
        raw,
        services: many(json!([
            {"name": "host", "status": "healthy", "since": "2026-01-15T10:00:00Z",
             "counts": {"healthy": 2, "degraded": 0, "unhealthy": 0, "unknown": 0, "starting": 0, "draining": 0},
             "policy": {"at_least": 1, "percent": null, "all": false}},
            {"name": "payments", "status": "unhealthy", "since": "2026-01-15T10:29:00Z",
             "counts": {"healthy": 1, "unhealthy": 1, "unknown": 1},
             "policy": {"at_least": 2, "percent": 50}},
            {"name": "kestra", "status": "later", "since": "2026-01-15T10:29:00Z", "counts": {},
             "policy": {"at_least": null, "percent": null, "all": true}},
        ])),
        groups: many(json!([
            {"name": "checkout", "status": "unhealthy", "since": "2026-01-15T10:29:00Z",
             "services": [{"service": "host", "status": "healthy"}, {"service": "payments", "status": "unhealthy"}]},
        ])),
        components: many(json!([
            {"agent": "payments-1", "service": "payments", "component": "database", "status": "unhealthy",
             "last_status": "unhealthy", "message": "refused\u{1b}[31m", "age_ms": 900, "changed_at": "2026-01-15T10:29:00Z",
             "stale": false, "required": true},
            {"agent": "payments-2", "service": "payments", "component": "cache", "status": "unknown",
             "last_status": "healthy", "message": "", "age_ms": 65_000, "changed_at": "2026-01-15T07:10:00Z",
             "stale": true, "required": false},
        ])),
        agents: many(json!([
            {"id": "payments-2", "presence": "lost", "connected": false, "last_seen_at": "2026-01-15T10:28:55Z",
             "services": ["host", "payments"]},
            {"id": "payments-3", "presence": "restored", "connected": false, "last_seen_at": "2026-01-15T10:29:30Z",
             "services": []},
            {"id": "payments-4", "presence": "here", "connected": false, "last_seen_at": "2026-01-15T10:29:44Z",
             "services": []},
        ])),
    }
}

fn now() -> Timestamp {
    "2026-01-15T10:30:00Z".parse().unwrap()
}

#[test]
fn the_tables_show_services_what_is_wrong_and_who_is_away() {
    let text = table(&picture(), now(), &Terminal::plain(std::io::sink()));
    let expected = "\
STATUS     SERVICE   INSTANCES                          NEEDS       FOR
healthy    host      2 healthy                          1           30m 0s
unhealthy  payments  1 healthy, 1 unhealthy, 1 unknown  2 and 50 %  1m 0s
unknown    kestra    none                               all         1m 0s

STATUS     GROUP     SERVICES                    FOR
unhealthy  checkout  host, payments (unhealthy)  1m 0s

STATUS     COMPONENT  SERVICE   AGENT       FOR     WHY
unhealthy  database   payments  payments-1  1m 0s   refused [31m
unknown    cache      payments  payments-2  3h 20m  nothing heard for 1m 5s, was healthy (optional)

AGENT       IS                     LAST SEEN  SERVICES
payments-2  lost                   1m 5s ago  host, payments
payments-3  restored, unconfirmed  30s ago
payments-4  silent 16s             16s ago

unhealthy: 3 services (2 not healthy), 4 components (2 not healthy), 4 agents (2 lost)";
    assert_eq!(text, expected);
}

#[test]
fn a_fleet_that_nobody_has_spoken_for_is_unknown_and_says_so() {
    let (fleet, raw) = fleet(0, 0, true);
    let none = json!([]);
    let empty = Picture {
        fleet,
        raw,
        services: many(none.clone()),
        groups: many(none.clone()),
        components: many(none.clone()),
        agents: many(none),
    };
    let text = table(&empty, now(), &Terminal::plain(std::io::sink()));
    assert_eq!(text, "unknown: no agent has spoken to this monitor yet");
}

#[test]
fn a_store_that_refuses_is_told() {
    let picture = Picture { fleet: fleet(1, 0, false).0, ..picture() };
    let text = table(&picture, now(), &Terminal::plain(std::io::sink()));
    assert!(text.contains("\n\nThe monitor's store takes nothing: the disk is full\n\n"), "{text}");
    assert!(text.ends_with("3 services (2 not healthy), 1 component, 1 agent"), "{text}");
}

#[test]
fn the_json_passes_on_what_the_monitor_said() {
    let value = json(&picture(), now());
    assert_eq!(value["status"], "unhealthy");
    assert_eq!(value["timestamp"], "2026-01-15T10:30:00.000Z");
    assert_eq!(value["fleet"]["series"], 9);
    assert_eq!(value["services"][2]["status"], "later");
    assert_eq!(value["components"][1]["age_ms"], 65_000);
    assert_eq!(value["agents"][0]["id"], "payments-2");
    assert_eq!(value["groups"][0]["name"], "checkout");
}

#[test]
fn ages_have_their_two_largest_units() {
    for (seconds, expected) in
        [(0, "0s"), (59, "59s"), (725, "12m 5s"), (12_000, "3h 20m"), (792_000, "9d 4h")]
    {
        assert_eq!(age(seconds * 1_000), expected);
    }
}

#[test]
fn only_news_is_another_picture() {
    let (old, mut new) = (picture(), picture());
    new.components.items[0].age_ms = Some(5);
    new.agents.items[0].last_seen_at = now();
    assert!(new.says_the_same_as(&old));
    new.agents.items[0].presence = "here".to_owned();
    assert!(!new.says_the_same_as(&old));
    let mut new = picture();
    new.components.items[0].message = "another".to_owned();
    assert!(!new.says_the_same_as(&old));
}
