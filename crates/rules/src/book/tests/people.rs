//! Silences, acknowledgements and maintenance: who is spared, and what is told when it is over.

use super::*;
use crate::{Schedule, WindowMode};

#[test]
fn when_a_silence_ends_what_still_fires_is_told_at_once_and_what_ended_was_told_meanwhile() {
    let mut scene = Scene::new(&[down(), lost()]);
    scene.see(&[is_lost("b", Is::On), is_lost("c", Is::On)]);
    scene.until(400);
    scene.heard();
    scene.silence("s", is("alertname", "lost"), 400, 1_000);
    scene.silence("t", is("component", "db"), 400, 1_200);
    scene.see(&[bad("a")]);
    scene.until(450);
    let muted = scene.view("down", db()).muted.unwrap();
    assert_eq!((&*muted.by.to_string(), &*muted.author, muted.others), ("silence t", "ana", 0));
    let muted = scene.view("lost", agent("b")).muted.unwrap();
    assert_eq!(muted.by.to_string(), "silence s");
    scene.see(&[is_lost("c", Is::Off)]);
    scene.until(999);
    assert_eq!(scene.heard(), ["450 ops Resolved: -lost/c/eu recovered, ~lost/b/eu"]);
    scene.until(1_100);
    assert_eq!(scene.heard(), ["1000 ops Released: >lost/b/eu!"]);
    assert!(scene.book.unsilence("t", None, scene.now()).is_some());
    scene.take();
    assert_eq!(scene.heard(), ["1100 ops Released: >down/db/pay!"]);
    assert_eq!(scene.book.silences().len(), 0, "what is over is dropped");
}

#[test]
fn a_silence_outlasts_a_restart_and_ends_in_time() {
    let mut scene = Scene::new(&[down()]);
    scene.silence("s", is("agent", "a"), 0, 700);
    scene.see(&[bad("a")]);
    scene.until(300);
    let muted = |scene: &Scene| {
        scene.view("down", db()).muted.map(|muted| format!("{} {} {}", muted.by, muted.reason, muted.others))
    };
    assert_eq!(muted(&scene).as_deref(), Some("silence s test 0"), "of each of its elements");
    scene.restart(100);
    let events = scene.events.len();
    scene.see(&[bad("a")]);
    scene.until(599);
    assert_eq!(scene.heard(), Vec::<String>::new());
    assert_eq!(scene.events.len(), events, "that it is muted was said before");
    scene.until(600);
    assert_eq!(scene.heard(), ["600 ops Released: >down/db/pay!"]);
    assert!(scene.ledger.silences.is_empty(), "what is over is kept no more");
}

#[test]
fn an_element_that_is_not_silenced_makes_its_alert_heard() {
    let mut scene = Scene::new(&[down()]);
    scene.silence("s", is("agent", "a"), 0, 700);
    scene.see(&[bad("a")]);
    scene.until(100);
    assert_eq!(scene.heard(), Vec::<String>::new());
    scene.see(&[bad("b")]);
    scene.until(200);
    assert_eq!(scene.heard(), ["100 ops Released: >down/db/pay!"]);
}

#[test]
fn who_is_on_it_hears_no_repeats_but_that_it_is_worse_and_that_it_is_over() {
    let mut scene = Scene::new(&[cpu()]);
    let hot = |scene: &mut Scene, until: u64, value| {
        while scene.ran_ms < until * 1_000 {
            scene.see(&[measured("a", value)]);
            scene.until(scene.ran_ms / 1_000 + 20);
        }
    };
    hot(&mut scene, 400, 80.0);
    assert_eq!(scene.heard(), ["30 ops First: +cpu/a/eu"]);
    scene.acknowledge("cpu", agent("a"), None);
    hot(&mut scene, 20_000, 80.0);
    assert_eq!(scene.heard(), Vec::<String>::new());
    assert_eq!(scene.view("cpu", agent("a")).acknowledged_by.as_deref(), Some("ana"));
    hot(&mut scene, 20_020, 90.0);
    assert_eq!(scene.heard(), ["20000 ops Raised: ^cpu/a/eu!"]);
    assert_eq!(scene.ledger.acknowledgements.len(), 0, "broken");
    hot(&mut scene, 20_100, 80.0);
    assert!(scene.book.acknowledgement(&AlertId { rule: "cpu".into(), labels: agent("a") }).is_none());
    scene.acknowledge("cpu", agent("a"), None);
    hot(&mut scene, 20_400, 1.0);
    assert_eq!(scene.heard(), ["20300 ops Resolved: -cpu/a/eu recovered"]);
    assert_eq!(scene.ledger.acknowledgements.len(), 0, "over with its alert");
    hot(&mut scene, 20_700, 80.0);
    assert_eq!(scene.heard(), ["20430 ops First: +cpu/a/eu"], "it never hides the next one");
}

#[test]
fn an_acknowledgement_that_ends_tells_again_and_outlasts_a_restart_until_then() {
    let mut scene = Scene::new(&[down()]);
    scene.see(&[bad("a")]);
    scene.until(10);
    scene.acknowledge("down", db(), Some(2_000));
    scene.until(500);
    scene.restart(500);
    scene.see(&[bad("a")]);
    scene.until(1_499);
    assert_eq!(scene.heard(), ["0 ops First: +down/db/pay!"]);
    scene.until(1_600);
    assert_eq!(scene.heard(), ["1500 ops Released: >down/db/pay!"]);
    assert_eq!(scene.ledger.acknowledgements.len(), 0);
    scene.acknowledge("down", db(), None);
    assert!(scene.book.unacknowledge(&AlertId { rule: "down".into(), labels: db() }, None, scene.now()));
    scene.take();
    scene.until(1_900);
    assert_eq!(scene.heard(), ["1800 ops Released: >down/db/pay!"], "not twice within an interval");
}

#[test]
fn a_maintenance_window_mutes_and_at_its_end_what_still_fires_is_told() {
    let mut scene = Scene::new(&[down().each()]);
    let window = Window {
        id: "w".into(),
        name: "upgrade".into(),
        matchers: vec![is("cluster", "eu")],
        mode: WindowMode::Mute,
        schedule: Schedule::Once { from_ms: BEGAN_MS, to_ms: BEGAN_MS + 600_000 },
        author: "ana".into(),
        reason: "upgrade".into(),
        created_ms: BEGAN_MS,
        ends_ms: None,
    };
    scene.book.maintain(window, scene.now()).unwrap();
    scene.see(&[bad("a"), bad("b")]);
    scene.until(300);
    scene.see(&[good("b")]);
    scene.until(599);
    assert_eq!(scene.heard(), Vec::<String>::new());
    scene.until(601);
    assert_eq!(scene.heard(), ["600 ops Released: >down/a/eu/db/tcp/pay!"]);
    assert_eq!(scene.book.windows().len(), 0, "what is over is dropped");
}

#[test]
fn what_a_silence_held_is_told_though_something_is_acknowledged_at_the_moment_of_its_end() {
    let mut scene = Scene::new(&[down(), lost()]);
    scene.silence("s", is("component", "db"), 0, 100);
    scene.see(&[bad("a"), is_lost("b", Is::On)]);
    scene.until(99);
    scene.heard();
    // Before the next look.
    scene.ran_ms = 100_050;
    scene.acknowledge("lost", agent("b"), None);
    scene.until(102);
    assert_eq!(scene.heard(), ["100 ops Released: >down/db/pay!"]);
}
