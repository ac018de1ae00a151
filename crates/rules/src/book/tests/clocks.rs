//! Restarts, pauses and clocks that are set: what was told stays told, and no timer runs that measured nothing.

use super::*;

#[test]
fn a_restart_amid_for_goes_on_where_it_was_and_not_anew() {
    let mut scene = Scene::new(&[down().after_s(60)]);
    scene.see(&[bad("a")]);
    scene.until(30);
    scene.restart(600);
    // Nothing is heard of it for a while: its timer stands.
    scene.until(50);
    scene.see(&[bad("a")]);
    scene.until(60);
    scene.restart(5);
    scene.until(65);
    scene.see(&[bad("a")]);
    scene.until(84);
    assert_eq!(scene.heard(), Vec::<String>::new());
    scene.until(85);
    assert_eq!(scene.heard(), ["85 ops First: +down/db/pay!"], "30 s, 10 s and 20 s of it");
}

#[test]
fn a_restart_amid_keep_firing_for_goes_on_where_it_was() {
    let mut scene = Scene::new(&[Rule { keep_firing_for_ms: 60_000, ..down() }]);
    scene.see(&[bad("a")]);
    scene.until(400);
    scene.heard();
    scene.see(&[good("a")]);
    scene.until(440);
    scene.restart(20);
    scene.see(&[good("a")]);
    scene.until(459);
    assert_eq!(scene.heard(), Vec::<String>::new());
    scene.until(460);
    assert_eq!(scene.heard(), ["460 ops Resolved: -down/db/pay recovered"]);
}

#[test]
fn a_restart_amid_group_wait_puts_nothing_off() {
    let mut scene = Scene::new(&[cpu()]);
    scene.see(&[measured("a", 80.0)]);
    for second in [10, 20, 29] {
        scene.until(second);
        scene.restart(100);
    }
    scene.until(30);
    assert_eq!(scene.heard(), ["30 ops First: +cpu/a/eu"]);
}

#[test]
fn after_a_restart_nothing_is_told_again_and_what_was_told_is_ended() {
    let mut scene = Scene::new(&[down(), cpu(), lost(), service_down()]);
    let unwell = Observation::Service("pay".into(), Shown::Status(Status::Unhealthy));
    scene.see(&[bad("a"), measured("b", 80.0), is_lost("c", Is::On), unwell.clone()]);
    scene.until(400);
    assert_eq!(scene.heard().len(), 4);
    scene.restart(300);
    let events = std::mem::take(&mut scene.events);
    scene.until(500);
    assert_eq!(scene.heard(), Vec::<String>::new());
    scene.see(&[bad("a"), measured("b", 80.0), is_lost("c", Is::On), unwell]);
    scene.until(700);
    assert_eq!(scene.heard(), Vec::<String>::new());
    assert_eq!(scene.events, Vec::<String>::new(), "after {events:?}");
    scene.see(&[good("a"), measured("b", 1.0), gone("c", Ending::Left)]);
    scene.restart(10);
    scene.until(1_100);
    assert_eq!(
        scene.heard(),
        [
            "700 ops Resolved: -cpu/b/eu recovered",
            "700 ops Resolved: -down/db/pay recovered",
            "700 ops Resolved: -lost/c/eu left",
        ]
    );
}

#[test]
fn an_end_that_was_not_told_before_the_crash_is_told_after_it() {
    let mut scene = Scene::new(&[down()]);
    scene.see(&[bad("a")]);
    scene.until(100);
    scene.see(&[good("a")]);
    scene.until(120);
    scene.see(&[bad("a")]);
    scene.until(140);
    scene.see(&[good("a")]);
    scene.restart(7);
    scene.see(&[good("a")]);
    scene.until(2_000);
    assert_eq!(
        scene.heard(),
        ["0 ops First: +down/db/pay!", "300 ops Resolved: -down/db/pay recovered"],
        "of what came and went in between nobody heard"
    );
    assert!(scene.ledger.is_empty());
}

