//! The routes, as a program on this machine and as anyone else finds them.

use super::*;
use crate::probes::tests::own_with;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use farol_health::{Registration, Spec, Status, check_fn};
use farol_shutdown::listener::Peer;
use std::future::ready;
use tower::ServiceExt;

fn told(name: &str, kind: &'static str) -> Registration {
    let spec = Spec { told: true, failure_threshold: 1, success_threshold: 1, ..Spec::new(name, "shop") };
    Registration::new(spec, check_fn(kind, || ready(Outcome::unknown("silence", ""))))
}

/// An agent with a heartbeat, a told component and a check of its own.
fn own() -> Arc<Own> {
    let check = check_fn("tcp", || ready(Outcome::healthy()));
    own_with(vec![
        told("nightly", "heartbeat"),
        told("queue", "push"),
        Registration::new(Spec::new("door", "shop"), check),
    ])
}

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}

async fn ask(
    router: &Router,
    peer: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let peer = Peer { addr: peer.parse().unwrap(), tls_identity: None };
    let request = request.extension(peer).body(body.into()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

const HERE: &str = "127.0.0.1:40000";
const HOST: (&str, &str) = ("host", "localhost");

async fn put_to(router: &Router, path: &str, body: &str) -> Answer {
    ask(router, HERE, "PUT", path, &[HOST], body.to_owned()).await
}

#[tokio::test]
async fn every_route_is_for_programs_on_this_machine_alone() {
    let router = router(&own(), None);
    let routes = table();
    assert!(!routes.is_empty());
    for Route { path, class, .. } in routes {
        assert_eq!(class, Class::Local);
        let path = path.replace("{name}", "queue");
        for method in ["GET", "PUT"] {
            for (peer, headers, expected) in [
                ("10.0.0.7:40000", &[HOST][..], (403, "loopback_only")),
                (HERE, &[("host", "evil.example")], (421, "unknown_host")),
                (HERE, &[], (400, "bad_host")),
                (HERE, &[HOST, ("origin", "http://evil.example")], (403, "foreign_origin")),
                (HERE, &[HOST, ("origin", "null")], (403, "foreign_origin")),
                (HERE, &[HOST, ("host", "localhost")], (400, "bad_host")),
            ] {
                let answer = ask(&router, peer, method, &path, headers, r#"{"status":"healthy"}"#).await;
                // A method that a path does not have is refused before or after; never served.
                let refused = answer.code() == expected || answer.status == 405;
                assert!(refused, "{method} {path} {headers:?}: {:?} {}", answer.code(), answer.body);
                if answer.status != 405 {
                    assert_eq!(answer.headers["content-type"], "application/problem+json");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_told_counts_at_once() {
    let own = own();
    let router = router(&own, None);
    let status = |name: &str| own.checker.snapshot().component(name).unwrap().hard;
    assert_eq!(put_to(&router, "/v1/heartbeats/nightly", "").await.status, 204);
    assert_eq!(status("nightly"), Status::Healthy);
    for word in ["degraded", "unhealthy", "healthy"] {
        let body = format!(r#"{{"status":"{word}","message":"so it is","metadata":{{"shard":"a"}}}}"#);
        assert_eq!(put_to(&router, "/v1/components/queue", &body).await.status, 204);
        assert_eq!(status("queue").as_str(), word);
    }
    let list = ask(&router, HERE, "GET", "/v1/components", &[HOST], "").await;
    let items = list.body["items"].as_array().unwrap();
    assert_eq!(
        items.iter().map(|i| i["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["nightly", "queue", "door"]
    );
    assert_eq!((&items[1]["status"], &items[1]["message"]), (&"healthy".into(), &"so it is".into()));
    assert_eq!((&items[2]["status"], &items[2]["age_ms"]), (&"starting".into(), &Value::Null));
}

#[tokio::test]
async fn what_cannot_be_told_is_a_problem_that_says_what_to_do() {
    let router = router(&own(), None);
    let long = "x".repeat(65 * 1024);
    let good = r#"{"status":"healthy"}"#;
    for (path, body, expected, word) in [
        ("/v1/heartbeats/weekly", "", (404, "not_declared"), "- {name: weekly, heartbeat: {ttl: 1h}}"),
        ("/v1/components/cache", good, (404, "not_declared"), "- {name: cache, push: {ttl: 1m}}"),
        ("/v1/components/a%20b", good, (404, "bad_name"), "A-Z"),
        ("/v1/components/queue", "{", (400, "bad_json"), "send for instance"),
        ("/v1/components/queue", r#"{"status":"up"}"#, (422, "bad_status"), "`healthy`"),
        ("/v1/components/queue", &long, (413, "body_too_large"), "65536"),
        ("/v1/components/nightly", good, (409, "other_kind"), "PUT /v1/heartbeats/nightly"),
        ("/v1/heartbeats/queue", "", (409, "other_kind"), "PUT /v1/components/queue"),
        ("/v1/heartbeats/door", "", (409, "other_kind"), "`tcp` check"),
        ("/v2/components/queue", good, (404, "no_such_path"), "PUT /v1/components/{name}"),
    ] {
        let answer = put_to(&router, path, body).await;
        assert_eq!(answer.code(), expected, "{path} {body:.50}: {}", answer.body);
        assert!(answer.body["detail"].as_str().unwrap().contains(word), "{}", answer.body);
        assert_eq!(answer.body["status"], expected.0);
    }
    let answer = ask(&router, HERE, "DELETE", "/v1/components/queue", &[HOST], "").await;
    assert_eq!(answer.code(), (405, "method_not_allowed"));
    assert_eq!(answer.headers["allow"], "PUT");
}

#[tokio::test]
async fn a_flood_of_one_name_is_slowed_and_no_other_is() {
    let router = router(&own(), None);
    let mut refused = None;
    for _ in 0..40 {
        let answer = put_to(&router, "/v1/components/queue", r#"{"status":"healthy"}"#).await;
        if answer.status != 204 {
            refused = Some(answer);
        }
    }
    let refused = refused.expect("some are too many");
    assert_eq!(refused.code(), (429, "too_many_requests"));
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(put_to(&router, "/v1/heartbeats/nightly", "").await.status, 204);
    assert_eq!(put_to(&router, "/v1/heartbeats/weekly", "").await.status, 404);
}

#[tokio::test]
async fn a_drain_is_taken_once_holds_and_makes_the_agent_unready() {
    let own = own();
    let router = router(&own, Some(Role::Pod));
    assert!(!own.checker.snapshot().draining);
    for status in [202, 200, 200] {
        let answer = ask(&router, HERE, "PUT", "/v1/drain", &[HOST], "").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.body, serde_json::json!({"draining": true, "goodbye": "workload"}));
        assert!(own.checker.snapshot().draining && own.drained.is_cancelled());
    }
    let back = ask(&router, HERE, "DELETE", "/v1/drain", &[HOST], "").await;
    assert_eq!(back.code(), (405, "method_not_allowed"), "a Goodbye stands until its stream ends");
    let probes = crate::probes::router(&own, farol_health::Details::Always);
    let ready = ask(&probes, HERE, "GET", "/health/ready", &[HOST], "").await;
    assert_eq!((ready.status, &ready.body["ready"]), (503, &Value::Bool(false)));
    let detailed = ask(&probes, HERE, "GET", "/health/detailed", &[HOST], "").await;
    assert_eq!(detailed.body["components"]["queue"]["status"], "maintenance", "{}", detailed.body);
    assert_eq!(put_to(&router, "/v1/components/queue", r#"{"status":"degraded"}"#).await.status, 204);
}

#[tokio::test]
async fn an_agent_without_a_monitor_drains_too_and_says_goodbye_to_nobody() {
    let router = router(&own(), None);
    let answer = ask(&router, HERE, "PUT", "/v1/drain", &[HOST], "{").await;
    assert_eq!((answer.status, &answer.body["goodbye"]), (202, &Value::Null), "a body is not looked at");
}
