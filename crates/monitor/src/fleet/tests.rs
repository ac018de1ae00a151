//! The fleet's state machine, step by step, on clocks that the tests move.

use super::*;
use farol_health::Status;
use farol_wire::{Bitmap, Boot, Role};

mod heard;
mod looks;
mod measured;
mod observed;
mod order;
mod planned;
mod replaced;
mod restart;

/// A fleet with one agent of two components, and the clocks.
struct Scene {
    fleet: Fleet,
    heard: Arc<Heard>,
    now: Moment,
    role: Role,
}

/// Keeps what is published until it is asked for.
#[derive(Default)]
struct Heard(Mutex<Effects>);

impl Outlet for Heard {
    fn publish(&self, effects: &Effects, _: Moment) {
        let mut all = self.0.lock();
        all.events.extend_from_slice(&effects.events);
        all.changes.extend_from_slice(&effects.changes);
        all.components.extend_from_slice(&effects.components);
        all.removed.extend_from_slice(&effects.removed);
        all.agents.extend_from_slice(&effects.agents);
        all.forgotten.extend_from_slice(&effects.forgotten);
        all.observed.extend_from_slice(&effects.observed);
        all.went_bad.extend_from_slice(&effects.went_bad);
        all.shown_changed |= effects.shown_changed;
    }
}

const START: Moment = Moment { run_ms: 1_000_000, boot_ms: 1_000_000, wall_ms: 1_800_000_000_000 };

fn hello(number: u64, role: Role) -> Hello {
    Hello {
        agent: "a".into(),
        role,
        boot: Boot { number, nonce: number },
        spooled: Vec::new(),
        labels: BTreeMap::new(),
        version: "1".into(),
        protocol: (1, 1),
        interval_ms: 10_000,
        wall_ms: 0,
        clock_ms: 0,
        scope: String::new(),
        accept_drain: false,
    }
}

fn def(id: u32, name: &str) -> ComponentDef {
    ComponentDef {
        id,
        service: "payments".into(),
        name: name.into(),
        required: true,
        readiness: id == 1,
        ttl_ms: 15_500,
        kind: "tcp".into(),
        labels: BTreeMap::new(),
    }
}

fn says(id: u32, hard: Status, checked_ms: Option<u64>) -> ComponentReport {
    ComponentReport {
        id,
        hard,
        soft: hard,
        reason: "ok".into(),
        message: String::new(),
        checked_ms,
        maintenance: false,
    }
}

/// The stream that speaks for the agent.
fn stream_of(agent: &Arc<Agent>) -> u64 {
    agent.live.lock().stream.as_ref().map_or(0, |link| link.number)
}

impl Scene {
    fn new(role: Role) -> Self {
        let heard = Arc::new(Heard::default());
        let fleet = Fleet::new(Arc::clone(&heard) as Arc<dyn Outlet>);
        Self { fleet, heard, now: START, role }
    }

    /// What came about since this was asked last.
    fn heard(&self) -> Effects {
        std::mem::take(&mut self.heard.0.lock())
    }

    /// The agent's clock is the monitor's in these tests.
    fn told(&self) -> Told {
        Told { now: self.now, offset_ms: 0 }
    }

    fn pass(&mut self, ms: u64) -> Vec<Event> {
        self.heard();
        for _ in 0..ms / 250 {
            self.now.run_ms += 250;
            self.now.boot_ms += 250;
            self.now.wall_ms += 250;
            self.fleet.tick(self.now);
        }
        self.heard().events
    }

    fn connect(&self, boot: u64) -> (Arc<Agent>, Arc<StreamLink>) {
        match self.fleet.connect("a", &hello(boot, self.role), self.now, &Default::default(), None) {
            Connection::Open(agent, link) => (agent, link),
            Connection::Occupied(_) => panic!("the agent's place is taken"),
        }
    }

    fn state(&self, agent: &Arc<Agent>, statuses: [Status; 2], checked: Option<u64>) -> Effects {
        let set = [def(1, "database"), def(2, "cache")];
        let now = vec![says(1, statuses[0], checked), says(2, statuses[1], checked)];
        self.heard();
        self.fleet.adopt(agent, stream_of(agent), &set, now, self.told());
        self.heard()
    }

    fn report(&self, agent: &Arc<Agent>, changed: Vec<ComponentReport>) -> Effects {
        let mut checked = Bitmap::default();
        checked.set(0);
        checked.set(1);
        self.heard();
        let reported = Reported { changed, checked };
        self.fleet.report(agent, stream_of(agent), reported, self.told(), self.now.boot_ms);
        self.heard()
    }

