//! The documents to the letter.

use super::*;
use crate::{Figure, Unit};

const NOW_MS: u64 = 500_000_000;

fn now() -> Timestamp {
    "2026-01-15T10:30:00.250Z".parse().unwrap()
}

fn component(name: &str, hard: Status) -> ComponentView {
    ComponentView {
        name: name.into(),
        service: "shop".into(),
        kind: "tcp",
        required: true,
        readiness: true,
        dependency: Dependency::Other,
        hard,
        soft: hard,
        reason: if hard == Status::Healthy { "ok" } else { "connection_refused" }.into(),
        message: if hard == Status::Healthy { "" } else { "connection refused by 10.0.0.7:5432" }.into(),
        figures: Arc::new([]),
        metadata: Arc::new([]),
        response_time: Some(Duration::from_millis(2)),
        checked_ms: Some(NOW_MS - 1_500),
        checked_at: Some("2026-01-15T10:29:58.750Z".parse().unwrap()),
        changed_at: now(),
        ttl_ms: 30_500,
        maintenance: false,
    }
}

fn database(hard: Status) -> ComponentView {
    ComponentView { dependency: Dependency::Database, kind: "postgres", ..component("database", hard) }
}

fn stale(view: ComponentView) -> ComponentView {
    ComponentView { checked_ms: Some(NOW_MS - 31_000), ..view }
}

fn drained(view: ComponentView) -> ComponentView {
    ComponentView { maintenance: true, ..view }
}

fn optional(view: ComponentView) -> ComponentView {
    ComponentView { required: false, readiness: false, ..view }
}

fn moment(components: Vec<ComponentView>) -> Moment<'static> {
    let components = components.into_iter().map(Arc::new).collect();
    Moment {
        snapshot: Arc::new(Snapshot { components, ..Snapshot::default() }),
        now_ms: NOW_MS,
        now: now(),
        born_ms: NOW_MS - 261_015_999,
        heartbeat_ms: NOW_MS - 40,
        heartbeat_limit: Duration::from_secs(30),
        started: true,
        stopping: false,
        version: "1.0.0",
        details: true,
    }
}

fn drain(moment: &mut Moment<'_>) {
    Arc::make_mut(&mut moment.snapshot).draining = true;
}

/// A component with everything that `/health/detailed` can show.
fn rich() -> Vec<ComponentView> {
    let mut database = database(Status::Healthy);
    database.figures = Arc::new([
        Figure::gauge("database_connections_active", 5.0, Unit::None).shown_as("connections.active"),
        Figure::gauge("database_connections_idle", 3.0, Unit::None).shown_as("connections.idle"),
        Figure::gauge("database_connections_max", 20.0, Unit::None).shown_as("connections.max"),
        Figure::counter("database_commits_total", 9.0, Unit::None),
    ]);
    database.metadata = Arc::new([("server_version".into(), "17.2".to_owned())]);
    let mut cache = component("cache", Status::Degraded);
    cache.message = "evicts keys; raise maxmemory".into();
    cache.response_time = Some(Duration::from_micros(2_400));
    cache.figures = Arc::new([
        Figure::gauge("redis_hit_rate", 95.2, Unit::Percent).shown_as("hit_rate"),
        Figure::gauge("redis_memory_usage", f64::NAN, Unit::Percent).shown_as("memory_usage"),
        Figure::gauge("redis_other", 7.0, Unit::None).shown_as("hit_rate"),
        Figure::gauge("redis_below", 7.0, Unit::None).shown_as("hit_rate.inner"),
        Figure::gauge("redis_forged", 7.0, Unit::None).shown_as("status"),
        Figure::gauge("redis_forged_too", 7.0, Unit::None).shown_as("metadata.x"),
    ]);
    let mut system = ComponentView {
        readiness: false,
        soft: Status::Unknown,
        response_time: None,
        checked_ms: None,
        checked_at: None,
        kind: "system",
        ..component("system", Status::Starting)
    };
    system.required = false;
    system.message = "".into();
    vec![database, cache, system]
}

#[test]
fn health_has_exactly_its_four_keys() {
    let answer = health(&moment(vec![database(Status::Healthy)]));
    assert_eq!(
        answer.body.to_string(),
        r#"{"status":"healthy","timestamp":"2026-01-15T10:30:00Z","uptime":"72:30:15","version":"1.0.0"}"#
    );
    assert!(answer.ok);
    let hidden = health(&Moment { details: false, ..moment(vec![]) });
    assert_eq!(
        hidden.body.to_string(),
        r#"{"status":"healthy","timestamp":"2026-01-15T10:30:00Z","uptime":"72:30:15"}"#
    );
}

