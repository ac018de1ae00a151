//! The monitor restarts: what it knew stands for a while.

use super::*;
use farol_rules::Observation;

/// The monitor ends, and another one begins so much later. Tells what that one brought about by itself.
fn restart_at(scene: &Scene, agent: &Arc<Agent>, asleep_ms: i64, run_ms: u64) -> (Scene, Effects) {
    let live = agent.live.lock();
    let restored = Restored {
        agents: vec![live.record(agent.key, &agent.id)],
        components: live.components.iter().map(|c| c.record(&agent.id)).collect(),
        last_agent_key: agent.key.0,
        ..Restored::default()
    };
    let now = Moment { run_ms, boot_ms: run_ms, wall_ms: scene.now.wall_ms + asleep_ms };
    begin(scene, &restored, now)
}

fn begin(scene: &Scene, restored: &Restored, now: Moment) -> (Scene, Effects) {
    begin_under(scene, restored, now, &[])
}

/// `windows` were in force before.
pub(super) fn begin_under(
    scene: &Scene,
    restored: &Restored,
    now: Moment,
    windows: &[farol_rules::Window],
) -> (Scene, Effects) {
    let mut new = Scene::new(scene.role);
    new.now = now;
    new.fleet.plan(Planned::at(windows, now.wall_ms), now);
    new.fleet.restore(restored, now);
    let effects = new.heard();
    (new, effects)
}

/// The new process has a boot clock of its own, as after a reboot.
fn restart(scene: &Scene, agent: &Arc<Agent>, asleep_ms: i64) -> Scene {
    restart_at(scene, agent, asleep_ms, 5_000).0
}

#[test]
fn after_a_restart_of_the_monitor_young_statuses_are_served_until_the_grace_is_over() {
    let (scene, agent, _) = Scene::online(Role::Host);
    let mut new = restart(&scene, &agent, 20_000);
    assert_eq!(new.shown("payments"), "healthy");
    assert!(matches!(new.fleet.agent("a").unwrap().live.lock().presence, Presence::Restored { .. }));
    assert!(new.pass(59_000).is_empty());
    assert!(kinds(&new.pass(2_000)).contains(&EventKind::AgentLost));
    assert_eq!(new.shown("payments"), "unknown");
}

#[test]
fn after_a_restart_of_the_monitor_old_statuses_are_unknown_at_once() {
    let (scene, agent, _) = Scene::online(Role::Host);
    let new = restart(&scene, &agent, 301_000);
    assert_eq!(new.shown("payments"), "unknown");
}

#[test]
fn an_agent_that_returns_to_a_restarted_monitor_changes_no_status() {
    let (scene, agent, _) = Scene::online(Role::Host);
    let new = restart(&scene, &agent, 4_000);
    let (agent, _) = new.connect(1);
    let effects = new.state(&agent, [Status::Healthy; 2], Some(new.now.boot_ms));
    assert!(effects.events.iter().all(|e| e.kind != EventKind::ComponentStatus), "{:?}", effects.events);
    assert_eq!(new.fleet.agent("a").unwrap().live.lock().presence, Presence::Here);
}

#[test]
fn after_a_restart_old_statuses_are_told_as_unknown_from_now_on_and_only_once() {
    let (scene, agent, _) = Scene::online(Role::Host);
    let (mut new, effects) = restart_at(&scene, &agent, 301_000, 90_000_000);
    let told: Vec<_> = effects.changes.iter().map(|c| (c.at_ms, c.status, c.stale)).collect();
    assert_eq!(told, [(new.now.wall_ms, Some(Status::Unknown), true); 2]);
    assert_eq!(effects.components.iter().filter(|record| record.stale).count(), 2);
    let expected = [EventKind::ComponentStatus, EventKind::ComponentStatus, EventKind::ServiceStatus];
    assert_eq!(kinds(&effects.events), expected, "{:?}", effects.events);
    assert_eq!(effects.events[2].from, Some("healthy"), "that is what it showed when the monitor stopped");
    assert_eq!(new.pass(59_000), [], "it may come back as the others do");
    assert_eq!(kinds(&new.pass(2_000)), [EventKind::AgentLost]);
    assert_eq!(new.pass(900_000), []);
}

#[test]
fn after_a_restart_what_was_told_before_is_not_told_again() {
    for asleep_ms in [20_000, 301_000] {
        let (mut scene, agent, _) = Scene::online(Role::Host);
        scene.pass(40_000);
        let (_, effects) = restart_at(&scene, &agent, asleep_ms, 90_000_000);
        assert!(effects.is_empty(), "{effects:?}");
    }
}

