//! What a listener serves while the monitor starts, and from when on it serves everything. Decides how long an agent
//! waits and how the others are sent away; what is answered later are the routers that a door is opened to.

use crate::http::Problem;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::future::RouteFuture;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::SetOnce;
use tower::{BoxError, Service, ServiceExt};

/// An agent waits so long before it is told to try again: most stores open sooner.
const PATIENCE: Duration = Duration::from_secs(2);

const STARTING: &str = "the monitor is starting: its store is not open yet; its log says what it waits for";

/// A listener's service: one router until the monitor is open, another from then on.
#[derive(Clone)]
pub(crate) struct Door {
    before: Router,
    behind: Arc<SetOnce<Router>>,
}

impl Door {
    /// Serves this until it is opened.
    pub(crate) fn new(before: Router) -> Self {
        Self { before, behind: Arc::default() }
    }

    /// Holds agents for a moment, in which most stores open; `refusing` then sends them away.
    pub(crate) fn of_agents(refusing: Router) -> Self {
        let behind = Arc::<SetOnce<Router>>::default();
        let opened = Arc::clone(&behind);
        let wait = async move |request: Request| {
            let router = tokio::time::timeout(PATIENCE, opened.wait()).await.map_or(refusing, Router::clone);
            router.oneshot(request).await
        };
        Self { before: Router::new().fallback(wait), behind }
    }

    /// Serves this from now on. A door opens once.
    pub(crate) fn open(&self, router: Router) {
        // An error means that it is open already, to what it was opened to first.
        drop(self.behind.set(router));
    }
}

impl<B> Service<axum::http::Request<B>> for Door
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: axum::http::Request<B>) -> Self::Future {
        self.behind.get().unwrap_or(&self.before).clone().call(request)
    }
}

/// Sends a reader away for now.
pub(crate) async fn not_yet() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "starting", STARTING)
        .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

/// Sends an agent away for now.
pub(crate) async fn no_agents_yet() -> Response {
    tonic::Status::unavailable(STARTING).into_http::<Body>()
}
