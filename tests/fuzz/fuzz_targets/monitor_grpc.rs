//! Any calls to a monitor's ports of agents and of gRPC health. See README.md for how it is run.
#![no_main]

#[path = "../../harness/memory_store.rs"]
#[allow(dead_code, reason = "the harness needs more of it")]
mod memory_store;
#[path = "../entry/requests.rs"]
#[allow(dead_code, reason = "each target needs a part of it")]
mod requests;
#[path = "../entry/scene.rs"]
#[allow(dead_code, reason = "each target needs a part of it")]
mod scene;
#[path = "../entry/words.rs"]
mod words;

use scene::{Port, Scene};

thread_local! {
    static SCENE: Scene = Scene::start();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    SCENE.with(|scene| {
        let mut dice = requests::Dice::new(bytes);
        let here = dice.byte() % 8 != 0;
        match dice.byte() % 6 {
            0 => drop(scene.send(Port::Agents, &requests::http(dice.rest(), &scene.token), here)),
            1 => drop(scene.send(Port::Health, &requests::http(dice.rest(), &scene.token), here)),
            2 => {
                let method = [
                    &b"/grpc.health.v1.Health/Check"[..],
                    b"/grpc.health.v1.Health/Watch",
                    b"/grpc.health.v1.Health/List",
                ];
                let method = method[usize::from(dice.byte()) % 3];
                scene.send(Port::Health, &requests::call(method, &mut dice, false), here);
            }
            3 => drop(scene.send(
                Port::Agents,
                &requests::call(b"/farol.v1.Fleet/Stream", &mut dice, false),
                here,
            )),
            // Hello is sound, so that what follows is looked at.
            _ => {
                let mut messages = vec![hello()];
                while !dice.is_empty() {
                    messages.push(dice.some(255).to_vec());
                }
                scene.send(
                    Port::Agents,
                    &requests::of_messages(b"/farol.v1.Fleet/Stream", &messages, false),
                    true,
                );
            }
        }
    });
});

fn hello() -> Vec<u8> {
    use farol_wire::{Boot, Hello, PROTOCOL, Role, proto};
    use prost::Message;
    let boot = Boot { number: 7, nonce: 7 };
    let hello = Hello {
        agent: "fuzz".to_owned(),
        role: Role::Host,
        boot,
        spooled: vec![boot],
        labels: Default::default(),
        version: "1".to_owned(),
        protocol: (*PROTOCOL.start(), *PROTOCOL.end()),
        interval_ms: 1_000,
        wall_ms: 1,
        clock_ms: 1,
        scope: String::new(),
        accept_drain: false,
    };
    let kind = Some(proto::agent_message::Kind::Hello(hello.into()));
    proto::AgentMessage { kind }.encode_to_vec()
}
