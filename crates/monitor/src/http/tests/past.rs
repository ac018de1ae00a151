//! Questions about the past, over a store that was filled by hand.

use super::super::scene::{Scene, series};
use crate::store::{
    AgentKey, AgentRecord, BlockRecord, ComponentKey, Group, Layout, LayoutKey, ReportRecord, StatusChange,
};
use axum::http::StatusCode;
use farol_health::Status;
use farol_series::{Columns, Encoding};
use farol_wire::{Boot, Definition, Role, SeriesType, SourceDef};
use serde_json::{Value, json};
use std::sync::Arc;

const MINUTE_MS: i64 = 60_000;
const BOOT: Boot = Boot { number: 1, nonce: 1 };

fn agent() -> AgentRecord {
    AgentRecord {
        key: AgentKey(1),
        id: "web-1".into(),
        role: Role::Host,
        labels: Arc::default(),
        version: "1".into(),
        interval_ms: 10_000,
        last_seen_ms: 0,
        boot: BOOT,
    }
}

/// Two series of one agent, told once a minute from `start_ms` on.
fn measured(start_ms: i64, rows: &[[Option<f64>; 2]]) -> Group {
    let labels = [("component", "database"), ("service", "payments")];
    let mut all = [series("load", SeriesType::Gauge, &[]), series("load", SeriesType::Gauge, &labels)];
    (all[0].id, all[1].id) = (1, 2);
    let set = Definition {
        sources: vec![SourceDef { id: 1, name: "s".into(), interval_ms: 60_000 }],
        series: all.to_vec(),
        components: Vec::new(),
    };
    let mut columns = Columns::new(vec![Encoding::Float; 2]);
    let mut report = |seq: u64, row: &[Option<f64>; 2]| {
        let mut data = Vec::new();
        columns.encode(row, &mut data).unwrap();
        ReportRecord {
            agent: AgentKey(1),
            boot: BOOT,
            seq,
            layout: LayoutKey(1),
            at_ms: start_ms + (i64::try_from(seq).unwrap() - 1) * MINUTE_MS,
            key: seq == 1,
            blocks: vec![BlockRecord { source: 1, before_ms: 0, data: data.into() }],
        }
    };
    Group {
        agents: vec![agent()],
        layouts: vec![Arc::new(Layout { key: LayoutKey(1), set })],
        reports: (1..).zip(rows).map(|(seq, row)| report(seq, row)).collect(),
        ..Group::default()
    }
}

/// Commits a group as the journal's writer does.
async fn fill(scene: &Scene, group: &Group) {
    scene.app.store.commit(group).await.unwrap();
    scene.app.journal.recent().take(group, scene.app.clock.now().wall_ms);
}

fn change(agent: &str, component: &str, at_ms: i64, status: Status) -> StatusChange {
    let key = ComponentKey { agent: agent.into(), service: "payments".into(), component: component.into() };
    let (maintenance, muted, stale) = (false, false, false);
    StatusChange { key, at_ms, status: Some(status), maintenance, muted, stale, reason: "x".into() }
}

fn values(answer: &Value) -> Vec<(String, Value)> {
    let items = answer["items"].as_array().unwrap();
    items.iter().map(|item| (item["labels"].to_string(), item["values"].clone())).collect()
}

#[tokio::test]
async fn history_comes_in_steps_with_gaps_and_what_json_has_no_number_for() {
    let scene = Scene::new().await;
    let now = scene.app.clock.now().wall_ms;
    let start = now - 10 * MINUTE_MS;
    let rows = [
        [Some(1.0), Some(10.0)],
        [Some(f64::INFINITY), None],
        [Some(f64::NEG_INFINITY), None],
        [Some(4.5), Some(11.0)],
    ];
    fill(&scene, &measured(start, &rows)).await;
    let time = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap();
    let range = format!("from={}&to={}&step=1m&reduce=last", time(start), time(start + 5 * MINUTE_MS));
    let whole = scene.get(&format!("/api/v1/history?metric=load&agent=web-1&{range}")).await.json();
    assert_eq!(whole["step_ms"], 60_000);
    assert_eq!(whole["from"], format!("{:.3}", time(start)));
    assert_eq!(
        values(&whole),
        [
            ("{}".to_owned(), json!([1.0, "+Inf", "-Inf", 4.5, null])),
            (
                json!({"component": "database", "service": "payments"}).to_string(),
                json!([10.0, null, null, 11.0, null])
            ),
        ]
    );
    for (choice, expected) in [
        ("service=payments", vec![json!([10.0, null, null, 11.0, null])]),
        ("component=database&label=service=payments", vec![json!([10.0, null, null, 11.0, null])]),
        ("label=service=", vec![json!([1.0, "+Inf", "-Inf", 4.5, null])]),
        ("service=nobody", vec![]),
        ("agent=nobody", vec![]),
    ] {
        let answer = scene.get(&format!("/api/v1/history?metric=load&{choice}&{range}")).await.json();
        let found: Vec<_> = values(&answer).into_iter().map(|(_, values)| values).collect();
        assert_eq!(found, expected, "{choice}");
    }
    let by_default = scene.get("/api/v1/history?metric=load").await.json();
    assert_eq!((&by_default["step_ms"], &by_default["reduce"]), (&json!(15_000), &json!("avg")));
    assert_eq!(by_default["items"][0]["values"].as_array().unwrap().len(), 240);
}

