//! From a check and a sample to every reader: the lists, the probes, the scrape, history, uptime, the event stream
//! and gRPC health.

use super::{Target, healthy, status_changes};
use farol_health::Status;
use farol_health::clock::boot_ms;
use farol_health::grpc::ServingStatus;
use farol_tests::process::get;
use farol_tests::speaker::{Person, Speaker};
use farol_tests::sse::Events;
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use farol_tests::watch::{Watch, check};
use serde_json::Value;
use std::time::Duration;

#[tokio::test]
async fn an_agents_statuses_and_samples_reach_every_reader() {
    let target = Target::open().await;
    let stack = Stack::start("services: {shop: {}, empty: {}}\ngroups: {front: [shop]}").await.unwrap();
    assert_eq!(stack.service("empty").await.unwrap(), "unknown", "a declared service exists from the start");
    let config = format!("labels: {{zone: north}}\ninterval: 1s\nchecks:\n{}", target.check("door", "shop"));
    let agent = stack.agent("alpha", &config).await.unwrap();
    healthy(&stack, "alpha", "door", "shop").await;

    let told = stack.component("alpha", "door").await.unwrap().unwrap();
    assert_eq!(
        (&told["kind"], &told["reason"], &told["required"]),
        (&"tcp".into(), &"ok".into(), &true.into())
    );
    let whose = stack.json("/api/v1/agents/alpha").await.unwrap();
    assert_eq!((&whose["presence"], &whose["interval_ms"]), (&"here".into(), &1_000.into()));
    assert_eq!(whose["labels"]["zone"], "north");
    assert_eq!(stack.status("/health/groups/front").await.unwrap(), 200);
    let health = stack.addresses().health;
    for name in ["", "shop", "shop/door", "shop@alpha", "shop/door@alpha", "group:front"] {
        assert_eq!(check(health, name).await.unwrap(), ServingStatus::Serving, "{name}");
    }
    assert!(check(health, "nobody").await.is_err());

    // This machine's real memory, as the kernel says it: on the scrape page and in history.
    let total = memory_total();
    let line = scraped(&stack, "system_memory_total_bytes", "alpha").await;
    assert_eq!(line.parse::<f64>().unwrap(), total);
    let path = "/api/v1/history?metric=system_memory_total_bytes&agent=alpha&from=-1m&step=1s&reduce=last";
    let mut kept = Vec::new();
    until("three samples in history", SOON, async || {
        kept = values(&stack, path).await;
        kept.len() >= 3
    })
    .await
    .unwrap();
    assert!(kept.iter().all(|value| *value == total), "{kept:?}");
    // The agent's own page shows the same component.
    let (code, own) = get(agent.address("agent_http"), "/health/detailed").await.unwrap();
    let own: Value = serde_json::from_str(&own).unwrap();
    assert_eq!((code, &own["components"]["door"]["status"]), (200, &"healthy".into()));
}

#[tokio::test]
async fn every_value_of_a_stream_is_in_history_exactly_and_once_however_often_it_is_sent() {
    let stack = Stack::start("").await.unwrap();
    let person = Person::new("by-hand");
    let set = Person::definition("shop");
    // Each value is a power of two: their sum tells which came, and how often.
    let start = boot_ms() - 50_000;
    let reports: Vec<(u64, u64, [f64; 2])> = (1..=40_u64)
        .map(|seq| (seq, start + seq * 1_000, [2_f64.powi(seq as i32 - 4), seq as f64]))
        .collect();
    let mut speaker = Speaker::open(stack.addresses().agents, &person).await.unwrap();
    assert_eq!(speaker.resume_after(person.boot), 0);
    speaker.define(&set).await.unwrap();
    speaker.state(0, Status::Healthy).await.unwrap();
    for (seq, at_ms, values) in &reports {
        speaker.report(*seq, *at_ms, *values, *seq == 40).await.unwrap();
    }
    assert_eq!(speaker.acknowledged(40).await.unwrap(), 40);
    let expected: Vec<f64> = reports.iter().map(|(_, _, [value, _])| *value).collect();
    let exact = async || {
        let path = "/api/v1/history?metric=spoken_value&agent=by-hand&from=-2m&step=200ms&reduce=last";
        assert_eq!(values(&stack, path).await, expected);
        for (reduce, value) in [("count", 40.0), ("sum", expected.iter().sum::<f64>()), ("max", expected[39])]
        {
            let path =
                format!("/api/v1/history?metric=spoken_value&agent=by-hand&from=-2m&step=2m&reduce={reduce}");
            assert_eq!(values(&stack, &path).await, [value], "{reduce}");
        }
    };
    exact().await;

    // The same reports come again: as backlog of a second stream, and that twice.
    speaker.close().await.unwrap();
    let mut again = Speaker::open(stack.addresses().agents, &person).await.unwrap();
    assert_eq!(again.resume_after(person.boot), 40);
    again.define(&set).await.unwrap();
    again.state(40, Status::Healthy).await.unwrap();
    for _ in 0..2 {
        again.backlog(person.boot, &set, &reports, false).await.unwrap();
    }
    again.report(41, boot_ms(), [0.0, 41.0], true).await.unwrap();
    assert_eq!(again.acknowledged(41).await.unwrap(), 41);
    again.close().await.unwrap();
    let path = "/api/v1/history?metric=spoken_total&agent=by-hand&from=-2m&step=2m&reduce=count";
    assert_eq!(values(&stack, path).await, [41.0]);
    let path = "/api/v1/history?metric=spoken_value&agent=by-hand&from=-2m&step=2m&reduce=sum";
    assert_eq!(values(&stack, path).await, [expected.iter().sum::<f64>()]);
}

