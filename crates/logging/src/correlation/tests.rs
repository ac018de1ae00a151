//! Through axum's router, and gRPC through the same: every line of a request carries its id.

use std::convert::Infallible;
use std::sync::Arc;
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

use super::{CorrelationId, Layer, Requests};
use crate::memory::Memory;
use crate::{Config, Format, dispatch};

/// What a listener would put there.
#[derive(Clone)]
struct Peer(&'static str);

fn layer() -> Layer {
    Layer::new()
        .quiet(&["/health", "/grpc.health.v1.Health/"])
        .route(|extensions| extensions.get::<MatchedPath>().map(MatchedPath::as_str))
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
async fn a_long_path_is_cut_with_a_mark() {
    let answer = ask(router(), "info", request(&format!("/{}", "x".repeat(4_000)), None)).await;
    let path = answer.records[0]["path"].as_str().unwrap();
    assert_eq!(path, format!("/{}…", "x".repeat(255)));
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

/// A gRPC service by hand: it logs and answers with a streamed body, then its status.
#[derive(Clone)]
struct Echo;

impl tonic::server::NamedService for Echo {
    const NAME: &'static str = "farol.test.Echo";
}

/// A body that ends with trailers.
struct Trailed(Option<&'static str>, Logging);

impl http_body::Body for Trailed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        if self.0.is_none() {
            return Poll::Ready(None);
        }
        match std::pin::Pin::new(&mut self.1).poll_frame(context) {
            Poll::Ready(None) => Poll::Ready(self.0.take().map(|status| {
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", http::HeaderValue::from_static(status));
                Ok(http_body::Frame::trailers(trailers))
            })),
            other => other,
        }
    }
}

impl Service<Request<tonic::body::Body>> for Echo {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        tracing::info!("in the call");
        let answer = match request.uri().path() {
            "/farol.test.Echo/Refuse" => {
                let refused = Response::builder().header("grpc-status", "16");
                refused.body(tonic::body::Body::empty()).unwrap()
            }
            _ => Response::new(tonic::body::Body::new(Trailed(Some("14"), Logging(1)))),
        };
        std::future::ready(Ok(answer))
    }
}

#[tokio::test]
async fn a_call_of_grpc_is_told_with_its_status_when_it_ends_and_a_stream_when_it_opens_too() {
    for (path, expected) in [
        ("/farol.test.Echo/Say", vec![("while the body is sent", None), ("request", Some("UNAVAILABLE"))]),
        (
            "/farol.test.Echo/Stream",
            vec![
                ("stream opened", None),
                ("while the body is sent", None),
                ("stream ended", Some("UNAVAILABLE")),
            ],
        ),
        ("/farol.test.Echo/Refuse", vec![("request", Some("UNAUTHENTICATED"))]),
    ] {
        let requests = Arc::new(Requests::new("test", ["/farol.test.Echo/Say"]));
        let layer = layer().streams(&["/farol.test.Echo/Stream"]).requests(Arc::clone(&requests));
        let router = tonic::service::Routes::new(Echo).into_axum_router().layer(layer);
        let mut call = request(path, Some("mine-4"));
        call.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
        let answer = ask(router, "info", call).await;
        assert_eq!(answer.id.as_deref(), Some("mine-4"));
        let told: Vec<_> = answer.records[1..]
            .iter()
            .map(|record| (record["message"].as_str().unwrap(), record["grpc.status"].as_str()))
            .collect();
        assert_eq!(answer.records[0]["message"], "in the call");
        assert_eq!(told, expected, "{path}");
        assert!(answer.records.iter().all(|r| r["correlation_id"] == "mine-4"), "{:?}", answer.records);
        let rows: Vec<_> = requests.rows().map(|row| (row.route, row.count, row.errors)).collect();
        let route = if path.ends_with("Say") { path } else { "other" };
        assert_eq!(rows, [(route, 1, u64::from(!path.ends_with("Refuse")))], "{path}");
    }
}

#[tokio::test]
async fn a_stream_whose_reader_goes_away_is_told_as_cut() {
    let memory = Memory::default();
    let config = Config { format: Format::Json, level: "info".parse().unwrap(), ..Config::default() };
    let (dispatch, guard) = dispatch(&config, memory.clone()).unwrap();
    let events = get(async || {
        let body = Body::from_stream(futures_stream());
        Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
    });
    let router = Router::new().route("/events", events).layer(layer());
    let asked = async {
        let response = router.oneshot(request("/events", Some("mine-5"))).await.unwrap();
        drop(response);
    };
    asked.with_subscriber(dispatch).await;
    drop(guard);
    let records = memory.records();
    let told: Vec<_> = records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    assert_eq!(told, ["stream opened", "stream was cut"]);
    assert!(records.iter().all(|r| r["correlation_id"] == "mine-5" && r["route"] == "/events"));
}

/// Never sends anything.
fn futures_stream() -> impl tokio_stream::Stream<Item = Result<Bytes, Infallible>> {
    tokio_stream::pending()
}
