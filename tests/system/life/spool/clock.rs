//! When reports of an earlier start were made: by the agent's wall clock, less what it is wrong by.

use super::Scene;
use farol_health::clock::boot_ms;
use farol_monitor::store::Store;
use farol_tests::stack::SOON;
use farol_tests::wait::until;
use farol_tests::watch::channel;
use farol_wire::proto::agent_message::Kind;
use farol_wire::proto::fleet_client::FleetClient;
use farol_wire::{Boot, PROTOCOL, proto};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

/// An agent whose wall clock is wrong by `now`, and was by `then` in its earlier start, brings one report of a minute
/// ago. Gives when the monitor thinks that it was made, counted from now.
async fn brought(scene: &Scene, name: &str, now: i64, then: i64) -> i64 {
    let wall = jiff::Timestamp::now().as_millisecond();
    let (out, said) = mpsc::channel(8);
    let say = async |kind| out.send(proto::AgentMessage { kind: Some(kind) }).await.unwrap();
    let before = Boot { number: 1, nonce: 1 };
    let hello = proto::Hello {
        agent: name.to_owned(),
        role: proto::Role::Host.into(),
        boot: Some(Boot { number: 2, nonce: 2 }.into()),
        spooled: vec![before.into()],
        version: "1".to_owned(),
        protocol_min: *PROTOCOL.start(),
        protocol_max: *PROTOCOL.end(),
        interval_ms: 10_000,
        wall_ms: u64::try_from(wall + now).unwrap(),
        clock_ms: boot_ms(),
        ..Default::default()
    };
    say(Kind::Hello(hello)).await;
    let mut client = FleetClient::new(channel(scene.agents()).await.unwrap());
    let mut answers = client.stream(ReceiverStream::new(said)).await.unwrap().into_inner();
    answers.message().await.unwrap().expect("Welcome");
    say(Kind::State(proto::State::default())).await;
    // The earlier start had a clock of its own, that began somewhere else.
    let at_ms = 77_000u64;
    let report = proto::Report { seq: 1, at_ms, key: true, ack_now: true, ..Default::default() };
    let wall_offset_ms = wall - MINUTE + then - i64::try_from(at_ms).unwrap();
    let segment = proto::Segment {
        boot: Some(before.into()),
        reports: vec![report],
        wall_offset_ms,
        ..Default::default()
    };
    say(Kind::Backlog(proto::Backlog { segments: vec![segment] })).await;
    let mut made = None;
    until("it is committed", SOON, async || {
        let agents = scene.store.agents().await.unwrap();
        let keys: Vec<_> = agents.iter().filter(|agent| &*agent.id == name).map(|agent| agent.key).collect();
        let of_agent = scene.store.committed().into_iter().filter(|report| keys.contains(&report.agent));
        made = of_agent.last().map(|report| report.at_ms);
        made.is_some()
    })
    .await
    .unwrap();
    made.unwrap() - wall
}

#[tokio::test]
async fn what_an_earlier_start_left_has_its_own_time_whatever_the_agents_clock_says_and_is_never_of_the_future()
 {
    let scene = Scene::start().await;
    for (name, now, then, expected) in [
        ("right", 0, 0, -MINUTE),
        ("behind", -HOUR, -HOUR, -MINUTE),
        ("ahead", HOUR, HOUR, -MINUTE),
        // It was set right in between: what it said then cannot be told from the truth, but for the future.
        ("was-behind", 0, -HOUR, -MINUTE - HOUR),
        ("was-ahead", 0, HOUR, 0),
        ("is-behind", -HOUR, 0, 0),
    ] {
        let made = brought(&scene, name, now, then).await;
        assert!((made - expected).abs() < 5_000, "{name}: {made} and not {expected}");
    }
}