#[tokio::test]
async fn changes_are_told_with_ids_to_go_on_from_and_a_watcher_hears_each() {
    let stack = Stack::start("").await.unwrap();
    let http = stack.addresses().http;
    let mut person = Person::new("by-hand");
    person.interval = Duration::from_secs(60);
    let mut events = stack.events().await.unwrap();
    let mut watch = Watch::begin(stack.addresses().health, "shop").await.unwrap();
    let first = watch.next(SOON).await.unwrap();
    assert!(matches!(first, farol_health::grpc::client::Watched::UnknownService), "{first:?}");
    let speaker = Speaker::open(stack.addresses().agents, &person).await.unwrap();
    speaker.define(&Person::definition("shop")).await.unwrap();
    let words = [
        (Status::Healthy, ServingStatus::Serving),
        (Status::Unhealthy, ServingStatus::NotServing),
        (Status::Degraded, ServingStatus::Serving),
        (Status::Unknown, ServingStatus::Unknown),
        (Status::Healthy, ServingStatus::Serving),
    ];
    let mut all = Vec::new();
    for (status, word) in words {
        speaker.state(0, status).await.unwrap();
        watch.becomes(word, &[], SOON).await.unwrap();
        let is = |event: &farol_tests::sse::Event| {
            event.name == "service_status" && event.text("to") == status.as_str()
        };
        all.extend(events.until(status.as_str(), SOON, is).await.unwrap());
    }
    let ids: Vec<&str> = all.iter().filter_map(|event| event.id.as_deref()).collect();
    assert_eq!(ids.len(), all.len(), "each has an id");
    // Whoever comes back with any of the ids hears exactly what followed.
    for (at, id) in ids.iter().enumerate().take(ids.len() - 1) {
        let mut again = Events::open(http, "/api/v1/events", Some(id)).await.unwrap();
        let last = ids[ids.len() - 1];
        let rest =
            again.until("the last event", SOON, |event| event.id.as_deref() == Some(last)).await.unwrap();
        let rest: Vec<_> = rest.iter().filter_map(|event| event.id.as_deref()).collect();
        assert_eq!(rest, ids[at + 1..]);
    }
    let mut lost = Events::open(http, "/api/v1/events", Some("another-7")).await.unwrap();
    for name in ["reset", "snapshot"] {
        assert_eq!(lost.next().await.unwrap().unwrap().name, name);
    }
    // Uptime is counted from the same changes.
    let all: Vec<Value> = all.into_iter().map(|event| event.data).collect();
    let services = status_changes(&all).into_iter().filter(|change| change.starts_with("service")).count();
    assert_eq!(services, words.len());
    let items = stack.items("/api/v1/uptime?agent=by-hand&from=-1m").await.unwrap();
    assert_eq!(items.len(), 1, "{items:?}");
    for key in ["healthy_ms", "degraded_ms", "unhealthy_ms", "unknown_ms"] {
        assert!(items[0][key].as_f64().is_some_and(|ms| ms > 0.0), "{key}: {}", items[0]);
    }
}

/// What the one series that answers holds, gaps left out.
async fn values(stack: &Stack, path: &str) -> Vec<f64> {
    let items = stack.items(path).await.unwrap();
    assert!(items.len() <= 1, "{path}: {items:?}");
    let values = items.first().and_then(|series| series["values"].as_array());
    values.into_iter().flatten().filter_map(Value::as_f64).collect()
}

/// The value of a series on `/metrics/fleet`.
async fn scraped(stack: &Stack, name: &str, agent: &str) -> String {
    let path = format!("/metrics/fleet?match[]={name}");
    let mut value = None;
    let agent = format!("agent=\"{agent}\"");
    until(name, SOON, async || {
        let page = get(stack.addresses().http, &path).await.unwrap().1;
        let of_agent = page.lines().find(|line| line.starts_with(name) && line.contains(&agent));
        value = of_agent.and_then(|line| line.split_whitespace().nth(1)).map(str::to_owned);
        value.is_some()
    })
    .await
    .unwrap();
    value.unwrap()
}

fn memory_total() -> f64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find(|line| line.starts_with("MemTotal:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}
