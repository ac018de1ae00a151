//! What becomes of one alert: flapping, thresholds, missing data, endings.

use super::*;

#[test]
fn what_flaps_every_second_for_ten_minutes_is_told_as_one_outage() {
    let mut scene = Scene::new(&[down()]);
    for second in 0..600 {
        scene.until(second);
        scene.see(&[if second % 2 == 0 { bad("a") } else { good("a") }]);
    }
    let first = "0 ops First: +down/db/pay!";
    assert_eq!(scene.heard(), [first, "300 ops More: -down/db/pay recovered again, +down/db/pay!"]);
    assert!(scene.view("down", db()).flapping);
    assert!(scene.entries.iter().any(|(_, kind)| kind == "Flapping"));
    scene.until(3_000);
    assert_eq!(scene.heard(), ["1196 ops Resolved: -down/db/pay recovered"], "when it is steady");
}

#[test]
fn a_value_that_creeps_up_is_told_as_a_warning_then_raised_and_taken_back_when_it_is_well() {
    let mut scene = Scene::new(&[cpu().after_s(60)]);
    for step in 0..200 {
        scene.until(step * 10);
        // 60 to 99.8 over two thousand seconds: warning at 760 s, critical at 1260 s.
        scene.see(&[measured("a", 60.0 + step as f64 / 5.0)]);
    }
    assert_eq!(
        scene.heard(),
        ["850 ops First: +cpu/a/eu", "1320 ops Raised: ^cpu/a/eu!"],
        "60 s of it, and for a warning 30 s for others to come"
    );
    for step in 200..400 {
        scene.until(step * 10);
        scene.see(&[measured("a", if step < 240 { 80.0 } else { 60.0 })]);
    }
    assert_eq!(scene.heard(), ["2030 ops Fell: vcpu/a/eu", "2400 ops Resolved: -cpu/a/eu recovered"]);
    scene.until(8_000);
    assert_eq!(scene.heard(), Vec::<String>::new());
    assert!(scene.ledger.is_empty());
}

#[test]
fn missing_data_neither_fires_what_is_pending_nor_ends_what_fires() {
    let mut scene = Scene::new(&[cpu().after_s(60)]);
    scene.see(&[measured("a", 90.0)]);
    scene.until(20);
    scene.see(&[measured("a", 90.0)]);
    // Stale 30 s later: 50 of 60 s are behind it.
    scene.until(3_600);
    assert_eq!(scene.heard(), Vec::<String>::new());
    scene.see(&[measured("a", 90.0)]);
    scene.until(3_609);
    assert_eq!(scene.heard(), Vec::<String>::new());
    scene.until(3_610);
    assert_eq!(scene.heard(), ["3610 ops First: +cpu/a/eu!"]);
    scene.until(10_000);
    assert_eq!(scene.heard(), Vec::<String>::new(), "stale, it does not resolve");
    assert!(scene.view("cpu", agent("a")).stale);
    scene.see(&[measured("a", 90.0)]);
    assert!(!scene.view("cpu", agent("a")).stale);
    scene.see(&[measured("a", 10.0)]);
    scene.until(10_400);
    assert_eq!(scene.heard(), ["10001 ops Resolved: -cpu/a/eu recovered"]);
}

#[test]
fn how_it_ended_is_told() {
    for (how, ending) in
        [(Ending::Left, "left"), (Ending::Forgotten, "forgotten"), (Ending::Removed, "removed")]
    {
        let mut scene = Scene::new(&[down()]);
        scene.see(&[bad("a")]);
        scene.until(400);
        scene.see(&[gone("a", how)]);
        scene.until(4_000);
        assert_eq!(
            scene.heard(),
            ["0 ops First: +down/db/pay!".to_owned(), format!("400 ops Resolved: -down/db/pay {ending}")]
        );
        assert!(scene.ledger.is_empty(), "{how:?}");
    }
}

