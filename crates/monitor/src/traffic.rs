//! What is asked of the monitor's listeners: one line of the log for each request, and its count. Decides which paths
//! are quiet and which are streams; who may ask is the guard's business.

use crate::http;
use axum::extract::MatchedPath;
use axum::http::Extensions;
use farol_logging::correlation::{Layer, Requests};
use farol_shutdown::listener::Peer;
use std::sync::Arc;

/// Probes and scrapes come all day.
const QUIET: [&str; 6] = ["/health", "/livez", "/readyz", "/healthz", "/metrics", "/grpc.health.v1.Health/"];
/// Calls that last.
const STREAMS: [&str; 2] = ["/farol.v1.Fleet/Stream", "/grpc.health.v1.Health/Watch"];
/// What the gRPC health listener serves.
const HEALTH: [&str; 3] =
    ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List", "/grpc.health.v1.Health/Watch"];

/// The requests of each listener, counted since the start.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// REST, probes, scrape.
    pub http: Arc<Requests>,
    /// Agents' streams.
    pub agents: Arc<Requests>,
    /// gRPC health.
    pub health: Arc<Requests>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            http: Arc::new(Requests::new("http", http::paths())),
            agents: Arc::new(Requests::new("agents", [STREAMS[0]])),
            health: Arc::new(Requests::new("health", HEALTH)),
        }
    }
}

impl Traffic {
    /// All of them.
    pub fn all(&self) -> [&Requests; 3] {
        [&self.http, &self.agents, &self.health]
    }
}

/// Gives each request its id and its line, and counts it.
pub(crate) fn layer(requests: &Arc<Requests>) -> Layer {
    let peer = |extensions: &Extensions| extensions.get::<Peer>().map(|peer| peer.addr.to_string());
    Layer::new().quiet(&QUIET).streams(&STREAMS).route(matched).peer(peer).requests(Arc::clone(requests))
}

fn matched(extensions: &Extensions) -> Option<&str> {
    extensions.get::<MatchedPath>().map(MatchedPath::as_str)
}
