//! A monitor that is stopped for a while under many agents: none of them is called silent, and the time is told as
//! blind.

use farol_tests::crowd::Crowd;
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use rustix::process::Signal;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

const AGENTS: usize = 200;
/// An agent with this interval is lost after 3 s.
const INTERVAL: &str = "1s";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_stopped_under_two_hundred_agents_blames_none_and_tells_its_blind_time() {
    stopped(Duration::from_secs(6)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long form; more than a minute"]
async fn a_monitor_stopped_for_a_minute_blames_none_and_tells_its_blind_time() {
    stopped(Duration::from_secs(60)).await;
}

async fn stopped(pause: Duration) {
    let stack = Stack::start("").await.unwrap();
    let empty = stack.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let mut crowd = Crowd::default();
    for number in 0..AGENTS {
        let check = "{name: heap, service: crowd, memory: {}, interval: 1s, ttl: 4s}";
        let config = format!(
            "name: crowd-{number}\nmonitors: [\"http://{}\"]\ninterval: {INTERVAL}\nhost_root: {}\nchecks:\n  - {check}\n",
            stack.addresses().agents,
            empty.display()
        );
        crowd.add_deaf(&config).unwrap();
    }
    all_healthy(&stack).await;
    let before = stack.history_of("component_status").await.unwrap().len();

    let began = Instant::now();
    stack.monitor().signal(Signal::STOP).unwrap();
    sleep_until(began + pause).await;
    stack.monitor().signal(Signal::CONT).unwrap();
    until("the blind time is told", SOON, async || {
        stack.history_of("blind").await.is_ok_and(|events| events.len() == 1)
    })
    .await
    .unwrap();
    // Several ticks have looked for silence by the time that everybody has spoken anew.
    let woke = began.elapsed();
    until("everybody speaks again", SOON * 3, async || {
        let agents = stack.items("/api/v1/agents?limit=1000").await.unwrap();
        let ages = agents.iter().filter_map(|agent| agent["age_ms"].as_u64());
        ages.filter(|age_ms| u128::from(*age_ms) < (began.elapsed() - woke).as_millis()).count() == AGENTS
    })
    .await
    .unwrap();
    all_healthy(&stack).await;
    let lost = stack.history_of("agent_lost").await.unwrap();
    assert!(lost.is_empty(), "{} agents were lost: {:?}", lost.len(), lost.first());
    let changes = stack.history_of("component_status").await.unwrap().split_off(before);
    assert!(changes.is_empty(), "{changes:?}");
    let uptimes = stack.items("/api/v1/uptime?service=crowd&from=-2m&limit=1000").await.unwrap();
    assert!(!uptimes.is_empty());
    let blind_ms: Vec<_> = uptimes.iter().filter_map(|item| item["blind_ms"].as_u64()).collect();
    let least = pause.as_millis() as u64 - 500;
    assert!(blind_ms.iter().all(|ms| (least..least + 3_000).contains(ms)), "{blind_ms:?}");
    assert!(uptimes.iter().all(|item| item["unknown_ms"] == 0), "{uptimes:?}");
    eprintln!("{AGENTS} agents, stopped for {pause:?}: nobody lost, blind {:?} ms", blind_ms.first());
}

async fn all_healthy(stack: &Stack) {
    until("every component is healthy", SOON * 3, async || {
        stack.json("/api/v1/fleet").await.is_ok_and(|fleet| fleet["components"]["healthy"] == AGENTS)
    })
    .await
    .unwrap();
}
