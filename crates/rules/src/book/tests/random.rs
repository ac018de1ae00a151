//! Whatever happens to a fleet, whatever people mute and whenever the monitor is killed: each receiver hears what is
//! true, and hears the end of all that it heard.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const AGENTS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Event {
    Component(usize, Status, Evidence),
    Lost(usize, bool),
    Value(usize, f64),
    Service(Status),
    Gone(usize, Ending),
    Silence(usize, u8),
    Unsilence(usize),
    Acknowledge(usize),
    Reload(bool),
    Restart(i64),
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let agent = || 0..AGENTS.len();
    let status =
        || prop_oneof![3 => Just(Status::Unhealthy), 2 => Just(Status::Healthy), 1 => Just(Status::Unknown)];
    let evidence = prop_oneof![
        6 => Just(Evidence::Now), 1 => Just(Evidence::Stale), 1 => Just(Evidence::Absent), 1 => Just(Evidence::Past), 1 => Just(Evidence::Excused)
    ];
    let ending = prop_oneof![Just(Ending::Left), Just(Ending::Removed), Just(Ending::Forgotten)];
    let event = prop_oneof![
        8 => (agent(), status(), evidence).prop_map(|(a, s, e)| Event::Component(a, s, e)),
        5 => (agent(), any::<bool>()).prop_map(|(a, on)| Event::Lost(a, on)),
        6 => (agent(), prop_oneof![Just(60.0), Just(72.0), Just(80.0), Just(90.0)]).prop_map(|(a, v)| Event::Value(a, v)),
        3 => status().prop_map(Event::Service),
        1 => (agent(), ending).prop_map(|(a, e)| Event::Gone(a, e)),
        2 => (agent(), 1..200_u8).prop_map(|(a, s)| Event::Silence(a, s)),
        1 => agent().prop_map(Event::Unsilence),
        2 => (0..8_usize).prop_map(Event::Acknowledge),
        1 => any::<bool>().prop_map(Event::Reload),
        2 => (0..400_i64).prop_map(Event::Restart),
    ];
    prop::collection::vec((prop_oneof![Just(0_u64), 1..20_u64, 1..200_u64], event), 1..60)
}

#[derive(Clone, Debug)]
struct Shape {
    for_s: u64,
    keep_s: u64,
    each: bool,
    flap: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    let for_s = prop_oneof![Just(0), 1..60_u64];
    let keep_s = prop_oneof![Just(0), 1..60_u64];
    (for_s, keep_s, any::<bool>(), any::<bool>()).prop_map(|(for_s, keep_s, each, flap)| Shape {
        for_s,
        keep_s,
        each,
        flap,
    })
}

fn rules(shape: &Shape) -> Vec<Rule> {
    let by = if shape.each { None } else { Some(vec!["service".into(), "component".into()]) };
    let of = |rule: Rule| Rule {
        for_ms: shape.for_s * 1_000,
        keep_firing_for_ms: shape.keep_s * 1_000,
        flap: if shape.flap { Flap::default() } else { Flap { changes: 0, within_ms: 0 } },
        ..rule
    };
    let down = Rule { by, ..down() }.held_by("lost", &["agent"]);
    let service = service_down().held_by("down", &["service"]);
    vec![of(lost()), of(down), of(cpu().held_by("lost", &["agent"])), of(service)]
}

fn route(other: bool) -> Route {
    let pager = Route { matchers: vec![is("severity", "critical")], continues: true, ..to("pager") };
    let all = if other { to("ops") } else { to("desk") };
    Route { routes: vec![pager, all], ..to("ops") }
}

/// A receiver's belief: what it was told fires.
#[derive(Default)]
struct Belief(BTreeMap<AlertId, i64>);

struct Play {
    scene: Scene,
    shape: Shape,
    believes: BTreeMap<Arc<str>, Belief>,
    /// How many tellings were judged.
    judged: usize,
    /// Every episode that each receiver was told of as new.
    first: BTreeSet<(crate::ConversationId, AlertId, i64)>,
}