#[test]
fn an_agent_with_optional_components_only_that_was_lost_before_a_restart_is_unknown_after_it() {
    let (mut scene, agent, link) = Scene::online(Role::Host);
    let set = [ComponentDef { required: false, ..def(1, "disk") }];
    let now = vec![says(1, Status::Healthy, Some(scene.now.boot_ms))];
    scene.fleet.adopt(&agent, link.number, &set, now, scene.told());
    scene.fleet.disconnected(&agent, link.number, scene.now);
    scene.pass(31_000);
    assert_eq!(scene.shown("payments"), "unknown");
    let new = restart(&scene, &agent, 20_000);
    assert_eq!(new.shown("payments"), "unknown");
    let (agent, link) = new.connect(1);
    let now = vec![says(1, Status::Healthy, Some(new.now.boot_ms))];
    new.heard();
    new.fleet.adopt(&agent, link.number, &set, now, new.told());
    let back = new.heard();
    assert!(kinds(&back.events).contains(&EventKind::AgentBack), "{:?}", back.events);
    assert_eq!(new.shown("payments"), "healthy");
}

#[test]
fn an_agent_that_was_lost_before_it_came_after_a_restart_is_back_when_it_comes_and_a_new_one_is_not() {
    let (scene, agent, _) = Scene::online(Role::Host);
    let record = agent.live.lock().record(agent.key, &agent.id);
    let restored = Restored { agents: vec![record], last_agent_key: 1, ..Restored::default() };
    let (mut scene, _) = begin(&scene, &restored, scene.now);
    let events = scene.pass(61_000);
    assert!(kinds(&events).contains(&EventKind::AgentLost), "{events:?}");
    let (agent, _) = scene.connect(2);
    let back = scene.state(&agent, [Status::Healthy; 2], Some(scene.now.boot_ms));
    assert!(kinds(&back.events).contains(&EventKind::AgentBack), "{:?}", back.events);
    let fresh = Scene::new(Role::Host);
    let (agent, _) = fresh.connect(1);
    let first = fresh.state(&agent, [Status::Healthy; 2], Some(fresh.now.boot_ms));
    assert!(!kinds(&first.events).contains(&EventKind::AgentBack), "{:?}", first.events);
}

#[test]
fn an_agent_that_was_forgotten_comes_back_under_its_own_key_also_after_a_restart() {
    let (mut scene, agent, link) = Scene::online(Role::Pod);
    scene.fleet.disconnected(&agent, link.number, scene.now);
    scene.pass(60_000);
    assert!(scene.fleet.forget("a", scene.now));
    let record = agent.live.lock().record(agent.key, &agent.id);
    let forgotten = Restored { forgotten: vec![record], last_agent_key: 7, ..Restored::default() };
    let (again, effects) = begin(&scene, &forgotten, scene.now);
    assert!(effects.is_empty() && again.fleet.agents().is_empty(), "{effects:?}");
    for scene in [scene, again] {
        let (back, link) = scene.connect(1);
        assert_eq!(back.key, agent.key);
        // One that goes without a word is known as before.
        scene.fleet.disconnected(&back, link.number, scene.now);
        assert_eq!(scene.connect(1).0.key, agent.key);
        let stranger = scene.fleet.connect("b", &hello(1, Role::Pod), scene.now, &Default::default(), None);
        assert!(matches!(stranger, Connection::Open(b, _) if b.key != agent.key));
    }
}

/// An agent whose components were healthy for an hour, and a monitor that begins anew 20 s after. The store has each
/// component's record as it was when its status changed last.
fn after_a_well_hour(ttl_ms: u32) -> Scene {
    let (mut scene, agent, link) = Scene::online(Role::Host);
    let set = [ComponentDef { ttl_ms, ..def(1, "database") }];
    let now = vec![says(1, Status::Degraded, Some(scene.now.boot_ms))];
    scene.heard();
    scene.fleet.adopt(&agent, link.number, &set, now, scene.told());
    let stored = scene.heard().components;
    for _ in 0..360 {
        scene.pass(10_000);
        scene.report(&agent, Vec::new());
    }
    let agents = vec![agent.live.lock().record(agent.key, &agent.id)];
    let restored = Restored { agents, components: stored, last_agent_key: 1, ..Restored::default() };
    let now = Moment { run_ms: 90_000_000, boot_ms: 90_000_000, wall_ms: scene.now.wall_ms + 20_000 };
    begin(&scene, &restored, now).0
}

