//! Streams message by message, without sockets.

mod boots;

use super::*;
use crate::http::scene::Scene;
use farol_series::{Columns, Encoding};
use std::time::Duration;
use tonic::Code;

/// A stream of an agent of this machine.
struct Stream {
    protocol: Protocol,
    outbox: VecDeque<monitor_message::Kind>,
}

impl Stream {
    /// One that has said Hello and told its State; it has one series and no components.
    async fn live(scene: &Scene, as_of: u64) -> Self {
        let peer = Peer { addr: "127.0.0.1:40000".parse().unwrap(), tls_identity: None };
        let protocol = Protocol::new(Arc::clone(&scene.app.ingest), peer, Arc::default());
        let mut stream = Self { protocol, outbox: VecDeque::new() };
        let boot = Some(proto::Boot { number: 1, nonce: 1 });
        let hello = proto::Hello {
            agent: "a".into(),
            role: proto::Role::Host.into(),
            boot,
            protocol_min: 1,
            protocol_max: 1,
            interval_ms: 10_000,
            ..Default::default()
        };
        stream.say(agent_message::Kind::Hello(hello)).await.unwrap();
        stream.say(agent_message::Kind::Define(definition())).await.unwrap();
        stream.say(agent_message::Kind::State(proto::State { as_of, ..Default::default() })).await.unwrap();
        stream
    }

    async fn say(&mut self, kind: agent_message::Kind) -> Result<(), Status> {
        let message = AgentMessage { kind: Some(kind) };
        self.protocol.take(message, &mut self.outbox).await.map(|_| ())
    }

    /// Time passes, with a report that says nothing new every minute. What was asked of the stream.
    async fn minutes(&mut self, scene: &Scene, minutes: u64) -> Vec<monitor_message::Kind> {
        for _ in 0..minutes {
            for _ in 0..60 {
                tokio::time::advance(Duration::from_secs(1)).await;
                scene.app.clock.tick();
            }
            let seq = self.protocol.open.as_ref().map_or(0, |open| open.last_seq) + 1;
            self.say(agent_message::Kind::Report(proto::Report { seq, ..Default::default() })).await.unwrap();
            let asked = self.protocol.ask(&mut self.outbox, scene.app.clock.now());
            if let Err(status) = asked {
                assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
                self.outbox.push_back(monitor_message::Kind::Reconnect(Default::default()));
                break;
            }
        }
        self.outbox.drain(..).collect()
    }

    /// A report with one sample that starts a segment.
    async fn report(&mut self, seq: u64) -> Result<(), Status> {
        let mut data = Vec::new();
        Columns::new(vec![Encoding::Float]).encode(&[Some(seq as f64)], &mut data).unwrap();
        let block = proto::Block { source: 1, before_ms: 0, data: data.into() };
        let report = proto::Report { seq, key: true, blocks: vec![block], ..Default::default() };
        self.say(agent_message::Kind::Report(report)).await
    }
}

fn definition() -> proto::Define {
    let name = || "x".to_owned();
    proto::Define {
        sources: vec![proto::Source { id: 1, name: name(), interval_ms: 10_000 }],
        series: vec![proto::Series {
            id: 1,
            source: 1,
            name: name(),
            r#type: 1,
            encoding: 3,
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[tokio::test]
async fn a_report_of_a_stream_that_was_replaced_is_left_for_the_new_one_to_send() {
    let scene = Scene::new().await;
    let mut old = Stream::live(&scene, 0).await;
    old.report(1).await.unwrap();
    let mut new = Stream::live(&scene, 1).await;
    let error = old.report(2).await.unwrap_err();
    assert_eq!(error.code(), Code::Aborted, "{error}");
    assert_eq!(scene.app.journal.health().queued_reports, 1);
    new.report(2).await.unwrap();
    assert_eq!(scene.app.journal.health().queued_reports, 2);
    assert_eq!(scene.app.ingest.counters.duplicates.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_stream_is_asked_to_begin_anew_in_time_for_its_runs_to_end_and_one_that_does_not_is_ended() {
    use monitor_message::Kind;
    let scene = Scene::new().await;
    tokio::time::pause();
    let mut stream = Stream::live(&scene, 0).await;
    stream.outbox.clear();
    stream.report(1).await.unwrap();
    assert_eq!(stream.minutes(&scene, 14).await, []);
    let asked = stream.minutes(&scene, 2).await;
    assert!(matches!(asked[..], [Kind::NeedKeyFrame(_)]), "{asked:?}");
    stream.report(100).await.unwrap();
    assert_eq!(stream.minutes(&scene, 14).await, [], "it began anew");
    let asked = stream.minutes(&scene, 30).await;
    assert!(matches!(asked[..], [Kind::NeedKeyFrame(_), Kind::Reconnect(_)]), "{asked:?}");
}

#[tokio::test]
async fn deltas_of_a_stream_that_was_replaced_are_never_kept_as_undecodable() {
    let scene = Scene::new().await;
    let mut old = Stream::live(&scene, 0).await;
    old.report(1).await.unwrap();
    let _new = Stream::live(&scene, 1).await;
    let empty = proto::Report { seq: 2, ..Default::default() };
    let error = old.say(agent_message::Kind::Report(empty)).await.unwrap_err();
    assert_eq!(error.code(), Code::Aborted, "{error}");
    assert_eq!(scene.app.journal.health().queued_reports, 1);
}
