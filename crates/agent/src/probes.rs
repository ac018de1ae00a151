//! The agent's own probes, metrics and gRPC health: what they read and how they are served. Statuses are the
//! checker's, wording is farol-health's.

use crate::link::Link;
use crate::metrics;
use crate::recorder::Recorder;
use crate::reloads::Reloads;
use axum::Router;
use axum::extract::Request;
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use farol_health::grpc::{self, ProcessStatuses};
use farol_health::probe::Source;
use farol_health::{Checker, Details, PeerIsLoopback, Snapshot};
use farol_shutdown::Handle;
use farol_shutdown::listener::Peer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What probes of the agent read.
pub(crate) struct Own {
    pub(crate) checker: Checker,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) link: Arc<Link>,
    /// For `/metrics`.
    pub(crate) reloads: Reloads,
    stopping: CancellationToken,
    born_ms: u64,
    /// The listeners are served.
    started: AtomicBool,
}

impl Own {
    pub(crate) fn new(
        checker: Checker,
        recorder: Arc<Recorder>,
        link: Arc<Link>,
        handle: &Handle,
    ) -> Arc<Self> {
        Arc::new(Self {
            checker,
            recorder,
            link,
            reloads: Reloads::new(jiff::Timestamp::now().as_millisecond()),
            stopping: handle.stopping(),
            born_ms: farol_health::clock::boot_ms(),
            started: AtomicBool::new(false),
        })
    }

    /// Readiness may say yes from here on.
    pub(crate) fn start(&self) {
        self.started.store(true, Ordering::Release);
        self.recorder.look();
    }
}

impl Source for Own {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.checker.snapshot()
    }

    fn heartbeat_ms(&self) -> u64 {
        self.checker.heartbeat()
    }

    fn born_ms(&self) -> u64 {
        self.born_ms
    }

    fn started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    fn stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.recorder.changed()
    }
}

/// Probes and `/metrics`.
pub(crate) fn router(own: &Arc<Own>, details: Details) -> Router {
    let told = Arc::clone(own);
    let metrics = get(async move || {
        let headers = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")];
        (headers, metrics::text(&told)).into_response()
    });
    let source: Arc<dyn Source> = Arc::clone(own) as Arc<dyn Source>;
    farol_health::router(source, details)
        .route("/metrics", metrics)
        .layer(middleware::from_fn(say_where_the_peer_is))
}

/// gRPC health alone.
pub(crate) fn health(own: &Arc<Own>, draining: CancellationToken) -> Router {
    let source: Arc<dyn Source> = Arc::clone(own) as Arc<dyn Source>;
    let statuses = Arc::new(ProcessStatuses::new(source));
    let server = grpc::server(statuses, draining, grpc::Limits::default());
    tonic::service::Routes::new(server).prepare().into_axum_router()
}

async fn say_where_the_peer_is(mut request: Request, next: Next) -> Response {
    let local = request.extensions().get::<Peer>().is_some_and(Peer::is_loopback);
    request.extensions_mut().insert(PeerIsLoopback(local));
    next.run(request).await
}