#[test]
fn a_restored_component_was_checked_when_its_agent_was_last_heard_and_not_when_its_status_changed() {
    // A check every 5 s is told with the next report; one every hour may have been made long before it.
    for (ttl_ms, age_ms) in [(15_500, 30_000_u32), (3 * 1_800_000, 20_000 + 1_800_000)] {
        let new = after_a_well_hour(ttl_ms);
        let agent = new.fleet.agent("a").unwrap();
        let live = agent.live.lock();
        let component = &live.components[0];
        assert_eq!(component.checked_wall_ms, Some(new.now.wall_ms - i64::from(age_ms)), "{ttl_ms}");
        assert_eq!(component.checked_run_ms, Some(new.now.run_ms - u64::from(age_ms)), "{ttl_ms}");
        assert_eq!(live.last_message_ms, new.now.run_ms - 20_000);
    }
}

#[test]
fn when_agent_and_monitor_restart_together_the_last_status_stands_for_the_restart_grace() {
    let mut new = after_a_well_hour(15_500);
    let (agent, link) = new.connect(2);
    let starting = || vec![says(1, Status::Starting, None)];
    new.fleet.adopt(&agent, link.number, &[def(1, "database")], starting(), new.told());
    assert_eq!(new.shown("payments"), "degraded");
    assert!(new.pass(25_000).is_empty());
    new.fleet.report(&agent, link.number, Reported::default(), new.told(), new.now.boot_ms);
    assert!(new.pass(4_750).is_empty());
    new.pass(250);
    assert_eq!(new.shown("payments"), "starting");
}

#[test]
fn after_a_long_pause_of_the_monitor_an_agent_has_the_time_of_a_restart_to_come_back() {
    let (mut scene, agent, link) = Scene::online(Role::Host);
    scene.fleet.excuse(scene.now);
    scene.fleet.disconnected(&agent, link.number, scene.now);
    assert!(
        !kinds(&scene.pass(59_000)).contains(&EventKind::AgentLost),
        "its back-off may have grown meanwhile"
    );
    assert_eq!(scene.shown("payments"), "healthy");
    assert!(
        kinds(&scene.pass(2_000)).contains(&EventKind::AgentLost),
        "one that does not come is lost all the same"
    );
    scene.fleet.excuse(scene.now);
    assert_eq!(scene.shown("payments"), "unknown", "who was lost before is not excused");
}

#[test]
fn the_time_to_come_back_is_as_configured_and_three_intervals_at_least() {
    for (configured_s, lost_after_ms) in [(600, 600_000), (1, 3 * 10_000)] {
        let (mut scene, agent, link) = Scene::online(Role::Host);
        scene.fleet.set_restart_grace(std::time::Duration::from_secs(configured_s));
        scene.fleet.excuse(scene.now);
        scene.fleet.disconnected(&agent, link.number, scene.now);
        assert!(!kinds(&scene.pass(lost_after_ms - 1_000)).contains(&EventKind::AgentLost));
        assert!(kinds(&scene.pass(2_000)).contains(&EventKind::AgentLost), "{configured_s} s");
    }
}

#[test]
fn only_what_was_not_bad_before_goes_bad_and_not_what_is_told_anew() {
    let went_bad = |scene: &Scene| scene.heard().went_bad.len();
    let (mut scene, agent, _) = Scene::online(Role::Host);
    assert_eq!(scene.state(&agent, [Status::Unhealthy, Status::Healthy], None).went_bad.len(), 1);
    scene.fleet.take_rules(Ruleset::default(), scene.now);
    assert_eq!(went_bad(&scene), 0, "a reload");
    scene.fleet.excuse(scene.now);
    scene.fleet.take_rules(Ruleset::default(), scene.now);
    assert_eq!(went_bad(&scene), 0, "a pause");
    for asleep_ms in [4_000, 301_000] {
        let (mut new, effects) = restart_at(&scene, &agent, asleep_ms, 5_000);
        new.fleet.take_rules(Ruleset::default(), new.now);
        assert_eq!((effects.went_bad.len(), went_bad(&new)), (0, 0), "a restart after {asleep_ms} ms");
        new.pass(59_000);
        let (agent, _) = new.connect(1);
        new.heard();
        let said = new.state(&agent, [Status::Unhealthy, Status::Unhealthy], Some(new.now.boot_ms));
        assert_eq!(said.went_bad.len(), 1, "the first was so before");
    }
    let mut lost = Vec::new();
    for _ in 0..70 {
        scene.now.run_ms += 1_000;
        scene.fleet.tick(scene.now);
        lost.extend(scene.heard().went_bad);
    }
    assert_eq!(lost, vec![(Arc::from("payments"), Arc::from("a")); 2]);
    let (new, _) = restart_at(&scene, &agent, 4_000, 5_000);
    new.fleet.take_rules(Ruleset::default(), new.now);
    assert_eq!(went_bad(&new), 0, "it was lost before");
}

