//! A dependency stops while everything runs: its status follows within its interval and deadline, readiness and
//! watchers with it, and nothing else changes.

use super::{Target, healthy, kinds_of, status_changes};
use farol_health::grpc::ServingStatus;
use farol_tests::postgres::Postgres;
use farol_tests::redis::Redis;
use farol_tests::stack::{SOON, Stack};
use farol_tests::watch::Watch;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_stopped_postgresql_is_told_within_interval_and_deadline_and_told_again_when_it_is_back() {
    let mut postgres = Postgres::start().await.unwrap();
    let target = Target::open().await;
    let stack = Stack::start("").await.unwrap();
    let database = format!(
        "  - {{name: database, service: shop, postgres: {{url: \"{}\"}}, interval: 500ms, deadline: 400ms, \
         failure_threshold: 1, success_threshold: 1, readiness: true}}\n",
        postgres.superuser_url()
    );
    let config = format!("interval: 1s\nchecks:\n{database}{}", target.check("door", "other"));
    let agent = stack.agent("alpha", &config).await.unwrap();
    healthy(&stack, "alpha", "database", "shop").await;
    healthy(&stack, "alpha", "door", "other").await;
    assert_eq!(stack.status("/health/services/shop/ready").await.unwrap(), 200);
    let health = stack.addresses().health;
    let mut shop = Watch::begin(health, "shop").await.unwrap();
    let mut part = Watch::begin(health, "shop/database@alpha").await.unwrap();
    for watch in [&mut shop, &mut part] {
        watch.becomes(ServingStatus::Serving, &[], SOON).await.unwrap();
    }
    let mut events = stack.events().await.unwrap();

    postgres.stop().await.unwrap();
    let stopped = Instant::now();
    let is = |to: &'static str| {
        move |event: &farol_tests::sse::Event| event.name == "service_status" && event.text("to") == to
    };
    let down = events.until("shop is unhealthy", SOON, is("unhealthy")).await.unwrap();
    let took = stopped.elapsed();
    assert!(took <= INTERVAL + DEADLINE, "told after {took:?}");
    for watch in [&mut shop, &mut part] {
        watch.becomes(ServingStatus::NotServing, &[], SOON).await.unwrap();
    }
    assert_eq!(stack.status("/health/services/shop/ready").await.unwrap(), 503);
    assert_eq!(stack.status("/health/services/shop").await.unwrap(), 503);
    let told = stack.component("alpha", "database").await.unwrap().unwrap();
    assert_eq!(told["status"], "unhealthy");
    assert!(told["message"].as_str().is_some_and(|text| text.len() > 20), "{told}");
    // The agent's own probes say the same of itself; it is alive, and so is the monitor.
    assert_eq!(agent_get(&agent, "/health/ready").await, 503);
    assert_eq!(agent_get(&agent, "/health/live").await, 200);
    assert_eq!(stack.status("/health/ready").await.unwrap(), 200);

    postgres.start_again().await.unwrap();
    let up = events.until("shop is healthy", SOON, is("healthy")).await.unwrap();
    for watch in [&mut shop, &mut part] {
        watch.becomes(ServingStatus::Serving, &[], SOON).await.unwrap();
    }
    assert_eq!(stack.status("/health/services/shop/ready").await.unwrap(), 200);
    let all: Vec<Value> = down.into_iter().chain(up).map(|event| event.data).collect();
    assert_eq!(
        status_changes(&all),
        [
            "component shop/database@alpha healthy>unhealthy",
            "service shop healthy>unhealthy",
            "component shop/database@alpha unhealthy>healthy",
            "service shop unhealthy>healthy",
        ]
    );
    assert_eq!(kinds_of(&all, "alpha"), ["component_status"; 2], "the stream never broke");
}

async fn agent_get(agent: &farol_tests::process::Process, path: &str) -> u16 {
    farol_tests::process::get(agent.address("agent_http"), path).await.unwrap().0
}

#[tokio::test]
async fn a_stopped_optional_redis_makes_its_service_degraded_and_no_more() {
    let mut redis = Redis::start().await.unwrap();
    let target = Target::open().await;
    let stack = Stack::start("services: {shop: {}}\ngroups: {all: [shop]}").await.unwrap();
    let cache = format!(
        "  - {{name: cache, service: shop, redis: {{url: \"{}\"}}, interval: 500ms, deadline: 400ms, \
         failure_threshold: 1, success_threshold: 1, required: false}}\n",
        redis.url("")
    );
    let config = format!("interval: 1s\nchecks:\n{cache}{}", target.check("door", "shop"));
    let _agent = stack.agent("alpha", &config).await.unwrap();
    for component in ["door", "cache"] {
        stack.shows("alpha", component, "healthy", SOON).await.unwrap();
    }
    assert_eq!(stack.service("shop").await.unwrap(), "healthy");
    let mut watch = Watch::begin(stack.addresses().health, "shop").await.unwrap();
    watch.becomes(ServingStatus::Serving, &[], SOON).await.unwrap();

    redis.stop().await.unwrap();
    let stopped = Instant::now();
    stack.shows("alpha", "cache", "unhealthy", INTERVAL + DEADLINE).await.unwrap();
    assert!(stopped.elapsed() <= INTERVAL + DEADLINE, "told after {:?}", stopped.elapsed());
    assert_eq!(stack.service("shop").await.unwrap(), "degraded");
    for path in ["/health/services/shop", "/health/services/shop/ready", "/health/groups/all"] {
        assert_eq!(stack.status(path).await.unwrap(), 200, "{path}");
    }
    redis.start_again().await.unwrap();
    stack.shows("alpha", "cache", "healthy", SOON).await.unwrap();
    assert_eq!(stack.service("shop").await.unwrap(), "healthy");
    // Degraded serves: nobody who watches heard anything.
    assert!(watch.next(Duration::ZERO).await.is_err(), "the watch said something");
}
