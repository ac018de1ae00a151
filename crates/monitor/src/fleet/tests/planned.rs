//! Maintenance windows: what drains is left out and comes back, what is muted only stops counting.

use super::restart::begin_under;
use super::*;
use farol_rules::{Evidence, Observation, Schedule, Window, WindowMode};

/// Ends an hour after the start of the tests.
fn window(mode: WindowMode, on: &[(&str, &str)]) -> Window {
    let from_ms = START.wall_ms - 1_000;
    Window {
        id: "w".into(),
        name: "w".into(),
        matchers: on
            .iter()
            .map(|(label, pattern)| farol_rules::Matcher {
                label: (*label).into(),
                pattern: farol_rules::Pattern::parse(pattern).unwrap(),
            })
            .collect(),
        mode,
        schedule: Schedule::Once { from_ms, to_ms: START.wall_ms + 3_600_000 },
        author: "ann".into(),
        reason: "new disks".into(),
        created_ms: from_ms,
        ends_ms: None,
    }
}

impl Scene {
    /// These windows are all there are.
    fn plan(&self, windows: &[Window]) -> Effects {
        self.heard();
        self.fleet.plan(Planned::at(windows, self.now.wall_ms), self.now);
        self.heard()
    }
}

fn evidence(effects: &Effects) -> Vec<(&str, Evidence)> {
    let of = |seen: &'_ Observation| match seen {
        Observation::Component(seen) => Some(seen.evidence),
        _ => None,
    };
    let name = |seen: &'_ Observation| match seen {
        Observation::Component(seen) if *seen.component == *"cache" => "cache",
        _ => "database",
    };
    effects.observed.iter().filter_map(|seen| Some((name(seen), of(seen)?))).collect()
}

fn changes(effects: &Effects) -> Vec<(String, &'static str, bool, bool)> {
    let one = |c: &crate::store::StatusChange| {
        (c.key.component.to_string(), c.status.map_or("gone", |s| s.as_str()), c.maintenance, c.muted)
    };
    effects.changes.iter().map(one).collect()
}

#[test]
fn what_a_window_drains_is_left_out_until_it_ends_and_its_true_status_goes_on_beneath() {
    let (mut scene, agent, _) = Scene::online(Role::Host);
    let drain = window(WindowMode::Drain, &[("service", "payments")]);
    let effects = scene.plan(std::slice::from_ref(&drain));
    assert_eq!(scene.shown("payments"), "maintenance");
    assert_eq!(scene.fleet.service("payments").unwrap().ready.as_str(), "maintenance");
    assert_eq!(scene.fleet.drained_until("payments"), Some(START.wall_ms + 3_600_000));
    assert_eq!(evidence(&effects), [("database", Evidence::Excused), ("cache", Evidence::Excused)]);
    let rows =
        [("database".to_owned(), "healthy", true, false), ("cache".to_owned(), "healthy", true, false)];
    assert_eq!(changes(&effects), rows);
    assert!(scene.plan(std::slice::from_ref(&drain)).is_empty(), "the same again says nothing");
    scene.report(&agent, vec![says(1, Status::Unhealthy, Some(scene.now.boot_ms))]);
    assert_eq!(scene.shown("payments"), "maintenance");
    assert_eq!(agent.live.lock().components[0].status(), Status::Unhealthy);
    scene.now.wall_ms += 3_600_000;
    let effects = scene.plan(&[drain]);
    assert_eq!(scene.shown("payments"), "unhealthy");
    assert_eq!(evidence(&effects), [("database", Evidence::Now), ("cache", Evidence::Now)]);
    assert_eq!(scene.fleet.drained_until("payments"), None);
}

