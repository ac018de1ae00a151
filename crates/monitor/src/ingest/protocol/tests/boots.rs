//! What a stream knows of boots other than its own. The order of messages is in the system tests.

use super::super::*;
use crate::http::scene::Scene;
use agent_message::Kind;
use farol_wire::PROTOCOL;

const BEFORE: Boot = Boot { number: 1, nonce: 1 };
const NOW: Boot = Boot { number: 2, nonce: 2 };

fn segment(boot: Boot) -> Kind {
    let reports = (1..=2).map(|seq| proto::Report { seq, key: seq == 1, ..Default::default() }).collect();
    let segment = proto::Segment { boot: Some(boot.into()), reports, ..Default::default() };
    Kind::Backlog(proto::Backlog { segments: vec![segment] })
}

/// A stream that sends what an earlier start left.
async fn stream(scene: &Scene) -> Protocol {
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
    let all = [Kind::Hello(hello), Kind::State(Default::default()), segment(BEFORE), segment(NOW)];
    for kind in all {
        protocol.take(AgentMessage { kind: Some(kind) }, &mut VecDeque::new()).await.unwrap();
    }
    protocol
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
