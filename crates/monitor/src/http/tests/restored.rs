//! What is read between a restart of the monitor and an agent's first word.

use crate::http::scene::Scene;
use crate::store::{AgentKey, AgentRecord, ComponentKey, ComponentRecord, Restored};
use farol_health::Status;
use farol_wire::{Boot, Role};
use serde_json::Value;

/// An agent that was heard 20 s ago and whose component's status changed an hour ago.
fn known(now_ms: i64) -> Restored {
    let agent = AgentRecord {
        key: AgentKey(1),
        id: "a".into(),
        role: Role::Host,
        labels: Default::default(),
        version: "1".into(),
        interval_ms: 10_000,
        last_seen_ms: now_ms - 20_000,
        boot: Boot { number: 1, nonce: 1 },
    };
    let component = ComponentRecord {
        key: ComponentKey { agent: "a".into(), service: "payments".into(), component: "database".into() },
        required: true,
        readiness: true,
        ttl_ms: 15_500,
        kind: "tcp".into(),
        hard: Status::Healthy,
        soft: Status::Healthy,
        reason: "ok".into(),
        message: "".into(),
        checked_ms: Some(now_ms - 3_600_000),
        changed_ms: now_ms - 3_600_000,
        stale: false,
    };
    Restored { agents: vec![agent], components: vec![component], last_agent_key: 1, ..Restored::default() }
}

#[tokio::test]
async fn what_is_restored_has_the_age_of_its_agents_last_word() {
    let scene = Scene::new().await;
    let now = scene.app.clock.now();
    scene.app.fleet.restore(&known(now.wall_ms), now);
    let component = scene.get("/api/v1/components").await.json()["items"][0].take();
    let detailed = scene.get("/health/services/payments/detailed").await;
    let agent = scene.get("/api/v1/agents/a").await.json();
    let at = |ago_ms| jiff::Timestamp::from_millisecond(now.wall_ms - ago_ms).unwrap();
    let is_near = |value: &Value, expected_ms: u64| {
        let age_ms = value.as_u64().unwrap();
        assert!((expected_ms..expected_ms + 5_000).contains(&age_ms), "{age_ms}");
    };
    is_near(&component["age_ms"], 30_000);
    is_near(&agent["age_ms"], 20_000);
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(time(&component["checked_at"]), at(30_000));
    assert_eq!(time(&agent["last_seen_at"]), at(20_000));
    assert_eq!(component["restored"], true);
    let shown = &detailed.json()["instances"]["a"]["components"]["database"];
    is_near(&shown["age_ms"], 30_000);
    assert_eq!(shown["checked_at"], component["checked_at"]);
}
