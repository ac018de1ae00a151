//! What nobody says the end of: conditions of the monitor that another process saw, services that are configured no
//! more, elements whose labels changed.

use super::*;

fn failed(severity: Severity) -> Rule {
    let reload = Subject::Monitor(MonitorCondition::ReloadFailed);
    rule("reload", reload, Judge::Condition { severity })
}

fn reload(is: Is) -> Observation {
    let (condition, labels) = (MonitorCondition::ReloadFailed, Labels::default());
    Observation::Monitor { condition, labels, is, why: "line 3".into() }
}

fn unwell(service: &str) -> Observation {
    Observation::Service(service.into(), Shown::Status(Status::Unhealthy))
}

#[test]
fn what_was_wrong_with_the_monitor_before_a_restart_is_over_unless_it_is_said_again() {
    for again in [false, true] {
        let mut scene = Scene::new(&[failed(Severity::Critical)]);
        scene.see(&[reload(Is::On)]);
        scene.until(1_000);
        assert_eq!(scene.heard(), ["0 ops First: +reload!"], "it lasts");
        scene.restart(60);
        scene.until(1_300);
        if again {
            scene.see(&[reload(Is::On)]);
        }
        scene.until(3_000);
        let over: &[&str] = if again { &[] } else { &["1600 ops Resolved: -reload recovered"] };
        assert_eq!(scene.heard(), over);
    }
}

#[test]
fn that_an_alert_fires_is_not_known_after_a_restart_until_there_is_news_of_it() {
    let mut scene = Scene::new(&[failed(Severity::Critical)]);
    scene.see(&[reload(Is::On)]);
    let id = scene.book.alerts().next().unwrap().clone();
    let known = |scene: &Scene| (scene.book.firing(), scene.book.is_known_to_fire(&id));
    assert_eq!(known(&scene), (1, true));
    scene.restart(60);
    assert_eq!(known(&scene), (1, false));
    scene.see(&[reload(Is::On)]);
    assert_eq!(known(&scene), (1, true));
    scene.see(&[reload(Is::Off)]);
    assert_eq!(known(&scene), (0, false));
}

#[test]
fn what_is_wrong_with_the_monitor_is_known_to_rules_that_come_later() {
    let mut scene = Scene::new(&[down()]);
    scene.see(&[reload(Is::On)]);
    scene.order(&[failed(Severity::Critical)], to("ops"));
    assert_eq!(scene.heard(), ["0 ops First: +reload!"]);
    scene.until(400);
    scene.order(&[failed(Severity::Warning)], to("ops"));
    scene.until(1_000);
    assert_eq!(scene.heard(), ["400 ops Resolved: -reload removed", "430 ops First: +reload"]);
    scene.see(&[reload(Is::Off)]);
    scene.order(&[failed(Severity::Critical)], to("ops"));
    scene.until(2_000);
    assert_eq!(scene.heard(), ["1000 ops Resolved: -reload recovered"]);
}

#[test]
fn what_is_configured_no_more_after_a_restart_is_over() {
    let groups = Rule { name: "group".into(), subject: Subject::Group(None), ..service_down() };
    let mut scene = Scene::new(&[service_down(), groups]);
    let group = Observation::Group("shop".into(), Shown::Status(Status::Unhealthy));
    scene.see(&[unwell("pay"), unwell("legacy"), group]);
    scene.until(400);
    assert_eq!(scene.heard().len(), 3);
    scene.restart(60);
    scene.see(&[Observation::Exist { services: vec!["pay".into()], groups: Vec::new() }]);
    scene.until(800);
    let heard = ["400 ops Resolved: -group/shop removed", "400 ops Resolved: -service/legacy removed"];
    assert_eq!(scene.heard(), heard);
    assert_eq!(scene.book.active(), 1);
}

/// As an agent of this version sees it.
fn of(version: &str, observation: Observation) -> Observation {
    let more = Labels::from([("version", version)]);
    match observation {
        Observation::Agent { labels, condition, is } => {
            Observation::Agent { labels: labels.with(more.iter()), condition, is }
        }
        Observation::Component(seen) => {
            Observation::Component(ComponentSeen { agent: seen.agent.with(more.iter()), ..seen })
        }
        other => other,
    }
}

#[test]
fn an_agent_that_comes_back_under_other_labels_is_no_more_lost_and_holds_nothing_back() {
    let mut scene = Scene::new(&[lost(), down().held_by("lost", &["agent"])]);
    scene.see(&[of("1", is_lost("a", Is::On))]);
    scene.until(400);
    scene.see(&[of("2", is_lost("a", Is::Off)), of("2", bad("a"))]);
    scene.until(800);
    let heard = scene.heard().join("; ");
    assert!(heard.contains("-lost/a/eu/1 recovered"), "{heard}");
    assert!(heard.contains("+down/db/pay!") || heard.contains(">down/db/pay!"), "{heard}");
}

