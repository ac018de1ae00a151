//! The agent itself stands still for a while: what it missed meanwhile is nobody's fault, and nothing says unhealthy.

use super::status_changes;
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::{holds, until};
use rustix::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long the agent stands still.
const PAUSE: Duration = Duration::from_secs(2);
/// How long the target thinks about each answer: half of the time some check waits for one.
const THINKS: Duration = Duration::from_millis(700);
/// Of each kind.
const CHECKS: usize = 20;

/// Answers every request with 200, each after a while.
async fn slow_target(serving: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            while connections.try_join_next().is_some() {}
            connections.spawn(async move {
                let mut request = [0; 4096];
                while matches!(stream.read(&mut request).await, Ok(read) if read > 0) {
                    sleep(THINKS).await;
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn an_agent_that_stood_still_calls_nothing_unhealthy() {
    let mut serving = JoinSet::new();
    let target = slow_target(&mut serving).await;
    let stack = Stack::start("").await.unwrap();
    let mut config = "interval: 1s\nchecks:\n".to_owned();
    for number in 0..CHECKS {
        for (kind, address) in
            [("http", format!("url: \"http://{target}/\"")), ("tcp", format!("address: \"{target}\""))]
        {
            config += &format!(
                "  - {{name: {kind}-{number}, service: shop, {kind}: {{{address}}}, interval: 1500ms, \
                 deadline: 1500ms, ttl: 30s, failure_threshold: 1, success_threshold: 1}}\n"
            );
        }
    }
    let agent = stack.agent("alpha", &config).await.unwrap();
    until("all is healthy", SOON, async || stack.service("shop").await.is_ok_and(|is| is == "healthy"))
        .await
        .unwrap();
    let before = stack.history().await.unwrap().len();
    for _ in 0..3 {
        agent.signal(Signal::STOP).unwrap();
        let goes_on = async || stack.status("/health/live").await.is_ok_and(|code| code == 200);
        holds("the monitor goes on", PAUSE, goes_on).await.unwrap();
        agent.signal(Signal::CONT).unwrap();
        let checked = stack.component("alpha", "http-0").await.unwrap().unwrap()["checked_at"].clone();
        until("checks go on", SOON, async || {
            stack.component("alpha", "http-0").await.unwrap().unwrap()["checked_at"] != checked
        })
        .await
        .unwrap();
    }
    let since = &stack.history().await.unwrap()[before..];
    // Three runs passed over in a row are unknown, by the rules; unhealthy would be a lie.
    let lies: Vec<_> =
        status_changes(since).into_iter().filter(|change| change.ends_with(">unhealthy")).collect();
    assert_eq!(lies, Vec::<String>::new());
    let log = agent.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let changes = lines.filter(|line| line["message"] == "component changed its status");
    let bad: Vec<_> = changes.filter(|line| line["to"] == "unhealthy").collect();
    assert!(bad.is_empty(), "{bad:#?}");
    // A pause that no check noticed would show nothing: some run was in flight, and was passed over.
    assert!(log.contains("run was skipped"), "no run was in flight at any pause");
}
