//! What the documents say of a fleet.

use super::super::scene::{Scene, local};
use super::{FAR, from};
use crate::act::{BreakerPolicy, Breakers};
use crate::app::{ReloadRefused, Reloaded};
use crate::fleet::Farewell;
use crate::grpc_health::FleetStatuses;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use farol_health::Status::{Degraded, Healthy, Unhealthy};
use farol_health::aggregate::Policy;
use farol_health::grpc::{ServingStatus, Statuses};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

fn needs(at_least: u32) -> Policy {
    Policy { at_least: Some(at_least), ..Policy::default() }
}

/// Takes a time out of a document: it must be one.
fn take_time(value: &mut Value, key: &str) {
    let time = value.as_object_mut().unwrap().remove(key).unwrap_or_else(|| panic!("no {key}"));
    let text = time.as_str().unwrap_or_else(|| panic!("{key}: {time}"));
    assert!(text.ends_with('Z') && text.parse::<Timestamp>().is_ok(), "{key}: {text}");
}

fn names(list: &Value, key: &str) -> Vec<String> {
    list["items"].as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_agent_is_shown_whole() {
    let scene = Scene::new().await;
    scene.agent("web-1", &[("payments", "database", Healthy), ("search", "index", Degraded)]);
    let mut agent = scene.get("/api/v1/agents/web-1").await.json();
    take_time(&mut agent, "last_seen_at");
    for key in ["age_ms", "skew_ms"] {
        assert!(agent.as_object_mut().unwrap().remove(key).unwrap().as_i64().unwrap() < 10_000, "{key}");
    }
    let expected = json!({
        "id": "web-1", "role": "host", "presence": "here", "version": "0.1.0", "labels": {"cluster": "eu"},
        "boot": 1_768_473_000_000_u64, "interval_ms": 10_000, "connected": true, "components": 2, "series": 0,
        "services": ["payments", "search"],
    });
    assert_eq!(agent, expected);
}

#[tokio::test]
async fn a_component_is_shown_whole_and_keeps_its_last_status_when_stale() {
    let scene = Scene::new().await;
    let agent = scene.agent("web-1", &[("payments", "database", Unhealthy)]);
    let shown = async || {
        let mut list = scene.get("/api/v1/components").await.json();
        let mut item = list["items"][0].take();
        take_time(&mut item, "checked_at");
        take_time(&mut item, "changed_at");
        assert!(item.as_object_mut().unwrap().remove("age_ms").unwrap().as_u64().unwrap() < 10_000);
        item
    };
    let mut expected = json!({
        "agent": "web-1", "service": "payments", "component": "database", "status": "unhealthy",
        "shown_as": "unhealthy", "last_status": "unhealthy", "soft": "unhealthy",
        "reason": "connection_refused", "last_reason": "connection_refused",
        "message": "database is unhealthy", "stale": false, "restored": false, "maintenance": false,
        "required": true, "readiness": true, "kind": "tcp",
    });
    assert_eq!(shown().await, expected);
    agent.live.lock().components[0].stale = true;
    (expected["stale"], expected["shown_as"]) = (true.into(), "unknown".into());
    (expected["status"], expected["reason"]) = ("unknown".into(), "stale".into());
    assert_eq!(shown().await, expected);
}

#[tokio::test]
async fn services_and_groups_are_shown_with_their_policy_and_instances() {
    let scene = Scene::new().await;
    scene.declare(&[("payments", needs(2)), ("search", Policy::default())], "checkout");
    scene.agent("a", &[("payments", "database", Healthy)]);
    scene.agent("b", &[("payments", "database", Unhealthy), ("search", "index", Healthy)]);
    let mut service = scene.get("/api/v1/services/payments").await.json();
    take_time(&mut service, "since");
    let expected = json!({
        "name": "payments", "status": "unhealthy", "readiness": "unhealthy", "declared": true,
        "counts": {"healthy": 1, "degraded": 0, "unhealthy": 1, "unknown": 0, "starting": 0, "draining": 0},
        "policy": {"at_least": 2, "percent": null, "all": false},
        "instances": [{"agent": "a", "status": "healthy"}, {"agent": "b", "status": "unhealthy"}],
    });
    assert_eq!(service, expected);
    let mut group = scene.get("/api/v1/groups").await.json()["items"][0].take();
    take_time(&mut group, "since");
    let services = json!([
        {"service": "payments", "status": "unhealthy"}, {"service": "search", "status": "healthy"}]);
    assert_eq!(group, json!({"name": "checkout", "status": "unhealthy", "services": services}));
    let plain = scene.get("/api/services").await.json();
    assert_eq!(plain.as_array().unwrap().len(), 2);
    assert_eq!(
        (&plain[0]["id"], &plain[0]["status"], &plain[0]["ready"]),
        (&json!("payments"), &json!("unhealthy"), &json!(false))
    );
    assert_eq!(plain[0]["error_message"], "database on b: database is unhealthy");
    assert_eq!(plain[1]["error_message"], Value::Null);
}

#[tokio::test]
async fn the_fleet_is_counted() {
    let scene = Scene::new().await;
    scene.declare(&[("payments", Policy::default())], "checkout");
    scene.agent("a", &[("payments", "database", Healthy)]);
    scene.agent("b", &[("payments", "database", Unhealthy), ("search", "index", Healthy)]);
    let mut fleet = scene.get("/api/v1/fleet").await.json();
    take_time(&mut fleet, "at");
    assert_eq!(
        fleet["agents"],
        json!({"total": 2, "connected": 2, "here": 2, "held": 0, "restored": 0, "leaving": 0, "lost": 0})
    );
    assert_eq!(fleet["components"]["healthy"], 2);
    assert_eq!(fleet["components"]["unhealthy"], 1);
    assert_eq!(
        fleet["services"],
        json!({"total": 2, "healthy": 1, "degraded": 1, "unhealthy": 0, "unknown": 0, "starting": 0, "maintenance": 0})
    );
    assert_eq!(fleet["groups"]["degraded"], 1);
    assert_eq!(fleet["store"]["takes"], true);
}

#[tokio::test]
async fn lists_are_read_page_by_page_and_nothing_is_lost_or_told_twice() {
    let scene = Scene::new().await;
    for agent in ["a", "b", "b:1", "c"] {
        scene.agent(agent, &[("s2", "y", Healthy), ("s1", "z", Degraded), ("s1", "a", Healthy)]);
    }
    for (path, key, expected) in [
        ("/api/v1/agents", "id", 4),
        ("/api/v1/services", "name", 2),
        ("/api/v1/components", "component", 12),
        ("/api/v1/components?service=s1", "component", 8),
        ("/api/v1/components?agent=b:1&shown_as=degraded", "component", 1),
        ("/api/v1/events?kind=component_status", "id", 12),
    ] {
        let whole = scene.get(path).await.json();
        assert_eq!((names(&whole, key).len(), &whole["next"]), (expected, &Value::Null), "{path}");
        for limit in [1, 3, 5] {
            let join = if path.contains('?') { '&' } else { '?' };
            let mut query = format!("{path}{join}limit={limit}");
            if path.contains("events") {
                // A list of events without a start is the last of them.
                query += &format!("&after={}", scene.app.events.id(0));
            }
            let mut read = Vec::new();
            loop {
                let page = scene.get(&query).await.json();
                read.extend(page["items"].as_array().unwrap().clone());
                let Some(next) = page["next"].as_str() else { break };
                let start = query.split("&after=").next().unwrap().to_owned();
                query = format!("{start}&after={next}");
            }
            let strip = |items: &[Value]| {
                let bare = items.iter().cloned().map(|mut item| {
                    item.as_object_mut().unwrap().remove("age_ms");
                    item
                });
                bare.collect::<Vec<_>>()
            };
            assert_eq!(strip(&read), strip(whole["items"].as_array().unwrap()), "{query}");
        }
    }
    let last = scene.get("/api/v1/events?limit=2").await.json();
    assert_eq!(names(&last, "id")[1], scene.app.events.id(scene.app.events.newest()));
}

#[tokio::test]
async fn probes_of_services_and_groups_follow_the_status() {
    let scene = Scene::new().await;
    scene.declare(&[("payments", needs(1)), ("search", Policy::default())], "checkout");
    let agent = scene.agent("a", &[("payments", "database", Healthy), ("payments", "queue", Unhealthy)]);
    // Unhealthy as a whole, yet its readiness component is well; `search` has nobody.
    for (path, status, key, value) in [
        ("/health/services/payments", 503, "status", json!("unhealthy")),
        ("/health/services/payments", 503, "up", json!(0)),
        ("/health/services/payments", 503, "needed", json!(1)),
        ("/health/services/payments/ready", 200, "ready", json!(true)),
        ("/health/services/payments/detailed", 503, "service", json!("payments")),
        ("/health/services/search/ready", 503, "status", json!("unknown")),
        ("/health/groups/checkout", 503, "services", json!({"payments": "unhealthy", "search": "unknown"})),
    ] {
        let reply = scene.get(path).await;
        assert_eq!((reply.status.as_u16(), &reply.json()[key]), (status, &value), "{path}");
        assert!(!reply.headers.contains_key("retry-after"), "{path}");
        take_time(&mut reply.json(), "timestamp");
    }
    scene.say(&agent, &[("payments", "database", Degraded)]);
    for path in ["/health/services/payments", "/health/services/payments/ready"] {
        assert_eq!(scene.get(path).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn messages_are_for_callers_on_this_machine() {
    let scene = Scene::new().await;
    scene.agent("a", &[("payments", "database", Unhealthy)]);
    let path = "/health/services/payments/detailed";
    let near = scene.get(path).await.json();
    let component = &near["instances"]["a"]["components"]["database"];
    assert_eq!(component["message"], "database is unhealthy");
    let far = scene.send(from(FAR, Method::GET, path).body(Body::empty()).unwrap()).await.json();
    let component = &far["instances"]["a"]["components"]["database"];
    assert_eq!(
        (&component["status"], &component["reason"]),
        (&json!("unhealthy"), &json!("connection_refused"))
    );
    assert!(component.get("message").is_none());
}

#[tokio::test]
async fn the_monitors_own_version_is_for_callers_on_this_machine() {
    let scene = Scene::new().await;
    assert_eq!(scene.get("/health").await.json()["version"], "1.2.3");
    let far = scene.send(from(FAR, Method::GET, "/health").body(Body::empty()).unwrap()).await;
    assert_eq!((far.status, far.json().get("version")), (StatusCode::OK, None));
}

#[tokio::test]
async fn a_service_that_leaves_is_asked_again_later() {
    let scene = Scene::new().await;
    let agent = scene.agent("a", &[("payments", "database", Healthy)]);
    let stream = agent.live.lock().stream.as_ref().map_or(0, |link| link.number);
    scene.app.fleet.goodbye(&agent, stream, Farewell::Workload, 10_000, scene.app.clock.now());
    for path in ["/health/services/payments", "/health/services/payments/ready"] {
        let reply = scene.get(path).await;
        assert_eq!(
            (reply.status, &reply.json()["status"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!("maintenance"))
        );
        assert_eq!(reply.headers["retry-after"], "30", "{path}");
    }
    let page = scene.get("/metrics").await.body;
    assert!(page.contains("farol_service_status{service=\"payments\"} 5\n"), "{page}");
    let component = scene.get("/api/v1/components").await.json()["items"][0].take();
    assert_eq!((&component["last_status"], &component["status"]), (&json!("healthy"), &json!("maintenance")));
}

#[tokio::test]
async fn a_lost_agent_can_be_forgotten_and_only_a_lost_one() {
    let scene = Scene::new().await;
    let agent = scene.agent("a", &[("payments", "database", Healthy)]);
    let path = "/api/v1/agents/a";
    assert_eq!(scene.operate(Method::DELETE, path).await.code(), "agent_not_lost");
    let mut later = scene.app.clock.now();
    later.run_ms += 600_000;
    let stream = agent.live.lock().stream.as_ref().unwrap().number;
    scene.app.fleet.disconnected(&agent, stream, later);
    scene.app.fleet.tick(later);
    assert_eq!(scene.get(path).await.json()["presence"], "lost");
    assert_eq!(scene.operate(Method::DELETE, path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(scene.get(path).await.code(), "unknown_agent");
    assert_eq!(scene.operate(Method::DELETE, path).await.code(), "unknown_agent");
    let last = scene.get("/api/v1/events?kind=agent_forgotten").await.json();
    assert_eq!(last["items"][0]["agent"], "a");
}

#[tokio::test]
async fn a_reload_says_what_needs_a_restart_or_why_it_is_refused() {
    let taken = Reloaded { restart_needed: vec!["listen.http".into()] };
    let scene = Scene::with_reload(Box::new(move || {
        let taken = taken.clone();
        Box::pin(async move { Ok(taken) })
    }))
    .await;
    let reply = scene.operate(Method::POST, "/api/v1/reload").await;
    assert_eq!(reply.json(), json!({"restart_needed": ["listen.http"]}));
    let refused = ReloadRefused(vec!["monitor.yaml:3: x".into(), "monitor.yaml:9: y".into()]);
    let scene = Scene::with_reload(Box::new(move || {
        let refused = refused.clone();
        Box::pin(async move { Err(refused) })
    }))
    .await;
    let reply = scene.operate(Method::POST, "/api/v1/reload").await;
    assert_eq!((reply.status, &*reply.code()), (StatusCode::UNPROCESSABLE_ENTITY, "configuration_refused"));
    assert!(reply.body.contains("monitor.yaml:3: x; monitor.yaml:9: y"), "{}", reply.body);
}

#[tokio::test]
async fn a_handler_that_panics_is_told_without_its_words() {
    let scene = Scene::with_reload(Box::new(|| panic!("secret words"))).await;
    let reply = scene.operate(Method::POST, "/api/v1/reload").await;
    assert_eq!((reply.status, &*reply.code()), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
    assert!(!reply.body.contains("secret"));
    assert_eq!(scene.get("/api/v1/fleet").await.status, StatusCode::OK);
}

#[tokio::test]
async fn json_is_compressed_for_those_who_take_it_and_probes_never() {
    let scene = Scene::new().await;
    for (path, compressed) in [("/api/v1/fleet", true), ("/metrics", true), ("/health", false)] {
        let request = local(Method::GET, path).header("accept-encoding", "gzip").body(Body::empty()).unwrap();
        let response = scene.open(request).await;
        assert_eq!(response.headers().contains_key("content-encoding"), compressed, "{path}");
    }
}

#[tokio::test]
async fn grpc_health_reads_the_fleet_in_its_three_words() {
    use ServingStatus::{NotServing, Serving, Unknown};
    let scene = Scene::new().await;
    scene.declare(&[("payments", needs(1)), ("search", Policy::default())], "checkout");
    scene.agent("a", &[("payments", "database", Degraded), ("payments", "queue", Unhealthy)]);
    scene.agent("b", &[("mail", "smtp", Healthy)]);
    let app = &scene.app;
    let statuses = FleetStatuses::new(Arc::clone(&app.own), scene.generation.clone());
    for name in ["payments", "nobody", "group:checkout"] {
        assert_eq!(statuses.check(name), Some(Unknown), "{name}: nothing is restored yet");
    }
    assert_eq!(statuses.list(), [(String::new(), Serving)]);
    let policy = BreakerPolicy { open_for_ms: 30_000, half_open_probes: 1 };
    let names = ["closed", "open", "half"].map(Arc::<str>::from);
    let breakers = Arc::new(Breakers::new(names.map(|name| (name, policy))));
    let then = farol_rules::Moment { run_ms: 0, wall_ms: 0 };
    breakers.open("open", ("ann", "a release"), None, then).unwrap();
    breakers.open("half", ("ann", "a release"), Some(1), then).unwrap();
    breakers.step(farol_rules::Moment { run_ms: 2, wall_ms: 2 });
    statuses.open(Arc::clone(&app.fleet), breakers);
    let cases = [
        ("", Some(Serving)),
        ("payments", Some(NotServing)),
        ("payments/database", Some(Serving)),
        ("payments/queue", Some(NotServing)),
        ("payments/queue@a", Some(NotServing)),
        ("payments@a", Some(NotServing)),
        ("mail", Some(Serving)),
        ("mail@a", None),
        ("search", Some(Unknown)),
        ("group:checkout", Some(NotServing)),
        ("group:nobody", None),
        ("breaker:closed", Some(Serving)),
        ("breaker:open", Some(NotServing)),
        ("breaker:half", Some(Serving)),
        ("breaker:none", None),
        ("nobody", None),
    ];
    for (name, expected) in cases {
        assert_eq!(statuses.check(name), expected, "{name}");
    }
    let listed: Vec<_> = statuses.list().into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed, ["", "mail", "payments", "search", "group:checkout"]);
    let mut changed = statuses.changed();
    changed.mark_unchanged();
    scene.agent("c", &[("mail", "smtp", Healthy)]);
    assert!(changed.has_changed().unwrap());
    scene.stop();
    for (name, expected) in cases {
        assert_eq!(statuses.check(name), expected.map(|_| NotServing), "{name} of a monitor that stops");
    }
}
