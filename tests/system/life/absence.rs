//! An agent is not there: killed, gone with its pod, or restarting on its node. Each absence reads differently.

use super::{Target, healthy, kinds_of, status_changes};
use farol_health::grpc::ServingStatus;
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::{holds, until};
use farol_tests::watch::Watch;
use rustix::process::Signal;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// Three intervals of a second and a tick of the monitor; the rest is for a busy machine.
const SEEN_WITHIN: Duration = Duration::from_millis(4_000);

#[tokio::test]
async fn a_killed_agent_is_unknown_after_three_intervals_keeps_its_last_status_and_comes_back() {
    let target = Target::open().await;
    let stack = Stack::start("").await.unwrap();
    // A lifetime far over the agent's silence: it is the agent's clock that makes it stale.
    let config = format!("interval: 1s\nchecks:\n{}", target.check_with("door", "shop", "ttl: 60s"));
    let agent = stack.agent("alpha", &config).await.unwrap();
    healthy(&stack, "alpha", "door", "shop").await;
    let mut watch = Watch::begin(stack.addresses().health, "shop").await.unwrap();
    watch.becomes(ServingStatus::Serving, &[], SOON).await.unwrap();
    let mut events = stack.events().await.unwrap();

    agent.kill().await.unwrap();
    let killed = Instant::now();
    let unknown =
        |event: &farol_tests::sse::Event| event.name == "service_status" && event.text("to") == "unknown";
    let lost = events.until("the service is unknown", SOON, unknown).await.unwrap();
    let took = killed.elapsed();
    assert!((Duration::from_secs(2)..=SEEN_WITHIN).contains(&took), "seen after {took:?}");
    watch.becomes(ServingStatus::Unknown, &[], SOON).await.unwrap();
    let lost: Vec<Value> = lost.into_iter().map(|event| event.data).collect();
    assert_eq!(
        status_changes(&lost),
        ["component shop/door@alpha healthy>unknown", "service shop healthy>unknown"]
    );
    assert_eq!(kinds_of(&lost, "alpha"), ["agent_disconnected", "agent_lost", "component_status"]);
    assert_eq!(stack.status("/health/services/shop").await.unwrap(), 503);
    let told = stack.component("alpha", "door").await.unwrap().unwrap();
    assert_eq!((&told["last_status"], &told["status"]), (&"healthy".into(), &"unknown".into()));
    assert_eq!((&told["stale"], &told["maintenance"]), (&true.into(), &false.into()));
    let age = told["age_ms"].as_u64().unwrap();
    assert!(age >= 2_000, "its age goes on: {age}");
    let presence = stack.json("/api/v1/agents/alpha").await.unwrap();
    assert_eq!((&presence["presence"], &presence["connected"]), (&"lost".into(), &false.into()));

    let _agent = stack.agent("alpha", &config).await.unwrap();
    let healthy =
        |event: &farol_tests::sse::Event| event.name == "service_status" && event.text("to") == "healthy";
    let back = events.until("the service is healthy", SOON, healthy).await.unwrap();
    let back: Vec<Value> = back.into_iter().map(|event| event.data).collect();
    assert_eq!(kinds_of(&back, "alpha")[..2], ["agent_connected", "agent_back"]);
    watch.becomes(ServingStatus::Serving, &[ServingStatus::NotServing], SOON).await.unwrap();
    let told = stack.component("alpha", "door").await.unwrap().unwrap();
    assert_eq!((&told["shown_as"], &told["stale"]), (&"healthy".into(), &false.into()));
}

