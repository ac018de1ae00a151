//! What arrives when all is well: records, one trace over agent and monitor, requests, metrics, and nothing of the
//! export itself.

use super::super::secrets::{CANARIES, config};
use super::collector::Collector;
use farol_tests::process::{Process, get};
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use serde_json::Value;

const ANY_PORT: [&str; 6] = ["--http", "127.0.0.1:0", "--agents", "127.0.0.1:0", "--health", "127.0.0.1:0"];
const STREAM: &str = "farol.v1.Fleet/Stream";
const SERVER: u8 = 2;
const CLIENT: u8 = 3;

#[tokio::test]
async fn a_streams_trace_spans_agent_and_monitor_and_their_lines_belong_to_it() {
    let collector = Collector::open(0);
    let logging = collector.logging("");
    let mut stack = Stack::start(&logging).await.unwrap();
    let agent = stack.agent("alpha", &format!("{logging}checks: []")).await.unwrap();
    let of = |kind: u8| move |span: &Value| span["name"] == STREAM && span["kind"] == kind;
    let called = collector.first("traces", "the agent's span", of(CLIENT)).await;
    let answered = collector.first("traces", "the monitor's span", of(SERVER)).await;
    assert_eq!((&called["trace"], &called["parent"]), (&answered["trace"], &"".into()), "{called}");
    assert_eq!(called["span"], answered["parent"], "{answered}");
    let connect = collector.first("traces", "the connection's", |span| span["name"] == "connect").await;
    assert_eq!((&connect["trace"], &connect["parent"]), (&called["trace"], &called["span"]));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for (span, name, instance) in
        [(&called, "farol-agent", "alpha".into()), (&answered, "farol-monitor", Value::Null)]
    {
        let resource = &span["resource"];
        assert_eq!(resource["service.name"], name, "{resource}");
        assert_eq!(resource["service.instance.id"], instance, "{resource}");
        assert_eq!(resource["host.name"], host, "{resource}");
        assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"), "{resource}");
        assert_eq!(span["fields"]["farol.agent.id"], "alpha", "{span}");
        assert_eq!(span["fields"]["rpc.service"], "farol.v1.Fleet", "{span}");
        assert_eq!(span["status"], 0, "{span}");
    }
    assert_eq!(called["events"], serde_json::json!(["Welcome came", "State is sent"]));
    assert_eq!(answered["events"], serde_json::json!(["Hello came", "State came"]));
    for (message, span, level, number) in [
        ("the stream to the monitor is open", &called, "INFO", 9),
        ("agent connected", &answered, "DEBUG", 5),
        ("stream opened", &answered, "INFO", 9),
    ] {
        let record = collector.first("logs", message, |record| record["message"] == message).await;
        assert_eq!((&record["trace"], &record["span"]), (&span["trace"], &span["span"]), "{record}");
        assert_eq!((&record["level"], &record["number"]), (&level.into(), &number.into()), "{record}");
        assert_eq!(record["fields"]["correlation_id"], called["trace"], "one id for lines and spans");
        assert!(record["fields"].get("trace_id").is_none(), "it is the record's own: {record}");
    }
    // The same on standard error.
    let log = stack.monitor().log();
    let line = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = line.into_iter().find(|line| line["message"] == "agent connected").unwrap();
    assert_eq!((&line["trace_id"], &line["span_id"]), (&answered["trace"], &answered["span"]));
    // What is said last arrives too.
    agent.stop().await.unwrap();
    stack.stop_monitor().await.unwrap();
    for name in ["farol-agent", "farol-monitor"] {
        let last = |record: &Value| {
            record["message"] == "shutdown ended" && record["resource"]["service.name"] == name
        };
        collector.first("logs", "the last line", last).await;
    }
}

#[tokio::test]
async fn a_refused_stream_is_an_error_on_both_sides() {
    let collector = Collector::open(0);
    let logging = collector.logging("");
    let stack = Stack::start(&logging).await.unwrap();
    let _first = stack.agent("alpha", "checks: []").await.unwrap();
    until("the first is there", SOON, async || !stack.items("/api/v1/agents").await.unwrap().is_empty())
        .await
        .unwrap();
    let other = stack.path("other");
    std::fs::create_dir_all(&other).unwrap();
    let monitor = stack.addresses().agents;
    let file = other.join("agent.yaml");
    std::fs::write(
        &file,
        format!("name: alpha\nmonitors: [\"http://{monitor}\"]\n{logging}checks: []\nlisten: {{http: \"127.0.0.1:0\"}}"),
    )
    .unwrap();
    let args = ["--config", file.to_str().unwrap()];
    let _second = Process::start("farol-agent", &args, &other).await.unwrap();
    for kind in [CLIENT, SERVER] {
        let failed = |span: &Value| span["name"] == STREAM && span["kind"] == kind && span["status"] == 2;
        let span = collector.first("traces", "a failed stream", failed).await;
        assert!(span["why"].as_str().unwrap().contains("two processes"), "{span}");
    }
}