    fn online(role: Role) -> (Self, Arc<Agent>, Arc<StreamLink>) {
        let scene = Self::new(role);
        let (agent, link) = scene.connect(1);
        scene.state(&agent, [Status::Healthy; 2], Some(scene.now.boot_ms));
        (scene, agent, link)
    }

    fn shown(&self, name: &str) -> String {
        self.fleet.shown(name).map_or("none".into(), |s| s.to_string())
    }
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|e| e.kind).collect()
}

#[test]
fn every_name_of_an_agent_shows_its_status() {
    let (scene, agent, _) = Scene::online(Role::Host);
    scene.report(&agent, vec![says(1, Status::Unhealthy, Some(scene.now.boot_ms))]);
    for (name, expected) in [
        ("payments", "unhealthy"),
        ("payments/database", "unhealthy"),
        ("payments/cache", "healthy"),
        ("payments@a", "unhealthy"),
        ("payments/cache@a", "healthy"),
        ("payments@b", "none"),
        ("payments/nothing", "none"),
        ("other", "none"),
        ("group:payments", "none"),
    ] {
        assert_eq!(scene.shown(name), expected, "{name}");
    }
}

#[test]
fn an_agent_silent_for_three_intervals_is_lost_and_its_last_statuses_stay_beneath() {
    let (mut scene, agent, _) = Scene::online(Role::Host);
    // The components' own time to live is shorter than the agent's silence here: keep them fresh by reports.
    for _ in 0..3 {
        scene.pass(10_000);
        scene.report(&agent, Vec::new());
    }
    let events = scene.pass(15_500);
    assert!(events.is_empty(), "neither clock has run out: {events:?}");
    let events = scene.pass(15_000);
    assert!(kinds(&events).contains(&EventKind::AgentLost), "{events:?}");
    assert_eq!(scene.shown("payments"), "unknown");
    let live = agent.live.lock();
    assert!(live.components.iter().all(|c| c.stale && c.hard == Status::Healthy));
}

#[test]
fn a_component_that_is_not_checked_is_stale_while_its_agent_lives() {
    let (mut scene, agent, _) = Scene::online(Role::Host);
    for _ in 0..3 {
        scene.pass(10_000);
        let mut only_second = Bitmap::default();
        only_second.set(1);
        let reported = Reported { changed: Vec::new(), checked: only_second };
        scene.fleet.report(&agent, stream_of(&agent), reported, scene.told(), scene.now.boot_ms);
    }
    assert_eq!(scene.shown("payments/database"), "unknown");
    assert_eq!(scene.shown("payments/cache"), "healthy");
    let back = scene.report(&agent, Vec::new());
    assert_eq!(scene.shown("payments/database"), "healthy");
    assert!(kinds(&back.events).contains(&EventKind::ComponentStatus));
}

#[test]
fn a_component_that_is_checked_more_often_than_its_agent_reports_is_never_stale_in_between() {
    let (mut scene, agent, _) = Scene::online(Role::Host);
    let quick = ComponentDef { ttl_ms: 800, ..def(1, "database") };
    let now = vec![says(1, Status::Healthy, Some(scene.now.boot_ms))];
    scene.fleet.adopt(&agent, stream_of(&agent), &[quick], now, scene.told());
    for _ in 0..3 {
        let events = scene.pass(10_000);
        assert!(events.is_empty(), "{events:?}");
        scene.report(&agent, Vec::new());
    }
    assert_eq!(scene.shown("payments/database"), "healthy");
    let mut unchecked = Bitmap::default();
    unchecked.set(1);
    scene.pass(10_000);
    let reported = Reported { changed: Vec::new(), checked: unchecked };
    scene.fleet.report(&agent, stream_of(&agent), reported, scene.told(), scene.now.boot_ms);
    scene.pass(1_000);
    assert_eq!(scene.shown("payments/database"), "unknown", "a report without it came");
}

#[test]
fn a_pod_that_says_goodbye_is_in_maintenance_and_leaves_with_its_stream() {
    let (scene, agent, link) = Scene::online(Role::Pod);
    scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Workload, 30_000, scene.now);
    assert_eq!(scene.shown("payments"), "maintenance");
    scene.report(&agent, Vec::new());
    assert_eq!(scene.shown("payments"), "maintenance", "its last report does not bring it back");
    scene.heard();
    scene.fleet.disconnected(&agent, link.number, scene.now);
    let effects = scene.heard();
    assert!(kinds(&effects.events).contains(&EventKind::AgentLeft));
    assert!(scene.fleet.agent("a").is_none());
    assert_eq!(scene.shown("payments"), "none");
}