impl Play {
    fn new(shape: Shape) -> Self {
        let scene = Scene::routed(&rules(&shape), route(true));
        Self { scene, shape, believes: BTreeMap::new(), judged: 0, first: BTreeSet::new() }
    }

    fn happen(&mut self, event: &Event) {
        let scene = &mut self.scene;
        match event {
            Event::Component(of, status, evidence) => {
                scene.see(&[component(AGENTS[*of], "db", *status, *evidence)]);
            }
            Event::Lost(of, on) => scene.see(&[is_lost(AGENTS[*of], if *on { Is::On } else { Is::Off })]),
            Event::Value(of, value) => scene.see(&[measured(AGENTS[*of], *value)]),
            Event::Service(status) => {
                scene.see(&[Observation::Service("pay".into(), Shown::Status(*status))]);
            }
            Event::Gone(of, how) => scene.see(&[gone(AGENTS[*of], *how)]),
            Event::Silence(of, seconds) => {
                let now_s = (scene.now().wall_ms - BEGAN_MS) / 1_000;
                scene.silence(AGENTS[*of], is("agent", AGENTS[*of]), now_s, now_s + i64::from(*seconds));
            }
            Event::Unsilence(of) => {
                scene.book.unsilence(AGENTS[*of], scene.now());
                scene.ledger.silences.remove(AGENTS[*of]);
                scene.take();
            }
            Event::Acknowledge(n) => {
                let firing = |id: &&AlertId| scene.book.alerts[*id].is_firing();
                let nth = scene.book.alerts().filter(firing).nth(*n).cloned();
                if let Some(id) = nth {
                    scene.acknowledge(&id.rule, id.labels, None);
                }
            }
            Event::Reload(other) => scene.order(&rules(&self.shape), route(*other)),
            Event::Restart(down_s) => scene.restart(*down_s),
        }
        self.judge();
    }

    fn until(&mut self, second: u64) {
        while self.scene.ran_ms < second * 1_000 {
            self.scene.until(self.scene.ran_ms / 1_000 + 1);
            self.judge();
        }
    }

    fn judge(&mut self) {
        for telling in self.scene.tellings.drain(..) {
            self.judged += 1;
            let believes = &mut self.believes.entry(Arc::clone(&telling.to.receiver)).or_default().0;
            assert!(!telling.notice.firing.is_empty() || !telling.notice.resolved.is_empty());
            let named = telling.notice.firing.iter().map(|it| &it.id);
            let over = telling.notice.resolved.iter().filter(|over| !over.again).map(|over| &over.id);
            assert!(named.chain(over).eq(telling.alerts.iter().map(|view| &view.id)), "{telling:?}");
            for over in &telling.notice.resolved {
                assert_eq!(believes.remove(&over.id), Some(over.episode_ms), "{telling:?}");
                // Its routes may have led elsewhere and back.
                self.first.remove(&(telling.to.clone(), over.id.clone(), over.episode_ms));
            }
            for alert in &telling.notice.firing {
                let before = believes.insert(alert.id.clone(), alert.episode_ms);
                assert!(before.is_none_or(|before| before == alert.episode_ms), "{telling:?}");
                let known = &self.scene.book.alerts[&alert.id];
                assert!(known.is_firing() && known.any_audible(), "{} is not heard: {telling:?}", alert.id);
                let acked = self.scene.book.acknowledgement(&alert.id);
                let acked = acked.is_some_and(|ack| ack.holds(alert.episode_ms, alert.severity, i64::MIN));
                assert!(!acked, "{telling:?}");
                if alert.why == Why::First {
                    let key = (telling.to.clone(), alert.id.clone(), alert.episode_ms);
                    assert!(self.first.insert(key), "told twice as new: {telling:?}");
                }
            }
        }
    }

