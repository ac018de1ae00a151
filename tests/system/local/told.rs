//! What is told, and what silence means.

use super::{Application, DECLARED, agent};
use farol_tests::process::Process;
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use reqwest::Client;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// A status that is told shall be with the monitor within this time.
const AT_ONCE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn the_fleet_knows_at_once_what_an_application_tells() {
    let stack = Stack::start("").await.unwrap();
    let agent = agent(&stack, "alpha", "127.0.0.1:0", DECLARED).await;
    let application = Application::at(agent.address("agent_local"));
    stack.shows("alpha", "queue", "starting", SOON).await.unwrap();
    let mut took = Vec::new();
    for status in ["healthy", "degraded", "unhealthy", "healthy", "unhealthy", "degraded", "healthy"] {
        let told = Instant::now();
        application.tell(status).await;
        until(status, SOON, async || stack.service("shop").await.is_ok_and(|now| now == status))
            .await
            .unwrap();
        took.push(told.elapsed());
    }
    took.sort_unstable();
    assert!(took[took.len() / 2] < AT_ONCE, "{took:?}");
    let body = r#"{"status":"degraded","reason":"queue_long","message":"the queue is long","metadata":{"shard":"a"}}"#;
    assert_eq!(application.put("/v1/components/queue", body).await.status(), 204);
    until("the monitor has the words", SOON, async || {
        let told = stack.component("alpha", "queue").await.ok().flatten().unwrap_or_default();
        (&told["reason"], &told["message"]) == (&"queue_long".into(), &"the queue is long".into())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_heartbeat_that_stays_away_is_unhealthy_and_a_word_that_expires_is_unknown() {
    let checks = "checks:\n\
        - {name: nightly, service: jobs, heartbeat: {ttl: 1s}}\n\
        - {name: queue, service: shop, push: {ttl: 1s}}\n";
    let stack = Stack::start("").await.unwrap();
    let agent = agent(&stack, "alpha", "127.0.0.1:0", checks).await;
    let application = Application::at(agent.address("agent_local"));
    for _ in 0..2 {
        assert_eq!(application.put("/v1/heartbeats/nightly", "").await.status(), 204);
        application.tell("healthy").await;
        stack.shows("alpha", "nightly", "healthy", SOON).await.unwrap();
        let job = stack.shows("alpha", "nightly", "unhealthy", SOON).await.unwrap();
        assert_eq!(job["reason"], "heartbeat_missed");
        let queue = stack.shows("alpha", "queue", "unknown", SOON).await.unwrap();
        assert_eq!(queue["reason"], "push_expired");
    }
}

#[tokio::test]
async fn a_unix_socket_serves_the_same_and_goes_with_the_agent() {
    let stack = Stack::start("").await.unwrap();
    let socket = stack.path("local.sock");
    let agent = agent(&stack, "alpha", &format!("unix:{}", socket.display()), DECLARED).await;
    assert_eq!(agent.ready["agent_local"], Value::Null);
    let client = Client::builder().unix_socket(socket.clone()).build().unwrap();
    let application = Application { client, base: "http://localhost".to_owned() };
    assert_eq!(application.put("/v1/heartbeats/nightly", "").await.status(), 204);
    stack.shows("alpha", "nightly", "healthy", SOON).await.unwrap();
    let ended = agent.stop().await.unwrap();
    assert_eq!(ended.code, 0);
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_standalone_takes_what_its_applications_tell() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("farol.yaml");
    let agent = "agent: {name: here, listen: {local: \"127.0.0.1:0\"}, checks: [{name: queue, service: shop, push: {ttl: 1m}}]}\n";
    std::fs::write(&config, agent).unwrap();
    let any = "127.0.0.1:0";
    let args = ["--config", config.to_str().unwrap(), "--http", any, "--agents", any, "--health", any];
    let farol = Process::start("farol", &args, folder.path()).await.unwrap();
    Application::at(farol.address("agent_local")).tell("degraded").await;
    until("the service is degraded", SOON, async || {
        farol.json("/health/services/shop").await.is_ok_and(|shop| shop["status"] == "degraded")
    })
    .await
    .unwrap();
}