#[tokio::test]
async fn a_side_car_that_ends_is_in_maintenance_and_then_gone() {
    let target = Target::open().await;
    let stack = Stack::start("").await.unwrap();
    let config =
        |service: &str| format!("role: pod\ninterval: 1s\nchecks:\n{}", target.check("door", service));
    let leaving = stack.agent("pod-1", &config("shop")).await.unwrap();
    let _staying = stack.agent("pod-2", &config("shop")).await.unwrap();
    for agent in ["pod-1", "pod-2"] {
        healthy(&stack, agent, "door", "shop").await;
    }
    let alone = stack.agent("pod-3", &config("alone")).await.unwrap();
    healthy(&stack, "pod-3", "door", "alone").await;
    let mut events = stack.events().await.unwrap();

    for (agent, process) in [("pod-1", leaving), ("pod-3", alone)] {
        let ended = process.stop().await.unwrap();
        assert_eq!(ended.code, 0, "{}", ended.log);
        let left = |event: &farol_tests::sse::Event| event.name == "agent_left";
        let all = events.until("the agent left", SOON, left).await.unwrap();
        let all: Vec<Value> = all.into_iter().map(|event| event.data).collect();
        assert_eq!(
            kinds_of(&all, agent),
            ["agent_goodbye", "component_status", "agent_disconnected", "component_removed", "agent_left"]
        );
        let changes = status_changes(&all);
        assert!(changes[0].ends_with("healthy>maintenance"), "{changes:?}");
        for change in &changes {
            assert!(!change.ends_with(">unknown") && !change.ends_with(">unhealthy"), "{changes:?}");
        }
        assert!(stack.component(agent, "door").await.unwrap().is_none());
        assert_eq!(stack.status(&format!("/api/v1/agents/{agent}")).await.unwrap(), 404);
    }
    assert_eq!(stack.service("shop").await.unwrap(), "healthy", "the other pod carries it");
    assert_eq!(stack.status("/health/services/alone").await.unwrap(), 404, "nobody has it any more");
}

#[tokio::test]
async fn a_node_agent_that_restarts_changes_no_status_at_all() {
    let target = Target::open().await;
    let stack = Stack::start("").await.unwrap();
    let config = format!("role: node\ninterval: 1s\nchecks:\n{}", target.check("door", "shop"));
    let agent = stack.agent("node-1", &config).await.unwrap();
    healthy(&stack, "node-1", "door", "shop").await;
    let mut watch = Watch::begin(stack.addresses().health, "shop").await.unwrap();
    watch.becomes(ServingStatus::Serving, &[], SOON).await.unwrap();
    let before = stack.history().await.unwrap().len();

    let ended = agent.stop().await.unwrap();
    assert_eq!(ended.code, 0, "{}", ended.log);
    // Longer than silence may last, and than a result lives.
    let held = async || {
        let agent = stack.json("/api/v1/agents/node-1").await.unwrap();
        let status = stack.status("/health/services/shop").await.unwrap();
        agent["presence"] == "held" && agent["connected"] == false && status == 200
    };
    holds("its status is held", Duration::from_secs(5), held).await.unwrap();
    let _agent = stack.agent("node-1", &config).await.unwrap();
    let checked = stack.component("node-1", "door").await.unwrap().unwrap()["checked_at"].clone();
    until("a result of the new start", SOON, async || {
        let now = stack.component("node-1", "door").await.unwrap().unwrap();
        now["checked_at"] != checked && now["soft"] == "healthy"
    })
    .await
    .unwrap();
    let since = &stack.history().await.unwrap()[before..];
    assert_eq!(status_changes(since), Vec::<String>::new());
    assert_eq!(kinds_of(since, "node-1"), ["agent_goodbye", "agent_disconnected", "agent_connected"]);
    assert!(watch.next(Duration::ZERO).await.is_err(), "the watch said something");
}

#[tokio::test]
async fn a_hanging_agent_is_lost_by_its_silence_though_its_stream_stays_open() {
    let target = Target::open().await;
    let stack = Stack::start("").await.unwrap();
    let config = format!("interval: 1s\nchecks:\n{}", target.check("door", "shop"));
    let agent = stack.agent("alpha", &config).await.unwrap();
    healthy(&stack, "alpha", "door", "shop").await;
    agent.signal(Signal::STOP).unwrap();
    let stopped = Instant::now();
    let told = stack.shows("alpha", "door", "unknown", SOON).await.unwrap();
    assert!(stopped.elapsed() <= SEEN_WITHIN, "seen after {:?}", stopped.elapsed());
    assert_eq!(told["last_status"], "healthy");
    assert_eq!(stack.json("/api/v1/agents/alpha").await.unwrap()["connected"], true);
    agent.signal(Signal::CONT).unwrap();
    healthy(&stack, "alpha", "door", "shop").await;
}
