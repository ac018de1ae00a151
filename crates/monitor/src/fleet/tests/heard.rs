//! What a report says of time: of its components, and of an agent that has said Goodbye.

use super::*;

#[test]
fn a_component_that_says_when_it_was_checked_is_not_younger_because_its_report_came_late() {
    let (mut scene, agent, _) = Scene::online(Role::Host);
    scene.pass(9_000);
    let (said, now) = (scene.now.boot_ms - 7_000, scene.now);
    scene.report(&agent, vec![says(1, Status::Healthy, Some(said))]);
    let live = agent.live.lock();
    let checked: Vec<_> = live.components.iter().map(|c| (c.checked_run_ms, c.checked_wall_ms)).collect();
    let at = |age_ms: u64| (Some(now.run_ms - age_ms), Some(now.wall_ms.saturating_sub_unsigned(age_ms)));
    assert_eq!(checked, [at(7_000), at(0)]);
}

#[test]
fn a_component_that_changes_without_saying_when_it_was_checked_is_as_young_as_its_report() {
    let (mut scene, agent, _) = Scene::online(Role::Host);
    scene.pass(9_000);
    scene.report(&agent, vec![says(1, Status::Degraded, None)]);
    let at = Some(scene.now.run_ms);
    assert_eq!(agent.live.lock().components[0].checked_run_ms, at);
}

#[test]
fn a_pod_that_is_drained_for_long_stays_while_it_speaks_and_leaves_when_it_is_silent() {
    let (mut scene, agent, _) = Scene::online(Role::Pod);
    // The word itself ends a silence, too.
    scene.pass(29_000);
    scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Workload, 600_000, scene.now);
    for _ in 0..10 {
        let events = scene.pass(29_000);
        assert!(!kinds(&events).contains(&EventKind::AgentLeft), "{events:?}");
        assert_eq!(scene.shown("payments"), "maintenance");
        scene.report(&agent, Vec::new());
    }
    let events = scene.pass(30_250);
    assert!(kinds(&events).contains(&EventKind::AgentLeft), "{events:?}");
    assert_eq!(scene.shown("payments"), "none");
}

#[test]
fn a_drained_agent_that_goes_on_speaking_is_held_and_lost_only_after_its_silence() {
    let (mut scene, agent, _) = Scene::online(Role::Host);
    scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Agent, 600_000, scene.now);
    for _ in 0..30 {
        let events = scene.pass(10_000);
        assert!(!kinds(&events).contains(&EventKind::AgentLost), "{events:?}");
        scene.report(&agent, Vec::new());
    }
    assert_eq!(agent.live.lock().presence.as_str(), "held");
    let events = scene.pass(61_000);
    assert!(kinds(&events).contains(&EventKind::AgentLost), "{events:?}");
}