#[tokio::test]
async fn uptime_is_told_of_components_and_of_services_by_their_policy() {
    let scene = Scene::new().await;
    scene.declare(&[("payments", Default::default())], "checkout");
    let now = scene.app.clock.now().wall_ms;
    let start = now - 100 * MINUTE_MS;
    let group = Group {
        agents: vec![agent()],
        changes: vec![
            change("web-1", "database", start, Status::Healthy),
            change("web-2", "database", start, Status::Healthy),
            change("web-1", "database", start + 60 * MINUTE_MS, Status::Unhealthy),
            change("web-1", "database", start + 70 * MINUTE_MS, Status::Healthy),
        ],
        blind: vec![(start, start + 20 * MINUTE_MS)],
        ..Group::default()
    };
    scene.app.store.commit(&group).await.unwrap();
    let time = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap();
    let range = format!("from={}&to={}", time(start), time(start + 100 * MINUTE_MS));
    let answer = scene.get(&format!("/api/v1/uptime?{range}")).await.json();
    let minute = |n: i64| json!(n * MINUTE_MS);
    let first = &answer["items"][0];
    assert_eq!((&first["agent"], &first["component"]), (&json!("web-1"), &json!("database")));
    assert_eq!((&first["healthy_ms"], &first["unhealthy_ms"]), (&minute(70), &minute(10)));
    assert_eq!((&first["blind_ms"], &first["uptime_ratio"]), (&minute(20), &json!(0.875)));
    assert_eq!(answer["items"][1]["uptime_ratio"], 1.0);
    // One of two is enough: the service was degraded, and up.
    let service = &answer["services"][0];
    assert_eq!((&service["service"], &service["degraded_ms"]), (&json!("payments"), &minute(10)));
    assert_eq!(service["uptime_ratio"], 1.0);
    let page = scene.get(&format!("/api/v1/uptime?{range}&limit=1")).await.json();
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["next"]),
        (1, &json!("web-1/payments/database"))
    );
    let next = page["next"].as_str().unwrap();
    let page = scene.get(&format!("/api/v1/uptime?{range}&limit=1&after={next}")).await.json();
    assert_eq!((&page["items"][0]["agent"], &page["next"]), (&json!("web-2"), &Value::Null));
    let of_agent = scene.get(&format!("/api/v1/uptime?{range}&agent=web-2")).await.json();
    assert_eq!((of_agent["items"].as_array().unwrap().len(), &of_agent["services"]), (1, &json!([])));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_a_503_and_the_rest_goes_on() {
    let scene = Scene::new().await;
    scene.app.store.close().await.unwrap();
    for path in ["/api/v1/history?metric=x", "/api/v1/uptime"] {
        let reply = scene.get(path).await;
        assert_eq!(
            (reply.status, &*reply.code()),
            (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            "{path}"
        );
    }
    assert_eq!(scene.get("/api/v1/fleet").await.status, StatusCode::OK);
    assert_eq!(scene.get("/metrics").await.status, StatusCode::OK);
}

#[tokio::test]
async fn questions_have_so_many_places() {
    let scene = Scene::new().await;
    let places: Vec<_> = std::iter::from_fn(|| scene.app.questions.place().ok()).collect();
    assert_eq!(places.len(), 4);
    assert_eq!(scene.get("/api/v1/uptime").await.code(), "too_many_questions");
    drop(places);
    assert_eq!(scene.get("/api/v1/uptime").await.status, StatusCode::OK);
}
