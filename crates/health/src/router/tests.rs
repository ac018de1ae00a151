//! The routes through the whole router, as a caller sees them.

use super::*;
use crate::{ComponentView, Dependency, Snapshot, Status, clock};
use axum::body::Body;
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tower::ServiceExt;

const ROUTES: [&str; 7] =
    ["/health", "/health/detailed", "/health/ready", "/health/live", "/livez", "/readyz", "/healthz"];

struct App {
    snapshot: Arc<Snapshot>,
    started: bool,
    stopping: AtomicBool,
    heartbeat_ms: AtomicU64,
}

impl Source for App {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }
    fn heartbeat_ms(&self) -> u64 {
        self.heartbeat_ms.load(Ordering::Relaxed)
    }
    fn born_ms(&self) -> u64 {
        clock::boot_ms()
    }
    fn started(&self) -> bool {
        self.started
    }
    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
    fn version(&self) -> &str {
        "1.2.3"
    }
}

fn app(hard: Status) -> App {
    let database = ComponentView {
        name: "database".into(),
        service: "shop".into(),
        kind: "postgres",
        required: true,
        readiness: true,
        dependency: Dependency::Database,
        hard,
        soft: hard,
        reason: "ok".into(),
        message: "secret host db-7".into(),
        figures: Arc::new([]),
        metadata: Arc::new([]),
        response_time: Some(Duration::from_millis(12)),
        checked_ms: Some(clock::boot_ms()),
        checked_at: Some(Timestamp::now()),
        changed_at: Timestamp::now(),
        ttl_ms: 60_000,
        maintenance: false,
    };
    App {
        snapshot: Arc::new(Snapshot { components: vec![Arc::new(database)], ..Snapshot::default() }),
        started: true,
        stopping: AtomicBool::new(false),
        heartbeat_ms: AtomicU64::new(clock::boot_ms()),
    }
}

