//! `farol status` against a monitor's answers, given by a server of this process.

use super::*;
use crate::terminal::printed::Printed;
use farol_health::Status;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Answers each request by its target.
async fn server(answer: fn(&str) -> (u16, String), tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let read = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let (status, body) = answer(request.split(' ').nth(1).unwrap_or_default());
            let head =
                format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    address
}

async fn status(address: SocketAddr, json: bool) -> (Verdict, String) {
    let printed = Printed::default();
    let args = StatusArgs {
        url: format!("http://{address}").parse().unwrap(),
        json,
        watch: false,
        timeout: Duration::from_millis(500),
    };
    let verdict = run(&args, &mut printed.terminal()).await;
    (verdict, printed.text())
}

/// Two services over two pages, and one component that is not healthy.
fn fleet(target: &str) -> (u16, String) {
    let service = |name: &str, status: &str| {
        format!(
            r#"{{"name":"{name}","status":"{status}","since":"2026-01-15T10:00:00Z","counts":{{"healthy":1}},"policy":{{"at_least":1,"percent":null,"all":false}}}}"#
        )
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body = match path {
        "/api/v1/fleet" => {
            r#"{"agents":{"total":1,"connected":1,"lost":0},"components":{"total":2,"healthy":1,"degraded":1},"store":{"takes":true,"reason":null}}"#.to_owned()
        }
        "/api/v1/services" if query.contains("after=host") => {
            format!(r#"{{"items":[{}],"next":null}}"#, service("shop", "degraded"))
        }
        "/api/v1/services" => format!(r#"{{"items":[{}],"next":"host"}}"#, service("host", "healthy")),
        "/api/v1/components" if query.contains("shown_as=degraded") => {
            r#"{"items":[{"agent":"a","service":"shop","component":"cache","status":"degraded","last_status":"degraded","message":"slow","age_ms":1,"changed_at":"2026-01-15T10:00:00Z","stale":false,"required":true}],"next":null}"#.to_owned()
        }
        _ => return (404, "{}".to_owned()),
    };
    (200, body)
}

#[tokio::test]
async fn all_pages_are_read_and_the_worst_service_is_the_verdict() {
    let mut tasks = JoinSet::new();
    let address = server(fleet, &mut tasks).await;
    let (verdict, text) = status(address, false).await;
    assert_eq!(verdict.unwrap(), Status::Degraded.into());
    for word in [
        "host",
        "shop",
        "cache",
        "slow",
        "degraded: 2 services (1 not healthy), 2 components (1 not healthy), 1 agent",
    ] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    let (_, text) = status(address, true).await;
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["services"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn who_is_no_monitor_does_not_answer_or_refuses_is_told_apart() {
    let mut tasks = JoinSet::new();
    let web = server(|_| (404, "<html>".to_owned()), &mut tasks).await;
    let other = server(|_| (200, r#"{"items":[{"name":1}],"next":null}"#.to_owned()), &mut tasks).await;
    let closed =
        server(|_| (403, r#"{"code":"loopback_only","detail":"only callers here"}"#.to_owned()), &mut tasks)
            .await;
    let agent = server(
        |_| (404, r#"{"code":"no_such_path","detail":"an agent has nothing at `/api`"}"#.to_owned()),
        &mut tasks,
    );
    let agent = agent.await;
    let other_protocol = server(|_| (101, "SSH-2.0".to_owned()), &mut tasks).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_address = silent.local_addr().unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (address, words) in [
        (web, "is no Farol monitor (404"),
        (other, "is no Farol monitor (missing field"),
        (agent, "is no Farol monitor (an agent has nothing at `/api`); name the monitor's HTTP port"),
        (other_protocol, "--url"),
        (closed, "refuses: only callers here"),
        (silent_address, "gives no answer within 500ms"),
        (gone, "start one with `farol`, or name it with --url"),
    ] {
        let (verdict, text) = status(address, false).await;
        let error = verdict.unwrap_err();
        assert!(!error.is_configuration() && text.is_empty());
        assert!(error.to_string().contains(words), "{error}");
    }
}
