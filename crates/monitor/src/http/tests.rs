//! The whole surface, as callers near and far see it: every line of the table is walked.

mod documents;
mod stream;

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
    filled.replace("{group}", "checkout")
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
        _ => reply.status == StatusCode::OK,
    }
}

#[tokio::test]
async fn every_line_of_the_table_keeps_its_class() {
    let scene = scene().await;
    let bearer = format!("Bearer {}", scene.app.token.expose());
    for route in super::table() {
        let path = path_of(&route);
        let send = async |peer: Option<&str>, host: &str, extra: &[(&str, &str)]| {
            let mut request = Request::builder().method(route.method.clone()).uri(&path).header("host", host);
            if let Some(peer) = peer {
                request = from(peer, route.method.clone(), &path);
                request.headers_mut().unwrap().insert("host", host.parse().unwrap());
            }
            for (name, value) in extra {
                request = request.header(*name, *value);
            }
            scene.send(request.body(Body::empty()).unwrap()).await
        };
        let token = ("authorization", bearer.as_str());
        let line = format!("{} {}", route.method, route.path);
        let near = Some("127.0.0.1:40000");

        let nearby = send(near, BOUND, &[]).await;
        let far = send(Some(FAR), BOUND, &[]).await;
        let unnamed = send(None, BOUND, &[]).await;
        let with_token = send(near, BOUND, &[token]).await;
        let far_with_token = send(Some(FAR), BOUND, &[token]).await;
        let wrong_token = send(near, BOUND, &[("authorization", "Bearer 0123")]).await;
        let rebound = send(near, "evil.example.com", &[token]).await;
        let foreign = send(near, BOUND, &[token, ("origin", "http://evil.example.com")]).await;
        let null = send(near, BOUND, &[token, ("origin", "null")]).await;
        let same = send(near, BOUND, &[token, ("origin", "http://127.0.0.1:8501")]).await;

        for reply in [&with_token, &same] {
            assert!(is_let_in(&route, reply), "{line}: {} {}", reply.status, reply.body);
        }
        match route.class {
            Class::Probe => {
                for reply in [nearby, far, unnamed, far_with_token, wrong_token, rebound, foreign, null] {
                    assert!(is_let_in(&route, &reply), "{line}: {} {}", reply.status, reply.body);
                }
            }
            Class::Read => {
                assert!(is_let_in(&route, &nearby), "{line}");
                for reply in [far, unnamed, far_with_token] {
                    assert_eq!(
                        (reply.status, &*reply.code()),
                        (StatusCode::FORBIDDEN, "loopback_only"),
                        "{line}"
                    );
                }
                assert_eq!(rebound.code(), "unknown_host", "{line}");
                assert_eq!(foreign.code(), "foreign_origin", "{line}");
                assert_eq!(null.code(), "foreign_origin", "{line}");
            }
            Class::Operate => {
                for reply in [nearby, far, unnamed] {
                    assert_eq!(
                        (reply.status, &*reply.code()),
                        (StatusCode::UNAUTHORIZED, "token_needed"),
                        "{line}"
                    );
                    assert!(reply.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
                }
                assert_eq!(wrong_token.code(), "wrong_token", "{line}");
                assert!(is_let_in(&route, &far_with_token), "{line}");
                assert_eq!(rebound.code(), "unknown_host", "{line}");
                assert_eq!(foreign.code(), "foreign_origin", "{line}");
                assert_eq!(null.code(), "foreign_origin", "{line}");
            }
        }
    }
}

#[tokio::test]
async fn read_any_lets_far_callers_read_and_nothing_more() {
    let scene = scene().await;
    let mut access = super::Access::clone(&scene.app.access.load());
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
