//! Kind `grpc_health` against a real server of the protocol, over plain text and TLS, by Check and by Watch.

use super::doubles::{listener, saying, serving};
use super::{becomes, expect, figure, healthy, is_cut_at, unhealthy};
use axum::Router;
use axum::routing::get;
use farol_checks::Trust;
use farol_checks::grpc_health::{GrpcHealth, Mode, Settings};
use farol_health::Status;
use farol_health::grpc::{Limits, ServingStatus, Statuses, server};
use farol_tests::certificates::{Authority, Days};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// Statuses that a test sets.
struct Table {
    statuses: Mutex<BTreeMap<String, ServingStatus>>,
    changed: watch::Sender<u64>,
}

impl Statuses for Table {
    fn check(&self, name: &str) -> Option<ServingStatus> {
        self.statuses.lock().get(name).copied()
    }

    fn list(&self) -> Vec<(String, ServingStatus)> {
        self.statuses.lock().iter().map(|(name, status)| (name.clone(), *status)).collect()
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// A running server.
struct Served {
    port: u16,
    table: Arc<Table>,
    _task: JoinSet<()>,
}

impl Served {
    fn set(&self, name: &str, status: ServingStatus) {
        self.table.statuses.lock().insert(name.to_owned(), status);
        self.table.changed.send_modify(|count| *count += 1);
    }

    fn to(&self, service: &str, mode: Mode) -> Settings {
        let url = format!("http://127.0.0.1:{}", self.port);
        Settings::from_url(&url).expect("an address").service(service).mode(mode)
    }
}

/// Only calls with this `x-token` are answered, if one is given.
async fn serve(listener: TcpListener, tls: Option<ServerConfig>, token: Option<&'static str>) -> Served {
    let statuses =
        [("", ServingStatus::Serving), ("shop", ServingStatus::Serving), ("new", ServingStatus::Unknown)];
    let statuses = statuses.map(|(name, status)| (name.to_owned(), status)).into();
    let table = Arc::new(Table { statuses: Mutex::new(statuses), changed: watch::Sender::new(0) });
    let health = server(Arc::<Table>::clone(&table), CancellationToken::new(), Limits::default());
    let health =
        tonic::service::interceptor::InterceptedService::new(health, move |request: tonic::Request<()>| {
            let given = request.metadata().get("x-token").and_then(|token| token.to_str().ok());
            if token.is_none_or(|token| given == Some(token)) {
                Ok(request)
            } else {
                Err(tonic::Status::unauthenticated("who are you? s3cret"))
            }
        });
    let app = Routes::new(health).into_axum_router();
    let port = listener.local_addr().expect("it is bound").port();
    let acceptor = tls.map(|config| tokio_rustls::TlsAcceptor::from(Arc::new(config)));
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (app, acceptor) = (app.clone(), acceptor.clone());
            open.spawn(async move {
                match acceptor {
                    None => connection(stream, app).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            connection(stream, app).await;
                        }
                    }
                }
            });
        }
    });
    Served { port, table, _task: task }
}

async fn connection<I>(stream: I, app: axum::Router)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    drop(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app)).await);
}

async fn plain() -> Served {
    serve(listener().await.0, None, None).await
}

fn check(settings: Settings) -> GrpcHealth {
    GrpcHealth::new(settings).expect("it can be used")
}

#[tokio::test]
async fn check_and_watch_tell_the_same_statuses() {
    let served = plain().await;
    for mode in [Mode::Check, Mode::Watch] {
        healthy(&check(served.to("", mode))).await;
        let outcome = healthy(&check(served.to("shop", mode))).await;
        assert_eq!(figure(&outcome, "grpc_response_seconds").is_some(), mode == Mode::Check);
        expect(&check(served.to("new", mode)), Status::Unknown, "status_unknown").await;
        unhealthy(&check(served.to("gone", mode)), "unknown_service").await;
    }
}

#[tokio::test]
async fn changes_are_seen_over_the_same_connection_and_a_new_server_over_a_new_one() {
    for mode in [Mode::Check, Mode::Watch] {
        let served = plain().await;
        let check = check(served.to("shop", mode));
        healthy(&check).await;
        served.set("shop", ServingStatus::NotServing);
        becomes(&check, "not_serving").await;
        served.set("shop", ServingStatus::Serving);
        becomes(&check, "ok").await;
        let port = served.port;
        drop(served);
        becomes(&check, "connection_refused").await;
        let again = TcpListener::bind(("127.0.0.1", port)).await.expect("its port is free again");
        let _served = serve(again, None, None).await;
        healthy(&check).await;
    }
}

#[tokio::test]
async fn metadata_goes_along_with_each_call() {
    let served = serve(listener().await.0, None, Some("open")).await;
    for mode in [Mode::Check, Mode::Watch] {
        let outcome = unhealthy(&check(served.to("shop", mode)), "grpc_unauthenticated").await;
        assert!(!outcome.message.contains("s3cret"), "{}", outcome.message);
        healthy(&check(served.to("shop", mode).metadata("X-Token", "open").unwrap())).await;
    }
}

#[tokio::test]
async fn tls_is_spoken_with_an_authority_and_a_certificate_of_our_own() {
    let authority = Authority::new().unwrap();
    let pair = authority.sign(&["localhost"], Days::default()).unwrap();
    let config = pair.server(Some(&authority), &[b"h2"]).unwrap();
    let served = serve(listener().await.0, Some(config), None).await;
    let to = || Settings::from_url(&format!("https://localhost:{}", served.port)).unwrap();
    let trust = Trust::default().ca(authority.pem());
    let own = authority.sign(&["client.test"], Days::default()).unwrap();
    for mode in [Mode::Check, Mode::Watch] {
        healthy(&check(to().mode(mode).trust(trust.clone().identity(own.pem.clone(), own.key.clone()))))
            .await;
        unhealthy(&check(to().mode(mode).trust(trust.clone())), "tls_failed").await;
        unhealthy(&check(to().mode(mode).trust(Trust::default().ca(own.pem.clone()))), "untrusted").await;
    }
    let numbered = Settings::from_url(&format!("https://127.0.0.1:{}", served.port)).unwrap();
    unhealthy(&check(numbered.trust(trust.clone())), "name_mismatch").await;
    let plain = plain().await;
    let wrong = Settings::from_url(&format!("https://localhost:{}", plain.port)).unwrap();
    unhealthy(&check(wrong.trust(trust)), "tls_failed").await;
}

#[tokio::test]
async fn what_is_no_such_server_is_told_as_such() {
    let to = |port| Settings::from_url(&format!("http://127.0.0.1:{port}")).unwrap();
    let other = serving(Router::new().route("/", get(|| async { "web" }))).await;
    unhealthy(&check(to(other.port)), "not_grpc").await;
    unhealthy(&check(to(other.port).mode(Mode::Watch)), "unimplemented").await;
    let web = saying(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    unhealthy(&check(to(web.port)), "protocol_error").await;
    let (silent, port) = listener().await;
    is_cut_at(Duration::from_millis(200), &check(to(port))).await;
    drop(silent);
    unhealthy(&check(to(port)), "connection_refused").await;
}
