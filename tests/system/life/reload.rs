//! An agent reads its file again at SIGHUP: what was taken out is gone, what stayed goes on as if nothing happened.

use super::{Target, healthy, status_changes};
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use rustix::process::Signal;
use serde_json::Value;

#[tokio::test]
async fn a_check_taken_out_of_the_file_is_gone_and_the_others_keep_their_state() {
    let target = Target::open().await;
    let stack = Stack::start("").await.unwrap();
    let kept = target.check("kept", "shop");
    let both = format!("interval: 1s\nchecks:\n{kept}{}", target.check("taken-out", "shop"));
    let agent = stack.agent("alpha", &both).await.unwrap();
    for component in ["kept", "taken-out"] {
        healthy(&stack, "alpha", component, "shop").await;
    }
    let changed = stack.component("alpha", "kept").await.unwrap().unwrap()["changed_at"].clone();
    let mut events = stack.events().await.unwrap();

    stack.configure("alpha", &format!("interval: 1s\nchecks:\n{kept}")).unwrap();
    agent.signal(Signal::HUP).unwrap();
    let removed = |event: &farol_tests::sse::Event| event.name == "component_removed";
    let all = events.until("the component is gone", SOON, removed).await.unwrap();
    assert_eq!(all.last().unwrap().text("component"), "taken-out");
    assert!(stack.component("alpha", "taken-out").await.unwrap().is_none());
    let checked = stack.component("alpha", "kept").await.unwrap().unwrap()["checked_at"].clone();
    let mut now = Value::Null;
    until("a further result", SOON, async || {
        now = stack.component("alpha", "kept").await.unwrap().unwrap();
        now["checked_at"] != checked
    })
    .await
    .unwrap();
    assert_eq!((&now["shown_as"], &now["changed_at"]), (&"healthy".into(), &changed));
    let all: Vec<Value> = stack.history().await.unwrap();
    let after: Vec<_> = all.iter().skip_while(|event| event["kind"] != "component_removed").collect();
    assert_eq!(status_changes(after), Vec::<String>::new());
    assert_eq!(stack.service("shop").await.unwrap(), "healthy");
}

#[tokio::test]
async fn a_file_that_is_wrong_is_refused_whole_and_the_old_set_stays() {
    let target = Target::open().await;
    let stack = Stack::start("").await.unwrap();
    let good = format!("interval: 1s\nchecks:\n{}", target.check("door", "shop"));
    let agent = stack.agent("alpha", &good).await.unwrap();
    healthy(&stack, "alpha", "door", "shop").await;
    let bad = format!("interval: 5 parsecs\nchecks:\n{}", target.check("window", "shop"));
    stack.configure("alpha", &bad).unwrap();
    agent.signal(Signal::HUP).unwrap();
    until("the refusal is told", SOON, async || agent.log().contains("5 parsecs")).await.unwrap();
    assert!(stack.component("alpha", "window").await.unwrap().is_none());
    healthy(&stack, "alpha", "door", "shop").await;
    stack.configure("alpha", &good.replace("name: door", "name: window")).unwrap();
    agent.signal(Signal::HUP).unwrap();
    healthy(&stack, "alpha", "window", "shop").await;
    assert!(stack.component("alpha", "door").await.unwrap().is_none());
}
