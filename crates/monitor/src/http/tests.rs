//! The whole surface, as callers near and far see it: every line of the table is walked.

mod alerts;
mod documents;
mod explained;
mod past;
mod restored;
mod stream;
mod tellings;

use super::openapi;
use super::route::{Class, Route};
use super::scene::{BOUND, Reply, Scene, from, local};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use farol_health::Status;
use serde_json::Value;

const FAR: &str = "10.1.2.3:40000";

/// A path of the route, its parameters filled in.
fn path_of(route: &Route) -> String {
    let filled = route.path.replace("{service}", "payments").replace("{agent}", "web-1");
    let filled = filled.replace("{group}", "checkout").replace("{component}", "database");
    let filled = filled.replace("{id}", "none").replace("{name}", "none").replace("{receiver}", "none");
    let must: Vec<_> = route.asks.iter().filter(|p| p.required).map(|p| format!("{}=x", p.name)).collect();
    if must.is_empty() { filled } else { format!("{filled}?{}", must.join("&")) }
}

async fn scene() -> Scene {
    let scene = Scene::new().await;
    scene.declare(&[("payments", Default::default())], "checkout");
    scene.agent("web-1", &[("payments", "database", Status::Healthy)]);
    scene
}

/// What a line says when the guard has let the caller in.
fn is_let_in(route: &Route, reply: &Reply) -> bool {
    match (route.path, route.method.as_str()) {
        ("/health/services/{service}/live", _) => reply.code() == "no_remote_liveness",
        // The agent is not lost.
        ("/api/v1/agents/{agent}", "DELETE") => reply.code() == "agent_not_lost",
        // There is none.
        ("/api/v1/alerts/{id}" | "/api/v1/why/alert/{id}", _) => reply.code() == "unknown_alert",
        ("/api/v1/alerts/{id}/acknowledge", "DELETE") => reply.code() == "unknown_alert",
        ("/api/v1/silences/{id}", _) => reply.code() == "unknown_silence",
        ("/api/v1/maintenance/{id}", _) => reply.code() == "unknown_window",
        ("/api/v1/incidents/{id}", _) => reply.code() == "unknown_incident",
        ("/api/v1/notifications/{id}/resend", _) => reply.code() == "unknown_notification",
        ("/api/v1/why/receiver/{receiver}", _) => reply.code() == "unknown_receiver",
        ("/api/v1/breakers/{name}/admit", _) => reply.code() == "unknown_breaker",
        // It wants a body.
        _ if route.takes.is_some() => reply.code() == "bad_body",
        // What is asked of it is no level.
        ("/api/v1/log-level", _) => reply.code() == "bad_level",
        _ => reply.status == StatusCode::OK,
    }
}