#[test]
fn a_pod_that_says_goodbye_and_hangs_leaves_at_its_deadline() {
    let (mut scene, agent, _) = Scene::online(Role::Pod);
    scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Workload, 5_000, scene.now);
    let events = scene.pass(5_250);
    assert!(kinds(&events).contains(&EventKind::AgentLeft), "{events:?}");
}

#[test]
fn a_node_agent_that_restarts_within_a_minute_changes_no_status_at_all() {
    let (mut scene, agent, link) = Scene::online(Role::Node);
    scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Agent, 5_000, scene.now);
    scene.fleet.disconnected(&agent, link.number, scene.now);
    let mut events = scene.pass(40_000);
    let (agent, _) = scene.connect(2);
    events.extend(scene.state(&agent, [Status::Starting; 2], None).events);
    assert_eq!(scene.shown("payments"), "healthy", "the new boot has no result yet");
    events.extend(scene.pass(1_000));
    let now = Some(scene.now.boot_ms);
    let first = vec![says(1, Status::Healthy, now), says(2, Status::Healthy, now)];
    events.extend(scene.report(&agent, first).events);
    events.extend(scene.pass(5_000));
    let status = |e: &&Event| matches!(e.kind, EventKind::ComponentStatus | EventKind::ServiceStatus);
    assert_eq!(events.iter().filter(status).count(), 0, "{events:?}");
}

#[test]
fn a_node_agent_that_does_not_come_back_is_lost_after_the_restart_grace() {
    let (mut scene, agent, link) = Scene::online(Role::Node);
    scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Agent, 5_000, scene.now);
    scene.fleet.disconnected(&agent, link.number, scene.now);
    assert!(scene.pass(59_500).is_empty());
    let events = scene.pass(1_000);
    assert!(kinds(&events).contains(&EventKind::AgentLost), "{events:?}");
    assert_eq!(scene.shown("payments"), "unknown");
}

#[test]
fn an_agent_with_optional_components_only_is_unknown_when_lost() {
    let (scene, agent, _) = Scene::online(Role::Host);
    let set = [ComponentDef { required: false, ..def(1, "disk") }];
    let now = vec![says(1, Status::Healthy, Some(scene.now.boot_ms))];
    scene.fleet.adopt(&agent, stream_of(&agent), &set, now, scene.told());
    assert_eq!(scene.shown("payments"), "healthy");
    scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Failing, 0, scene.now);
    assert_eq!(scene.shown("payments"), "unknown");
}

#[test]
fn a_failing_agent_is_stale_at_once() {
    let (scene, agent, _) = Scene::online(Role::Host);
    scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Failing, 0, scene.now);
    assert_eq!(scene.shown("payments"), "unknown");
}

#[test]
fn the_last_report_of_a_failing_agent_does_not_bring_it_back_and_its_next_stream_does() {
    let (mut scene, agent, _) = Scene::online(Role::Host);
    scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Failing, 0, scene.now);
    let last = scene.report(&agent, vec![says(1, Status::Healthy, Some(scene.now.boot_ms))]);
    assert!(last.is_empty(), "{last:?}");
    assert_eq!(scene.shown("payments"), "unknown");
    scene.pass(1_000);
    scene.connect(2);
    let back = scene.state(&agent, [Status::Healthy; 2], Some(scene.now.boot_ms));
    assert!(kinds(&back.events).contains(&EventKind::AgentBack), "{:?}", back.events);
    assert_eq!(scene.shown("payments"), "healthy");
}

#[test]
fn the_starting_of_a_new_boot_is_shown_once_the_grace_since_the_last_result_is_over() {
    let (mut scene, agent, link) = Scene::online(Role::Host);
    scene.fleet.disconnected(&agent, link.number, scene.now);
    let (agent, _) = scene.connect(2);
    scene.state(&agent, [Status::Starting; 2], None);
    assert_eq!(scene.shown("payments"), "healthy");
    for _ in 0..7 {
        scene.pass(10_000);
        let reported = Reported::default();
        scene.fleet.report(&agent, stream_of(&agent), reported, scene.told(), scene.now.boot_ms);
    }
    assert_eq!(scene.shown("payments"), "starting");
}

