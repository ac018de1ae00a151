//! Who is refused, over real connections, and that a flood harms nobody else.

use super::{Application, DECLARED, agent};
use farol_tests::process::get;
use farol_tests::stack::{SOON, Stack};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn what_is_not_declared_or_cannot_be_read_is_a_problem_document() {
    let stack = Stack::start("").await.unwrap();
    let agent = agent(&stack, "alpha", "127.0.0.1:0", DECLARED).await;
    let application = Application::at(agent.address("agent_local"));
    let long = "x".repeat(70_000);
    for (path, body, status, code) in [
        ("/v1/heartbeats/weekly", "", 404, "not_declared"),
        ("/v1/components/queue", "{\"status\":", 400, "bad_json"),
        ("/v1/components/queue", "{\"status\":\"fine\"}", 422, "bad_status"),
        ("/v1/components/queue", &long, 413, "body_too_large"),
    ] {
        let answer = application.put(path, body).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert!(answer.headers().contains_key("x-request-id"));
        let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(problem["code"], code);
    }
    for (name, value, status) in
        [("host", "evil.example", 421), ("origin", "http://evil.example", 403), ("origin", "null", 403)]
    {
        let url = format!("{}/v1/heartbeats/nightly", application.base);
        let answer = application.client.put(url).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), status, "{name}: {value}");
    }
    let told = stack.component("alpha", "nightly").await.unwrap();
    assert!(told.is_none_or(|job| job["shown_as"] == "starting"), "nothing of it counted");
}

#[tokio::test]
async fn a_flood_is_refused_and_others_go_on() {
    let stack = Stack::start("").await.unwrap();
    let agent = agent(&stack, "alpha", "127.0.0.1:0", DECLARED).await;
    let application = Application::at(agent.address("agent_local"));
    let end = Instant::now() + Duration::from_secs(1);
    let mut refused = 0;
    while Instant::now() < end {
        let status = if refused % 2 == 0 { "healthy" } else { "degraded" };
        let answer = application.put("/v1/components/queue", &format!(r#"{{"status":"{status}"}}"#)).await;
        if answer.status() == 429 {
            assert_eq!(answer.headers()["retry-after"], "1");
            refused += 1;
        }
    }
    assert!(refused > 0, "some were too many");
    assert_eq!(application.put("/v1/heartbeats/nightly", "").await.status(), 204);
    stack.shows("alpha", "nightly", "healthy", SOON).await.unwrap();
    assert_eq!(get(agent.address("agent_http"), "/health/live").await.unwrap().0, 200);
}