#[test]
fn what_a_window_mutes_shows_the_truth_and_says_that_it_does_not_count() {
    let (scene, agent, _) = Scene::online(Role::Host);
    let mute = window(WindowMode::Mute, &[("component", "database"), ("agent", "~a|b")]);
    let effects = scene.plan(std::slice::from_ref(&mute));
    assert_eq!(changes(&effects), [("database".to_owned(), "healthy", false, true)]);
    assert!(effects.events.is_empty() && effects.observed.is_empty(), "{effects:?}");
    let worse = scene.report(&agent, vec![says(1, Status::Unhealthy, Some(scene.now.boot_ms))]);
    assert_eq!(changes(&worse), [("database".to_owned(), "unhealthy", false, true)]);
    assert_eq!(evidence(&worse), [("database", Evidence::Now)]);
    assert_eq!(scene.shown("payments"), "unhealthy");
    assert!(agent.live.lock().drains().is_empty());
    let over = scene.plan(&[]);
    assert_eq!(changes(&over), [("database".to_owned(), "unhealthy", false, false)]);
}

#[test]
fn an_agent_that_is_off_while_it_drains_is_missed_by_no_service() {
    let (mut scene, agent, link) = Scene::online(Role::Host);
    scene.plan(&[window(WindowMode::Drain, &[("agent", "a")])]);
    scene.fleet.disconnected(&agent, link.number, scene.now);
    assert!(kinds(&scene.pass(60_000)).contains(&EventKind::AgentLost));
    assert_eq!(scene.shown("payments"), "maintenance");
    scene.plan(&[]);
    assert_eq!(scene.shown("payments"), "unknown");
}

#[test]
fn the_stream_is_told_what_of_its_agent_drains_and_what_no_longer_does() {
    let (scene, agent, link) = Scene::online(Role::Host);
    let context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(!link.nudges.take(&context).has(Want::Drain), "nothing drains, and nothing did");
    let wanted = |windows: &[Window]| {
        scene.plan(windows);
        let told = link.nudges.take(&context).has(Want::Drain);
        let drains = agent.live.lock().drains().clone();
        let names = |names: &[Arc<str>]| names.join(",");
        (told, drains.whole, names(&drains.services), names(&drains.components))
    };
    let says = |told, whole, services: &str, components: &str| {
        (told, whole, services.to_owned(), components.to_owned())
    };
    let drain = |on: &[(&str, &str)]| window(WindowMode::Drain, on);
    assert_eq!(wanted(&[drain(&[("agent", "a")])]), says(true, true, "payments", ""));
    assert_eq!(wanted(&[drain(&[("service", "payments")])]), says(true, false, "payments", ""));
    assert_eq!(wanted(&[drain(&[("component", "cache")])]), says(true, false, "", "cache"));
    let elsewhere = drain(&[("agent", "b")]);
    assert_eq!(wanted(&[drain(&[("component", "cache")]), elsewhere]), says(false, false, "", "cache"));
    assert_eq!(wanted(&[]), says(true, false, "", ""));
}

#[test]
fn who_comes_or_is_defined_inside_a_window_is_under_it() {
    let scene = Scene::new(Role::Host);
    scene.plan(&[window(WindowMode::Drain, &[("component", "cache")])]);
    let (agent, _) = scene.connect(1);
    scene.state(&agent, [Status::Healthy, Status::Unhealthy], Some(scene.now.boot_ms));
    assert_eq!(scene.shown("payments"), "healthy", "the cache is left out");
    assert_eq!(scene.shown("payments/cache"), "maintenance");
    assert_eq!(agent.live.lock().drains().components, [Arc::<str>::from("cache")]);
}

#[test]
fn a_window_that_ended_while_the_monitor_did_not_run_ends_when_it_runs_again() {
    let (scene, agent, _) = Scene::online(Role::Host);
    let mute = [window(WindowMode::Mute, &[("agent", "a")])];
    scene.plan(&mute);
    let restored = {
        let live = agent.live.lock();
        Restored {
            agents: vec![live.record(agent.key, &agent.id)],
            components: live.components.iter().map(|c| c.record(&agent.id)).collect(),
            last_agent_key: agent.key.0,
            ..Restored::default()
        }
    };
    let now = Moment { wall_ms: START.wall_ms + 10_000, ..START };
    let (new, effects) = begin_under(&scene, &restored, now, &mute);
    assert!(changes(&effects).is_empty(), "it was told before: {effects:?}");
    let rows = changes(&new.plan(&[]));
    assert_eq!(
        rows,
        [("database".into(), "healthy", false, false), ("cache".into(), "healthy", false, false)]
    );
}
