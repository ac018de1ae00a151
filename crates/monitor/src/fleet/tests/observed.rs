//! What the alert rules are told of the fleet: each thing once, and what stands behind it.

use super::*;
use farol_rules::{AgentCondition, Is, Observation, Shown};

/// In short words, in their order.
fn words(effects: &Effects) -> Vec<String> {
    let word = |observation: &Observation| match observation {
        Observation::Component(seen) => {
            assert_eq!(seen.agent.get("agent").map(|id| &**id), Some("a"));
            format!("{} {} {:?}", seen.component, seen.status, seen.evidence)
        }
        Observation::ComponentGone { component, how, .. } => format!("{component} gone: {}", how.as_str()),
        Observation::Service(name, Shown::Status(status)) => format!("service {name} {status}"),
        Observation::Service(name, Shown::Maintenance) => format!("service {name} maintenance"),
        Observation::ServiceGone(name) => format!("service {name} gone"),
        Observation::Exist { services, groups } => format!("all: {services:?} {groups:?}"),
        Observation::Agent { condition, is, .. } => format!("agent {condition:?} {is:?}"),
        Observation::AgentGone { how, .. } => format!("agent gone: {}", how.as_str()),
        other => format!("{other:?}"),
    };
    effects.observed.iter().map(word).collect()
}

fn open(scene: &Scene, boot: u64) -> Arc<Agent> {
    scene.connect(boot).0
}

const WELL: [Status; 2] = [Status::Healthy, Status::Healthy];

#[test]
fn a_status_is_told_once_and_again_when_what_stands_behind_it_changes() {
    let mut scene = Scene::new(Role::Host);
    let agent = open(&scene, 1);
    let told = scene.state(&agent, [Status::Healthy, Status::Unhealthy], Some(START.boot_ms));
    assert_eq!(
        words(&told),
        ["database healthy Now", "cache unhealthy Now", "service payments unhealthy"],
        "each in the step that brought it about"
    );
    assert_eq!(words(&scene.report(&agent, Vec::new())), [""; 0], "nothing is new");
    scene.pass(20_000);
    scene.heard();
    let lost = {
        let (mut all, mut now) = (Vec::new(), 0);
        while now < 40_000 {
            scene.now.run_ms += 250;
            scene.now.boot_ms += 250;
            scene.now.wall_ms += 250;
            scene.fleet.tick(scene.now);
            all.extend(words(&scene.heard()));
            now += 250;
        }
        all
    };
    assert!(lost.contains(&"agent Lost On".to_owned()), "{lost:?}");
    let last = |name: &str| lost.iter().rfind(|word| word.starts_with(name)).cloned();
    assert_eq!(last("cache").as_deref(), Some("cache unhealthy Absent"), "its status stays beneath");
    let back = words(&scene.state(&agent, WELL, Some(scene.now.boot_ms)));
    assert_eq!(back[0], "agent Lost Off", "{back:?}");
    assert!(back.contains(&"cache healthy Now".to_owned()), "{back:?}");
}

#[test]
fn a_planned_end_excuses_and_then_ends_as_left() {
    let mut scene = Scene::new(Role::Pod);
    let agent = open(&scene, 1);
    scene.state(&agent, WELL, Some(START.boot_ms));
    scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Workload, 5_000, scene.now);
    let told = words(&scene.heard());
    assert!(told.contains(&"cache healthy Excused".to_owned()), "{told:?}");
    assert!(told.contains(&"service payments maintenance".to_owned()), "{told:?}");
    scene.fleet.disconnected(&agent, stream_of(&agent), scene.now);
    let gone = words(&scene.heard());
    assert_eq!(gone.last().map(String::as_str), Some("agent gone: left"), "{gone:?}");
    assert!(gone.contains(&"cache gone: left".to_owned()), "{gone:?}");
    scene.pass(1_000);
}

#[test]
fn the_third_start_in_ten_minutes_is_told() {
    let scene = Scene::new(Role::Host);
    for boot in 1..=3 {
        let agent = open(&scene, boot);
        scene.state(&agent, WELL, Some(START.boot_ms));
        let restarting = |effects: &Effects| {
            effects.observed.iter().any(|observation| {
                matches!(
                    observation,
                    Observation::Agent { condition: AgentCondition::Restarting, is: Is::Happened, .. }
                )
            })
        };
        scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Agent, 0, scene.now);
        scene.fleet.disconnected(&agent, stream_of(&agent), scene.now);
        scene.heard();
        let next = open(&scene, boot + 1);
        assert_eq!(restarting(&scene.heard()), boot >= 2, "start {}", boot + 1);
        scene.fleet.goodbye(&next, stream_of(&next), Farewell::Agent, 0, scene.now);
        scene.fleet.disconnected(&next, stream_of(&next), scene.now);
    }
}

