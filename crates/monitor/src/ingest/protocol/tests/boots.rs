//! What a stream knows of boots other than its own. The order of messages is in the system tests.

use super::super::*;
use crate::http::scene::Scene;
use agent_message::Kind;
use farol_series::{Columns, Encoding};
use farol_wire::PROTOCOL;

const BEFORE: Boot = Boot { number: 1, nonce: 1 };
const NOW: Boot = Boot { number: 2, nonce: 2 };

fn segment(boot: Boot) -> Kind {
    let report = |seq| proto::Report { seq, key: seq == 1, ack_now: seq == 2, ..Default::default() };
    let reports = (1..=2).map(report).collect();
    let segment = proto::Segment { boot: Some(boot.into()), reports, ..Default::default() };
    Kind::Backlog(proto::Backlog { segments: vec![segment] })
}

/// A stream that was welcomed, and has an earlier start in its spool.
async fn welcomed(scene: &Scene) -> Protocol {
    let peer = Peer { addr: ([127, 0, 0, 1], 9).into(), tls_identity: None };
    let mut protocol = Protocol::new(Arc::clone(&scene.app.ingest), peer, Arc::default());
    let hello = proto::Hello {
        agent: "one".into(),
        role: proto::Role::Host.into(),
        boot: Some(NOW.into()),
        spooled: vec![BEFORE.into()],
        version: "1".into(),
        protocol_min: *PROTOCOL.start(),
        protocol_max: *PROTOCOL.end(),
        interval_ms: 10_000,
        ..Default::default()
    };
    say(&mut protocol, [Kind::Hello(hello)]).await;
    protocol
}

async fn say(protocol: &mut Protocol, all: impl IntoIterator<Item = Kind>) {
    for kind in all {
        protocol.take(AgentMessage { kind: Some(kind) }, &mut VecDeque::new()).await.unwrap();
    }
}

/// A stream that sends what an earlier start left.
async fn stream(scene: &Scene) -> Protocol {
    let mut protocol = welcomed(scene).await;
    say(&mut protocol, [Kind::State(Default::default()), segment(BEFORE), segment(NOW)]).await;
    protocol
}

#[tokio::test]
async fn what_was_committed_between_welcome_and_the_backlog_is_acknowledged() {
    let mut scene = Scene::new().await;
    let _broken = stream(&scene).await;
    let mut again = welcomed(&scene).await;
    scene.commit().await;
    say(&mut again, [Kind::State(Default::default()), segment(BEFORE), segment(NOW)]).await;
    let acks: Vec<_> = again.acks_due().into_iter().map(|ack| (ack.boot.unwrap().number, ack.seq)).collect();
    assert_eq!(acks, [(NOW.number, 2), (BEFORE.number, 2)]);
}

#[tokio::test]
async fn a_stream_is_broken_by_a_report_of_any_boot_that_was_dropped() {
    let scene = Scene::new().await;
    for boot in [BEFORE, NOW] {
        let protocol = stream(&scene).await;
        assert!(!protocol.is_broken());
        let agent = protocol.open.as_ref().unwrap().agent.key;
        let journal = &scene.app.journal;
        journal.give_up(&journal.follow(agent, boot));
        assert!(protocol.is_broken(), "{boot:?}");
    }
}

#[tokio::test]
async fn reports_that_are_announced_as_lost_again_count_once() {
    let scene = Scene::new().await;
    let dropped =
        |boot: Boot, first, last| Kind::Dropped(proto::Dropped { boot: Some(boot.into()), first, last });
    let lost = || scene.app.ingest.counters.reports_lost.load(std::sync::atomic::Ordering::Relaxed);
    let mut protocol = welcomed(&scene).await;
    say(&mut protocol, [dropped(BEFORE, 1, 64), dropped(NOW, 1, 10)]).await;
    assert_eq!(lost(), 74);
    let mut again = welcomed(&scene).await;
    say(&mut again, [dropped(BEFORE, 1, 70), dropped(NOW, 1, 10)]).await;
    assert_eq!(lost(), 80);
}

#[tokio::test]
async fn a_set_that_came_in_parts_before_its_segment_is_the_segments() {
    let mut scene = Scene::new().await;
    let mut protocol = welcomed(&scene).await;
    let part = |define| {
        let segment = proto::Segment { boot: Some(NOW.into()), define: Some(define), ..Default::default() };
        Kind::Backlog(proto::Backlog { segments: vec![segment] })
    };
    let define = super::definition();
    let sources = proto::Define { sources: define.sources, ..Default::default() };
    let series = proto::Define { series: define.series, ..Default::default() };
    let mut data = Vec::new();
    Columns::new(vec![Encoding::Float]).encode(&[Some(1.0)], &mut data).unwrap();
    let block = proto::Block { source: 1, before_ms: 0, data: data.into() };
    let report =
        proto::Report { seq: 1, key: true, ack_now: true, blocks: vec![block], ..Default::default() };
    let segment = proto::Segment { boot: Some(NOW.into()), reports: vec![report], ..Default::default() };
    let reports = || Kind::Backlog(proto::Backlog { segments: vec![segment.clone()] });
    say(&mut protocol, [Kind::State(Default::default()), part(sources), part(series), reports()]).await;
    scene.commit().await;
    let acks: Vec<_> =
        protocol.acks_due().into_iter().map(|ack| (ack.boot.unwrap().number, ack.seq)).collect();
    assert_eq!(acks, [(NOW.number, 1)]);
    // They were of that segment alone.
    let again = AgentMessage { kind: Some(reports()) };
    assert!(protocol.take(again, &mut VecDeque::new()).await.is_err());
}
