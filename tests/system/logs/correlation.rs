//! One id on both sides of an agent's stream, one line for each request, and their counts.

use farol_tests::process::{Process, get};
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use serde_json::Value;

fn records(process: &Process) -> Vec<Value> {
    // The last line may be half written.
    process.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Waits for a record of this process.
async fn hears(process: &Process, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let mut found = None;
    until(what, SOON, async || {
        found = records(process).into_iter().find(&is);
        found.is_some()
    })
    .await
    .unwrap_or_else(|error| panic!("{error}:\n{}", process.log()));
    found.unwrap()
}

#[tokio::test]
async fn a_streams_id_is_made_by_the_agent_and_is_on_the_lines_of_both() {
    let mut stack = Stack::start("").await.unwrap();
    let agent = stack.agent("alpha", "checks: []").await.unwrap();
    let opened = hears(&agent, "the agent's stream", |r| r["message"] == "the stream to the monitor is open");
    let id = opened.await["correlation_id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 32, "{id}");
    let of_it =
        |record: &Value, message: &str| record["correlation_id"] == *id && record["message"] == message;
    let connected = hears(stack.monitor(), "agent connected", |r| of_it(r, "agent connected")).await;
    assert_eq!(connected["agent.id"], "alpha");
    let access = hears(stack.monitor(), "its access line", |r| of_it(r, "stream opened")).await;
    assert_eq!(access["path"], "/farol.v1.Fleet/Stream", "{access}");
    assert!(access["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{access}");
    agent.stop().await.unwrap();
    let ended = hears(stack.monitor(), "its end", |r| of_it(r, "stream ended")).await;
    assert_eq!(ended["grpc.status"], "OK", "{ended}");
    let (_, page) = get(stack.addresses().http, "/metrics").await.unwrap();
    let counted =
        "farol_requests_total{listener=\"agents\",route=\"/farol.v1.Fleet/Stream\",method=\"POST\"} 1";
    assert!(page.contains(counted), "{page}");

    // Another stream has another id; a monitor that ends tells of its end too.
    let agent = stack.agent("alpha", "checks: []").await.unwrap();
    let next = hears(stack.monitor(), "the next stream", |r| {
        r["message"] == "stream opened" && r["correlation_id"] != *id
    });
    let next = next.await["correlation_id"].clone();
    let ended = stack.stop_monitor().await.unwrap();
    let told = ended.log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told: Vec<_> = told.filter(|r| r["correlation_id"] == next && r["target"] == "access").collect();
    assert_eq!((told.len(), &told[1]["grpc.status"]), (2, &"UNAVAILABLE".into()), "{told:?}");
    let asked = "the monitor asks for a new stream";
    hears(&agent, asked, |r| r["correlation_id"] == next && r["message"] == asked).await;
}

#[tokio::test]
async fn each_request_has_one_line_and_its_count() {
    let stack = Stack::start("").await.unwrap();
    let agent = stack.agent("alpha", "checks: []").await.unwrap();
    let client = reqwest::Client::new();
    let at = |path: &str| format!("http://{}{path}", stack.addresses().http);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (path, header, value, id) in [
        ("/api/v1/fleet", "traceparent", trace, "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("/api/v1/agents/alpha?x", "x-request-id", "mine-1", "mine-1"),
        ("/nowhere", "x-request-id", "mine-2", "mine-2"),
    ] {
        let answer = client.get(at(path)).header(header, value).send().await.unwrap();
        assert_eq!(answer.headers()["x-request-id"], id, "{path}");
        hears(stack.monitor(), "its line", |r| r["correlation_id"] == id && r["target"] == "access").await;
        let lines = records(stack.monitor()).into_iter().filter(|r| r["correlation_id"] == id);
        let lines: Vec<_> = lines.filter(|r| r["target"] == "access").collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["status"], answer.status().as_u16(), "{path}");
        assert!(lines[0]["duration_ms"].as_f64().is_some_and(|ms| ms >= 0.0), "{lines:?}");
    }
    let (_, page) = get(stack.addresses().http, "/metrics").await.unwrap();
    for expected in [
        "farol_requests_total{listener=\"http\",route=\"/api/v1/fleet\",method=\"GET\"} 1",
        "farol_requests_total{listener=\"http\",route=\"/api/v1/agents/{agent}\",method=\"GET\"} 1",
        "farol_requests_total{listener=\"http\",route=\"other\",method=\"GET\"} 1",
        "farol_request_errors_total{listener=\"http\",route=\"/api/v1/fleet\",method=\"GET\"} 0",
        "farol_request_duration_seconds_bucket{listener=\"http\",route=\"/api/v1/fleet\",method=\"GET\",le=\"+Inf\"} 1",
    ] {
        assert!(page.contains(expected), "{expected} is not in\n{page}");
    }
    for path in ["/health", "/metrics"] {
        get(agent.address("agent_http"), path).await.unwrap();
    }
    let (_, page) = get(agent.address("agent_http"), "/metrics").await.unwrap();
    for route in ["/health", "/metrics"] {
        let expected =
            format!("farol_requests_total{{listener=\"agent_http\",route=\"{route}\",method=\"GET\"}} 1");
        assert!(page.contains(&expected), "{expected} is not in\n{page}");
    }
}
