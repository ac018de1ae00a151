//! What many do at once: a dead database, a partition, a deployment.

use super::*;

fn pods(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("p{n:02}")).collect()
}

fn all(pods: &[String], see: impl Fn(&str) -> Observation) -> Vec<Observation> {
    pods.iter().map(|pod| see(pod)).collect()
}

fn no_words() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_dead_database_of_fifty_pods_is_one_alert_that_lists_them_and_what_it_holds_back() {
    let errors = Rule { name: "errors".into(), ..cpu() }.held_by("down", &["cluster"]);
    let mut scene = Scene::new(&[down(), errors]);
    let pods = pods(50);
    for pod in &pods {
        scene.see(&[bad(pod)]);
    }
    scene.until(5);
    let failing = |pod: &str, value| match measured(pod, value) {
        Observation::Measured(seen) => Observation::Measured(Measured { rule: "errors".into(), ..seen }),
        other => other,
    };
    scene.see(&all(&pods[..3], |pod| failing(pod, 99.0)));
    scene.until(10);
    assert_eq!(scene.heard(), ["0 ops First: +down/db/pay!"]);
    let view = scene.view("down", db());
    assert_eq!((view.elements.len(), view.elements_count, view.holds_count), (50, 50, 3));
    assert_eq!(view.holds[0], r#"errors{agent="p00",cluster="eu"}"#);
    let child = scene.view("errors", agent("p00"));
    assert_eq!(child.held_by, [r#"down{component="db",service="pay"}"#]);
    assert_eq!(child.incident, view.incident, "one cause, one incident");
    let why = scene.book.why("errors", &agent("p00"), scene.now()).unwrap();
    assert_eq!((why.held_by.len(), why.routes.len()), (16, 1));
    // The database is back. One pod sees so a little later than the others; two pods' errors go on, and those are told.
    scene.until(400);
    scene.see(&all(&pods, good));
    scene.until(420);
    assert_eq!(scene.view("errors", agent("p02")).held_by, [r#"down{component="db",service="pay"}"#]);
    scene.see(&[failing("p02", 1.0)]);
    scene.until(459);
    assert_eq!(scene.heard(), ["400 ops Resolved: -down/db/pay recovered"]);
    scene.until(462);
    assert_eq!(scene.heard(), ["460 ops Released: >errors/p00/eu!, >errors/p01/eu!"]);
    let open = scene.ledger.incidents.values().filter(|incident| incident.ended_ms.is_none()).count();
    assert_eq!((scene.ledger.incidents.len(), open), (1, 1), "the incident goes on with its children");
    scene.see(&all(&pods, |pod| failing(pod, 1.0)));
    scene.until(3_000);
    assert_eq!(scene.heard(), ["760 ops Resolved: -errors/p00/eu recovered, -errors/p01/eu recovered"]);
    assert!(scene.ledger.incidents.values().all(|incident| incident.ended_ms == Some(BEGAN_MS + 462_000)));
    assert!(scene.ledger.is_empty());
}

#[test]
fn when_half_of_the_agents_are_cut_off_only_that_is_told_and_afterwards_what_still_fires() {
    let cut = Rule { by: Some(vec!["cluster".into()]), ..lost() };
    let mut scene = Scene::new(&[cut, down().each().held_by("lost", &["agent"])]);
    let pods = pods(40);
    scene.see(&[bad("p39")]);
    assert_eq!(scene.heard(), ["0 ops First: +down/p39/eu/db/tcp/pay!"]);
    scene.until(400);
    for pod in &pods[20..] {
        scene.see(&[absent(pod, Status::Healthy), is_lost(pod, Is::On)]);
    }
    // What the cut makes fail behind it is seen later, by whoever comes back for a moment.
    scene.see(&[bad("p38")]);
    scene.until(900);
    assert_eq!(scene.heard(), ["400 ops First: +lost/eu!"]);
    let view = scene.view("lost", Labels::from([("cluster", "eu")]));
    assert_eq!((view.elements_count, view.holds_count), (20, 2));
    for pod in &pods[20..] {
        scene.see(&[is_lost(pod, Is::Off), if pod == "p38" || pod == "p39" { bad(pod) } else { good(pod) }]);
    }
    scene.until(962);
    assert_eq!(
        scene.heard(),
        [
            "901 ops Resolved: -lost/eu recovered",
            "960 ops Released: >down/p38/eu/db/tcp/pay!, >down/p39/eu/db/tcp/pay!",
        ]
    );
    scene.see(&[good("p38"), good("p39")]);
    scene.until(9_000);
    assert_eq!(
        scene.heard(),
        ["1260 ops Resolved: -down/p38/eu/db/tcp/pay recovered, -down/p39/eu/db/tcp/pay recovered"]
    );
    assert!(scene.ledger.is_empty());
}

#[test]
fn a_parent_and_its_children_seen_in_one_breath_are_one_notice_in_whatever_order() {
    for swap in [false, true] {
        let mut scene = Scene::new(&[lost(), down().each().held_by("lost", &["agent"])]);
        let mut seen = vec![bad("a"), is_lost("a", Is::On)];
        if swap {
            seen.reverse();
        }
        scene.see(&seen);
        scene.until(500);
        assert_eq!(scene.heard(), ["0 ops First: +lost/a/eu!"], "{swap}");
        assert_eq!(
            scene.tellings[0].alerts[0].holds,
            [r#"down{agent="a",cluster="eu",component="db",kind="tcp",service="pay"}"#]
        );
        // Another one at once: what is held back was just looked at.
        let mut scene = Scene::new(&[lost(), down().each().held_by("lost", &["agent"])]);
        scene.see(&[is_lost("b", Is::On)]);
        scene.see(&seen);
        scene.until(500);
        assert_eq!(scene.heard(), ["0 ops First: +lost/b/eu!", "0 ops More: +lost/a/eu!, =lost/b/eu!"]);
    }
}

#[test]
fn a_pending_parent_holds_its_children_and_when_it_calms_they_are_told() {
    let mut scene = Scene::new(&[lost().after_s(60), down().each().held_by("lost", &["agent"])]);
    scene.see(&[is_lost("a", Is::On), is_lost("b", Is::On), bad("a"), bad("b")]);
    scene.until(30);
    assert_eq!(scene.heard(), no_words());
    scene.see(&[is_lost("b", Is::Off)]);
    scene.until(70);
    assert_eq!(scene.heard(), ["30 ops Released: >down/b/eu/db/tcp/pay!", "60 ops First: +lost/a/eu!"]);
    let (parent, child) = (
        scene.view("lost", agent("a")),
        scene.view(
            "down",
            agent("a").with(Labels::from([("component", "db"), ("kind", "tcp"), ("service", "pay")]).iter()),
        ),
    );
    assert!(parent.incident.is_some());
    assert_eq!(parent.incident, child.incident);
    let incident = &scene.ledger.incidents[&*parent.incident.unwrap()];
    assert_eq!(&*incident.cause.rule, "lost", "the parent is the cause, though its child fired first");
    assert_eq!(incident.alerts.len(), 2);
}

#[test]
fn what_recovers_soon_after_what_held_it_back_is_told_to_nobody_and_what_does_not_is() {
    let lost = || Rule { flap: Flap { changes: 0, within_ms: 0 }, ..lost() };
    for restart_s in [None, Some(0), Some(600)] {
        let mut scene = Scene::new(&[lost(), down().each().held_by("lost", &["agent"])]);
        scene.see(&[is_lost("a", Is::On), is_lost("b", Is::On), bad("a"), bad("b")]);
        scene.until(400);
        scene.heard();
        scene.see(&[is_lost("a", Is::Off), is_lost("b", Is::Off)]);
        scene.until(430);
        if let Some(down_s) = restart_s {
            scene.restart(down_s);
            scene.see(&[bad("b")]);
        }
        // What fails just after it is not its own fault either.
        scene.see(&[good("a"), component("b", "cache", Status::Unhealthy, Evidence::Now)]);
        scene.until(459);
        assert_eq!(scene.heard(), ["400 ops Resolved: -lost/a/eu recovered, -lost/b/eu recovered"]);
        scene.until(500);
        assert_eq!(
            scene.heard(),
            ["460 ops Released: >down/b/eu/cache/tcp/pay!, >down/b/eu/db/tcp/pay!"],
            "{restart_s:?}"
        );
        scene.see(&[bad("a")]);
        scene.until(502);
        assert_eq!(scene.heard().len(), 1, "from then on each is told at once");
        scene.see(&[good("a"), good("b"), component("b", "cache", Status::Healthy, Evidence::Now)]);
        scene.until(4_000);
        assert!(scene.ledger.is_empty() && scene.book.elements.is_empty());
    }
}

#[test]
fn what_is_back_before_its_children_are_let_go_holds_them_on() {
    let mut scene = Scene::new(&[lost().after_s(30), down().each().held_by("lost", &["agent"])]);
    scene.see(&[is_lost("a", Is::On), bad("a")]);
    scene.until(400);
    assert_eq!(scene.heard(), ["30 ops First: +lost/a/eu!"]);
    scene.see(&[is_lost("a", Is::Off)]);
    scene.until(420);
    // For a moment only: that takes nothing away.
    scene.see(&[is_lost("a", Is::On)]);
    scene.until(425);
    scene.see(&[is_lost("a", Is::Off)]);
    scene.until(450);
    scene.see(&[is_lost("a", Is::On)]);
    scene.until(470);
    let orders = scene.orders.clone();
    scene.book.order(orders, scene.now());
    scene.until(900);
    assert_eq!(
        scene.heard(),
        ["400 ops Resolved: -lost/a/eu recovered", "480 ops First: +lost/a/eu!"],
        "nothing but the parent"
    );
}

#[test]
fn what_is_pending_holds_for_a_minute_and_only_while_it_is_seen() {
    let rules = |for_s| [cpu().after_s(for_s), down().each().held_by("cpu", &["cluster"])];
    // Its node dies: nothing is known of it any more.
    let mut scene = Scene::new(&rules(300));
    scene.see(&[measured("a", 99.0)]);
    scene.until(10);
    scene.see(&[bad("b")]);
    scene.until(29);
    assert_eq!(scene.heard(), no_words());
    scene.until(200);
    assert_eq!(scene.heard(), ["30 ops Released: >down/b/eu/db/tcp/pay!"]);
    // It is seen, and will not fire for an hour.
    for restart in [false, true] {
        let mut scene = Scene::new(&rules(3_600));
        scene.see(&[measured("a", 99.0), bad("b")]);
        for second in (10..=200).step_by(10) {
            scene.until(second);
            scene.see(&[measured("a", 99.0)]);
            if restart && (second == 30 || second == 90) {
                scene.restart(0);
                scene.see(&[measured("a", 99.0), bad("b")]);
            }
        }
        assert_eq!(scene.heard(), ["60 ops Released: >down/b/eu/db/tcp/pay!"], "{restart}");
    }
}

#[test]
fn a_rolling_deployment_of_fifty_pods_tells_nobody() {
    let stale = Judge::Statuses { statuses: Vec::new(), stale: true, severity: Severity::Warning };
    let stale =
        rule("stale", Subject::Component { name: None, kind: None }, stale).held_by("lost", &["agent"]);
    let mut scene =
        Scene::new(&[lost().after_s(30), down().held_by("lost", &["agent"]), stale, service_down()]);
    let old = pods(50);
    scene.see(&all(&old, good));
    for (n, pod) in old.iter().enumerate() {
        let second = 20 * n as u64;
        scene.until(second);
        let new = format!("n{n:02}");
        // It says goodbye, fails while it stops, and leaves; the next one starts and fails at first.
        scene.see(&[component(pod, "db", Status::Healthy, Evidence::Excused)]);
        scene.see(&[component(pod, "db", Status::Unhealthy, Evidence::Excused)]);
        scene.see(&[component(&new, "db", Status::Starting, Evidence::Now)]);
        scene.see(&[Observation::Service("pay".into(), Shown::Status(Status::Degraded))]);
        scene.until(second + 10);
        scene.see(&[gone(pod, Ending::Left), good(&new)]);
        scene.see(&[Observation::Service("pay".into(), Shown::Status(Status::Healthy))]);
    }
    scene.until(3_000);
    assert_eq!(scene.heard(), no_words());
    assert!(scene.ledger.is_empty());
    assert_eq!((scene.book.elements.len(), scene.book.by_agent.len()), (0, 0));
}

#[test]
fn a_drained_node_takes_what_was_told_of_it_along_and_nothing_else() {
    let mut scene = Scene::new(&[lost(), down().each().held_by("lost", &["agent"])]);
    let pods = pods(10);
    scene.see(&[bad("p00")]);
    scene.until(400);
    scene.heard();
    scene.see(&all(&pods, |pod| component(pod, "db", Status::Unhealthy, Evidence::Excused)));
    scene.until(430);
    assert_eq!(scene.heard(), no_words(), "that it leaves ends nothing yet");
    scene.see(&all(&pods, |pod| gone(pod, Ending::Left)));
    scene.until(2_000);
    assert_eq!(scene.heard(), ["430 ops Resolved: -down/p00/eu/db/tcp/pay left"]);
}

#[test]
fn what_an_agent_has_no_more_is_removed_after_an_hour_and_what_it_checks_no_more_at_once() {
    let none = || Observation::Looked { labels: agent("a"), elements: Vec::new(), for_good: false };
    let no_more = |for_good| Observation::ReadingGone { rule: "cpu".into(), labels: agent("a"), for_good };
    for (seen, at_s) in [(none(), 4_000), (no_more(false), 4_000), (no_more(true), 400)] {
        let mut scene = Scene::new(&[cpu(), down().each()]);
        scene.see(&[measured("a", 99.0), bad("a")]);
        scene.until(400);
        scene.heard();
        let (agent, service, component) = ("a".into(), "pay".into(), "db".into());
        scene.see(&[Observation::ComponentGone { agent, service, component, how: Ending::Removed }]);
        scene.see(&[seen]);
        scene.until(4_900);
        let cpu = format!("{at_s} ops Resolved: -cpu/a/eu removed");
        let heard = scene.heard();
        assert_eq!(heard.len(), 2, "{heard:?}");
        assert!(heard.contains(&"400 ops Resolved: -down/a/eu/db/tcp/pay removed".to_owned()), "{heard:?}");
        assert!(heard.contains(&cpu), "{heard:?}");
        assert!(scene.ledger.is_empty());
    }
}

#[test]
fn what_was_missing_for_less_than_an_hour_goes_on_as_it_was() {
    let mut scene = Scene::new(&[cpu()]);
    scene.see(&[measured("a", 99.0)]);
    scene.until(400);
    scene.heard();
    scene.see(&[Observation::ReadingGone { rule: "cpu".into(), labels: agent("a"), for_good: false }]);
    scene.until(3_900);
    scene.see(&[measured("a", 98.0)]);
    scene.until(4_100);
    assert_eq!(scene.heard(), no_words());
    scene.see(&[measured("a", 1.0)]);
    scene.until(4_200);
    assert_eq!(scene.heard(), ["4100 ops Resolved: -cpu/a/eu recovered"]);
}

#[test]
fn what_a_bad_component_measures_no_more_is_not_gone_before_that_is_well() {
    let mut scene = Scene::new(&[cpu(), down()]);
    let of_db = db().with(agent("a").iter());
    let Observation::Measured(seen) = measured("a", 99.0) else { unreachable!() };
    scene.see(&[Observation::Measured(Measured { labels: of_db.clone(), ..seen }), bad("a")]);
    scene.until(400);
    scene.heard();
    scene.see(&[Observation::ReadingGone { rule: "cpu".into(), labels: of_db, for_good: false }]);
    scene.until(7_000);
    assert_eq!(scene.heard(), no_words());
    scene.see(&[good("a")]);
    scene.until(8_000);
    let heard = ["7000 ops Resolved: -down/db/pay recovered", "7600 ops Resolved: -cpu/a/eu/db/pay removed"];
    assert_eq!(scene.heard(), heard);
}

#[test]
fn what_an_agent_has_no_more_is_not_gone_while_nothing_is_heard_of_that_agent() {
    let mut scene = Scene::new(&[cpu()]);
    scene.see(&[measured("a", 99.0)]);
    scene.until(400);
    scene.heard();
    scene.see(&[Observation::ReadingGone { rule: "cpu".into(), labels: agent("a"), for_good: false }]);
    scene.until(500);
    // No rule needs to look at it.
    scene.see(&[is_lost("a", Is::On)]);
    scene.until(7_000);
    assert_eq!(scene.heard(), no_words());
    scene.see(&[is_lost("a", Is::Off)]);
    scene.until(8_000);
    assert_eq!(scene.heard(), ["7600 ops Resolved: -cpu/a/eu removed"]);
    for last in [is_lost("a", Is::Off), gone("a", Ending::Forgotten)] {
        scene.see(&[is_lost("a", Is::On), last]);
        assert!(scene.book.lost.is_empty());
    }
}

#[test]
fn a_new_critical_alert_is_told_at_once_and_a_crowd_of_them_is_told_as_one() {
    let mut scene = Scene::new(&[cpu()]);
    let told = |scene: &mut Scene| scene.heard().len();
    scene.see(&[measured("a", 90.0)]);
    assert_eq!(told(&mut scene), 1);
    scene.ran_ms += 10;
    scene.see(&[measured("b", 90.0)]);
    assert_eq!(scene.heard(), ["0 ops More: =cpu/a/eu!, +cpu/b/eu!"], "10 ms later, and not a second");
    scene.ran_ms += 10;
    scene.see(&[measured("a", 1.0), measured("c", 80.0)]);
    assert_eq!(told(&mut scene), 0, "there is time for the rest");
    for n in 0..300 {
        scene.ran_ms += 10;
        scene.see(&[measured(&format!("n{n}"), 90.0)]);
        scene.book.tick(scene.now());
        scene.take();
    }
    scene.until(20);
    assert_eq!(scene.heard().len(), 2, "of three seconds");
    let told = scene.tellings.iter().flat_map(|telling| &telling.notice.firing);
    assert_eq!(
        told.filter(|alert| alert.why == Why::First).count(),
        303,
        "the crowd, a and b, and c by the way"
    );
    scene.until(60);
    scene.heard();
    scene.see(&[measured("z", 90.0)]);
    assert_eq!(scene.heard().len(), 1, "the crowd is gone");
}
