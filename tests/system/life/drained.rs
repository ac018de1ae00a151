//! A maintenance window that drains: the fleet leaves out what it matches until it ends, agents that accept it say so
//! themselves, and neither side's restart changes that.

use super::{Target, healthy};
use farol_health::grpc::ServingStatus::{NotServing, Serving};
use farol_tests::process::{Process, get};
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use farol_tests::watch::Watch;
use serde_json::{Value, json};
use std::net::SocketAddr;

const REFUSED: &str = "`accept_drain` is not set; it is not applied";

/// What an operator asks of the monitor.
async fn operate(stack: &Stack, method: reqwest::Method, path: &str, body: Option<Value>) -> Value {
    let token = std::fs::read_to_string(stack.data_dir().join("operator.token")).unwrap();
    let url = format!("http://{}{path}", stack.addresses().http);
    let request = reqwest::Client::new().request(method, url).bearer_auth(token.trim());
    let request = body.iter().fold(request, |request, body| request.json(body));
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// A window on the service that drains for so long; its id.
async fn drain(stack: &Stack, lasts: &str) -> String {
    let window = json!({
        "name": "disks", "match": {"service": "shop"}, "mode": "drain", "lasts": lasts, "author": "ann", "reason": "new disks"
    });
    let made = operate(stack, reqwest::Method::POST, "/api/v1/maintenance", Some(window)).await;
    made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

/// Status and `Retry-After`.
async fn probe(address: SocketAddr, path: &str) -> (u16, Option<u64>) {
    let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
    let after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    (answer.status().as_u16(), after)
}

async fn service_becomes(stack: &Stack, shown: &str) {
    until(&format!("the service is {shown}"), SOON, async || {
        stack.service("shop").await.is_ok_and(|now| now == shown)
    })
    .await
    .unwrap();
}

async fn readiness_becomes(agent: &Process, status: u16) {
    let address = agent.address("agent_http");
    until(&format!("its readiness is {status}"), SOON, async || {
        get(address, "/health/ready").await.is_ok_and(|(now, _)| now == status)
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", agent.log()));
}

/// One agent that accepts drains, and one that does not; both run the service.
async fn pair(target: &Target, stack: &Stack) -> (Process, Process, String) {
    let check = target.check_with("door", "shop", "deadline: 400ms, readiness: true");
    let accepting = format!("accept_drain: true\ninterval: 1s\nchecks:\n{check}");
    let willing = stack.agent("willing", &accepting).await.unwrap();
    let other = stack.agent("other", &format!("interval: 1s\nchecks:\n{check}")).await.unwrap();
    for name in ["willing", "other"] {
        healthy(stack, name, "door", "shop").await;
    }
    (willing, other, accepting)
}

#[tokio::test]
async fn a_drained_service_sends_callers_away_over_restarts_of_both_sides_until_its_window_is_taken_back() {
    let target = Target::open().await;
    let mut stack = Stack::start("").await.unwrap();
    let (willing, other, accepting) = pair(&target, &stack).await;
    let mut watch = Watch::begin(stack.addresses().health, "shop").await.unwrap();
    watch.becomes(Serving, &[], SOON).await.unwrap();

    let id = drain(&stack, "1h").await;
    watch.becomes(NotServing, &[], SOON).await.unwrap();
    let http = stack.addresses().http;
    for path in ["/health/services/shop", "/health/services/shop/ready"] {
        let (status, after) = probe(http, path).await;
        assert!(
            status == 503 && after.is_some_and(|s| (3_000..=3_600).contains(&s)),
            "{path} {status} {after:?}"
        );
    }
    readiness_becomes(&willing, 503).await;
    until("the other one says why not", SOON, async || other.log().contains(REFUSED)).await.unwrap();
    assert_eq!(get(other.address("agent_http"), "/health/ready").await.unwrap().0, 200);
    let mut own = Watch::begin(willing.address("agent_health"), "shop").await.unwrap();
    own.becomes(NotServing, &[], SOON).await.unwrap();
    let below = stack.component("other", "door").await.unwrap().unwrap();
    assert_eq!((&below["shown_as"], &below["last_status"]), (&json!("maintenance"), &json!("healthy")));

    stack.kill_monitor().await.unwrap();
    stack.start_monitor().await.unwrap();
    assert_eq!(stack.service("shop").await.unwrap(), "maintenance", "from the first answer on");
    willing.kill().await.unwrap();
    let willing = stack.agent("willing", &accepting).await.unwrap();
    readiness_becomes(&willing, 503).await;
    assert_eq!(stack.service("shop").await.unwrap(), "maintenance");

    operate(&stack, reqwest::Method::DELETE, &format!("/api/v1/maintenance/{id}"), None).await;
    service_becomes(&stack, "healthy").await;
    readiness_becomes(&willing, 200).await;
    assert_eq!(probe(http, "/health/services/shop").await, (200, None));
    // It may have come back to the new monitor after the window's end.
    assert!((1..=2).contains(&other.log().matches(REFUSED).count()), "once on each stream: {}", other.log());
    let uptime = stack.json("/api/v1/uptime?service=shop").await.unwrap();
    let shop = &uptime["services"][0];
    assert!(shop["maintenance_ms"].as_u64().unwrap() > 0 && shop["unhealthy_ms"] == 0, "{uptime}");
}

#[tokio::test]
async fn a_window_ends_in_its_time_for_an_agent_whose_monitor_cannot_say_so() {
    let target = Target::open().await;
    let mut stack = Stack::start("").await.unwrap();
    let (willing, _other, _) = pair(&target, &stack).await;
    drain(&stack, "6s").await;
    readiness_becomes(&willing, 503).await;
    stack.kill_monitor().await.unwrap();
    readiness_becomes(&willing, 200).await;
    assert!(willing.log().contains("the monitor's drain windows are over"), "{}", willing.log());
    stack.start_monitor().await.unwrap();
    service_becomes(&stack, "healthy").await;
}
