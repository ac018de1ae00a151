//! What a stream knows of boots other than its own. The order of messages is in the system tests.

use super::super::*;
use super::definition;
use crate::http::scene::Scene;
use agent_message::Kind;
use farol_series::{Columns, Encoding};
use farol_wire::PROTOCOL;
use futures::FutureExt;
use std::time::Duration;
use tonic::Code;

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
    let acks: Vec<_> = again
        .acks_due(scene.app.clock.now())
        .into_iter()
        .map(|ack| (ack.boot.unwrap().number, ack.seq))
        .collect();
    assert_eq!(acks, [(NOW.number, 2), (BEFORE.number, 2)]);
}

#[tokio::test]
async fn an_agent_that_was_forgotten_and_comes_back_is_told_what_is_committed_of_its_boots() {
    let mut scene = Scene::new().await;
    let before = stream(&scene).await;
    before.disconnected();
    let now = scene.app.clock.now();
    let later = Moment { run_ms: now.run_ms + 60_000, ..now };
    scene.app.fleet.tick(later);
    assert!(scene.app.fleet.forget("one", later));
    scene.commit().await;
    let again = welcomed(&scene).await;
    let resumed = &again.open.as_ref().unwrap().resumed;
    assert_eq!((resumed[&BEFORE], resumed[&NOW]), (2, 2));
}

/// Others handed in as much as the store has to take first.
fn crowd(scene: &Scene) {
    let journal = &scene.app.journal;
    let other = journal.follow(crate::store::AgentKey(99), NOW);
    while journal.has_room() {
        let seq = journal.queued(&other) + 1;
        let data = vec![0; 1 << 20].into();
        let blocks = vec![crate::store::BlockRecord { source: 1, before_ms: 0, data }];
        let (agent, layout) = (crate::store::AgentKey(99), crate::store::LayoutKey(1));
        let record =
            crate::store::ReportRecord { agent, boot: NOW, seq, layout, at_ms: 0, key: true, blocks };
        journal.report(&other, record, false);
    }
}

#[tokio::test]
async fn a_backlog_waits_for_its_turn_while_much_waits_for_the_store() {
    let mut scene = Scene::new().await;
    let mut protocol = welcomed(&scene).await;
    say(&mut protocol, [Kind::State(Default::default())]).await;
    let message = AgentMessage { kind: Some(segment(BEFORE)) };
    assert!(protocol.turn(&message).is_none());
    crowd(&scene);
    let journal = scene.app.journal.clone();
    assert!(protocol.turn(&AgentMessage { kind: Some(Kind::State(Default::default())) }).is_none());
    let mut turn = protocol.turn(&message).unwrap();
    let pending = std::pin::Pin::new(&mut turn).now_or_never();
    assert_eq!(pending, None);
    scene.commit().await;
    turn.await;
    assert!(journal.has_room());
}

#[tokio::test]
async fn however_many_messages_of_a_backlog_wait_the_agent_is_heard_of_in_each_interval() {
    let scene = Scene::new().await;
    let mut protocol = welcomed(&scene).await;
    crowd(&scene);
    tokio::time::pause();
    let message = AgentMessage { kind: Some(segment(BEFORE)) };
    for _ in 0..3 {
        say(&mut protocol, [Kind::State(Default::default())]).await;
        let begin = tokio::time::Instant::now();
        for _ in 0..4 {
            if let Some(mut turn) = protocol.turn(&message) {
                while (&mut turn).now_or_never().is_none() {
                    tokio::time::advance(Duration::from_millis(100)).await;
                    scene.app.clock.tick();
                }
            }
        }
        let waited = begin.elapsed();
        assert!((Duration::from_secs(9)..Duration::from_secs(11)).contains(&waited), "{waited:?}");
    }
    assert!(!scene.app.journal.has_room());
}

#[tokio::test]
async fn what_is_refused_of_a_backlogs_definitions_is_counted() {
    let scene = Scene::new().await;
    let mut protocol = welcomed(&scene).await;
    let Kind::Backlog(mut backlog) = segment(BEFORE) else { unreachable!() };
    let mut define = definition();
    define.series.push(proto::Series { id: 2, encoding: 99, ..define.series[0].clone() });
    backlog.segments[0].define = Some(define);
    say(&mut protocol, [Kind::State(Default::default()), Kind::Backlog(backlog)]).await;
    let counters = &scene.app.ingest.counters;
    assert_eq!(counters.definitions_refused.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(scene.app.journal.health().queued_reports, 2);
}

#[tokio::test]
async fn a_backlog_of_a_stream_that_was_replaced_is_left_for_the_new_one_to_send() {
    let scene = Scene::new().await;
    let mut old = welcomed(&scene).await;
    say(&mut old, [Kind::State(Default::default()), segment(BEFORE)]).await;
    let mut new = welcomed(&scene).await;
    let late = AgentMessage { kind: Some(segment(NOW)) };
    let error = old.take(late, &mut VecDeque::new()).await.err().unwrap();
    assert_eq!(error.code(), Code::Aborted, "{error}");
    assert_eq!(scene.app.journal.health().queued_reports, 2);
    say(&mut new, [Kind::State(Default::default()), segment(BEFORE), segment(NOW)]).await;
    assert_eq!(scene.app.journal.health().queued_reports, 4);
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
    let acks: Vec<_> = protocol
        .acks_due(scene.app.clock.now())
        .into_iter()
        .map(|ack| (ack.boot.unwrap().number, ack.seq))
        .collect();
    assert_eq!(acks, [(NOW.number, 1)]);
    // They were of that segment alone.
    let again = AgentMessage { kind: Some(reports()) };
    assert!(protocol.take(again, &mut VecDeque::new()).await.is_err());
}
