//! Agents that are lost, leave or are taken for lost: who is told what of it.

use super::{HOOK, QUIET, SOON, Scene, WELL, all};
use farol_tests::hook::Told;
use farol_tests::speaker::Person;
use farol_tests::wait::holds;
use farol_wire::Role;
use rustix::process::Signal;
use std::time::Duration;

const NO_RULES: &str = "rules: []\n";

fn about<'t>(told: &'t [Told], rules: &'t [&str]) -> Vec<String> {
    let is_about = |word: &String| rules.iter().any(|rule| word.starts_with(rule));
    all(told).into_iter().filter(is_about).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_agent_is_one_alert_and_holds_its_components_back() {
    let scene = Scene::begin(NO_RULES, "").await;
    // Nobody listens there; and what is well goes stale with the agent.
    let config = "interval: 1s\nchecks:\n- {name: door, service: shop, tcp: {address: \"127.0.0.1:1\"}, interval: 500ms, deadline: 400ms}\n\
                  - {name: disk, service: shop, disk: {paths: [/]}, interval: 1s, ttl: 2s}\n";
    let agent = scene.stack.agent("alpha", config).await.unwrap();
    let component = |told: &[Told]| about(told, &["component_unhealthy"]) == ["component_unhealthy fires"];
    scene.hook.until("the component's alert", HOOK, SOON, component).await.unwrap();
    let rules = ["component_", "agent_", "service_"];
    let before = about(&scene.hook.taken(HOOK), &rules).len();

    agent.kill().await.unwrap();
    let lost = |told: &[Told]| about(told, &["agent_lost"]) == ["agent_lost fires"];
    let told = scene.hook.until("the agent's alert", HOOK, SOON, lost).await.unwrap();
    let notice = told.iter().find(|told| told.words() == ["agent_lost fires"]).unwrap();
    let held = notice.alerts()[0]["holds"]["names"].to_string();
    assert!(held.contains("component_unhealthy"), "it says what it holds back: {notice:?}");
    scene.hears_no_more().await;
    let after = about(&scene.hook.taken(HOOK), &rules);
    assert_eq!(after.len(), before + 1, "{after:?}");

    let _agent = scene.stack.agent("alpha", config).await.unwrap();
    let back = |told: &[Told]| about(told, &["agent_lost"]) == ["agent_lost fires", "agent_lost recovered"];
    scene.hook.until("it is back", HOOK, SOON, back).await.unwrap();
    let ended = about(&scene.hook.taken(HOOK), &["component_unhealthy recovered"]);
    assert!(ended.is_empty(), "the component is as it was: {ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_that_stood_still_tells_nothing_of_its_agents() {
    let scene = Scene::begin(NO_RULES, "").await;
    let _fleet = scene.fleet(5);
    for number in 0..5 {
        scene.stack.shows(&format!("teller-{number}"), "part", "healthy", SOON).await.unwrap();
    }
    scene.stack.monitor().signal(Signal::STOP).unwrap();
    let none = async || all(&scene.hook.told(HOOK)).is_empty();
    // Longer than three intervals of the agents.
    holds("it stands still", Duration::from_millis(4_500), none).await.unwrap();
    scene.stack.monitor().signal(Signal::CONT).unwrap();
    // It may say of itself that it was blind.
    let false_ones = || {
        let all = all(&scene.hook.told(HOOK));
        all.into_iter().filter(|word| !word.starts_with("blind") && !word.starts_with("clock_jump")).count()
    };
    holds("nobody is called lost", 2 * QUIET, async || false_ones() == 0).await.unwrap();
    let count = scene.stack.items("/api/v1/components").await.unwrap();
    assert!(count.iter().all(|part| part["shown_as"] == "healthy"), "{count:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_deployment_is_not_told() {
    let scene = Scene::begin(NO_RULES, "services: {shop: {at_least: 3}}\n").await;
    let mut fleet = farol_tests::tellers::Tellers::default();
    let mut pods = Vec::new();
    for generation in 0..4 {
        for pod in 0..4 {
            let name = format!("pod-{generation}-{pod}");
            let person = Person { role: Role::Pod, ..Person::new(&name) };
            let number = fleet.add(scene.stack.addresses().agents, person, Person::definition("shop"), WELL);
            scene.stack.shows(&name, "part", "healthy", SOON).await.unwrap();
            pods.push(number);
            if pods.len() > 4 {
                fleet.leave(pods.remove(0));
            }
        }
    }
    let left = async || scene.stack.items("/api/v1/agents").await.is_ok_and(|agents| agents.len() == 4);
    farol_tests::wait::until("only the last four are there", SOON, left).await.unwrap();
    // Whoever was taken for lost would be by now.
    holds("nothing is told", Duration::from_secs(4), async || scene.hook.told(HOOK).is_empty())
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}", all(&scene.hook.told(HOOK))));
}
