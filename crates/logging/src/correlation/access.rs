//! The one line of each request: route, method, status, time and peer. Queries are left out: they may hold
//! secrets.

use std::borrow::Cow;
use std::time::Duration;

use http::{Method, Request, StatusCode, Uri};
use tokio::time::Instant;
use tracing::Level;

use super::Settings;

/// So much of a path is shown.
const PATH_CHARS: usize = 256;

/// Logs when it is answered, or when it is dropped without: the caller has gone, or the handler panicked.
pub(super) struct Access {
    /// Taken by the line; none from the start when the line would not be kept.
    told: Option<Told>,
    started: Instant,
}

struct Told {
    quiet: bool,
    method: Method,
    uri: Uri,
    route: Option<String>,
    peer: Option<String>,
}

impl Access {
    pub(super) fn of<Q>(request: &Request<Q>, settings: &Settings) -> Self {
        let quiet = settings.quiet.iter().any(|prefix| request.uri().path().starts_with(prefix));
        let kept = if quiet {
            tracing::enabled!(target: "access", Level::DEBUG)
        } else {
            tracing::enabled!(target: "access", Level::INFO)
        };
        let told = kept.then(|| Told {
            quiet,
            method: request.method().clone(),
            uri: request.uri().clone(),
            route: settings.route.and_then(|find| find(request.extensions())),
            peer: settings.peer.and_then(|find| find(request.extensions())),
        });
        Self { told, started: Instant::now() }
    }

    pub(super) fn answered(mut self, status: StatusCode) {
        self.tell(Some(status));
    }

    fn tell(&mut self, status: Option<StatusCode>) {
        if let Some(told) = self.told.take() {
            told.line(status, self.started.elapsed());
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        self.tell(None);
    }
}

/// A path of a stranger, within bounds: what is longer ends in a mark.
fn cut(path: &str) -> Cow<'_, str> {
    match path.char_indices().nth(PATH_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &path[..end])),
        None => Cow::Borrowed(path),
    }
}

impl Told {
    fn line(&self, status: Option<StatusCode>, took: Duration) {
        let message = match status {
            Some(_) => "request",
            None => "request ended without a response",
        };
        let status = status.map(|status| status.as_u16());
        let duration_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
        let (method, path) = (self.method.as_str(), &*cut(self.uri.path()));
        let (route, peer) = (self.route.as_deref(), self.peer.as_deref());
        if self.quiet {
            tracing::debug!(target: "access", method, path, route, status, duration_ms, peer, "{message}");
        } else {
            tracing::info!(target: "access", method, path, route, status, duration_ms, peer, "{message}");
        }
    }
}
