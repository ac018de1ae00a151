//! Kinds `http` and `tcp` against servers in this process.

use super::{figure, healthy, is_cut_at, unhealthy};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Redirect;
use axum::routing::get;
use farol_checks::Address;
use farol_checks::http::{Expect, Http, Settings};
use farol_checks::tcp::{Settings as TcpSettings, Tcp};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const DEADLINE: Duration = Duration::from_millis(200);

/// A server that lives as long as this does.
struct Server {
    port: u16,
    _task: JoinSet<()>,
}

impl Server {
    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

async fn web() -> Server {
    let endless = || async {
        let chunks =
            futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 8192])));
        Body::from_stream(chunks)
    };
    let held = || async { Body::from_stream(futures::stream::pending::<std::io::Result<Bytes>>()) };
    let token = |headers: HeaderMap| async move {
        if headers.get("x-token").is_some_and(|token| token == "s3cret") {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        }
    };
    let app = Router::new()
        .route("/ok", get(|| async { "ok" }))
        .route("/empty", get(|| async { StatusCode::NO_CONTENT }))
        .route("/down", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/moved", get(|| async { Redirect::temporary("/down") }))
        .route("/token", get(token))
        .route("/endless", get(endless))
        .route("/held", get(held));
    let (listener, port) = listener().await;
    let mut task = JoinSet::new();
    task.spawn(async move { axum::serve(listener, app).await.expect("it serves") });
    Server { port, _task: task }
}

/// Says this to everyone who has said something, then closes.
async fn saying(words: &'static [u8]) -> Server {
    let (listener, port) = listener().await;
    let mut task = JoinSet::new();
    task.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            if stream.read(&mut request).await.is_ok() {
                drop(stream.write_all(words).await);
            }
        }
    });
    Server { port, _task: task }
}

fn check(url: &str) -> Http {
    Http::new(Settings::from_url(url).expect("the URL is good")).expect("a client")
}

fn tcp(host: &str, port: u16) -> Tcp {
    Tcp::new(TcpSettings { address: Address::Tcp(host.to_owned(), port) })
}

#[tokio::test]
async fn the_status_decides_and_redirects_are_not_followed() {
    let server = web().await;
    let outcome = healthy(&check(&server.url("/ok"))).await;
    assert_eq!(figure(&outcome, "http_response_status"), Some(200.0));
    assert!(figure(&outcome, "http_response_seconds").is_some());
    healthy(&check(&server.url("/empty"))).await;
    healthy(&check(&server.url("/moved"))).await;
    let outcome = unhealthy(&check(&server.url("/down")), "unexpected_status").await;
    assert_eq!(figure(&outcome, "http_response_status"), Some(503.0));
    unhealthy(&check(&server.url("/missing?token=s3cret")), "unexpected_status").await;
    let only = Expect { status: vec![204..=204] };
    let settings = |path| Settings::from_url(&server.url(path)).unwrap().expect(only.clone());
    healthy(&Http::new(settings("/empty")).unwrap()).await;
    unhealthy(&Http::new(settings("/ok")).unwrap(), "unexpected_status").await;
}

#[tokio::test]
async fn headers_are_sent_and_an_endless_body_is_not_waited_for() {
    let server = web().await;
    unhealthy(&check(&server.url("/token")), "unexpected_status").await;
    let settings = Settings::from_url(&server.url("/token")).unwrap().header("x-token", "s3cret").unwrap();
    healthy(&Http::new(settings).unwrap()).await;
    healthy(&check(&server.url("/endless"))).await;
    healthy(&check(&server.url("/held"))).await;
}

#[tokio::test]
async fn each_way_not_to_answer_has_its_reason() {
    let web = web().await;
    let plain = unhealthy(&check(&web.url("/ok").replace("http:", "https:")), "tls_failed").await;
    assert!(plain.message.contains("write `http://`"), "{}", plain.message);
    let (listener, port) = listener().await;
    drop(listener);
    unhealthy(&check(&format!("http://127.0.0.1:{port}/")), "connection_refused").await;
    unhealthy(&tcp("127.0.0.1", port), "connection_refused").await;
    // No resolver asks the network for a label of 64 letters.
    let unknown = format!("{}.invalid", "a".repeat(64));
    unhealthy(&check(&format!("http://{unknown}/")), "dns_failure").await;
    unhealthy(&tcp(&unknown, 80), "dns_failure").await;
    unhealthy(&check(&saying(b"").await.url("/")), "connection_closed").await;
    unhealthy(&check(&saying(b"hello\r\n\r\n").await.url("/")), "protocol_error").await;
    let grpc =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 12\r\ncontent-length: 0\r\n\r\n";
    unhealthy(&check(&saying(grpc).await.url("/")), "grpc_port").await;
    let cut = saying(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf").await;
    unhealthy(&check(&cut.url("/")), "connection_closed").await;
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused() {
    let (listener, port) = listener().await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let mut task = JoinSet::new();
    task.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(acceptor.accept(stream).await);
        }
    });
    let outcome = unhealthy(&check(&format!("https://localhost:{port}/")), "tls_failed").await;
    assert!(outcome.message.contains("certificate"), "{}", outcome.message);
}

#[tokio::test]
async fn a_silent_server_is_cut_by_the_deadline_but_accepts() {
    let (_silent, port) = listener().await;
    is_cut_at(DEADLINE, &check(&format!("http://127.0.0.1:{port}/"))).await;
    healthy(&tcp("127.0.0.1", port)).await;
    healthy(&tcp("localhost", port)).await;
}

#[tokio::test]
async fn another_protocol_at_a_databases_port_is_told_as_such() {
    use farol_checks::{postgres, redis};
    let web = saying(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let url = format!("postgres://app:pw@127.0.0.1:{}/app", web.port);
    let settings = postgres::Settings::from_url(&url).unwrap();
    unhealthy(&postgres::Postgres::new(settings), "not_postgres").await;
    let url = format!("redis://:pw@127.0.0.1:{}", web.port);
    unhealthy(&redis::Redis::new(redis::Settings::from_url(&url).unwrap()), "not_redis").await;
    let address = Address::Tcp("127.0.0.1".into(), web.port);
    let settings = postgres::Settings::reachable(address.clone());
    unhealthy(&postgres::Postgres::new(settings), "not_postgres").await;
    unhealthy(&redis::Redis::new(redis::Settings::reachable(address)), "not_redis").await;
}