#[test]
fn health_follows_the_instance_rule_and_is_good_news_when_healthy_or_degraded() {
    use Status::{Degraded, Healthy, Starting, Unhealthy, Unknown};
    let cases = [
        ("no components", vec![], "healthy", true),
        ("all well", vec![component("a", Healthy)], "healthy", true),
        ("degraded", vec![component("a", Degraded)], "degraded", true),
        (
            "optional down",
            vec![component("a", Healthy), optional(component("b", Unhealthy))],
            "degraded",
            true,
        ),
        ("required down", vec![component("a", Unhealthy), component("b", Unknown)], "unhealthy", false),
        ("required unknown", vec![component("a", Unknown), component("b", Starting)], "unknown", false),
        ("required starting", vec![component("a", Starting), component("b", Degraded)], "starting", false),
        ("required stale", vec![stale(component("a", Healthy))], "unknown", false),
        ("optional stale", vec![optional(stale(component("a", Healthy)))], "degraded", true),
        (
            "drained one left out",
            vec![drained(component("a", Unhealthy)), component("b", Healthy)],
            "healthy",
            true,
        ),
        ("all drained", vec![drained(component("a", Healthy))], "maintenance", false),
    ];
    for (name, components, status, ok) in cases {
        let moment = moment(components);
        for answer in [health(&moment), detailed(&moment)] {
            assert_eq!(answer.body["status"], status, "{name}");
            assert_eq!(answer.ok, ok, "{name}");
            assert_eq!(answer.maintenance, status == "maintenance", "{name}");
        }
    }
    let mut draining = moment(vec![component("a", Healthy)]);
    drain(&mut draining);
    let answer = health(&draining);
    assert_eq!((answer.body["status"].as_str(), answer.ok), (Some("maintenance"), false));
    assert!(answer.maintenance);
    let body = detailed(&draining).body;
    assert_eq!(body["components"]["a"]["status"], "maintenance");
    assert_eq!(body["components"]["a"]["true_status"], "healthy", "the truth stays visible");
}

#[test]
fn detailed_shows_each_component_with_its_figures_in_order() {
    let answer = detailed(&moment(rich()));
    assert_eq!(
        answer.body.to_string(),
        concat!(
            r#"{"status":"degraded","timestamp":"2026-01-15T10:30:00Z","components":{"#,
            r#""database":{"status":"healthy","response_time":"2ms","#,
            r#""connections":{"active":5,"idle":3,"max":20},"message":"","#,
            r#""checked_at":"2026-01-15T10:29:58Z","age":"1.5s","metadata":{"server_version":"17.2"}},"#,
            r#""cache":{"status":"degraded","response_time":"2.4ms","hit_rate":"95%","#,
            r#""message":"evicts keys; raise maxmemory","checked_at":"2026-01-15T10:29:58Z","age":"1.5s","#,
            r#""metadata":{}},"#,
            r#""system":{"status":"starting","message":"","metadata":{}}}}"#,
        )
    );
    assert!(answer.ok);
}

#[test]
fn without_details_keys_stay_but_message_metadata_and_figures_go() {
    let answer = detailed(&Moment { details: false, ..moment(rich()) });
    assert_eq!(
        answer.body.to_string(),
        concat!(
            r#"{"status":"degraded","timestamp":"2026-01-15T10:30:00Z","components":{"#,
            r#""database":{"status":"healthy","response_time":"2ms","#,
            r#""checked_at":"2026-01-15T10:29:58Z","age":"1.5s"},"#,
            r#""cache":{"status":"degraded","response_time":"2.4ms","#,
            r#""checked_at":"2026-01-15T10:29:58Z","age":"1.5s"},"#,
            r#""system":{"status":"starting"}}}"#,
        )
    );
}