/// Sends what the route asks for as this caller, under this name, with these headers.
async fn call(scene: &Scene, route: &Route, peer: Option<&str>, host: &str, extra: &[(&str, &str)]) -> Reply {
    let path = path_of(route);
    let mut request = match peer {
        Some(peer) => from(peer, route.method.clone(), &path),
        None => Request::builder().method(route.method.clone()).uri(&path),
    };
    request.headers_mut().unwrap().insert("host", host.parse().unwrap());
    for (name, value) in extra {
        request = request.header(*name, *value);
    }
    scene.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn every_line_of_the_table_keeps_its_class() {
    let scene = scene().await;
    let bearer = format!("Bearer {}", scene.app.token.expose());
    let token = ("authorization", bearer.as_str());
    let wrong = ("authorization", "Bearer 0123");
    let (near, far) = (Some("127.0.0.1:40000"), Some(FAR));
    let evil = "evil.example.com";
    // Who asks, under which name, how; and what each class says, `None` for let in.
    let same = ("origin", "http://127.0.0.1:8501");
    let foreign = ("origin", "http://evil.example.com");
    let null = ("origin", "null");
    let loopback = Some("loopback_only");
    let needed = Some("token_needed");
    let table = [
        (near, BOUND, vec![], None, needed),
        (near, BOUND, vec![token], None, None),
        (near, BOUND, vec![token, same], None, None),
        (near, BOUND, vec![wrong], None, Some("wrong_token")),
        (far, BOUND, vec![], loopback, needed),
        (far, BOUND, vec![token], loopback, None),
        (None, BOUND, vec![], loopback, needed),
        (None, BOUND, vec![token], loopback, None),
        (near, evil, vec![token], Some("unknown_host"), Some("unknown_host")),
        (near, BOUND, vec![token, foreign], Some("foreign_origin"), Some("foreign_origin")),
        (near, BOUND, vec![token, null], Some("foreign_origin"), Some("foreign_origin")),
    ];
    for (number, route) in super::table().into_iter().enumerate() {
        // Nobody guesses more than a few times.
        let guesser = format!("127.0.1.{number}:40000");
        for (peer, host, extra, read, operate) in &table {
            let peer = if extra.contains(&wrong) { Some(guesser.as_str()) } else { *peer };
            let reply = call(&scene, &route, peer, host, extra).await;
            let refused = match route.class {
                Class::Probe => None,
                Class::Read => *read,
                Class::Operate => *operate,
            };
            let line = format!("{} {} from {peer:?} as {host} with {extra:?}", route.method, route.path);
            match refused {
                None => assert!(is_let_in(&route, &reply), "{line}: {} {}", reply.status, reply.body),
                Some(code) => {
                    assert_eq!(reply.code(), code, "{line}");
                    let status = match code {
                        "unknown_host" => StatusCode::MISDIRECTED_REQUEST,
                        "token_needed" | "wrong_token" => StatusCode::UNAUTHORIZED,
                        _ => StatusCode::FORBIDDEN,
                    };
                    assert_eq!(reply.status, status, "{line}");
                }
            }
        }
    }
}

#[tokio::test]
async fn read_any_lets_far_callers_read_and_nothing_more() {
    let scene = scene().await;
    let mut access = farol_shutdown::listener::Access::clone(&scene.app.access.load());
    access.read_any = true;
    scene.app.access.store(access.into());
    let send = async |method, path| scene.send(from(FAR, method, path).body(Body::empty()).unwrap()).await;
    assert_eq!(send(Method::GET, "/api/v1/fleet").await.status, StatusCode::OK);
    assert_eq!(send(Method::POST, "/api/v1/reload").await.code(), "token_needed");
}

#[tokio::test]
async fn a_request_without_or_with_two_hosts_is_refused_where_the_host_counts() {
    let scene = scene().await;
    let mut none = local(Method::GET, "/api/v1/fleet");
    none.headers_mut().unwrap().remove("host");
    assert_eq!(scene.send(none.body(Body::empty()).unwrap()).await.code(), "bad_host");
    let two = local(Method::GET, "/api/v1/fleet").header("host", "localhost");
    assert_eq!(scene.send(two.body(Body::empty()).unwrap()).await.code(), "bad_host");
    let h2 = local(Method::GET, "http://evil.example.com/api/v1/fleet");
    assert_eq!(scene.send(h2.body(Body::empty()).unwrap()).await.code(), "unknown_host");
    let mut probe = local(Method::GET, "/health");
    probe.headers_mut().unwrap().remove("host");
    assert_eq!(scene.send(probe.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_not_there_or_not_so_is_a_problem_document() {
    let scene = scene().await;
    for (path, code) in [
        ("/", "no_such_path"),
        ("/health/", "no_such_path"),
        ("/api/v1/nothing", "no_such_path"),
        ("/health/services/nobody", "unknown_service"),
        ("/health/services/nobody/ready", "unknown_service"),
        ("/health/services/nobody/detailed", "unknown_service"),
        ("/health/services/payments/live", "no_remote_liveness"),
        ("/health/groups/nobody", "unknown_group"),
        ("/api/v1/agents/nobody", "unknown_agent"),
        ("/api/v1/services/nobody", "unknown_service"),
        ("/api/v1/events?after=x-1", "event_gone"),
    ] {
        let reply = scene.get(path).await;
        let gone = if code == "event_gone" { StatusCode::GONE } else { StatusCode::NOT_FOUND };
        assert_eq!((reply.status, reply.code()), (gone, code.to_owned()), "{path}");
        assert_eq!(reply.headers["cache-control"], "no-store", "{path}");
    }
    for (path, code) in [
        ("/api/v1/agents?limit=0", "bad_parameter"),
        ("/api/v1/agents?limit=x", "bad_parameter"),
        ("/api/v1/agents?colour=red", "unknown_parameter"),
        ("/api/v1/agents?after=%ff", "not_utf8"),
        ("/api/v1/agents/%ff", "not_utf8"),
        ("/health/services/%ff", "not_utf8"),
        ("/health/services/payments?x=1", "unknown_parameter"),
        ("/metrics/fleet?match[]={", "bad_selector"),
        ("/api/v1/history", "missing_parameter"),
        ("/api/v1/history?metric=x&step=0s", "bad_range"),
        ("/api/v1/history?metric=x&step=1ms", "bad_range"),
        ("/api/v1/history?metric=x&from=-1h&to=-2h", "bad_range"),
        ("/api/v1/history?metric=x&label=x", "bad_parameter"),
        ("/api/v1/history?metric=x&service=a&label=service=b", "bad_parameter"),
        ("/api/v1/uptime?from=now", "bad_range"),
    ] {
        let reply = scene.get(path).await;
        assert_eq!((reply.status, reply.code()), (StatusCode::BAD_REQUEST, code.to_owned()), "{path}");
    }
    for path in ["/health", "/livez", "/metrics", "/api/v1/agents/web-1", "/health/services/payments"] {
        let reply = scene.send(local(Method::PUT, path).body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(reply.code(), "method_not_allowed", "{path}");
        let allowed = reply.headers["allow"].to_str().unwrap();
        assert!(allowed.contains("GET"), "{path}: {allowed}");
        assert_eq!(allowed.contains("DELETE"), path.contains("agents"), "{path}: {allowed}");
    }
}

#[tokio::test]
async fn bodies_are_capped_wherever_they_go() {
    let scene = scene().await;
    let big = || Body::from(vec![b'x'; 65 * 1024]);
    let chunked =
        || Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(4_096))));
    let bearer = format!("Bearer {}", scene.app.token.expose());
    for path in ["/api/v1/reload", "/health", "/nowhere"] {
        for body in [big(), chunked()] {
            let request = local(Method::POST, path).header("authorization", &bearer).body(body).unwrap();
            let reply = scene.send(request).await;
            assert_eq!(
                (reply.status, &*reply.code()),
                (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
                "{path}"
            );
            assert!(reply.body.contains("65536 at most"), "{path}: {}", reply.body);
        }
    }
    let small = local(Method::POST, "/api/v1/reload").header("authorization", &bearer).body(Body::from("{}"));
    assert_eq!(scene.send(small.unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_get_answers_head_without_a_body_and_every_answer_has_an_id() {
    let scene = scene().await;
    for route in super::table().into_iter().filter(|route| route.method == Method::GET) {
        let path = path_of(&route);
        let head = scene.send(local(Method::HEAD, &path).body(Body::empty()).unwrap()).await;
        let get = scene.get(&path).await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        assert!(get.headers.contains_key("x-request-id"), "{path}");
        assert_eq!(get.headers["cache-control"], "no-store", "{path}");
    }
}

/// The routes of a document: method, path, names of parameters.
fn documented(document: &Value) -> Vec<(String, String, Vec<String>)> {
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let names = parameters.iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect();
            assert!(operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "{method} {path}");
            for parameter in &parameters {
                let described = parameter["description"].as_str().is_some_and(|d| d.len() > 10);
                assert!(described, "{method} {path}: {parameter}");
            }
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("default") && responses.len() > 1, "{method} {path}");
            let asked = parameters.iter().filter(|p| p["in"] == "query");
            for parameter in asked {
                let must = parameter["description"].as_str().unwrap().contains("when not given");
                assert!(!(must && parameter["required"] == true), "{method} {path}: {parameter}");
            }
            routes.push((method.to_uppercase(), path.clone(), names));
        }
    }
    routes.sort();
    routes
}

#[tokio::test]
async fn the_openapi_document_says_what_the_table_says() {
    let scene = scene().await;
    let document = scene.get("/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let mut table: Vec<_> = super::table()
        .iter()
        .map(|route| {
            let of_path = openapi::path_parameters(route.path).map(str::to_owned);
            let of_query = route.asks.iter().map(|param| param.name.to_owned());
            (route.method.to_string(), route.path.to_owned(), of_path.chain(of_query).collect::<Vec<_>>())
        })
        .collect();
    table.sort();
    assert_eq!(documented(&document), table);
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is named and not described");
    }
}

#[test]
fn a_name_of_a_schema_stands_for_one_shape() {
    let mut schemas = Vec::new();
    for route in super::table() {
        if let Some(schema) = route.gives.schema {
            schema(&mut schemas);
        }
    }
    for (name, schema) in &schemas {
        let same = schemas.iter().filter(|(other, _)| other == name).all(|(_, other)| other == schema);
        assert!(same, "{name} is the name of two shapes");
    }
}