#[test]
fn what_only_happens_is_over_when_it_has_not_happened_for_ten_minutes_over_a_restart_too() {
    let conflict = condition("conflict", Subject::Agent(AgentCondition::IdentityConflict));
    let dropped = condition("queue", Subject::Monitor(MonitorCondition::QueueFull));
    let mut scene = Scene::new(&[conflict, dropped]);
    let happens = |scene: &mut Scene| {
        let is = Is::Happened;
        let agent =
            Observation::Agent { labels: agent("a"), condition: AgentCondition::IdentityConflict, is };
        let (condition, labels) = (MonitorCondition::QueueFull, Labels::from([("queue", "journal")]));
        scene.see(&[agent, Observation::Monitor { condition, labels, is, why: "full".into() }]);
    };
    happens(&mut scene);
    scene.until(500);
    happens(&mut scene);
    scene.until(1_099);
    assert_eq!(scene.heard(), ["0 ops First: +conflict/a/eu!", "0 ops First: +queue/journal!"]);
    scene.until(1_100);
    assert_eq!(
        scene.heard(),
        ["1100 ops Resolved: -conflict/a/eu recovered", "1100 ops Resolved: -queue/journal recovered"]
    );
    happens(&mut scene);
    scene.until(1_200);
    scene.restart(30);
    scene.heard();
    scene.until(1_900);
    assert_eq!(
        scene.heard(),
        ["1800 ops Resolved: -conflict/a/eu recovered", "1800 ops Resolved: -queue/journal recovered"]
    );
}

#[test]
fn a_service_is_told_of_by_its_own_status_and_one_nobody_knows_the_status_of_ends_nothing() {
    let mut scene = Scene::new(&[service_down()]);
    let shows = |scene: &mut Scene, shown| scene.see(&[Observation::Service("pay".into(), shown)]);
    shows(&mut scene, Shown::Status(Status::Unhealthy));
    scene.until(400);
    shows(&mut scene, Shown::Status(Status::Unknown));
    shows(&mut scene, Shown::Maintenance);
    scene.until(800);
    assert_eq!(scene.heard(), ["0 ops First: +service/pay!"]);
    shows(&mut scene, Shown::Status(Status::Degraded));
    assert_eq!(scene.heard(), ["800 ops Resolved: -service/pay recovered"]);
    shows(&mut scene, Shown::Status(Status::Unhealthy));
    scene.until(1_200);
    scene.see(&[Observation::ServiceGone("pay".into())]);
    assert_eq!(scene.heard(), ["800 ops First: +service/pay!", "1200 ops Resolved: -service/pay removed"]);
}

#[test]
fn looking_often_at_an_element_fills_no_agenda() {
    let mut scene = Scene::new(&[cpu().after_s(3_600)]);
    for second in 0..600 {
        scene.until(second);
        scene.see(&[measured("a", 90.0)]);
        assert!(scene.book.agenda.len() <= 2, "{:?}", scene.book.agenda);
    }
}

#[test]
fn an_alert_that_ended_has_the_elements_that_fired_as_they_were_also_after_a_restart() {
    let mut scene = Scene::new(&[down()]);
    scene.see(&[bad("a"), bad("b"), bad("c")]);
    scene.until(10);
    scene.see(&[good("c")]);
    scene.see(&[bad("c")]);
    scene.until(20);
    scene.see(&[good("a")]);
    scene.until(21);
    scene.see(&[good("b"), good("c")]);
    let seen = |scene: &Scene| {
        let view = scene.view("down", db());
        let who =
            view.elements.iter().map(|e| format!("{} {:?}", e.labels.get("agent").unwrap(), e.seen.status));
        (view.ended.is_some(), view.elements_count, who.collect::<Vec<_>>())
    };
    let unhealthy = |agent: &str| format!("{agent} {:?}", Some("unhealthy"));
    let expected = (true, 3, vec![unhealthy("a"), unhealthy("b"), unhealthy("c")]);
    assert_eq!(seen(&scene), expected);
    let id = AlertId { rule: "down".into(), labels: db() };
    assert_eq!(scene.book.elements_named(&id, 2).len(), 2);
    scene.restart(10);
    assert_eq!(seen(&scene), expected);
    scene.see(&[bad("b")]);
    assert_eq!(scene.view("down", db()).elements.len(), 1, "another time that it fires");
    scene.see(&[good("b")]);
    assert_eq!(seen(&scene), (true, 1, vec![unhealthy("b")]));
}
