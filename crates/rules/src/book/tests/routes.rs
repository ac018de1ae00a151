//! Reloads and routes: what is gone is taken back, what is the same goes on.

use super::*;
use crate::GroupBy;

fn critical_to(receiver: &str) -> Route {
    let critical = Route { matchers: vec![is("severity", "critical")], ..to(receiver) };
    Route { routes: vec![critical], ..to("ops") }
}

#[test]
fn a_reload_of_the_same_says_nothing_and_keeps_timers() {
    let rules = [down(), lost().after_s(60)];
    let mut scene = Scene::new(&rules);
    scene.see(&[bad("a"), is_lost("b", Is::On)]);
    scene.until(59);
    assert_eq!(scene.heard(), ["0 ops First: +down/db/pay!"]);
    scene.order(&rules, to("ops"));
    // In another order, and with another text.
    let mut rules = [rules[1].clone(), rules[0].clone()];
    rules[1].annotations.insert("summary".into(), "x".into());
    scene.order(&rules, to("ops"));
    scene.until(60);
    assert_eq!(scene.heard(), ["60 ops First: +lost/b/eu!"]);
    scene.until(500);
    scene.see(&[good("a"), is_lost("b", Is::Off)]);
    scene.until(501);
    assert_eq!(
        scene.heard(),
        ["500 ops Resolved: -down/db/pay recovered", "500 ops Resolved: -lost/b/eu recovered"]
    );
}

#[test]
fn who_is_told_of_critical_alerts_only_hears_that_one_fell_and_that_it_is_over() {
    let mut scene = Scene::routed(&[cpu()], critical_to("pager"));
    let hot = |scene: &mut Scene, until: u64, value| {
        while scene.ran_ms < until * 1_000 {
            scene.see(&[measured("a", value)]);
            scene.until(scene.ran_ms / 1_000 + 20);
        }
    };
    hot(&mut scene, 400, 90.0);
    assert_eq!(scene.heard(), ["0 pager First: +cpu/a/eu!"]);
    hot(&mut scene, 20_000, 80.0);
    assert_eq!(
        scene.heard(),
        ["430 ops First: +cpu/a/eu", "430 pager Fell: vcpu/a/eu", "14830 ops Repeat: =cpu/a/eu"]
    );
    let words = &scene.tellings[1].alerts[0];
    assert_eq!(
        (words.severity, words.labels.get("severity").map(|it| &**it)),
        (Severity::Warning, Some("warning"))
    );
    hot(&mut scene, 20_100, 1.0);
    assert_eq!(
        scene.heard(),
        ["20000 ops Resolved: -cpu/a/eu recovered", "20000 pager Resolved: -cpu/a/eu recovered"]
    );
}

#[test]
fn a_rule_that_is_taken_out_or_changed_takes_back_what_it_told() {
    let mut scene = Scene::new(&[down(), lost(), cpu()]);
    scene.see(&[bad("a"), is_lost("b", Is::On), measured("c", 80.0)]);
    scene.until(400);
    scene.heard();
    // `down` is another one now, `lost` is gone, and the numbers of the rules are others.
    scene.order(&[cpu(), Rule { by: None, ..down() }], to("ops"));
    scene.until(900);
    assert_eq!(
        scene.heard(),
        ["400 ops Resolved: -down/db/pay removed", "400 ops Resolved: -lost/b/eu removed"]
    );
    let labels = scene.tellings.last().unwrap().alerts[0].labels.clone();
    assert_eq!(&**labels.get("alertname").unwrap(), "lost", "its labels are told though the rule is gone");
    scene.see(&[bad("a"), measured("c", 80.0)]);
    scene.restart(1);
    scene.until(2_000);
    assert_eq!(scene.heard(), ["900 ops First: +down/a/eu/db/tcp/pay!"]);
}

#[test]
fn nothing_is_left_of_the_elements_of_a_rule_that_is_gone() {
    let mut scene = Scene::new(&[cpu(), down(), lost()]);
    scene.see(&[bad("a"), is_lost("b", Is::On), measured("c", 80.0)]);
    scene.until(10);
    scene.order(&[cpu()], to("ops"));
    assert!(
        scene
            .book
            .elements
            .keys()
            .chain(scene.ledger.elements.values().map(|(id, _)| id))
            .all(|id| *id.rule == *"cpu")
    );
    scene.until(2_000);
    scene.see(&[gone("b", Ending::Left), gone("a", Ending::Left)]);
}

#[test]
fn a_shorter_for_counts_from_the_reload_on() {
    let mut scene = Scene::new(&[down().after_s(600)]);
    scene.see(&[bad("a")]);
    scene.until(100);
    scene.order(&[down().after_s(120)], to("ops"));
    scene.until(130);
    assert_eq!(scene.heard(), ["120 ops First: +down/db/pay!"]);
}

#[test]
fn another_receiver_is_told_and_the_old_one_is_told_that_it_is_over() {
    let mut scene = Scene::new(&[down(), lost()]);
    scene.see(&[bad("a"), is_lost("b", Is::On)]);
    scene.until(400);
    scene.heard();
    let pager = Route { matchers: vec![is("alertname", "down")], ..to("pager") };
    scene.order(&[down(), lost()], Route { routes: vec![pager], ..to("ops") });
    scene.until(800);
    assert_eq!(scene.heard(), ["400 ops Resolved: -down/db/pay removed", "400 pager First: +down/db/pay!"]);
    scene.see(&[good("a"), is_lost("b", Is::Off)]);
    scene.until(1_200);
    assert_eq!(
        scene.heard(),
        ["800 ops Resolved: -lost/b/eu recovered", "800 pager Resolved: -down/db/pay recovered"]
    );
    assert!(scene.ledger.talks.is_empty());
}