#[test]
fn after_a_restart_nothing_is_told_of_what_was_restored_until_it_is_heard_of() {
    let scene = Scene::new(Role::Host);
    let agent = open(&scene, 1);
    let kept = scene.state(&agent, [Status::Healthy, Status::Unhealthy], Some(START.boot_ms));
    let (record, components) = (agent.live.lock().record(agent.key, &agent.id), kept.components);
    let after = Scene::new(Role::Host);
    let restored = Restored { agents: vec![record], components, ..Restored::default() };
    after.fleet.restore(&restored, after.now);
    assert_eq!(words(&after.heard()), [""; 0]);
    let agent = open(&after, 1);
    let told = words(&after.state(&agent, [Status::Healthy, Status::Unhealthy], Some(START.boot_ms)));
    assert_eq!(told[0], "agent Lost Off", "whatever was known of it before");
    assert!(told.contains(&"cache unhealthy Now".to_owned()), "what did not change is told, too: {told:?}");
    assert!(told.contains(&"service payments unhealthy".to_owned()), "{told:?}");
}

#[test]
fn other_rules_are_told_everything_that_is_known_of_now() {
    let scene = Scene::new(Role::Host);
    let agent = open(&scene, 1);
    scene.state(&agent, WELL, Some(START.boot_ms));
    scene.fleet.take_rules(Default::default(), scene.now);
    assert_eq!(
        words(&scene.heard()),
        ["database healthy Now", "cache healthy Now", "service payments healthy", "all: [\"payments\"] []",]
    );
    let gone = scene.fleet.forget("a", scene.now);
    assert!(!gone, "it is not lost");
}

#[test]
fn what_was_known_of_the_series_of_an_agent_that_has_none_for_ten_minutes_is_gone() {
    let (mut scene, agent, _link) = Scene::online(Role::Host);
    let looked_at = |scene: &mut Scene, seconds: u64| -> Vec<(u64, usize)> {
        let mut found = Vec::new();
        for second in (0..seconds).step_by(10) {
            scene.pass(10_000);
            let observed = scene.report(&agent, Vec::new()).observed;
            found.extend(observed.iter().filter_map(|observation| match observation {
                Observation::Looked { labels, elements, .. }
                    if labels.get("agent").is_some_and(|id| &**id == "a") =>
                {
                    Some((second, elements.len()))
                }
                _ => None,
            }));
        }
        found
    };
    assert_eq!(looked_at(&mut scene, 1_200), [], "it did not say yet what it has");
    let none = farol_wire::Definition { sources: Vec::new(), series: Vec::new(), components: Vec::new() };
    let Ok(none) = scene.fleet.layouts.intern(none, |_| Ok::<_, std::convert::Infallible>(()));
    scene.fleet.agents()[0].live.lock().samples.start(none.compiled);
    assert_eq!(looked_at(&mut scene, 1_800), [(600, 0)], "once, and no sooner: its collectors may hang");
}

#[test]
fn rules_are_told_what_services_and_groups_there_are_also_when_the_monitor_forgot_those_that_were() {
    let scene = Scene::new(Role::Host);
    let agent = open(&scene, 1);
    let kept = scene.state(&agent, WELL, Some(START.boot_ms));
    let (record, components) = (agent.live.lock().record(agent.key, &agent.id), kept.components);
    let after = Scene::new(Role::Host);
    let groups = BTreeMap::from([("shop".to_owned(), BTreeSet::from(["stock".to_owned()]))]);
    let services = BTreeMap::from([("stock".to_owned(), Policy::default())]);
    after.fleet.declare(&services, &groups, after.now);
    after.fleet.restore(&Restored { agents: vec![record], components, ..Restored::default() }, after.now);
    after.heard();
    after.fleet.take_rules(Default::default(), after.now);
    let told = words(&after.heard());
    let all = "all: [\"payments\", \"stock\"] [\"shop\"]";
    assert_eq!(told.last().map(String::as_str), Some(all), "what restored agents have is there: {told:?}");
}

#[test]
fn a_check_of_another_kind_is_told_though_its_status_is_the_same() {
    let scene = Scene::new(Role::Host);
    let agent = open(&scene, 1);
    scene.state(&agent, WELL, Some(START.boot_ms));
    let other = ComponentDef { kind: "http".into(), ..def(2, "cache") };
    scene.fleet.define(&agent, stream_of(&agent), &[def(1, "database"), other], scene.now);
    assert_eq!(words(&scene.heard()), ["cache healthy Now"]);
}