#[test]
fn a_component_that_is_bad_under_other_labels_goes_on_as_the_same() {
    let mut scene = Scene::new(&[down().after_s(60)]);
    scene.see(&[of("1", bad("a"))]);
    scene.until(40);
    scene.see(&[of("2", bad("a"))]);
    scene.until(60);
    assert_eq!(scene.heard(), ["60 ops First: +down/db/pay!"], "its time goes on");
    scene.until(400);
    scene.restart(5);
    scene.see(&[of("3", bad("a"))]);
    scene.until(800);
    assert_eq!(scene.heard(), Vec::<String>::new(), "it is part of the same alert");
    assert_eq!(scene.view("down", db()).elements[0].labels.get("version").unwrap().as_ref(), "3");
    scene.see(&[of("3", good("a"))]);
    scene.until(2_000);
    assert_eq!(scene.heard(), ["800 ops Resolved: -down/db/pay recovered"]);
    assert!(scene.ledger.is_empty(), "kept for ever");
}

#[test]
fn where_the_labels_tell_alerts_apart_the_old_one_ends_and_the_new_one_is_as_old() {
    let mut scene = Scene::new(&[down().each()]);
    scene.see(&[of("1", bad("a"))]);
    scene.until(400);
    scene.heard();
    scene.see(&[of("2", bad("a"))]);
    scene.until(800);
    let heard = "400 ops More: -down/a/eu/db/tcp/pay/1 removed, +down/a/eu/db/tcp/pay/2!";
    assert_eq!(scene.heard(), [heard]);
    let new = AlertId { rule: "down".into(), labels: scene.tellings[1].notice.firing[0].id.labels.clone() };
    assert_eq!(scene.book.view(&new, scene.now()).unwrap().since_ms, BEGAN_MS);
}

#[test]
fn what_was_measured_under_labels_that_the_agent_has_no_more_is_over_after_a_restart() {
    let mut scene = Scene::new(&[cpu()]);
    let of = |version: &str| agent("a").with(Labels::from([("version", version)]).iter());
    let high = |version: &str| {
        let Observation::Measured(seen) = measured("a", 90.0) else { unreachable!() };
        Observation::Measured(Measured { labels: of(version), ..seen })
    };
    scene.see(&[high("1")]);
    scene.until(400);
    scene.restart(300);
    scene.heard();
    let elements = vec![("cpu".into(), of("2"))];
    scene.see(&[Observation::Looked { labels: of("2"), elements, for_good: true }, high("2")]);
    scene.until(1_000);
    assert_eq!(scene.heard(), ["400 ops More: -cpu/a/eu/1 removed, +cpu/a/eu/2!"]);
}

#[test]
fn a_check_of_another_kind_ends_what_was_looked_at_by_its_kind() {
    let tcp = Subject::Component { name: None, kind: Some(Pattern::Is("tcp".into())) };
    let mut scene = Scene::new(&[Rule { subject: tcp, ..down() }, Rule { name: "any".into(), ..down() }]);
    scene.see(&[bad("a")]);
    scene.until(400);
    assert_eq!(scene.heard().len(), 2);
    let Observation::Component(seen) = bad("a") else { unreachable!() };
    scene.see(&[Observation::Component(ComponentSeen { kind: "http".into(), ..seen })]);
    scene.until(800);
    assert_eq!(scene.heard(), ["400 ops Resolved: -down/db/pay removed"]);
    assert_eq!(scene.view("any", db()).elements[0].labels.get("kind").unwrap().as_ref(), "http");
}

#[test]
fn what_there_was_no_room_for_is_asked_for_again_when_there_is() {
    let mut scene = Scene::new(&[lost(), failed(Severity::Critical)]);
    scene.book.room = 10;
    let names: Vec<String> = (10..22).map(|n| format!("a{n}")).collect();
    scene.see(&names.iter().map(|name| is_lost(name, Is::On)).collect::<Vec<_>>());
    assert_eq!((scene.book.active(), scene.book.over(), scene.book.is_full()), (10, 2, true));
    scene.see(&[reload(Is::On)]);
    assert_eq!(scene.book.active(), 11, "what is wrong with the monitor is always known");
    scene.see(&names[..2].iter().map(|name| gone(name, Ending::Left)).collect::<Vec<_>>());
    scene.until(700);
    assert!(!scene.book.has_room_again(), "{} of 10", scene.book.elements.len());
    scene.see(&[gone(&names[2], Ending::Left)]);
    scene.until(1_400);
    assert!(scene.book.has_room_again() && !scene.book.is_full() && !scene.book.has_room_again());
}