struct Got {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn send(router: &Router, request: axum::http::request::Builder) -> Got {
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Got {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

async fn get_local(router: &Router, path: &str) -> Got {
    send(router, Request::builder().uri(path).extension(PeerIsLoopback(true))).await
}

#[tokio::test]
async fn every_route_answers_good_news_with_200_and_bad_news_with_503() {
    let well = router(Arc::new(app(Status::Degraded)), Details::Loopback);
    let ill = router(Arc::new(app(Status::Unhealthy)), Details::Loopback);
    for route in ROUTES {
        let json = route.starts_with("/health") && route != "/healthz";
        let kind = if json { "application/json" } else { "text/plain; charset=utf-8" };
        let itself = matches!(route, "/health/live" | "/livez");
        for (router, status) in [(&well, 200), (&ill, if itself { 200 } else { 503 })] {
            let got = get_local(router, route).await;
            assert_eq!(got.status, status, "{route}");
            assert_eq!(got.header(header::CONTENT_TYPE), kind, "{route}");
            assert_eq!(got.header(header::CACHE_CONTROL), "no-store", "{route}");
            assert_eq!(got.header(header::RETRY_AFTER), "", "{route}");
            assert!(!got.body.is_empty(), "{route}");
        }
    }
    assert_eq!(
        get_local(&well, "/health/ready").await.json()["dependencies"],
        json!({"database": "connected"})
    );
    assert_eq!(get_local(&well, "/health").await.json()["version"], "1.2.3");
    assert_eq!(get_local(&well, "/health/nothing").await.status, 404);
}

#[tokio::test]
async fn a_head_answers_as_a_get_without_its_body_and_other_methods_get_405() {
    let router = router(Arc::new(app(Status::Unhealthy)), Details::Always);
    for route in ROUTES {
        let got = get_local(&router, route).await;
        let head = send(&router, Request::builder().method("HEAD").uri(route)).await;
        assert_eq!(head.status, got.status, "{route}");
        assert_eq!(head.body, "", "{route}");
        assert_eq!(head.header(header::CONTENT_TYPE), got.header(header::CONTENT_TYPE), "{route}");
        assert_eq!(head.header(header::CACHE_CONTROL), "no-store", "{route}");
        assert_eq!(head.header(header::CONTENT_LENGTH), got.body.len().to_string(), "{route}");
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let refused = send(&router, Request::builder().method(method).uri(route)).await;
            assert_eq!(refused.status, 405, "{method} {route}");
            assert_eq!(refused.header(header::ALLOW), "GET,HEAD", "{method} {route}");
            assert_eq!(refused.header(header::CACHE_CONTROL), "no-store", "{method} {route}");
        }
    }
}

#[tokio::test]
async fn refusals_are_kept_by_no_cache_in_an_application_and_one_of_its_own_stands() {
    let plain = || router(Arc::new(app(Status::Healthy)), Details::Never);
    let page = || Router::new().route("/page", axum::routing::get(async || "page"));
    let put = |router: Router, path: &'static str| async move {
        send(&router, Request::builder().method("PUT").uri(path)).await
    };
    let app_of = || page().merge(plain());
    for path in ["/health/nothing", "/health/live/x", "/health/services/shop"] {
        let got = get_local(&app_of(), path).await;
        assert_eq!((got.status, got.header(header::CACHE_CONTROL)), (404, "no-store"), "{path}");
    }
    let elsewhere = get_local(&app_of(), "/nothing").await;
    assert_eq!((elsewhere.status, elsewhere.header(header::CACHE_CONTROL)), (404, ""), "not ours");
    assert_eq!(put(app_of(), "/page").await.header(header::CACHE_CONTROL), "", "not ours");
    assert_eq!(put(app_of(), "/health").await.header(header::CACHE_CONTROL), "no-store");
    let own = app_of()
        .fallback(async || (axum::http::StatusCode::NOT_FOUND, "theirs"))
        .method_not_allowed_fallback(async || (axum::http::StatusCode::METHOD_NOT_ALLOWED, "theirs"));
    assert_eq!(get_local(&own, "/health/nothing").await.body, "theirs");
    assert_eq!(put(own, "/health").await.body, "theirs");
}

#[tokio::test]
async fn health_json_is_sent_to_who_asks_for_it() {
    let router = router(Arc::new(app(Status::Unhealthy)), Details::Always);
    for (accept, kind, status) in [
        ("application/health+json", "application/health+json", json!("fail")),
        ("application/health+json;q=0.3, */*;q=0.9", "application/json", json!("unhealthy")),
        ("*/*", "application/json", json!("unhealthy")),
    ] {
        for route in ["/health", "/health/detailed"] {
            let got = send(&router, Request::builder().uri(route).header(header::ACCEPT, accept)).await;
            assert_eq!(got.header(header::CONTENT_TYPE), kind, "{route} {accept}");
            assert_eq!(got.json()["status"], status, "{route} {accept}");
            assert_eq!(got.status, 503, "{route} {accept}");
        }
    }
    for (route, status) in [("/health/ready", "fail"), ("/health/live", "pass")] {
        let got =
            send(&router, Request::builder().uri(route).header(header::ACCEPT, "application/health+json"));
        let got = got.await;
        assert_eq!(got.json()["status"], status, "{route}");
        assert_eq!(got.status, if status == "pass" { 200 } else { 503 }, "{route}");
    }
}

#[tokio::test]
async fn details_go_to_whom_the_policy_names() {
    let cases = [
        (Details::Always, None, true),
        (Details::Always, Some(false), true),
        (Details::Loopback, Some(true), true),
        (Details::Loopback, Some(false), false),
        (Details::Loopback, None, false),
        (Details::Never, Some(true), false),
    ];
    for (details, local, allowed) in cases {
        let router = router(Arc::new(app(Status::Unhealthy)), details);
        let ask = |route: &str| {
            let mut request = Request::builder().uri(route);
            if let Some(local) = local {
                request = request.extension(PeerIsLoopback(local));
            }
            request
        };
        let detailed = send(&router, ask("/health/detailed")).await;
        let text = send(&router, ask("/readyz")).await;
        let health = send(&router, ask("/health")).await;
        for got in [&detailed, &text] {
            assert_eq!(got.body.contains("db-7"), allowed, "{details:?} {local:?}: {}", got.body);
        }
        assert_eq!(text.body.contains("reason withheld"), !allowed, "{details:?} {local:?}");
        assert_eq!(health.json().get("version").is_some(), allowed, "{details:?} {local:?}");
        assert_eq!(detailed.json()["components"]["database"]["status"], "unhealthy");
    }
}

#[tokio::test]
async fn a_group_answers_under_its_own_code_and_an_unknown_one_names_those_there_are() {
    use crate::group::{Group, Groups, Rule};
    let app = Arc::new(app(Status::Unhealthy));
    let groups = Groups::new(
        [
            Group::new("data", ["database"]),
            Group::new("tolerant", ["database"]).answers(Status::Unhealthy, 218).rule(Rule::AtLeast(1)),
        ],
        &app.snapshot,
    );
    let router = router(app.clone(), Details::Never).merge(group_router(app, groups.unwrap()));
    for (path, status) in [("data", 503), ("tolerant", 218)] {
        let path = format!("/health/groups/{path}");
        let got = get_local(&router, &path).await;
        assert_eq!((got.status, got.json()["status"].as_str()), (status, Some("unhealthy")), "{path}");
        assert_eq!(got.json()["components"], json!({"database": "unhealthy"}));
        assert_eq!(got.header(header::CACHE_CONTROL), "no-store", "{path}");
        let head = send(&router, Request::builder().method("HEAD").uri(&path)).await;
        assert_eq!((head.status, head.body.as_str()), (status, ""), "{path}");
        let refused = send(&router, Request::builder().method("PUT").uri(&path)).await;
        let headers = (refused.header(header::ALLOW), refused.header(header::CACHE_CONTROL));
        assert_eq!((refused.status, headers), (405, ("GET,HEAD", "no-store")), "{path}");
    }
    let got = get_local(&router, "/health/groups/%22no%0Aone%22").await;
    assert_eq!((got.status, got.header(header::CONTENT_TYPE)), (404, "application/problem+json"));
    assert_eq!(got.json()["code"], "unknown_group");
    assert_eq!(got.json()["detail"], "there is no such group; known here: data, tolerant");
}

#[tokio::test]
async fn the_text_routes_read_verbose_and_every_exclude() {
    let router = router(Arc::new(app(Status::Unhealthy)), Details::Never);
    let cases = [
        ("/readyz?exclude=database", 200, "ok"),
        ("/livez?verbose", 200, "[+]ping ok\n[+]heartbeat ok\nlivez check passed\n"),
        ("/livez?verbose=false", 200, "[+]ping ok\n[+]heartbeat ok\nlivez check passed\n"),
        (
            "/livez?verbose&exclude=heartbeat&exclude=ping&exclude=%FF%22",
            200,
            "[+]ping excluded: ok\n[+]heartbeat excluded: ok\n\
             warn: some health checks cannot be excluded: no matches for \"\u{fffd}\\\"\"\nlivez check passed\n",
        ),
        (
            "/healthz",
            503,
            "[+]ping ok\n[+]drain ok\n[-]database failed: reason withheld\nhealthz check failed\n",
        ),
    ];
    for (path, status, body) in cases {
        let got = get_local(&router, path).await;
        assert_eq!((got.status, got.body.as_str()), (status, body), "{path}");
        assert_eq!(got.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
    }
}

#[tokio::test]
async fn a_shutdown_ends_readiness_and_leaves_liveness_until_the_heart_stops() {
    let app = Arc::new(app(Status::Healthy));
    let router = router(app.clone(), Details::Never);
    assert_eq!(get_local(&router, "/health/ready").await.status, 200);
    app.stopping.store(true, Ordering::Relaxed);
    for (route, status) in [("/health/ready", 503), ("/readyz", 503), ("/health/live", 200), ("/livez", 200)]
    {
        assert_eq!(get_local(&router, route).await.status, status, "{route}");
    }
    app.heartbeat_ms.store(clock::boot_ms().saturating_sub(30_000), Ordering::Relaxed);
    for route in ["/health/live", "/livez"] {
        assert_eq!(get_local(&router, route).await.status, 503, "{route}");
    }
}

#[tokio::test]
async fn a_process_that_has_not_started_is_not_ready_and_one_that_drains_says_when_to_come_again() {
    let starting = router(Arc::new(App { started: false, ..app(Status::Healthy) }), Details::Never);
    let got = get_local(&starting, "/health/ready").await;
    assert_eq!((got.status, got.header(header::RETRY_AFTER)), (503, ""));

    let mut draining = app(Status::Healthy);
    Arc::make_mut(&mut draining.snapshot).draining = true;
    let draining = router(Arc::new(draining), Details::Never);
    for route in ["/health", "/health/detailed", "/health/ready", "/readyz", "/healthz"] {
        let got = get_local(&draining, route).await;
        assert_eq!((got.status, got.header(header::RETRY_AFTER)), (503, "30"), "{route}");
    }
    assert_eq!(get_local(&draining, "/health").await.json()["status"], "maintenance");
    assert_eq!(get_local(&draining, "/health/live").await.status, 200);
}

#[tokio::test]
async fn maintenance_by_hand_tells_its_reason_to_who_may_know() {
    for (details, told) in [(Details::Always, true), (Details::Never, false)] {
        let mut app = app(Status::Healthy);
        let snapshot = Arc::make_mut(&mut app.snapshot);
        (snapshot.draining, snapshot.maintenance) = (true, Some("new disks".into()));
        let router = router(Arc::new(app), details);
        for route in ["/health", "/health/detailed", "/healthz", "/readyz"] {
            let got = get_local(&router, route).await;
            assert_eq!((got.status, got.header(header::RETRY_AFTER)), (503, "30"), "{route}");
            assert_eq!(got.body.contains("new disks"), told, "{route}: {}", got.body);
        }
        assert_eq!(get_local(&router, "/livez").await.status, 200);
    }
}
