//! A preStop hook drains an agent: the fleet counts it out at once and without an alarm, while it runs on until SIGTERM.

use super::{Application, DECLARED, agent};
use crate::life::kinds_of;
use farol_tests::process::{Process, get};
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use serde_json::{Value, json};
use std::time::Duration;

/// Longer than the three report intervals after which a silent agent is lost.
const LONGER_THAN_LOST: Duration = Duration::from_millis(4_500);

async fn side_car(stack: &Stack, name: &str, role: &str) -> (Process, Application) {
    let config = format!("role: {role}\ninterval: 1s\n{DECLARED}");
    let process = agent(stack, name, "127.0.0.1:0", &config).await;
    let application = Application::at(process.address("agent_local"));
    application.tell("healthy").await;
    stack.shows(name, "queue", "healthy", SOON).await.unwrap();
    (process, application)
}

/// What the fleet and the agent itself say while it drains, long enough for silence to be seen if there were any.
async fn stays_drained(stack: &Stack, process: &Process, name: &str, presence: &str, service: &str) {
    let began = tokio::time::Instant::now();
    until("more than three intervals pass", SOON, async || {
        let queue = stack.component(name, "queue").await.unwrap().expect("it is known");
        assert_eq!((&queue["shown_as"], &queue["stale"]), (&json!("maintenance"), &json!(false)), "{queue}");
        assert_eq!(queue["last_status"], "healthy", "the truth beneath: {queue}");
        let agent = stack.json(&format!("/api/v1/agents/{name}")).await.unwrap();
        assert_eq!((&agent["presence"], &agent["connected"]), (&json!(presence), &json!(true)), "{agent}");
        assert_eq!(stack.service("shop").await.unwrap(), service);
        began.elapsed() > LONGER_THAN_LOST
    })
    .await
    .unwrap();
    let (status, body) = get(process.address("agent_http"), "/health/ready").await.unwrap();
    assert_eq!(status, 503, "{body}");
    let (_, body) = get(process.address("agent_http"), "/health/detailed").await.unwrap();
    let detailed: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(detailed["components"]["queue"]["status"], "maintenance", "{detailed}");
    assert_eq!(get(process.address("agent_http"), "/health/live").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_drained_side_car_is_in_maintenance_while_it_runs_and_gone_with_sigterm() {
    let stack = Stack::start("").await.unwrap();
    let (leaving, application) = side_car(&stack, "pod-1", "pod").await;
    let (_staying, _) = side_car(&stack, "pod-2", "pod").await;
    let mut events = stack.events().await.unwrap();

    for status in [202, 200] {
        let answer = application.put("/v1/drain", "").await;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.json::<Value>().await.unwrap(), json!({"draining": true, "goodbye": "workload"}));
    }
    stack.shows("pod-1", "queue", "maintenance", SOON).await.unwrap();
    application.tell("healthy").await;
    stays_drained(&stack, &leaving, "pod-1", "leaving", "healthy").await;

    let ended = leaving.stop().await.unwrap();
    assert_eq!(ended.code, 0, "{}", ended.log);
    let left = |event: &farol_tests::sse::Event| event.name == "agent_left";
    let all = events.until("the agent left", SOON, left).await.unwrap();
    let all: Vec<Value> = all.into_iter().map(|event| event.data).collect();
    let kinds = kinds_of(&all, "pod-1");
    let said = kinds.iter().filter(|kind| **kind == "agent_goodbye").count();
    assert_eq!((said, kinds.last().copied()), (1, Some("agent_left")), "{kinds:?}");
    assert!(!kinds.contains(&"agent_lost"), "{kinds:?}");
    assert!(stack.component("pod-1", "queue").await.unwrap().is_none());
    assert_eq!(stack.service("shop").await.unwrap(), "healthy", "the other one carries it");
}

#[tokio::test]
async fn a_drained_agent_of_a_host_is_not_lost_while_it_speaks() {
    let stack = Stack::start("").await.unwrap();
    let (process, application) = side_car(&stack, "host-1", "host").await;
    let answer = application.put("/v1/drain", "").await;
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.json::<Value>().await.unwrap()["goodbye"], "agent");
    stack.shows("host-1", "queue", "maintenance", SOON).await.unwrap();
    stays_drained(&stack, &process, "host-1", "held", "maintenance").await;
    let ended = process.stop().await.unwrap();
    assert_eq!(ended.code, 0, "{}", ended.log);
    assert!(!ended.log.contains("\"level\":\"ERROR\""), "{}", ended.log);
}