#[test]
fn a_component_missing_from_the_new_set_is_gone_with_an_event() {
    let (scene, agent, _) = Scene::online(Role::Host);
    let now = vec![says(2, Status::Healthy, Some(scene.now.boot_ms))];
    scene.heard();
    scene.fleet.adopt(&agent, stream_of(&agent), &[def(2, "cache")], now, scene.told());
    let effects = scene.heard();
    assert!(kinds(&effects.events).contains(&EventKind::ComponentRemoved));
    assert_eq!(scene.shown("payments/database"), "none");
    assert_eq!(scene.shown("payments/cache"), "healthy");
    assert_eq!(effects.changes.iter().filter(|c| c.status.is_none()).count(), 1);
}

#[test]
fn a_declared_service_exists_from_the_start_and_a_policy_counts() {
    let scene = Scene::new(Role::Host);
    let policy = Policy { at_least: Some(2), ..Policy::default() };
    let services = BTreeMap::from([("payments".to_owned(), policy)]);
    let groups = BTreeMap::from([("checkout".to_owned(), BTreeSet::from(["payments".to_owned()]))]);
    scene.fleet.declare(&services, &groups, scene.now);
    assert_eq!(scene.shown("payments"), "unknown");
    assert_eq!(scene.shown("group:checkout"), "unknown");
    let (agent, _) = scene.connect(1);
    scene.state(&agent, [Status::Healthy; 2], Some(scene.now.boot_ms));
    assert_eq!(scene.shown("payments"), "unhealthy", "one of two is up, and none could fill the gap");
    assert_eq!(scene.shown("group:checkout"), "unhealthy");
    scene.fleet.declare(&BTreeMap::from([("payments".to_owned(), Policy::default())]), &groups, scene.now);
    assert_eq!(scene.shown("group:checkout"), "healthy");
}

#[test]
fn a_lost_pod_is_forgotten_only_when_its_service_is_up_without_it() {
    let (mut scene, agent, link) = Scene::online(Role::Pod);
    scene.fleet.disconnected(&agent, link.number, scene.now);
    scene.pass(60_000);
    scene.now.run_ms += 3_600_000;
    assert!(!kinds(&scene.pass(250)).contains(&EventKind::AgentForgotten));
    assert!(scene.fleet.agent("a").is_some(), "nobody else runs its service");
    let Connection::Open(other, ..) =
        scene.fleet.connect("b", &hello(9, Role::Pod), scene.now, &Default::default(), None)
    else {
        panic!("b is new")
    };
    let mut events = Vec::new();
    for _ in 0..6 {
        scene.state(&other, [Status::Healthy; 2], Some(scene.now.boot_ms));
        events.extend(scene.pass(10_000));
    }
    assert!(kinds(&events).contains(&EventKind::AgentForgotten), "within a minute");
    assert!(scene.fleet.agent("a").is_none());
    assert_eq!(scene.shown("payments"), "healthy");
}

#[test]
fn a_component_that_changed_its_id_stays_when_the_old_id_is_retired() {
    let (scene, agent, _) = Scene::online(Role::Host);
    scene.fleet.define(&agent, stream_of(&agent), &[def(3, "database")], scene.now);
    scene.heard();
    scene.fleet.retire(&agent, stream_of(&agent), &[1], scene.now);
    let effects = scene.heard();
    assert!(effects.is_empty(), "{effects:?}");
    scene.report(&agent, vec![says(3, Status::Degraded, Some(scene.now.boot_ms))]);
    assert_eq!(scene.shown("payments/database"), "degraded");
    scene.fleet.retire(&agent, stream_of(&agent), &[3], scene.now);
    assert_eq!(scene.shown("payments/database"), "none");
    assert_eq!(scene.shown("payments/cache"), "healthy");
}