#[test]
fn what_a_shown_status_hides_stays_visible_beneath_it() {
    let old = stale(component("old", Status::Healthy));
    let down = drained(component("down", Status::Unhealthy));
    let wavering = ComponentView { soft: Status::Unhealthy, ..component("wavering", Status::Healthy) };
    let body = detailed(&Moment { details: false, ..moment(vec![old, down, wavering]) }).body;
    let rest = json!({"response_time": "2ms", "checked_at": "2026-01-15T10:29:58Z", "age": "1.5s"});
    let with = |extra: Value| {
        let mut all = rest.as_object().unwrap().clone();
        all.extend(extra.as_object().unwrap().clone());
        Value::Object(all)
    };
    assert_eq!(
        body["components"],
        json!({
            "old": with(json!({"status": "unknown", "stale": true, "last_status": "healthy", "age": "31s"})),
            "down": with(json!({"status": "maintenance", "true_status": "unhealthy"})),
            "wavering": with(json!({"status": "healthy", "soft": "unhealthy"})),
        })
    );
}

#[test]
fn ready_has_a_word_for_each_status_of_a_dependency() {
    use Status::{Degraded, Healthy, Starting, Unhealthy, Unknown};
    let store = |status| ComponentView { dependency: Dependency::Store, ..database(status) };
    let cases = [
        (store(Healthy), "connected", true),
        (store(Degraded), "disconnected", true),
        (store(Unhealthy), "disconnected", false),
        (store(Starting), "starting", false),
        (database(Healthy), "connected", true),
        (database(Degraded), "connected", true),
        (database(Unhealthy), "disconnected", false),
        (database(Starting), "starting", false),
        (database(Unknown), "unknown", false),
        (stale(database(Healthy)), "unknown", false),
        (drained(database(Healthy)), "maintenance", false),
        (component("cache", Healthy), "available", true),
        (component("cache", Degraded), "available", true),
        (component("cache", Unhealthy), "unavailable", false),
        (ComponentView { required: false, ..component("cache", Unhealthy) }, "unavailable", false),
        (component("cache", Starting), "starting", false),
        (component("cache", Unknown), "unknown", false),
    ];
    for (view, word, good) in cases {
        let name = view.name.to_string();
        let answer = ready(&moment(vec![view.clone(), optional(component("unasked", Unhealthy))]));
        assert_eq!(answer.body, json!({"ready": good, "dependencies": {name: word}}), "{view:?}");
        assert_eq!(answer.ok, good, "{view:?}");
        assert_eq!(answer.maintenance, word == "maintenance", "{view:?}");
    }
    let both = ready(&moment(vec![database(Healthy), component("cache", Healthy)]));
    assert_eq!(
        both.body.to_string(),
        r#"{"ready":true,"dependencies":{"database":"connected","cache":"available"}}"#
    );
    let one_left = ready(&moment(vec![drained(database(Unhealthy)), component("cache", Healthy)]));
    assert!(one_left.ok, "a drained dependency is left out while others are asked");
}

