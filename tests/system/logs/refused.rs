//! Connections that are cut before their first request: one security event of a kind, the rest counted.

use farol_tests::process::Process;
use farol_tests::stack::SOON;
use farol_tests::wait::until;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const ANY_PORT: [&str; 6] = ["--http", "127.0.0.1:0", "--agents", "127.0.0.1:0", "--health", "127.0.0.1:0"];
const CONNECTIONS: usize = 30;

#[tokio::test]
async fn half_requests_and_silence_are_a_security_event_each_however_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let monitor = Process::start("farol-monitor", &ANY_PORT, folder.path()).await.unwrap();
    let mut strangers = JoinSet::new();
    for said in [&b"GET / HTTP/1.1\r\nhost: a"[..], b""].repeat(CONNECTIONS) {
        let mut stranger = TcpStream::connect(monitor.address("http")).await.unwrap();
        strangers.spawn(async move {
            stranger.write_all(said).await.unwrap();
            // Until the monitor hangs up, in whichever way.
            stranger.read_to_end(&mut Vec::new()).await.ok();
        });
    }
    strangers.join_all().await;
    let count = |page: &str, reason: &str| {
        page.contains(&format!(
            "farol_listener_closed_total{{listener=\"http\",reason=\"{reason}\"}} {CONNECTIONS}\n"
        ))
    };
    until("all are counted", SOON, async || {
        let (_, page) = monitor.get("/metrics").await.unwrap();
        count(&page, "header") && count(&page, "handshake")
    })
    .await
    .unwrap();
    let log = monitor.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut events: Vec<Value> = lines.filter(|line| line["event.kind"] == "security").collect();
    events.sort_by_key(|event| event["event.name"].to_string());
    let names: Vec<_> = events.iter().map(|event| &event["event.name"]).collect();
    assert_eq!(names, [&json!("handshake_too_slow"), &json!("header_too_slow")], "{events:#?}");
    for event in &events {
        for (key, value) in [
            ("level", "WARNING"),
            ("target", "security"),
            ("outcome", "refused"),
            ("peer.address", "127.0.0.1"),
            ("subject", "http"),
        ] {
            assert_eq!(event[key], value, "{key} of {event}");
        }
    }
    assert_eq!(monitor.stop().await.unwrap().code, 0);
}
