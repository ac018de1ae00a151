//! What is asked of the agent's listeners: one line of the log for each request, and its count. Decides which paths are
//! quiet and which are streams.

use axum::extract::MatchedPath;
use axum::http::Extensions;
use farol_logging::correlation::{BUCKETS, Layer, Requests, Row};
use farol_shutdown::listener::Peer;
use std::fmt::Write as _;
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
const DURATION: &str = "farol_request_duration_seconds";

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
    /// The families of a monitor's `/metrics`.
    pub(crate) fn write(&self, out: &mut String) {
        let rows: Vec<Row<'_>> = self.http.rows().chain(self.health.rows()).collect();
        let (count, errors) = ("farol_requests_total", "farol_request_errors_total");
        head(out, count, "counter", "Requests that ended, streams among them.");
        rows.iter().for_each(|row| line(out, count, row, "", row.count));
        head(out, errors, "counter", "Requests that this process failed: HTTP 5xx, and the like of gRPC.");
        rows.iter().for_each(|row| line(out, errors, row, "", row.errors));
        head(out, DURATION, "histogram", "How long requests took, in seconds.");
        let bucket = format!("{DURATION}_bucket");
        for row in &rows {
            for (bound, below) in BUCKETS.iter().zip(row.buckets) {
                line(out, &bucket, row, &format!(",le=\"{bound:?}\""), below);
            }
            line(out, &bucket, row, ",le=\"+Inf\"", row.count);
            line(out, &format!("{DURATION}_sum"), row, "", row.seconds);
            line(out, &format!("{DURATION}_count"), row, "", row.count);
        }
    }
}

// Writing to a String does not fail.
fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
}

/// Routes and methods are our own words: none needs escaping.
fn line(out: &mut String, name: &str, row: &Row<'_>, more: &str, value: impl std::fmt::Display) {
    let Row { listener, route, method, .. } = row;
    writeln!(out, "{name}{{listener=\"{listener}\",route=\"{route}\",method=\"{method}\"{more}}} {value}")
        .ok();
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
