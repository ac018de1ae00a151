//! The way between an agent and its monitor is cut while both run: what was not heard in time is told later, and
//! takes the place of the silence in history.

use super::{Target, healthy, status_changes};
use farol_tests::proxy::Proxy;
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::{holds, until};
use std::time::Duration;

#[tokio::test]
async fn what_an_agent_saw_while_it_was_cut_off_fills_the_gap_in_samples_and_statuses() {
    let target = Target::open().await;
    let stack = Stack::start("").await.unwrap();
    let proxy = Proxy::to(stack.addresses().agents).await.unwrap();
    let checks = target.check("door", "shop") + &target.check("window", "shop");
    let config = format!("interval: 1s\nchecks:\n{checks}");
    let agent = stack.agent_through(proxy.address(), "alpha", &config).await.unwrap();
    for component in ["door", "window"] {
        healthy(&stack, "alpha", component, "shop").await;
    }
    let before = stack.history().await.unwrap().len();
    proxy.cut();
    stack.shows("alpha", "door", "unknown", SOON).await.unwrap();
    let goes_on = async || stack.service("shop").await.unwrap() == "unknown";
    holds("it is cut off", Duration::from_secs(2), goes_on).await.unwrap();
    proxy.mend();
    for component in ["door", "window"] {
        healthy(&stack, "alpha", component, "shop").await;
    }
    let since = &stack.history().await.unwrap()[before..];
    let changes = status_changes(since);
    assert!(changes.contains(&"service shop healthy>unknown".to_owned()), "it was told live: {changes:?}");

    // From its first healthy result on nothing is missing.
    until("the gap is filled", SOON, async || {
        let items = stack.items("/api/v1/uptime?agent=alpha&from=-1m").await.unwrap();
        items.len() == 2 && items.iter().all(|item| item["unknown_ms"].as_u64().is_some_and(|ms| ms < 500))
    })
    .await
    .unwrap();
    let path = "/api/v1/history?metric=system_memory_total_bytes&agent=alpha&from=-1m&step=2s&reduce=count";
    until("no sample is missing", SOON, async || {
        let items = stack.items(path).await.unwrap();
        let counts = items[0]["values"].as_array().unwrap();
        let first = counts.iter().position(|count| !count.is_null()).unwrap();
        counts[first..].iter().all(|count| !count.is_null())
    })
    .await
    .unwrap();
    assert_eq!(agent.stop().await.unwrap().code, 0);
}
