//! Any requests to a monitor's HTTP port, from this machine or another. See README.md for how it is run.
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
        let Some((peer, bytes)) = bytes.split_first() else { return };
        scene.send(Port::Http, &requests::http(bytes, &scene.token), peer % 8 != 0);
    });
});