#[tokio::test]
async fn requests_continue_their_callers_trace_and_probes_make_none() {
    let collector = Collector::open(0);
    let stack = Stack::start(&collector.logging(", compression: gzip")).await.unwrap();
    let client = reqwest::Client::new();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    for (path, with_parent) in [
        ("/health/ready", false),
        ("/metrics", false),
        ("/health/live", true),
        ("/api/v1/agents/nobody?token=canary-query-token", true),
        ("/made/up/1", false),
        ("/api/v1/fleet", false),
    ] {
        let mut request = client.get(format!("http://{}{path}", stack.addresses().http));
        if with_parent {
            request = request.header("traceparent", &parent);
        }
        request.send().await.unwrap();
    }
    // A stream's span is its opening: it arrives while the stream is open.
    let events = client.get(format!("http://{}/api/v1/events", stack.addresses().http));
    let events = events.header("accept", "text/event-stream").send().await.unwrap();
    collector.first("traces", "the stream's", |span| span["name"] == "GET /api/v1/events").await;
    drop(events);
    let fleet = collector.first("traces", "the last", |span| span["name"] == "GET /api/v1/fleet").await;
    let fields = &fleet["fields"];
    assert_eq!(
        (&fields["http.request.method"], &fields["http.route"]),
        (&"GET".into(), &"/api/v1/fleet".into())
    );
    assert_eq!((&fields["http.response.status_code"], &fleet["kind"]), (&200.into(), &SERVER.into()));
    assert!(fleet["took_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{fleet}");
    let record = |record: &Value| record["fields"]["path"] == "/api/v1/fleet";
    let record = collector.first("logs", "its access line", record).await;
    assert_eq!((&record["trace"], &record["span"]), (&fleet["trace"], &fleet["span"]));
    let mut names: Vec<_> = collector
        .all("traces")
        .iter()
        .map(|span| {
            let caller = (span["trace"] == trace).then(|| span["parent"].as_str().unwrap_or_default());
            assert!(caller.is_none_or(|caller| caller == "00f067aa0ba902b7"), "{span}");
            let status = &span["fields"]["http.response.status_code"];
            format!("{} {status} {}", span["name"].as_str().unwrap_or_default(), caller.is_some())
        })
        .collect();
    names.sort();
    let expected = [
        "GET /api/v1/agents/{agent} 400 true",
        "GET /api/v1/events 200 false",
        "GET /api/v1/fleet 200 false",
        "GET /health/live 200 true",
        "GET 404 false",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_level_that_is_changed_is_of_the_log_alone_and_counts_at_once() {
    let collector = Collector::open(0);
    let mut stack = Stack::start(&collector.logging("")).await.unwrap();
    stack.json("/api/v1/fleet").await.unwrap();
    let of = |path: &'static str| move |record: &Value| record["fields"]["path"] == path;
    collector.first("logs", "a request's line", of("/api/v1/fleet")).await;
    let token = std::fs::read_to_string(stack.data_dir().join("operator.token")).unwrap();
    let set = format!("http://{}/api/v1/log-level?level=warning", stack.addresses().http);
    let set = reqwest::Client::new().post(set).header("authorization", format!("Bearer {}", token.trim()));
    assert!(set.send().await.unwrap().status().is_success());
    stack.json("/api/v1/services").await.unwrap();
    collector.first("traces", "its span", |span| span["name"] == "GET /api/v1/services").await;
    stack.stop_monitor().await.unwrap();
    assert_eq!(collector.all("logs").into_iter().find(of("/api/v1/services")), None);
}

#[tokio::test]
async fn own_metrics_are_those_of_the_page() {
    let collector = Collector::open(0);
    let logging = collector.logging("");
    let stack = Stack::start(&logging).await.unwrap();
    let at = stack.addresses().http;
    let check = format!("checks: [{{name: door, tcp: {{address: \"{at}\"}}, interval: 1s}}]");
    let agent = stack.agent("alpha", &format!("{logging}{check}")).await.unwrap();
    stack.shows("alpha", "door", "healthy", SOON).await.unwrap();
    for _ in 0..3 {
        stack.json("/api/v1/fleet").await.unwrap();
    }
    let is = |name: &'static str, fields: Value, value: f64| {
        move |sample: &Value| {
            let counted = sample["value"].as_f64().or_else(|| sample["count"].as_f64());
            sample["name"] == name && sample["fields"] == fields && counted == Some(value)
        }
    };
    let fleet = serde_json::json!({"listener": "http", "route": "/api/v1/fleet", "method": "GET"});
    let none = serde_json::json!({});
    let component = serde_json::json!({"service": "host", "component": "door"});
    for (name, fields, value, kind, unit, scope) in [
        ("farol_requests_total", &fleet, 3.0, "sum", "", "farol-monitor"),
        ("farol_request_duration_seconds", &fleet, 3.0, "histogram", "s", "farol-monitor"),
        ("farol_agents_connected", &none, 1.0, "gauge", "", "farol-monitor"),
        ("farol_component_status", &component, 2.0, "gauge", "", "farol-agent"),
        ("farol_agent_streams_opened_total", &none, 1.0, "sum", "", "farol-agent"),
    ] {
        let sample = collector.first("metrics", name, is(name, fields.clone(), value)).await;
        assert_eq!((&sample["kind"], &sample["unit"]), (&kind.into(), &unit.into()), "{sample}");
        assert_eq!((&sample["scope"], &sample["resource"]["service.name"]), (&scope.into(), &scope.into()));
    }
    // Each family of a page is exported under its own name, but for the agents' components at the monitor.
    for (address, scope) in
        [(stack.addresses().http, "farol-monitor"), (agent.address("agent_http"), "farol-agent")]
    {
        let (_, page) = get(address, "/metrics").await.unwrap();
        let families = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        for (name, kind) in families {
            let component = scope == "farol-monitor" && name.starts_with("farol_component_");
            // A histogram and its like have no samples before the first request of that listener.
            if page.contains(&format!("\n{name}{{")) || page.contains(&format!("\n{name} ")) {
                let told = |sample: &Value| sample["name"] == name && sample["scope"] == scope;
                if component {
                    assert!(!collector.all("metrics").iter().any(told), "{name}");
                    continue;
                }
                let sample = collector.first("metrics", name, told).await;
                let expected = if kind == "counter" { "sum" } else { kind };
                assert_eq!(sample["kind"], expected, "{sample}");
                let help = format!("# HELP {name} {}\n", sample["help"].as_str().unwrap());
                assert!(page.contains(&help), "{help}");
            }
        }
    }
    let fleets = collector
        .all("metrics")
        .into_iter()
        .find(|sample| sample["name"].as_str().is_some_and(|name| name.starts_with("system_")));
    assert_eq!(fleets, None, "the fleet's series are scraped, not exported");
}

#[tokio::test]
async fn nothing_of_the_export_and_no_secret_arrives_at_trace_and_what_repeats_is_counted() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::open(0));
    let file = folder.path().join("farol.yaml");
    let logging = collector.logging(", headers: \"api-key=canary-otlp-header\"");
    std::fs::write(&file, format!("{logging}{}", config(folder.path()))).unwrap();
    let args: Vec<&str> = ["--config", file.to_str().unwrap()].into_iter().chain(ANY_PORT).collect();
    let env = [("LOG_LEVEL", "trace"), ("DB_PASSWORD", "canary-env-password")];
    let farol = Process::start_with("farol", &args, &env, &folder.path().join("run")).await.unwrap();
    let http = farol.address("http");
    let client = reqwest::Client::new();
    for _ in 0..40 {
        let asked = client
            .get(format!("http://{http}/api/v1/fleet?token=canary-query-token"))
            .header("host", "canary.example")
            .header("authorization", "Bearer canary-bearer-token")
            .header("cookie", "session=canary-basic-cookie");
        assert_eq!(asked.send().await.unwrap().status(), 421);
    }
    let stranger = |record: &Value| record["fields"]["event.name"] == "unknown_host";
    let repeated = |record: &Value| stranger(record) && record["fields"].get("repeated").is_some();
    collector.first("logs", "the count of what was left out", repeated).await;
    // Several rounds: what feeds on itself grows.
    let calls = |signal: &'static str| collector.all("call").iter().filter(|c| c["of"] == signal).count();
    until("some rounds of logs", SOON, async || calls("logs") > 4 && calls("metrics") > 2).await.unwrap();
    let strangers: Vec<_> = collector.all("logs").into_iter().filter(stranger).collect();
    assert!(strangers.len() < 35, "{}", strangers.len());
    for item in collector.all("logs") {
        let scope = item["scope"].as_str().unwrap().to_owned();
        let library = scope.split("::").next().unwrap_or_default();
        let own = ["h2", "hyper", "hyper_util", "tonic", "tower"].contains(&library)
            || library.starts_with("opentelemetry")
            || scope.starts_with("farol_logging::otlp");
        assert!(!own, "{item}");
    }
    for span in collector.all("traces") {
        assert!(!span["name"].as_str().unwrap().contains("opentelemetry"), "{span}");
    }
    assert!(collector.all("call").iter().all(|call| call["metadata"]["api-key"] == "canary-otlp-header"));
    let ended = farol.stop().await.unwrap();
    assert_eq!(ended.code, 0, "{}", ended.log);
    let signals = ["logs", "traces", "metrics"];
    let received: String =
        signals.iter().flat_map(|signal| collector.all(signal)).map(|item| item.to_string()).collect();
    for (name, text) in [("received", &received), ("log", &ended.log)] {
        for canary in CANARIES.iter().chain(&["canary-otlp-header"]) {
            assert!(!text.contains(canary), "{canary} was {name}");
        }
    }
}
