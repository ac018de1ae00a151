//! `farol healthcheck` against servers of this process.

use super::*;
use crate::terminal::printed::Printed;
use farol_health::Status;
use farol_health::grpc::{Limits, Statuses};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

async fn healthcheck(target: &str) -> (bool, String) {
    let printed = Printed::default();
    let args = HealthcheckArgs { target: target.parse().unwrap(), timeout: Duration::from_millis(300) };
    let healthy = run(&args, &mut printed.terminal()).await.unwrap();
    let text = printed.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    (healthy, text)
}

/// Answers each connection with this text.
async fn web(answer: &'static str, servers: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    servers.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1_024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn what_http_says_from_200_to_399_is_healthy() {
    let mut servers = JoinSet::new();
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", false),
        ("SSH-2.0-OpenSSH_9.2\r\n", false),
    ] {
        let address = web(answer, &mut servers).await;
        let (healthy, line) = healthcheck(&format!("http://{address}/health")).await;
        assert_eq!(healthy, expected, "{answer:?}: {line}");
        assert!(line.starts_with(if expected { "healthy: " } else { "unhealthy: " }), "{line}");
    }
}

#[tokio::test]
async fn a_wrong_scheme_is_told_with_the_right_one() {
    let mut servers = JoinSet::new();
    let grpc =
        "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 12\r\ncontent-length: 0\r\n\r\n";
    let farols = "HTTP/1.1 415 X\r\naccept: application/grpc\r\ncontent-length: 0\r\n\r\n";
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    for (scheme, answer, words) in [
        ("http", grpc, "ask it as `grpc://127.0.0.1:"),
        ("http", farols, "ask it as `grpc://127.0.0.1:"),
        ("https", ok, "write `http://`"),
        ("http", "SSH-2.0-OpenSSH_9.2\r\n", "`https://` if it speaks TLS"),
        ("grpc", ok, "ask it as `http://"),
    ] {
        let address = web(answer, &mut servers).await;
        let (healthy, line) = healthcheck(&format!("{scheme}://{address}")).await;
        assert!(!healthy && line.contains(words), "{scheme} {answer:?}: {line}");
    }
    let (listener, app) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), axum::Router::new());
    let address = listener.local_addr().unwrap();
    servers.spawn(async move { axum::serve(listener, app).await.unwrap() });
    let (healthy, line) = healthcheck(&format!("grpc://{address}")).await;
    assert!(!healthy && line.contains("an answer without gRPC") && line.contains("`http://"), "{line}");
}

#[tokio::test]
async fn who_does_not_listen_or_says_nothing_is_not_healthy() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    for scheme in ["http", "grpc"] {
        let (healthy, line) = healthcheck(&format!("{scheme}://{address}")).await;
        assert!(!healthy && line.contains("no answer within"), "{line}");
    }
    drop(silent);
    for scheme in ["http", "grpc"] {
        let (healthy, line) = healthcheck(&format!("{scheme}://{address}")).await;
        assert!(!healthy && line.contains("refused"), "{line}");
    }
}

/// Two services.
struct Two;

impl Statuses for Two {
    fn check(&self, name: &str) -> Option<ServingStatus> {
        match name {
            "" | "payments/database@node-1" => Some(Status::Healthy.into()),
            "kestra" => Some(Status::Unhealthy.into()),
            _ => None,
        }
    }

    fn list(&self) -> Vec<(String, ServingStatus)> {
        Vec::new()
    }

    fn changed(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
}

#[tokio::test]
async fn what_grpc_says_is_healthy_when_it_serves() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = farol_health::grpc::server(Arc::new(Two), CancellationToken::new(), Limits::default());
    let mut servers = JoinSet::new();
    servers.spawn(async move {
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        tonic::transport::Server::builder().add_service(server).serve_with_incoming(incoming).await.unwrap();
    });
    for (name, expected, word) in [
        ("", true, "SERVING"),
        ("/payments/database@node-1", true, "SERVING"),
        ("/kestra", false, "NOT_SERVING"),
        ("/nobody", false, "no service `nobody`"),
    ] {
        let (healthy, line) = healthcheck(&format!("grpc://{address}{name}")).await;
        assert_eq!(healthy, expected, "{line}");
        assert!(line.contains(word), "{line}");
    }
}
