//! The monitor itself stands still for a while: nobody is blamed for it, and history says so.

use super::{Target, healthy, status_changes};
use farol_tests::process::get;
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::{holds, until};
use rustix::process::Signal;
use std::time::Duration;

/// Longer than an agent's silence may last, and than a result lives.
const PAUSE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_monitor_that_stood_still_blames_nobody_and_tells_the_blind_time() {
    let target = Target::open().await;
    let stack = Stack::start("").await.unwrap();
    let config = format!("interval: 1s\nchecks:\n{}", target.check("door", "shop"));
    let alpha = stack.agent("alpha", &config).await.unwrap();
    let _beta = stack.agent("beta", &config).await.unwrap();
    for agent in ["alpha", "beta"] {
        healthy(&stack, agent, "door", "shop").await;
    }
    let before = stack.history().await.unwrap().len();

    stack.monitor().signal(Signal::STOP).unwrap();
    let goes_on =
        async || get(alpha.address("agent_http"), "/health/live").await.is_ok_and(|(code, _)| code == 200);
    holds("the agents go on", PAUSE, goes_on).await.unwrap();
    stack.monitor().signal(Signal::CONT).unwrap();
    let mut blind = None;
    until("the blind time is told", SOON, async || {
        let since = stack.history().await.unwrap().split_off(before);
        blind = since.into_iter().find(|event| event["kind"] == "blind");
        blind.is_some()
    })
    .await
    .unwrap();
    // Each agent is heard again, and several ticks have looked for silence meanwhile.
    for agent in ["alpha", "beta"] {
        let seen = stack.json(&format!("/api/v1/agents/{agent}")).await.unwrap()["last_seen_at"].clone();
        until("a further report", SOON, async || {
            stack.json(&format!("/api/v1/agents/{agent}")).await.unwrap()["last_seen_at"] != seen
        })
        .await
        .unwrap();
        assert_eq!(stack.component(agent, "door").await.unwrap().unwrap()["stale"], false);
    }
    let since = &stack.history().await.unwrap()[before..];
    assert_eq!(status_changes(since), Vec::<String>::new());
    let lost: Vec<_> = since.iter().filter(|event| event["kind"] == "agent_lost").collect();
    assert!(lost.is_empty(), "{lost:?}");
    let items = stack.items("/api/v1/uptime?service=shop&from=-1m").await.unwrap();
    assert_eq!(items.len(), 2, "{items:?}");
    for item in items {
        let blind_ms = item["blind_ms"].as_u64().unwrap();
        assert!((4_000..=7_000).contains(&blind_ms), "{item}");
        assert_eq!(item["unknown_ms"], 0, "{item}");
    }
}