#[test]
fn readiness_needs_a_started_process_that_neither_stops_nor_drains() {
    let good = moment(vec![]);
    assert_eq!(ready(&good).body.to_string(), r#"{"ready":true,"dependencies":{}}"#);
    let starting = Moment { started: false, ..good.clone() };
    let stopping = Moment { stopping: true, ..good.clone() };
    let mut draining = good.clone();
    drain(&mut draining);
    for (moment, maintenance) in [(starting, false), (stopping, false), (draining, true)] {
        let answer = ready(&moment);
        assert_eq!(answer.body, json!({"ready": false, "dependencies": {}}));
        assert_eq!((answer.ok, answer.maintenance), (false, maintenance));
        assert_eq!(ietf(Page::Ready, &moment).body["status"], "fail");
    }
}

#[test]
fn liveness_asks_the_heartbeat_only() {
    let base = Moment { stopping: true, started: false, ..moment(vec![database(Status::Unhealthy)]) };
    let cases = [
        (0, true, "2026-01-15T10:30:00Z"),
        (29_999, true, "2026-01-15T10:29:30Z"),
        (30_000, false, "2026-01-15T10:29:30Z"),
        (3_600_000, false, "2026-01-15T09:30:00Z"),
    ];
    for (age_ms, alive, last) in cases {
        let moment = Moment { heartbeat_ms: NOW_MS - age_ms, ..base.clone() };
        let answer = live(&moment);
        let expected = format!(r#"{{"alive":{alive},"last_heartbeat":"{last}"}}"#);
        assert_eq!(answer.body.to_string(), expected, "{age_ms} ms");
        assert_eq!(answer.ok, alive, "{age_ms} ms");
    }
    let strict = Moment { heartbeat_limit: Duration::from_millis(40), ..base };
    assert!(!live(&strict).ok, "the limit is the source's");
    let ahead = Moment { heartbeat_ms: NOW_MS + 5, ..strict };
    assert!(live(&ahead).ok, "a beat between the two readings of the clock is young");
}

#[test]
fn the_ietf_form_passes_warns_or_fails_with_the_plain_one() {
    let moment = moment(rich());
    assert_eq!(
        ietf(Page::Health, &moment),
        Answer {
            ok: true,
            maintenance: false,
            body: json!({"status": "warn", "version": "1.0.0", "notes": ["degraded"]})
        }
    );
    let at = "2026-01-15T10:29:58Z";
    let database =
        json!({"componentId": "database", "componentType": "datastore", "status": "pass", "time": at});
    let cache = json!({
        "componentId": "cache", "componentType": "component", "status": "warn", "time": at,
        "output": "evicts keys; raise maxmemory",
    });
    let observed = |entry: &Value, value: Value, unit: Option<&str>| {
        let mut entry = entry.clone();
        entry["observedValue"] = value;
        if let Some(unit) = unit {
            entry["observedUnit"] = unit.into();
        }
        json!([entry])
    };
    let asked = json!({
        "database:responseTime": observed(&database, 2.into(), Some("ms")),
        "database:connections.active": observed(&database, 5.into(), None),
        "database:connections.idle": observed(&database, 3.into(), None),
        "database:connections.max": observed(&database, 20.into(), None),
        "cache:responseTime": observed(&cache, 2.4.into(), Some("ms")),
        "cache:hit_rate": observed(&cache, 95.2.into(), Some("percent")),
        "cache:hit_rate.inner": observed(&cache, 7.into(), None),
        "cache:status": observed(&cache, 7.into(), None),
        "cache:metadata.x": observed(&cache, 7.into(), None),
    });
    assert_eq!(
        ietf(Page::Ready, &moment).body,
        json!({"status": "warn", "version": "1.0.0", "checks": asked})
    );
    let mut all = asked;
    all["system"] = json!([{"componentId": "system", "componentType": "system", "status": "fail"}]);
    let document = ietf(Page::Detailed, &moment);
    assert_eq!(
        document.body,
        json!({"status": "warn", "version": "1.0.0", "notes": ["degraded"], "checks": all})
    );
    assert_eq!(
        ietf(Page::Live, &moment).body,
        json!({"status": "pass", "version": "1.0.0", "checks": {"heartbeat:age": [{
            "componentType": "component", "observedValue": 0.04, "observedUnit": "s", "status": "pass",
            "time": "2026-01-15T10:30:00Z",
        }]}})
    );
}

#[test]
fn the_ietf_form_without_details_tells_no_version_output_or_figure() {
    let hidden = Moment { details: false, ..moment(vec![database(Status::Unhealthy)]) };
    assert_eq!(
        ietf(Page::Detailed, &hidden),
        Answer {
            ok: false,
            maintenance: false,
            body: json!({"status": "fail", "notes": ["unhealthy"], "checks": {"database:responseTime": [{
                "componentId": "database", "componentType": "datastore", "status": "fail",
                "time": "2026-01-15T10:29:58Z", "observedValue": 2, "observedUnit": "ms",
            }]}}),
        }
    );
    assert_eq!(
        ietf(Page::Health, &Moment { details: false, ..moment(vec![]) }).body,
        json!({"status": "pass"})
    );
}

/// Name, endpoint, moment, verbose, exclude; then good news or not, and the text.
type Case<'a> = (&'a str, Endpoint, &'a Moment<'a>, bool, &'a [&'a str], bool, &'a str);

#[test]
fn text_is_ok_or_lists_every_line_as_the_api_server_does() {
    let base = moment(vec![
        database(Status::Healthy),
        component("cache", Status::Unhealthy),
        optional(component("mail", Status::Unhealthy)),
    ]);
    let public = Moment { details: false, ..base.clone() };
    let well = moment(vec![database(Status::Degraded), drained(component("cache", Status::Unhealthy))]);
    let stopping = Moment { started: false, stopping: true, details: false, ..moment(vec![]) };
    let dead = Moment { heartbeat_ms: NOW_MS - 31_000, ..base.clone() };
    let silent = Moment { details: false, ..dead.clone() };
    let mut draining = moment(vec![]);
    drain(&mut draining);
    #[rustfmt::skip]
    let cases: [Case<'_>; 15] = [
        ("short", Endpoint::Livez, &base, false, &[], true, "ok"),
        ("verbose", Endpoint::Livez, &base, true, &[], true,
            "[+]ping ok\n[+]heartbeat ok\nlivez check passed\n"),
        ("dead", Endpoint::Livez, &dead, false, &[], false,
            "[+]ping ok\n[-]heartbeat failed: the last heartbeat is 31s old\nlivez check failed\n"),
        ("dead, withheld", Endpoint::Livez, &silent, false, &[], false,
            "[+]ping ok\n[-]heartbeat failed: reason withheld\nlivez check failed\n"),
        ("dead, excluded", Endpoint::Livez, &dead, true, &["heartbeat"], true,
            "[+]ping ok\n[+]heartbeat excluded: ok\nlivez check passed\n"),
        ("unready", Endpoint::Readyz, &public, false, &[], false,
            "[+]ping ok\n[+]started ok\n[+]shutdown ok\n[+]drain ok\n[+]database ok\n\
             [-]cache failed: reason withheld\nreadyz check failed\n"),
        ("unready, told", Endpoint::Readyz, &base, false, &["database"], false,
            "[+]ping ok\n[+]started ok\n[+]shutdown ok\n[+]drain ok\n[+]database excluded: ok\n\
             [-]cache failed: unhealthy: connection refused by 10.0.0.7:5432\nreadyz check failed\n"),
        ("the bad one excluded", Endpoint::Readyz, &public, false, &["cache", "cache"], true, "ok"),
        ("not all can be excluded", Endpoint::Readyz, &public, true, &["cache", "x", "a\"\nb"], true,
            "[+]ping ok\n[+]started ok\n[+]shutdown ok\n[+]drain ok\n[+]database ok\n[+]cache excluded: ok\n\
             warn: some health checks cannot be excluded: no matches for \"a\\\"\\nb\", \"x\"\n\
             readyz check passed\n"),
        ("degraded and drained", Endpoint::Readyz, &well, true, &[], true,
            "[+]ping ok\n[+]started ok\n[+]shutdown ok\n[+]drain ok\n[+]database ok\n\
             [+]cache maintenance: ok\nreadyz check passed\n"),
        ("stopping", Endpoint::Readyz, &stopping, false, &[], false,
            "[+]ping ok\n[-]started failed: reason withheld\n[-]shutdown failed: reason withheld\n\
             [+]drain ok\nreadyz check failed\n"),
        ("stopping lives", Endpoint::Livez, &stopping, false, &[], true, "ok"),
        ("draining", Endpoint::Readyz, &draining, false, &[], false,
            "[+]ping ok\n[+]started ok\n[+]shutdown ok\n[-]drain failed: under maintenance\n\
             readyz check failed\n"),
        ("the whole", Endpoint::Healthz, &public, false, &[], false,
            "[+]ping ok\n[+]drain ok\n[+]database ok\n[-]cache failed: reason withheld\n\
             [-]mail failed (optional): reason withheld\nhealthz check failed\n"),
        ("an optional one may fail", Endpoint::Healthz, &public, true, &["cache"], true,
            "[+]ping ok\n[+]drain ok\n[+]database ok\n[+]cache excluded: ok\n\
             [-]mail failed (optional): reason withheld\nhealthz check passed\n"),
    ];
    for (name, endpoint, moment, verbose, exclude, ok, body) in cases {
        let answer = text(endpoint, moment, verbose, exclude.iter().copied());
        assert_eq!(answer.body, body, "{name}");
        assert_eq!(answer.ok, ok, "{name}");
        assert_eq!(answer.maintenance, name == "draining", "{name}");
    }
}

#[test]
fn a_failing_line_says_why_in_one_line() {
    let forged = ComponentView {
        message: "gone\n[+]database ok\r\u{1b}[31m".into(),
        ..component("forged", Status::Unhealthy)
    };
    let unseen = ComponentView { checked_ms: None, ..component("unseen", Status::Starting) };
    let old = stale(component("old", Status::Degraded));
    let mute = ComponentView { message: "".into(), ..component("mute", Status::Unknown) };
    let body = text(Endpoint::Healthz, &moment(vec![forged, unseen, old, mute]), false, []).body;
    assert_eq!(
        body,
        "[+]ping ok\n[+]drain ok\n\
         [-]forged failed: unhealthy: gone [+]database ok  [31m\n\
         [-]unseen failed: starting: no result yet\n\
         [-]old failed: unknown: the last result (degraded) is 31s old\n\
         [-]mute failed: unknown: connection_refused\n\
         healthz check failed\n"
    );
}
