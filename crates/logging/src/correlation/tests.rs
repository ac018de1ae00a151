//! Through axum's router, and gRPC through the same: every line of a request carries its id.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, MatchedPath};
use axum::routing::get;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::{Service, ServiceExt as _};
use tracing::Instrument as _;
use tracing::instrument::WithSubscriber as _;

use super::{CorrelationId, Layer};
use crate::memory::Memory;
use crate::{Config, Format, dispatch};

/// What a listener would put there.
#[derive(Clone)]
struct Peer(&'static str);

fn layer() -> Layer {
    Layer::new()
        .quiet(&["/health", "/grpc.health.v1.Health/"])
        .route(|extensions| extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned()))
        .peer(|extensions| extensions.get::<Peer>().map(|peer| peer.0.to_owned()))
}

async fn answer(Extension(id): Extension<CorrelationId>) -> Response<Body> {
    tracing::info!("before an await");
    tokio::task::yield_now().await;
    let nested = tracing::info_span!("nested", step = 1);
    async {
        tokio::task::yield_now().await;
        tracing::info!("in a nested span");
    }
    .instrument(nested)
    .await;
    assert!(!id.as_str().is_empty());
    Response::new(Body::new(Logging(2)))
}

/// A streamed body that logs while it is sent.
struct Logging(u8);

impl http_body::Body for Logging {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        tracing::info!("while the body is sent");
        self.0 -= 1;
        Poll::Ready((self.0 > 0).then(|| Ok(http_body::Frame::data(Bytes::from_static(b"part")))))
    }
}

struct Answer {
    status: StatusCode,
    id: Option<String>,
    records: Vec<Value>,
}

/// One request, its body read to the end, and all that was logged meanwhile.
async fn ask(router: Router, level: &str, request: Request<Body>) -> Answer {
    let memory = Memory::default();
    let config = Config { format: Format::Json, level: level.parse().unwrap(), ..Config::default() };
    let (dispatch, guard) = dispatch(&config, memory.clone()).unwrap();
    let (status, id) = async {
        let response = router.oneshot(request).await.unwrap();
        let id = response.headers().get("x-request-id").map(|id| id.to_str().unwrap().to_owned());
        let status = response.status();
        response.into_body().collect().await.unwrap();
        (status, id)
    }
    .with_subscriber(dispatch)
    .await;
    drop(guard);
    Answer { status, id, records: memory.records() }
}

fn request(path: &str, id: Option<&str>) -> Request<Body> {
    let mut request = Request::get(path).extension(Peer("10.0.0.7:4711"));
    if let Some(id) = id {
        request = request.header("X-Request-ID", id);
    }
    request.body(Body::empty()).unwrap()
}

fn router() -> Router {
    Router::new()
        .route("/api/agents/{id}", get(answer))
        .route("/health/ready", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .layer(layer())
}

#[tokio::test]
async fn every_line_of_a_request_carries_its_id_over_awaits_spans_and_the_body() {
    let answer = ask(router(), "info", request("/api/agents/a?token=s3cret", Some("mine-1"))).await;
    assert_eq!(answer.id.as_deref(), Some("mine-1"));
    let messages: Vec<_> = answer.records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    let sent = "while the body is sent";
    assert_eq!(messages, ["before an await", "in a nested span", "request", sent, sent]);
    for record in &answer.records {
        assert_eq!(record["correlation_id"], "mine-1", "{record}");
    }
    let access = &answer.records[2];
    for (key, expected) in [
        ("level", Value::from("INFO")),
        ("method", "GET".into()),
        ("path", "/api/agents/a".into()),
        ("route", "/api/agents/{id}".into()),
        ("status", 200.into()),
        ("peer", "10.0.0.7:4711".into()),
    ] {
        assert_eq!(access[key], expected, "{key} in {access}");
    }
    assert!(access["duration_ms"].as_f64().unwrap() >= 0.0, "{access}");
    assert!(!format!("{:?}", answer.records).contains("s3cret"));
}

#[tokio::test]
async fn records_keep_the_id_whatever_level_drops_spans() {
    for level in ["warning", "critical", "farol_logging=error"] {
        let router =
            Router::new().route("/", get(async || tracing::error!(critical = true, "lost"))).layer(layer());
        let answer = ask(router, level, request("/", Some("mine-2"))).await;
        assert_eq!(answer.records.len(), 1, "{level}: {:?}", answer.records);
        assert_eq!(answer.records[0]["correlation_id"], "mine-2", "{level}");
    }
}

#[tokio::test]
async fn probes_are_logged_at_debug_only() {
    let answer = ask(router(), "info", request("/health/ready", None)).await;
    assert_eq!((answer.status, answer.records.len()), (StatusCode::SERVICE_UNAVAILABLE, 0));
    assert_eq!(answer.id.unwrap().len(), 32);
    let answer = ask(router(), "debug", request("/health/ready", None)).await;
    assert_eq!((&answer.records[0]["level"], &answer.records[0]["status"]), (&"DEBUG".into(), &503.into()));
}

#[tokio::test]
async fn a_forged_id_is_replaced_and_an_unknown_path_has_no_route() {
    let answer = ask(router(), "info", request("/nowhere", Some("a b\",\"level\":\"CRITICAL"))).await;
    let id = answer.id.unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let record = &answer.records[0];
    assert_eq!((record["correlation_id"].as_str(), &record["status"]), (Some(id.as_str()), &404.into()));
    assert_eq!(record.get("route"), None);
}

#[tokio::test]
async fn a_request_whose_caller_goes_away_is_told_too() {
    let memory = Memory::default();
    let config = Config { format: Format::Json, level: "info".parse().unwrap(), ..Config::default() };
    let (dispatch, guard) = dispatch(&config, memory.clone()).unwrap();
    let router = Router::new().route("/", get(std::future::pending::<()>)).layer(layer());
    let asked = async {
        let answer = router.oneshot(request("/", Some("mine-3")));
        assert!(tokio::time::timeout(Duration::from_millis(20), answer).await.is_err());
    };
    asked.with_subscriber(dispatch).await;
    drop(guard);
    let records = memory.records();
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["message"], "request ended without a response");
    assert_eq!(records[0]["correlation_id"], "mine-3");
    assert_eq!(records[0].get("status"), None);
}

/// A gRPC service by hand: it logs and answers with a streamed body.
#[derive(Clone)]
struct Echo;

impl tonic::server::NamedService for Echo {
    const NAME: &'static str = "farol.test.Echo";
}

impl Service<Request<tonic::body::Body>> for Echo {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<tonic::body::Body>) -> Self::Future {
        tracing::info!("in the call");
        std::future::ready(Ok(Response::new(tonic::body::Body::new(Logging(1)))))
    }
}

#[tokio::test]
async fn grpc_through_the_router_is_no_different() {
    let router = tonic::service::Routes::new(Echo).into_axum_router().layer(layer());
    let answer = ask(router, "info", request("/farol.test.Echo/Say", Some("mine-4"))).await;
    assert_eq!(answer.id.as_deref(), Some("mine-4"));
    let messages: Vec<_> = answer.records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["in the call", "request", "while the body is sent"]);
    assert!(answer.records.iter().all(|record| record["correlation_id"] == "mine-4"), "{:?}", answer.records);
}