#[test]
fn a_component_that_is_defined_anew_counts_as_it_is_defined_now() {
    let (scene, agent, _) = Scene::online(Role::Host);
    let cache = says(2, Status::Unhealthy, Some(scene.now.boot_ms));
    scene.report(&agent, vec![cache.clone()]);
    assert_eq!(scene.shown("payments"), "unhealthy");
    let optional = ComponentDef { required: false, readiness: true, ttl_ms: 20_000, ..def(2, "cache") };
    scene.heard();
    scene.fleet.define(&agent, stream_of(&agent), std::slice::from_ref(&optional), scene.now);
    let effects = scene.heard();
    assert_eq!(scene.shown("payments"), "degraded");
    assert_eq!(scene.fleet.service("payments").unwrap().ready.as_str(), "unhealthy");
    assert_eq!(kinds(&effects.events), [EventKind::ServiceStatus]);
    assert!(effects.changes.is_empty(), "what it shows itself is the same");
    let stored: Vec<_> =
        effects.components.iter().map(|c| (&*c.key.component, c.required, c.readiness, c.ttl_ms)).collect();
    assert_eq!(stored, [("cache", false, true, 20_000)]);
    scene.heard();
    scene.fleet.define(&agent, stream_of(&agent), &[optional], scene.now);
    let again = scene.heard();
    assert!(again.is_empty(), "{again:?}");
    // The same in a new set, with a State that tells the same statuses.
    let now = vec![says(1, Status::Healthy, Some(scene.now.boot_ms)), cache];
    let set = [def(1, "database"), def(2, "cache")];
    scene.fleet.adopt(&agent, stream_of(&agent), &set, now, scene.told());
    assert_eq!(scene.shown("payments"), "unhealthy");
}

#[test]
fn hello_alone_does_not_lengthen_the_silence_after_which_an_agent_is_lost() {
    let (mut scene, agent, link) = Scene::online(Role::Host);
    scene.fleet.disconnected(&agent, link.number, scene.now);
    let slow = Hello { interval_ms: 60_000, ..hello(2, Role::Host) };
    let Connection::Open(_, link) = scene.fleet.connect("a", &slow, scene.now, &Default::default(), None)
    else {
        panic!("its place is free")
    };
    assert!(kinds(&scene.pass(31_000)).contains(&EventKind::AgentLost));
    let told = scene.state(&agent, [Status::Healthy; 2], Some(scene.now.boot_ms));
    assert_eq!(told.agents.iter().map(|record| record.interval_ms).collect::<Vec<_>>(), [60_000]);
    scene.report(&agent, Vec::new());
    assert!(!kinds(&scene.pass(170_000)).contains(&EventKind::AgentLost));
    scene.fleet.disconnected(&agent, link.number, scene.now);
    assert_eq!(scene.heard().agents[0].interval_ms, 60_000);
}

#[test]
fn an_agent_that_only_said_hello_leaves_no_trace() {
    let scene = Scene::new(Role::Host);
    let (agent, link) = scene.connect(1);
    scene.heard();
    scene.fleet.disconnected(&agent, link.number, scene.now);
    let effects = scene.heard();
    assert_eq!(effects.forgotten, [agent.key]);
    assert!(scene.fleet.agents().is_empty());
    let (again, _) = scene.connect(2);
    assert_ne!(again.key, agent.key);
}

#[test]
fn an_agent_that_is_forgotten_while_its_stream_is_open_must_come_anew() {
    let (mut scene, agent, link) = Scene::online(Role::Host);
    scene.pass(40_000);
    assert!(scene.fleet.forget("a", scene.now));
    assert!(link.nudges.is_wanted(Want::Replaced));
    assert!(scene.state(&agent, [Status::Healthy; 2], Some(scene.now.boot_ms)).is_empty());
    assert_eq!(scene.shown("payments"), "none");
    let (again, _) = scene.connect(1);
    assert!(!Arc::ptr_eq(&again, &agent));
    scene.state(&again, [Status::Healthy; 2], Some(scene.now.boot_ms));
    assert_eq!(scene.shown("payments"), "healthy");
    assert_eq!(scene.fleet.agents().len(), 1);
}

#[test]
fn a_service_that_nobody_has_any_more_is_gone_and_a_declared_one_is_unknown() {
    for declared in [false, true] {
        let (scene, agent, link) = Scene::online(Role::Pod);
        if declared {
            let services = BTreeMap::from([("payments".to_owned(), Policy::default())]);
            scene.fleet.declare(&services, &BTreeMap::new(), scene.now);
        }
        scene.fleet.goodbye(&agent, stream_of(&agent), Farewell::Workload, 30_000, scene.now);
        scene.heard();
        scene.fleet.disconnected(&agent, link.number, scene.now);
        let effects = scene.heard();
        assert_eq!(kinds(&effects.events).contains(&EventKind::ServiceStatus), declared, "{effects:?}");
        assert_eq!(scene.shown("payments"), if declared { "unknown" } else { "none" });
    }
}