#[test]
fn what_was_held_back_is_not_told_by_a_restart_before_there_is_news_of_it() {
    for (is_well, expected) in [(true, 0), (false, 1)] {
        let mut scene = Scene::new(&[lost(), down().each().held_by("lost", &["agent"])]);
        scene.see(&[is_lost("a", Is::On), bad("a")]);
        scene.until(400);
        scene.see(&[is_lost("a", Is::Off)]);
        scene.until(405);
        scene.restart(3);
        // What the fleet says first of each component that it knows.
        scene.see(&[component("a", "db", Status::Unhealthy, Evidence::Past)]);
        scene.until(463);
        if is_well {
            scene.see(&[good("a")]);
        }
        scene.until(2_000);
        let told: Vec<_> = scene.heard().into_iter().filter(|told| told.contains("down")).collect();
        assert_eq!(told.len(), expected, "{told:?}");
        // Without news it is told when there should have been some.
        assert!(told.iter().all(|told| told.starts_with("465 ops Released: >down")), "{told:?}");
    }
}

#[test]
fn what_is_pending_holds_back_after_a_restart_for_as_long_as_it_would_have() {
    let mut scene = Scene::new(&[lost().after_s(60), down().each().held_by("lost", &["agent"])]);
    scene.see(&[is_lost("a", Is::On), bad("a")]);
    for second in [20, 30] {
        scene.until(second);
        scene.restart(3);
    }
    scene.until(50);
    scene.see(&[bad("a")]);
    scene.until(70);
    scene.see(&[is_lost("a", Is::On)]);
    scene.until(300);
    assert_eq!(scene.heard(), ["110 ops First: +lost/a/eu!"], "20 s of its minute were seen");
    let mut scene = Scene::new(&[lost().after_s(120), down().each().held_by("lost", &["agent"])]);
    scene.see(&[is_lost("a", Is::On), bad("a")]);
    scene.until(20);
    scene.restart(3);
    scene.see(&[bad("a")]);
    scene.until(40);
    scene.see(&[is_lost("a", Is::On)]);
    scene.until(81);
    assert_eq!(scene.heard(), ["80 ops Released: >down/a/eu/db/tcp/pay!"], "it had held for 20 s of 60");
}

#[test]
fn what_held_back_for_all_its_time_while_it_was_pending_does_not_again_after_a_restart() {
    let mut scene = Scene::new(&[lost().after_s(120), down().each().held_by("lost", &["agent"])]);
    scene.see(&[is_lost("a", Is::On), bad("a")]);
    scene.until(60);
    scene.restart(3);
    scene.see(&[bad("a"), is_lost("a", Is::On)]);
    scene.until(62);
    let events = scene.events.iter().filter(|event| event.starts_with("Held")).count();
    assert_eq!((scene.heard().len(), events), (1, 2), "{:?}", scene.events);
}

#[test]
fn a_rule_that_is_gone_after_a_restart_ends_what_it_told() {
    let mut scene = Scene::new(&[down(), lost()]);
    scene.see(&[bad("a"), is_lost("b", Is::On)]);
    scene.until(400);
    scene.heard();
    scene.orders = orders(&[lost()], to("ops"));
    scene.restart(1);
    scene.until(900);
    assert_eq!(scene.heard(), ["400 ops Resolved: -down/db/pay removed"]);
}

#[test]
fn what_a_receiver_believes_of_an_alert_that_nobody_knows_is_taken_back() {
    let mut scene = Scene::new(&[down()]);
    scene.see(&[bad("a")]);
    scene.until(400);
    scene.heard();
    (scene.ledger.alerts, scene.ledger.elements) = (BTreeMap::new(), BTreeMap::new());
    scene.restart(1);
    scene.until(800);
    assert_eq!(scene.heard(), ["400 ops Resolved: -down/db/pay removed"]);
    assert_eq!(scene.ledger.talks.len(), 0);
}

