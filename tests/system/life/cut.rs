//! The way between an agent and its monitor is cut while both run: what was not heard in time is told later, and
//! takes the place of the silence in history.

use super::{Target, healthy, status_changes};
use farol_health::Status;
use farol_health::clock::boot_ms;
use farol_tests::proxy::Proxy;
use farol_tests::speaker::{Person, Speaker};
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
    let mut items = Vec::new();
    let filled = until("the gap is filled", SOON, async || {
        items = stack.items("/api/v1/uptime?agent=alpha&from=-1m").await.unwrap();
        items.len() == 2 && items.iter().all(|item| item["unknown_ms"].as_u64().is_some_and(|ms| ms < 500))
    });
    assert!(filled.await.is_ok(), "{items:#?}\n{:#?}", stack.history().await.unwrap());
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

#[tokio::test]
async fn a_backlog_that_goes_on_after_the_state_leaves_no_silence_behind() {
    let stack = Stack::start("").await.unwrap();
    let (person, set) = (Person::new("by-hand"), Person::definition("shop"));
    let mut speaker = Speaker::open(stack.addresses().agents, &person).await.unwrap();
    speaker.define(&set).await.unwrap();
    speaker.state(0, Status::Healthy).await.unwrap();
    speaker.report(1, boot_ms(), [1.0, 1.0], true).await.unwrap();
    speaker.acknowledged(1).await.unwrap();
    speaker.close().await.unwrap();
    let first = boot_ms();
    stack.shows("by-hand", "part", "unknown", SOON).await.unwrap();
    let mut again = Speaker::open(stack.addresses().agents, &person).await.unwrap();
    again.define(&set).await.unwrap();
    // Five reports were made before State, three more while the backlog was on its way.
    let state = boot_ms();
    let made =
        |seq: u64| if seq <= 6 { first + (state - first) * (seq - 2) / 5 } else { state + 4 * (seq - 6) };
    let reports: Vec<_> = (2..=9).map(|seq| (seq, made(seq), [1.0, 1.0])).collect();
    again.state(6, Status::Healthy).await.unwrap();
    until("their time has come", SOON, async || boot_ms() > made(9)).await.unwrap();
    again.backlog(person.boot, &set, &reports, true).await.unwrap();
    again.acknowledged(9).await.unwrap();
    let items = stack.items("/api/v1/uptime?agent=by-hand&from=-1m").await.unwrap();
    assert!(items[0]["unknown_ms"].as_u64().is_some_and(|ms| ms < 50), "{}", items[0]);
    assert_eq!(stack.service("shop").await.unwrap(), "healthy");
}
