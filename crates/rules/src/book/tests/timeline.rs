//! What stands on the time line of an incident.

use super::*;

/// The lines since the last call.
fn lines(scene: &mut Scene) -> Vec<String> {
    std::mem::take(&mut scene.lines)
}

/// The last line so far, without the others.
fn last(scene: &mut Scene) -> String {
    lines(scene).pop().unwrap()
}

#[test]
fn each_status_that_changes_while_the_alert_fires_is_on_its_time_line() {
    let mut scene = Scene::new(&[down()]);
    let degraded = |of| component(of, "db", Status::Degraded, Evidence::Now);
    scene.see(&[bad("a")]);
    assert_eq!(lines(&mut scene), ["0 Fired: fires: critical"]);
    scene.until(10);
    scene.see(&[bad("b")]);
    scene.until(20);
    scene.see(&[bad("b"), absent("b", Status::Unknown)]);
    let of = the_database;
    assert_eq!(
        lines(&mut scene),
        [
            format!("10 Status: {} is unhealthy", of("b")),
            format!("20 Status: {} is unknown, was unhealthy", of("b")),
        ]
    );
    scene.until(30);
    scene.see(&[gone("b", Ending::Left), degraded("a")]);
    assert_eq!(
        lines(&mut scene),
        [
            format!("30 Status: {} is gone: left", of("b")),
            format!("30 Status: {} is degraded, was unhealthy", of("a")),
            "30 Resolved: is over: recovered".to_owned(),
        ]
    );
    scene.see(&[good("a"), degraded("a")]);
    assert_eq!(lines(&mut scene), Vec::<String>::new(), "nothing fires");
}

fn the_database(agent: &str) -> String {
    let labels = Labels::from([("agent", agent), ("cluster", "eu")]);
    let own = [("service", "pay"), ("component", "db"), ("kind", "tcp")];
    let own: Vec<(Arc<str>, Arc<str>)> = own.iter().map(|(n, v)| (Arc::from(*n), Arc::from(*v))).collect();
    labels.with(own.iter().map(|(name, value)| (name, value))).to_string()
}

#[test]
fn of_a_value_what_the_alert_itself_does_not_say_is_on_the_time_line() {
    let mut scene = Scene::new(&[Rule { by: Some(vec!["cluster".into()]), ..cpu() }]);
    scene.see(&[measured("a", 90.0)]);
    scene.see(&[measured("b", 80.0)]);
    scene.see(&[measured("b", 90.0)]);
    scene.see(&[measured("b", 60.0)]);
    scene.see(&[measured("a", 80.0)]);
    assert_eq!(
        lines(&mut scene),
        [
            "0 Fired: fires: critical".to_owned(),
            format!("0 Status: {} is warning", agent("b")),
            format!("0 Status: {} is critical, was warning", agent("b")),
            format!("0 Status: {} is recovered, was critical", agent("b")),
            format!("0 Status: {} is warning, was critical", agent("a")),
            "0 Fell: is warning now".to_owned(),
        ]
    );
    let mut alone = Scene::new(&[cpu()]);
    alone.see(&[measured("a", 90.0)]);
    alone.see(&[measured("a", 80.0)]);
    assert_eq!(lines(&mut alone), ["0 Fired: fires: critical", "0 Fell: is warning now"]);
}

#[test]
fn a_status_that_never_rests_fills_no_time_line() {
    let mut scene = Scene::new(&[down()]);
    scene.see(&[bad("a"), bad("b")]);
    for second in 1..=2_000 {
        scene.until(second);
        scene.see(&[if second % 2 == 0 { bad("a") } else { good("a") }]);
        if second == 700 {
            scene.restart(1);
            scene.see(&[bad("a"), bad("b")]);
        }
    }
    let lines = lines(&mut scene);
    let of_status = lines.iter().filter(|line| line.contains("Status:")).collect::<Vec<_>>();
    assert!((501..520).contains(&of_status.len()), "{}", of_status.len());
    assert!(of_status.iter().any(|line| line.contains("further changes")), "{:?}", of_status.last());
}