#[test]
fn a_wall_clock_that_is_set_moves_no_timer_and_tells_nobody() {
    for by in [3_600_000, -3_600_000] {
        let mut scene = Scene::new(&[down().after_s(60), lost(), Rule { name: "slow".into(), ..cpu() }]);
        scene.see(&[is_lost("b", Is::On), bad("a")]);
        scene.until(10);
        scene.moved_ms += by;
        scene.until(20);
        // Killed after the clock was set: the time that it jumped over was not lived.
        scene.restart(1);
        scene.see(&[is_lost("b", Is::On), bad("a")]);
        scene.until(59);
        assert_eq!(scene.heard(), ["0 ops First: +lost/b/eu!"], "{by}");
        scene.until(60);
        assert_eq!(scene.heard(), ["60 ops First: +down/db/pay!"], "{by}");
        scene.until(400);
        scene.moved_ms -= by;
        scene.until(410);
        scene.see(&[is_lost("b", Is::Off), good("a")]);
        scene.until(2_000);
        assert_eq!(
            scene.heard(),
            ["410 ops Resolved: -down/db/pay recovered", "410 ops Resolved: -lost/b/eu recovered"],
            "{by}"
        );
        assert!(scene.ledger.is_empty());
    }
}

#[test]
fn a_silence_counts_by_the_wall_clock_and_once_begun_not_backwards() {
    for (by, end_s) in [(0, 1_000), (1_800_000, 500), (-1_800_000, 2_800)] {
        let mut scene = Scene::new(&[down()]);
        scene.silence("s", is("component", "db"), 0, 1_000);
        scene.until(1);
        scene.see(&[bad("a")]);
        scene.until(500);
        scene.moved_ms += by;
        scene.until(4_000);
        let expected = if by > 0 { 501 } else { end_s };
        assert_eq!(scene.heard(), [format!("{expected} ops Released: >down/db/pay!")], "{by}");
    }
}

#[test]
fn what_began_goes_on_after_the_clock_was_set_back_whatever_else_people_mute() {
    let mut scene = Scene::new(&[down()]);
    scene.silence("s", is("component", "db"), 0, 1_000);
    scene.until(1);
    scene.see(&[bad("a")]);
    scene.until(500);
    scene.moved_ms -= 1_800_000;
    scene.until(600);
    scene.silence("t", is("component", "cache"), -1_200, 0);
    scene.until(2_799);
    assert_eq!(scene.heard(), Vec::<String>::new());
    scene.until(2_800);
    assert_eq!(scene.heard(), ["2800 ops Released: >down/db/pay!"]);
    // What is taken back or is another one by now is over.
    scene.silence("s", is("component", "db"), 0, 2_000);
    scene.moved_ms -= 1_800_000;
    assert!(scene.book.unsilence("s", scene.now()).is_some());
    assert!(scene.book.mutes.muted(&db()).is_none());
}

#[test]
fn what_began_by_a_clock_that_was_wrong_by_hours_does_not_go_on() {
    let mut scene = Scene::new(&[down()]);
    scene.silence("s", is("component", "db"), 50_000, 60_000);
    scene.until(10);
    scene.moved_ms += 52_000_000;
    scene.until(20);
    scene.moved_ms -= 52_000_000;
    scene.until(30);
    scene.see(&[bad("a")]);
    assert_eq!(scene.heard(), ["30 ops First: +down/db/pay!"]);
}

#[test]
fn while_the_monitor_does_not_run_no_time_goes_by() {
    let mut scene = Scene::new(&[down().after_s(60), cpu()]);
    scene.see(&[bad("a"), measured("b", 80.0)]);
    scene.until(10);
    // Stopped for five minutes and continued: the running clock stands still, the wall clock does not.
    scene.moved_ms += 300_000;
    scene.until(29);
    assert_eq!(scene.heard(), Vec::<String>::new());
    scene.until(59);
    assert_eq!(scene.heard(), ["30 ops First: +cpu/b/eu"]);
    scene.restart(300);
    scene.see(&[bad("a")]);
    scene.until(100);
    assert_eq!(scene.heard(), ["60 ops First: +down/db/pay!"]);
}
