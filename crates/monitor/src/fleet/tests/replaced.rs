//! Which stream may take another's place. One that was replaced may still have messages on their way: none of them
//! means anything any more.

use super::*;

#[test]
fn what_a_replaced_stream_still_says_changes_nothing() {
    let (scene, agent, old) = Scene::online(Role::Pod);
    let (_, new) = scene.connect(1);
    scene.state(&agent, [Status::Unhealthy; 2], Some(scene.now.boot_ms));
    let (fleet, now, checked) = (&scene.fleet, scene.now, Some(scene.now.boot_ms));
    let late = || vec![says(1, Status::Healthy, checked)];
    let reported = Reported { changed: late(), checked: Bitmap::default() };
    fleet.adopt(&agent, old.number, &[def(1, "database")], late(), scene.told());
    fleet.report(&agent, old.number, reported, scene.told(), now.boot_ms);
    fleet.define(&agent, old.number, &[def(3, "queue")], now);
    fleet.retire(&agent, old.number, &[1], now);
    fleet.goodbye(&agent, old.number, Farewell::Workload, 30_000, now);
    let effects = scene.heard();
    assert!(effects.is_empty(), "{effects:?}");
    assert_eq!(scene.shown("payments/database"), "unhealthy");
    assert_eq!(scene.shown("payments/cache"), "unhealthy");
    assert_eq!(scene.shown("payments/queue"), "none");
    assert!(!new.goodbye.load(Ordering::Relaxed), "that Goodbye was not said on the new stream");
    assert_eq!(agent.live.lock().presence, Presence::Here);
}

#[test]
fn the_same_start_and_one_that_said_goodbye_are_replaced_and_another_start_is_asked_for() {
    let (scene, agent, first) = Scene::online(Role::Host);
    let (_, second) = scene.connect(1);
    assert!(first.nudges.is_wanted(Want::Replaced));
    let other = scene.fleet.connect("a", &hello(2, Role::Host), scene.now, &Default::default(), None);
    let Connection::Occupied(occupied) = other else { panic!("another start took the place unasked") };
    assert_eq!(occupied.number, second.number);
    let taken =
        scene.fleet.connect("a", &hello(2, Role::Host), scene.now, &Default::default(), Some(second.number));
    assert!(matches!(taken, Connection::Open(..)));
    scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Agent, 0, scene.now);
    assert!(matches!(
        scene.fleet.connect("a", &hello(3, Role::Host), scene.now, &Default::default(), None),
        Connection::Open(..)
    ));
    scene.heard();
    scene.fleet.disconnected(&agent, first.number, scene.now);
    let late = scene.heard();
    assert!(late.is_empty(), "the end of a replaced stream means nothing");
}