#[test]
fn an_end_owed_to_a_receiver_of_before_is_told_over_restarts() {
    let mut scene = Scene::new(&[down()]);
    scene.see(&[bad("a")]);
    scene.until(100);
    scene.order(&[down()], to("pager"));
    scene.restart(5);
    scene.see(&[bad("a")]);
    scene.until(900);
    assert_eq!(
        scene.heard(),
        [
            "0 ops First: +down/db/pay!",
            "100 pager First: +down/db/pay!",
            "300 ops Resolved: -down/db/pay removed"
        ]
    );
}

#[test]
fn other_groups_of_the_same_receiver_tell_it_nothing_new() {
    let mut scene = Scene::new(&[down(), lost()]);
    scene.see(&[bad("a"), is_lost("b", Is::On), is_lost("c", Is::On)]);
    scene.until(400);
    scene.heard();
    let alone = Route { group_by: Some(GroupBy::All), ..to("ops") };
    scene.order(&[down(), lost()], alone.clone());
    scene.restart(5);
    scene.until(1_000);
    assert_eq!(scene.heard(), Vec::<String>::new());
    scene.see(&[good("a"), is_lost("b", Is::Off)]);
    scene.until(1_400);
    assert_eq!(
        scene.heard(),
        ["1000 ops Resolved: -lost/b/eu recovered", "1000 ops Resolved: -down/db/pay recovered"]
    );
}

#[test]
fn who_is_told_by_severity_is_told_of_the_end_wherever_it_was_told() {
    let mut scene = Scene::routed(&[cpu()], critical_to("pager"));
    scene.see(&[measured("a", 80.0)]);
    scene.until(40);
    scene.see(&[measured("a", 90.0)]);
    scene.until(50);
    scene.see(&[measured("a", 80.0)]);
    scene.until(70);
    scene.see(&[measured("a", 1.0)]);
    scene.until(1_000);
    assert_eq!(
        scene.heard(),
        [
            "30 ops First: +cpu/a/eu",
            "40 pager First: +cpu/a/eu!",
            "330 ops Resolved: -cpu/a/eu recovered",
            "340 pager Resolved: -cpu/a/eu recovered",
        ]
    );
    assert!(scene.ledger.talks.is_empty());
}

#[test]
fn another_label_of_a_rule_is_another_way() {
    let mut scene = Scene::routed(&[down()], {
        let team = Route { matchers: vec![is("team", "db")], ..to("dba") };
        Route { routes: vec![team], ..to("ops") }
    });
    scene.see(&[bad("a")]);
    scene.until(10);
    let mut with_team = down();
    with_team.labels.insert("team".into(), "db".into());
    let route = Route { routes: vec![Route { matchers: vec![is("team", "db")], ..to("dba") }], ..to("ops") };
    scene.order(&[with_team], route);
    scene.until(400);
    assert_eq!(
        scene.heard(),
        [
            "0 ops First: +down/db/pay!",
            "10 dba First: +down/db/pay!",
            "300 ops Resolved: -down/db/pay removed"
        ]
    );
}

#[test]
fn other_routes_after_a_restart_do_as_after_a_reload() {
    let told = |restart: bool| {
        let mut scene = Scene::new(&[down(), lost()]);
        scene.see(&[bad("a"), is_lost("b", Is::On)]);
        scene.until(400);
        let by = Some(GroupBy::Labels(vec!["agent".into()]));
        let pager = Route { matchers: vec![is("alertname", "down")], ..to("pager") };
        let route = Route { routes: vec![pager], group_by: by, ..to("ops") };
        if restart {
            scene.orders = orders(&[down(), lost()], route);
            scene.restart(0);
            scene.see(&[bad("a"), is_lost("b", Is::On)]);
        } else {
            scene.order(&[down(), lost()], route);
        }
        scene.until(800);
        scene.see(&[good("a"), is_lost("b", Is::Off)]);
        scene.until(2_000);
        assert!(scene.ledger.talks.is_empty());
        scene.heard()
    };
    assert_eq!(told(true), told(false));
    assert!(
        told(true).iter().any(|told| told == "400 ops Resolved: -down/db/pay removed"),
        "{:?}",
        told(true)
    );
}

#[test]
fn what_a_receiver_of_what_is_worse_was_told_is_not_taken_back_by_a_restart_or_a_reload_of_the_same() {
    for restart in [false, true] {
        let mut scene = Scene::routed(&[cpu()], critical_to("pager"));
        scene.see(&[measured("a", 90.0)]);
        scene.until(10);
        scene.see(&[measured("a", 80.0)]);
        scene.until(11);
        scene.heard();
        if restart {
            scene.restart(0);
        } else {
            scene.order(&[cpu()], critical_to("pager"));
        }
        scene.see(&[measured("a", 80.0)]);
        scene.until(700);
        let heard = scene.heard();
        assert!(!heard.iter().any(|told| told.contains("removed")), "{heard:?}");
    }
}

#[test]
fn the_end_of_a_route_is_told_whatever_else_changes_within_the_same_second() {
    let mut scene = Scene::new(&[down().each()]);
    scene.see(&[bad("a")]);
    scene.order(&[down().each()], to("pager"));
    scene.silence("s", is("agent", "z"), 0, 10);
    scene.until(400);
    let heard = scene.heard();
    assert!(
        heard.iter().any(|told| told.contains("ops Resolved: -down/a/eu/db/tcp/pay removed")),
        "{heard:?}"
    );
}
