//! A supervisor with one listener in this process, and waiting for conditions instead of sleeping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::{get, post};
use bytes::Bytes;
use farol_shutdown::listener::{self, Limits, Peer, Stats, Tls};
use farol_shutdown::{Budgets, Delay, ExitReport, Handle, Supervisor};
use futures::StreamExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// The longest any single thing may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Budgets of 1.1 s in all, without a delay.
pub(crate) fn short() -> Budgets {
    Budgets {
        stop_accepting: Duration::ZERO,
        delay: Delay::Always,
        drain: ms(600),
        cleanup: ms(300),
        last: ms(200),
    }
}

pub(crate) struct Rig {
    pub(crate) handle: Handle,
    pub(crate) addr: SocketAddr,
    pub(crate) stats: Arc<Stats>,
    running: JoinSet<ExitReport>,
}

impl Rig {
    pub(crate) fn start(budgets: Budgets, limits: Limits, tls: Option<Tls>) -> Rig {
        Rig::serving(router(), budgets, limits, tls)
    }

    pub(crate) fn serving(router: Router, budgets: Budgets, limits: Limits, tls: Option<Tls>) -> Rig {
        let socket = listener::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        let supervisor = Supervisor::new(budgets);
        let handle = supervisor.handle();
        handle.spawn("http", listener::serve(socket, router, limits, tls, &handle, "http"));
        let stats = handle.listeners().remove(0).1;
        let mut running = JoinSet::new();
        running.spawn(supervisor.run());
        Rig { handle, addr, stats, running }
    }

    /// Shuts down and says what came of it, and how long it took.
    pub(crate) async fn stop(mut self) -> (ExitReport, Duration) {
        let began = Instant::now();
        self.handle.shutdown("the test is over");
        let report = timeout(PATIENCE, self.running.join_next()).await.expect("the shutdown must end");
        (report.unwrap().unwrap(), began.elapsed())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

/// Routes that answer at once, late, for ever, and only after the whole body.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/stream", get(|| async { endless(64, ms(20)) }))
        .route("/flood", get(|| async { endless(64 << 10, Duration::ZERO) }))
        .route("/upload", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/panic", get(panics))
        .route("/peer", get(peer))
}

#[allow(clippy::unused_async, reason = "a handler is async")]
async fn panics() -> &'static str {
    panic!("a handler panics")
}

async fn peer(request: Request) -> String {
    let peer = request.extensions().get::<Peer>().unwrap();
    let identity = peer.tls_identity.as_ref().map_or("nobody", |identity| identity.as_str());
    format!("{} {identity}", peer.addr.ip())
}

fn endless(size: usize, pause: Duration) -> Body {
    let chunk = Bytes::from(vec![b'x'; size]);
    Body::from_stream(futures::stream::repeat(chunk).then(move |chunk| async move {
        sleep(pause).await;
        Ok::<_, std::io::Error>(chunk)
    }))
}

/// Waits for a condition; fails with `what` when it does not come.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        sleep(ms(5)).await;
    }
}