    /// The parts are what they would be if they were all found anew, as soon as a second went by.
    fn is_settled(&mut self) {
        let book = &self.scene.book;
        for (id, alert) in &book.alerts {
            for (element, part) in &alert.parts {
                assert_eq!(book.part(element).as_ref(), Some(part), "{id} {element:?}");
            }
            let held = alert.is_firing() && alert.is_held();
            for parent in book.held_by(id).iter().filter(|_| held) {
                assert!(book.holding[parent].named.contains(id), "{parent} holds {id}");
            }
        }
        let holds: usize = book.holding.values().map(|holding| holding.count).sum();
        let held = book.alerts.iter().filter(|(_, alert)| alert.is_firing() && alert.is_held());
        assert_eq!(holds, held.map(|(id, _)| book.held_by(id).len()).sum::<usize>());
    }

    fn all_is_well(&mut self) {
        // Samples go on until nothing flaps any more: without them a timer stands.
        let steady_s = if self.shape.flap { Flap::default().within_ms / 1_000 } else { 0 };
        for _ in 0..8 + steady_s / 10 {
            for of in 0..AGENTS.len() {
                self.happen(&Event::Component(of, Status::Healthy, Evidence::Now));
                self.happen(&Event::Lost(of, false));
                self.happen(&Event::Value(of, 1.0));
            }
            self.until(self.scene.ran_ms / 1_000 + 10);
        }
        self.happen(&Event::Service(Status::Healthy));
        self.until(self.scene.ran_ms / 1_000 + 2_500);
        for (receiver, believes) in &self.believes {
            assert!(believes.0.is_empty(), "{receiver} believes {:?}", believes.0);
        }
        assert!(self.scene.ledger.is_empty(), "kept for ever");
        assert!(self.scene.book.elements.is_empty() && self.scene.book.talks.is_empty());
        assert!(self.scene.book.by_name.is_empty());
        assert!(self.scene.book.incidents.is_empty() && self.scene.book.alerts.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_heard_is_true_and_all_of_it_is_ended(shape in shape(), events in events()) {
        let mut play = Play::new(shape);
        for (pause_s, event) in &events {
            let second = play.scene.ran_ms / 1_000;
            play.until(second + pause_s);
            if *pause_s >= 2 {
                play.is_settled();
            }
            play.happen(event);
        }
        play.all_is_well();
    }

    #[test]
    fn what_was_kept_is_enough_to_go_on_as_if_nothing_was(shape in shape(), events in events(), at in 0..60_usize) {
        let (mut stays, mut dies) = (Play::new(shape.clone()), Play::new(shape));
        for (n, (pause_s, event)) in events.iter().enumerate() {
            // What just happened is looked at within a second; a restart puts nothing off.
            let seen_s = if n == at { 2 } else { 0 };
            let second = stays.scene.ran_ms / 1_000 + pause_s + seen_s;
            for play in [&mut stays, &mut dies] {
                play.until(second);
            }
            if n == at {
                dies.happen(&Event::Restart(0));
            }
            // Everything is seen again at once, as it was, so that no timer stands.
            for play in [&mut stays, &mut dies] {
                if n == at {
                    again(play, &events[..n]);
                    // What is looked at because of a restart is not looked at again within a second.
                    play.until(second + 2);
                }
                if !matches!(event, Event::Restart(_)) {
                    play.happen(event);
                }
            }
        }
        for play in [&mut stays, &mut dies] {
            play.until(play.scene.ran_ms / 1_000 + 900);
        }
        prop_assert_eq!(stays.scene.heard(), dies.scene.heard());
    }
}

/// What was last seen of everything.
fn again(play: &mut Play, events: &[(u64, Event)]) {
    let mut last: BTreeMap<String, &Event> = BTreeMap::new();
    for (_, event) in events {
        match event {
            Event::Component(of, ..) => drop(last.insert(format!("c{of}"), event)),
            Event::Lost(of, _) => drop(last.insert(format!("l{of}"), event)),
            Event::Value(of, _) => drop(last.insert(format!("v{of}"), event)),
            Event::Service(_) => drop(last.insert("s".to_owned(), event)),
            Event::Gone(of, _) => last.retain(|key, _| !key.ends_with(&of.to_string())),
            _ => {}
        }
    }
    last.into_values().for_each(|event| play.happen(event));
}
