//! The stream of events, as a reader sees it piece by piece.

use super::super::scene::{Scene, local};
use crate::events::{FOLLOWERS, KEPT};
use crate::fleet::{Effects, Event, EventKind};
use axum::body::{Body, BodyDataStream};
use axum::http::{Method, StatusCode};
use farol_health::Status;
use futures::StreamExt;
use serde_json::Value;
use std::time::Duration;

struct Reader(BodyDataStream);

/// One event of a stream.
#[derive(Debug, PartialEq)]
struct Heard {
    id: String,
    kind: String,
    data: Value,
}

impl Reader {
    async fn open(scene: &Scene, path: &str, last: Option<&str>) -> Self {
        let mut request = local(Method::GET, path).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = scene.open(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(response.into_body().into_data_stream())
    }

    /// The next piece; `None` at the end.
    async fn piece(&mut self) -> Option<String> {
        let next = tokio::time::timeout(Duration::from_secs(60), self.0.next()).await.unwrap()?;
        Some(String::from_utf8(next.unwrap().to_vec()).unwrap())
    }

    /// The events of the next piece.
    async fn events(&mut self) -> Vec<Heard> {
        let piece = self.piece().await.unwrap();
        let event = |text: &str| {
            let mut lines = text.lines();
            let mut field = |name: &str| lines.next().unwrap().strip_prefix(name).unwrap().to_owned();
            let (id, kind, data) = (field("id: "), field("event: "), field("data: "));
            assert_eq!(lines.next(), None, "{text}");
            Heard { id, kind, data: serde_json::from_str(&data).unwrap() }
        };
        piece.split_terminator("\n\n").map(event).collect()
    }
}

fn kinds(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(|h| h.kind.as_str()).collect()
}

fn push(scene: &Scene, times: std::ops::RangeInclusive<i64>, message: &str) {
    let event = |at_ms| Event::new(EventKind::Store, at_ms).message(message);
    scene.app.ingest.outlet.publish(
        &Effects { events: times.map(event).collect(), ..Effects::default() },
        scene.app.clock.now(),
    );
}

const PATH: &str = "/api/v1/events";

#[tokio::test]
async fn a_new_reader_gets_a_snapshot_and_then_what_happens() {
    let scene = Scene::new().await;
    scene.agent("before", &[("payments", "database", Status::Healthy)]);
    let mut reader = Reader::open(&scene, PATH, None).await;
    let first = reader.events().await;
    assert_eq!(kinds(&first), ["snapshot"]);
    assert_eq!(first[0].data["agents"]["total"], 1);
    assert_eq!(first[0].data["event"], first[0].id.as_str());
    scene.agent("after", &[]);
    let next = reader.events().await;
    assert_eq!(kinds(&next), ["agent_connected"]);
    assert_eq!((&next[0].data["agent"], &next[0].data["id"]), (&"after".into(), &next[0].id.as_str().into()));
    assert!(next[0].data["at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_reader_that_comes_back_loses_nothing_and_hears_nothing_twice() {
    let scene = Scene::new().await;
    push(&scene, 1..=5, "x");
    let last = scene.app.events.id(2);
    let by_parameter = format!("{PATH}?after={last}");
    for (path, header) in [(PATH, Some(last.as_str())), (by_parameter.as_str(), None)] {
        let mut reader = Reader::open(&scene, path, header).await;
        let heard = reader.events().await;
        let ids: Vec<_> = heard.iter().map(|h| h.id.clone()).collect();
        assert_eq!(ids, [3, 4, 5].map(|n| scene.app.events.id(n)));
    }
}

#[tokio::test]
async fn an_unknown_id_gets_reset_and_a_snapshot_and_then_what_happens() {
    let scene = Scene::new().await;
    push(&scene, 1..=5, "x");
    for last in ["nonsense", "000000000000-3", &scene.app.events.id(99)] {
        let mut reader = Reader::open(&scene, PATH, Some(last)).await;
        assert_eq!(kinds(&reader.events().await), ["reset", "snapshot"], "{last}");
        push(&scene, 6..=6, "x");
        assert_eq!(kinds(&reader.events().await), ["store"], "{last}");
    }
}

#[tokio::test]
async fn a_reader_too_slow_for_the_ring_starts_anew_and_costs_one_piece() {
    let scene = Scene::new().await;
    let mut reader = Reader::open(&scene, PATH, None).await;
    reader.events().await;
    let many = i64::try_from(KEPT).unwrap() + 100;
    push(&scene, 1..=many, &"m".repeat(1_000));
    assert_eq!(kinds(&reader.events().await), ["reset", "snapshot"]);
    // One that keeps up within the ring gets it in pieces of bounded size.
    let mut reader = Reader::open(&scene, PATH, Some(&scene.app.events.id(200))).await;
    let (mut heard, mut largest) = (0, 0);
    while heard < many - 200 {
        let piece = reader.piece().await.unwrap();
        largest = largest.max(piece.len());
        heard += i64::try_from(piece.matches("event: store").count()).unwrap();
    }
    assert_eq!(heard, many - 200);
    assert!(largest < 70 * 1024, "{largest}");
}

#[tokio::test]
async fn a_reader_hears_only_what_it_asked_for() {
    let scene = Scene::new().await;
    let mut reader = Reader::open(&scene, "/api/v1/events?agent=b&kind=component_status", None).await;
    reader.events().await;
    scene.agent("a", &[("payments", "database", Status::Healthy)]);
    push(&scene, 1..=600, "x");
    scene.agent("b", &[("payments", "database", Status::Unhealthy)]);
    let heard = reader.events().await;
    assert_eq!(kinds(&heard), ["component_status"]);
    assert_eq!((&heard[0].data["agent"], &heard[0].data["to"]), (&"b".into(), &"unhealthy".into()));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_says_that_it_is_there() {
    let scene = Scene::new().await;
    let mut reader = Reader::open(&scene, PATH, None).await;
    reader.events().await;
    let piece = reader.piece().await.unwrap();
    assert!(piece.starts_with(':') && piece.ends_with("\n\n"), "{piece:?}");
}

#[tokio::test]
async fn readers_have_so_many_places_and_give_them_back() {
    let scene = Scene::new().await;
    let mut readers = Vec::new();
    for _ in 0..FOLLOWERS {
        readers.push(Reader::open(&scene, PATH, None).await);
    }
    let one_more =
        local(Method::GET, PATH).header("accept", "text/event-stream").body(Body::empty()).unwrap();
    let reply = scene.send(one_more).await;
    assert_eq!((reply.status, &*reply.code()), (StatusCode::TOO_MANY_REQUESTS, "too_many_readers"));
    assert_eq!(reply.headers["retry-after"], "1");
    readers.pop();
    Reader::open(&scene, PATH, None).await;
}

#[tokio::test]
async fn a_stream_ends_when_the_monitor_drains() {
    let scene = Scene::new().await;
    let mut reader = Reader::open(&scene, PATH, None).await;
    reader.events().await;
    scene.app.handle.draining().cancel();
    assert_eq!(reader.piece().await, None);
}
