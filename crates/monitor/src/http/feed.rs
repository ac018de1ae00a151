//! Events as a stream (`text/event-stream`). A reader that comes back with the last id it saw loses nothing; one whose
//! id is not known, or that is too slow for the ring, gets `reset` and a snapshot. Keeps one piece at a time for a
//! reader, however slow it is.

use super::events::{Told, Wanted};
use super::json;
use super::overview::Overview;
use super::problem::Problem;
use crate::app::App;
use crate::events::Resume;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use farol_shutdown::Phase;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

/// The media type of a stream of events.
pub(super) const MEDIA_TYPE: &str = "text/event-stream";
/// A comment goes out after so long without an event, so that nobody between takes the stream for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events in one piece.
const PIECE_EVENTS: usize = 256;
/// A piece is cut when it has grown so large.
const PIECE_BYTES: usize = 64 * 1024;

struct Feed {
    app: Arc<App>,
    wanted: Wanted,
    /// The last event told.
    position: u64,
    /// What has to go out first.
    opening: Opening,
    newest: watch::Receiver<u64>,
    draining: CancellationToken,
    /// One of the places for readers; given back at the end.
    _place: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// Nothing: the reader goes on where it was.
    None,
    /// It is new: what is.
    Snapshot,
    /// What it knew is worthless: that, and what is.
    Reset,
}

/// Opens a stream for a reader that saw `last` last.
pub(super) fn open(app: Arc<App>, wanted: Wanted, last: Option<&str>) -> Result<Response, Problem> {
    let Ok(place) = Arc::clone(app.events.places()).try_acquire_owned() else {
        return Err(Problem::too_many("too_many_readers", "too many readers follow the events; close some"));
    };
    if app.handle.phase() >= Phase::DrainConnections {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "the monitor is shutting down",
        ));
    }
    let newest = app.events.follow();
    let (position, opening) = match last.map(|id| app.events.resume(id)) {
        Some(Resume::After(number)) => (number, Opening::None),
        Some(Resume::Reset) => (app.events.newest(), Opening::Reset),
        None => (app.events.newest(), Opening::Snapshot),
    };
    let draining = app.handle.draining();
    let feed = Feed { app, wanted, position, opening, newest, draining, _place: place };
    let pieces = futures::stream::unfold(feed, |mut feed| async move {
        let piece = feed.piece().await?;
        Some((Ok::<_, Infallible>(piece), feed))
    });
    let mut response = json::document(StatusCode::OK, MEDIA_TYPE, Body::from_stream(pieces));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl Feed {
    /// The next piece; `None` ends the stream.
    async fn piece(&mut self) -> Option<Bytes> {
        let keep_alive = tokio::time::sleep(KEEP_ALIVE);
        tokio::pin!(keep_alive);
        loop {
            if let Some(piece) = self.due() {
                return Some(piece);
            }
            tokio::select! {
                moved = self.newest.changed() => moved.ok()?,
                () = self.draining.cancelled() => return None,
                () = &mut keep_alive => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }

    fn due(&mut self) -> Option<Bytes> {
        if self.opening != Opening::None {
            return Some(self.anew());
        }
        let mut piece = Vec::new();
        while piece.is_empty() {
            self.newest.mark_unchanged();
            let Some(events) = self.app.events.after(self.position, PIECE_EVENTS) else {
                self.opening = Opening::Reset;
                return Some(self.anew());
            };
            if events.is_empty() {
                return None;
            }
            for (number, event) in events {
                self.position = number;
                if self.wanted.wants(&event) {
                    let kind = event.kind.as_str();
                    let told = Told::new(&self.app, number, event);
                    write(&mut piece, &told.id, kind, &told);
                }
                if piece.len() >= PIECE_BYTES {
                    break;
                }
            }
        }
        Some(piece.into())
    }

    /// A snapshot; everything after it follows.
    fn anew(&mut self) -> Bytes {
        self.position = self.app.events.newest();
        let id = self.app.events.id(self.position);
        let mut piece = Vec::new();
        if self.opening == Opening::Reset {
            write(&mut piece, &id, "reset", &serde_json::Map::new());
        }
        write(&mut piece, &id, "snapshot", &Overview::of(&self.app));
        self.opening = Opening::None;
        piece.into()
    }
}

/// One event. JSON has no line breaks, so one `data` line holds it.
fn write<T: Serialize>(piece: &mut Vec<u8>, id: &str, kind: &str, data: &T) {
    piece.extend_from_slice(format!("id: {id}\nevent: {kind}\ndata: ").as_bytes());
    let start = piece.len();
    if serde_json::to_writer(&mut *piece, data).is_err() {
        piece.truncate(start);
        piece.extend_from_slice(b"{}");
    }
    piece.extend_from_slice(b"\n\n");
}