#[test]
fn who_does_not_take_care_of_it_any_more_is_on_the_time_line() {
    let mut scene = Scene::new(&[cpu()]);
    let id = AlertId { rule: "cpu".into(), labels: agent("a") };
    scene.see(&[measured("a", 80.0)]);
    scene.acknowledge("cpu", agent("a"), None);
    lines(&mut scene);
    scene.book.unacknowledge(&id, None, scene.now());
    scene.take();
    assert_eq!(
        lines(&mut scene),
        [
            "0 Unacknowledged: ana does not take care of it any more: taken back",
            "0 Released: is not held back any more, and still fires",
        ]
    );
    scene.acknowledge("cpu", agent("a"), None);
    lines(&mut scene);
    scene.see(&[measured("a", 90.0)]);
    assert_eq!(
        lines(&mut scene),
        [
            "0 Raised: is critical now",
            "0 Unacknowledged: ana does not take care of it any more: it is worse than it was then",
            "0 Released: is not held back any more, and still fires",
        ]
    );
    scene.acknowledge("cpu", agent("a"), Some(60));
    lines(&mut scene);
    for second in [20, 40, 60] {
        scene.until(second);
        scene.see(&[measured("a", 90.0)]);
    }
    let lines = lines(&mut scene);
    let over = "60 Unacknowledged: ana does not take care of it any more: its time is up";
    assert!(lines.contains(&over.to_owned()), "{lines:?}");
    scene.acknowledge("cpu", agent("a"), None);
    scene.see(&[measured("a", 1.0)]);
    assert_eq!(last(&mut scene), "60 Resolved: is over: recovered");
}

#[test]
fn that_a_silence_does_not_hold_any_more_is_on_the_time_line_whatever_holds_besides() {
    let mut scene = Scene::new(&[lost()]);
    scene.silence("s", is("agent", "a"), 0, 100);
    scene.see(&[is_lost("a", Is::On)]);
    assert_eq!(last(&mut scene), "0 Held: muted by silence s of ana: test");
    scene.silence("t", is("cluster", "eu"), 0, 500);
    assert_eq!(last(&mut scene), "0 Held: muted by silence t of ana: test; before that by silence s");
    scene.until(50);
    scene.restart(10);
    scene.see(&[is_lost("a", Is::On)]);
    assert_eq!(lines(&mut scene), Vec::<String>::new());
    scene.until(100);
    assert_eq!(lines(&mut scene), Vec::<String>::new(), "the other one holds");
    scene.acknowledge("lost", agent("a"), None);
    scene.book.unsilence("t", None, scene.now());
    scene.take();
    assert_eq!(last(&mut scene), "100 Held: not muted by silence t any more");
    scene.silence("u", is("agent", "a"), 90, 500);
    assert_eq!(last(&mut scene), "100 Held: muted by silence u of ana: test");
    scene.book.unacknowledge(&AlertId { rule: "lost".into(), labels: agent("a") }, Some("bob"), scene.now());
    scene.take();
    lines(&mut scene);
    scene.book.unsilence("u", Some("bob"), scene.now());
    scene.take();
    assert_eq!(
        lines(&mut scene),
        [
            "100 Held: not muted by silence u any more: ended by bob",
            "100 Released: is not held back any more, and still fires"
        ]
    );
}

#[test]
fn the_incident_of_an_alert_is_found_by_the_word_that_receivers_have_for_it() {
    let mut scene = Scene::new(&[lost()]);
    scene.see(&[is_lost("a#1", Is::On), is_lost("a", Is::On)]);
    let word = |of: &str, episode: i64| format!("lost{}#{episode}", agent(of));
    let words = [word("a#1", 1), word("a", 1), word("a", 2), word("b", 1), "lost".to_owned(), "#".to_owned()];
    let found = |scene: &Scene| {
        let found = scene.book.incidents_of(&words).into_iter();
        found.map(|(incident, id)| (incident, short(&id))).collect::<Vec<_>>()
    };
    let before = found(&scene);
    let since = |scene: &Scene| scene.book.firing_since_ms(&format!("lost{}", agent("a")));
    assert_eq!(since(&scene), Some(scene.view("lost", agent("a")).since_ms));
    let incident = |scene: &Scene, of: &str| scene.view("lost", agent(of)).incident.unwrap();
    let named = |of: &str| format!("lost/{of}/eu");
    assert_eq!(before, [(incident(&scene, "a"), named("a")), (incident(&scene, "a#1"), named("a#1"))]);
    scene.restart(10);
    assert_eq!(found(&scene), before);
    scene.see(&[is_lost("a", Is::Off)]);
    scene.until(100);
    assert_eq!(found(&scene), before, "the end is told, too");
    assert_eq!(since(&scene), None);
    scene.see(&[is_lost("a", Is::On)]);
    scene.see(&[is_lost("a", Is::Off), is_lost("a#1", Is::Off)]);
    scene.until(3_000);
    assert_eq!((found(&scene).len(), scene.book.by_name.len()), (0, 0), "nothing is kept for ever");
}