/// What the alert rules were told of the service and of the agent, in its order.
fn told(effects: &Effects) -> Vec<String> {
    let word = |observation: &Observation| match observation {
        Observation::Component(seen) => Some(format!("part {:?}", seen.evidence)),
        Observation::Service(_, shown) => Some(format!("{shown:?}")),
        Observation::Agent { condition, is, .. } => Some(format!("{condition:?} {is:?}")),
        _ => None,
    };
    let mut words: Vec<String> = effects.observed.iter().filter_map(word).collect();
    words.dedup();
    words
}

#[test]
fn after_a_restart_the_rules_are_told_that_what_is_known_is_past_until_there_is_news_or_should_have_been() {
    for (asleep_ms, comes_back) in [(20_000, true), (20_000, false), (301_000, true), (301_000, false)] {
        let (scene, agent, _) = Scene::online(Role::Host);
        let mut new = restart(&scene, &agent, asleep_ms);
        new.fleet.retell(new.now);
        assert_eq!(told(&new.heard()), ["part Past", "Past"], "its components and its service, {asleep_ms}");
        new.pass(50_000);
        if comes_back {
            let (agent, _) = new.connect(1);
            let effects = new.state(&agent, [Status::Healthy; 2], Some(new.now.boot_ms));
            let expected = ["Lost Off", "part Now", "Status(Healthy)"];
            assert_eq!(told(&effects), expected, "though it shows the same, {asleep_ms}");
        } else {
            new.now.run_ms += 11_000;
            new.now.boot_ms += 11_000;
            new.now.wall_ms += 11_000;
            new.fleet.tick(new.now);
            assert_eq!(told(&new.heard()), ["Lost On", "part Absent", "Status(Unknown)"], "{asleep_ms}");
        }
    }
}

#[test]
fn an_agent_that_was_lost_before_a_restart_is_told_as_lost_anew_once_it_could_have_come_back() {
    for comes_back in [true, false] {
        let (mut scene, agent, _) = Scene::online(Role::Host);
        scene.pass(40_000);
        let mut new = restart(&scene, &agent, 20_000);
        new.fleet.retell(new.now);
        assert!(!told(&new.heard()).contains(&"Lost On".to_owned()));
        new.pass(50_000);
        if comes_back {
            let (agent, _) = new.connect(1);
            let effects = new.state(&agent, [Status::Healthy; 2], Some(new.now.boot_ms));
            assert_eq!(told(&effects)[0], "Lost Off");
        }
        new.now.run_ms += 10_000;
        new.fleet.tick(new.now);
        let lost = told(&new.heard()).contains(&"Lost On".to_owned());
        assert_eq!(lost, !comes_back);
        new.fleet.retell(new.now);
        assert_eq!(told(&new.heard()).contains(&"Lost On".to_owned()), !comes_back, "rules that come later");
    }
}

#[test]
fn after_a_standstill_what_was_known_is_told_as_past_and_an_agent_that_comes_back_with_less_is_of_now() {
    let (mut scene, agent, _) = Scene::online(Role::Host);
    scene.pass(20_000);
    scene.fleet.excuse(scene.now);
    assert_eq!(told(&scene.heard()), ["part Past", "Past"]);
    scene.fleet.disconnected(&agent, stream_of(&agent), scene.now);
    let (agent, link) = scene.connect(1);
    scene.heard();
    let now = vec![says(1, Status::Healthy, Some(scene.now.boot_ms))];
    scene.fleet.adopt(&agent, link.number, &[def(1, "database")], now, scene.told());
    assert_eq!(told(&scene.heard()).last().map(String::as_str), Some("Status(Healthy)"));
}
