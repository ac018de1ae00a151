//! What is asked of the agent's listeners: one line of the log for each request, and its count. Decides which paths are
//! quiet and which are streams.

use axum::extract::MatchedPath;
use axum::http::Extensions;
use farol_logging::correlation::{Layer, Requests, Row};
use farol_shutdown::listener::Peer;
use std::sync::Arc;

/// Probes and scrapes come all day.
const QUIET: [&str; 6] = ["/health", "/livez", "/readyz", "/healthz", "/metrics", "/grpc.health.v1.Health/"];
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const HTTP: [&str; 8] = [
    "/health",
    "/health/detailed",
    "/health/ready",
    "/health/live",
    "/livez",
    "/readyz",
    "/healthz",
    "/metrics",
];
const HEALTH: [&str; 3] = ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List", WATCH];

/// The requests of each listener, counted since the start.
pub(crate) struct Traffic {
    pub(crate) http: Arc<Requests>,
    pub(crate) health: Arc<Requests>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            http: Arc::new(Requests::new("agent_http", HTTP)),
            health: Arc::new(Requests::new("agent_health", HEALTH)),
        }
    }
}

impl Traffic {
    /// All that was counted.
    pub(crate) fn rows(&self) -> Vec<Row<'_>> {
        self.http.rows().chain(self.health.rows()).collect()
    }
}

/// Gives each request its id and its line, and counts it.
pub(crate) fn layer(requests: &Arc<Requests>) -> Layer {
    let peer = |extensions: &Extensions| extensions.get::<Peer>().map(|peer| peer.addr.to_string());
    Layer::new().quiet(&QUIET).streams(&[WATCH]).route(matched).peer(peer).requests(Arc::clone(requests))
}

/// The route that axum matched.
pub(crate) fn matched(extensions: &Extensions) -> Option<&str> {
    extensions.get::<MatchedPath>().map(MatchedPath::as_str)
}
