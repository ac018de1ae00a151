//! The monitor ends round an attempt: before and after what is about to be done and what was done is kept. An order goes
//! out once at most, and what it leaves behind holds after the restart. Needs the monitor's binary.

use super::LIMIT;
use farol_health::Status;
use farol_tests::faults::Kind;
use farol_tests::hook::Hook;
use farol_tests::tellers::Tellers;
use farol_tests::victim::{Means, Victim};
use farol_tests::wait::until;
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

const PATH: &str = "/scale";
/// An effect is looked at half a minute after a restart at the earliest.
const VERIFIED_WITHIN: Duration = Duration::from_secs(60);

struct Scene {
    victim: Victim,
    hook: Hook,
}

impl Scene {
    /// A monitor that was never started: a webhook scales when a component is unhealthy, once an hour at most.
    async fn new() -> Self {
        let hook = Hook::start().await.unwrap();
        let further = format!(
            "default_rules: false\nrules: [rules.yaml]\negress: {{private: true}}\nactions:\n  up:\n    \
             scale: {{webhook: {{url: \"{}\", secret: 0123456789abcdef}}, min: 1, max: 9}}\n    \
             cool_down: 1h\n    verify: {{after: 10s}}\n",
            hook.url(PATH)
        );
        let victim = Victim::new(Kind::Sqlite.ground().await.unwrap(), &further).unwrap();
        let rules = "rules: [{name: part_down, component: part, flap: {changes: 0}, actions: [up]}]\n";
        std::fs::write(victim.folder().join("rules.yaml"), rules).unwrap();
        Self { victim, hook }
    }

    /// The operations that were ordered, in their order.
    fn orders(&self) -> Vec<String> {
        let told = self.hook.told(PATH);
        told.iter().map(|told| told.notice["operation"].as_str().unwrap().to_owned()).collect()
    }

    /// The outcomes of all attempts, as the monitor tells them.
    async fn outcomes(&self) -> Vec<String> {
        let url = format!("http://{}/api/v1/actions", self.victim.at().http);
        let Ok(answer) = reqwest::get(url).await else { return Vec::new() };
        let list: Value = answer.json().await.unwrap_or_default();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let outcome = |item: &Value| {
            let outcome = &item["outcome"];
            outcome["refusal"]["why"].as_str().or(outcome["outcome"].as_str()).unwrap().to_owned()
        };
        items.iter().map(outcome).collect()
    }

    async fn until_told(&self, outcome: &str, within: Duration) {
        let told = async || self.outcomes().await.iter().any(|told| told == outcome);
        let waited = until(outcome, within, told).await;
        assert!(waited.is_ok(), "{waited:?}; {:?}, ordered {:?}", self.outcomes().await, self.orders());
    }
}

/// Ends at a point and is started again: what is told of the attempt then, and what was ordered.
async fn at(point: &str, outcome: &str, orders: &[&str]) {
    let mut scene = Scene::new().await;
    scene.victim.start(&Means::sabotaged(&["--crash", point])).await.unwrap();
    // A blast radius, were all of them to go bad with the restart.
    let fleet = Tellers::begin(6, scene.victim.at().agents);
    fleet.say(0, Status::Unhealthy);
    let ended = timeout(LIMIT, scene.victim.ends()).await.expect("it is met").unwrap();
    assert_eq!(ended.code, 128 + 6, "{}", ended.log);
    scene.victim.start(&Means::default()).await.unwrap();
    scene.until_told(outcome, VERIFIED_WITHIN).await;
    fleet.say(1, Status::Unhealthy);
    scene.until_told("cooling_down", LIMIT).await;
    assert_eq!(scene.orders(), orders, "{:?}", scene.outcomes().await);
    assert_eq!(scene.outcomes().await.len(), 2, "{:?}", scene.outcomes().await);
    assert_eq!(scene.victim.stop().await.unwrap().code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_kept_is_done_once() {
    at("before_started", "rolled_back", &["scale", "roll_back"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_have_been_done_is_not_done_again_and_counts() {
    tokio::join!(at("after_started", "interrupted", &[]), at("before_verifying", "interrupted", &["scale"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_is_looked_at_after_the_restart() {
    at("after_verifying", "rolled_back", &["scale", "roll_back"]).await;
}
