//! The replay tells what a book tells that lived through the same.

use super::*;
use crate::{
    Dependency, Evidence, Flap, Graph, Judge, Level, Matcher, Measured, PartialWaits, Pattern, Route, Rule,
    Ruleset, Schedule, Subject, Tree, Why, WindowMode,
};
use farol_health::Status;
use proptest::prelude::{any, prop, prop_assert_eq, proptest};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

fn rule(name: &str, subject: Subject, judge: Judge) -> Rule {
    Rule {
        name: name.into(),
        subject,
        matchers: Vec::new(),
        reduce: None,
        judge,
        for_ms: 0,
        keep_firing_for_ms: 0,
        flap: Flap::default(),
        by: None,
        depends_on: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        actions: Vec::new(),
    }
}

/// One and the same for all: what was judged by other rules says nothing.
static ORDERS: LazyLock<Orders> = LazyLock::new(|| {
    let statuses =
        Judge::Statuses { statuses: vec![Status::Unhealthy], stale: false, severity: Severity::Critical };
    let thresholds = Judge::Thresholds {
        warning: "> 50".parse().ok(),
        critical: "> 90".parse().ok(),
        clear: "< 40".parse().ok(),
    };
    let lost = Judge::Condition { severity: Severity::Critical };
    let on = Dependency { rule: "lost".into(), on: vec!["agent".into()], redundancy: None };
    let rules = vec![
        rule("lost", Subject::Agent(crate::AgentCondition::Lost), lost),
        Rule {
            for_ms: 20_000,
            keep_firing_for_ms: 5_000,
            by: Some(vec!["component".into()]),
            depends_on: vec![on],
            ..rule("down", Subject::Component { name: None::<Pattern>, kind: None }, statuses)
        },
        Rule { for_ms: 30_000, ..rule("cpu", Subject::Metric { name: "cpu".into(), of: None }, thresholds) },
    ];
    let rules = Ruleset::new(rules).unwrap();
    let graph = Arc::new(Graph::new(rules.rules(), &BTreeMap::new()).unwrap());
    let waits = PartialWaits { group_wait_ms: Some(10_000), ..PartialWaits::default() };
    let route = Route { receiver: Some("ops".into()), waits, ..Route::default() };
    Orders { rules, graph, tree: Arc::new(Tree::new(route).unwrap()) }
});

fn orders() -> Orders {
    ORDERS.clone()
}

fn at(seconds: u64) -> Moment {
    let ms = seconds * 1_000;
    Moment { run_ms: ms, wall_ms: 1_800_000_000_000 + ms.cast_signed() }
}

fn component(agent: u8, status: Status) -> Observation {
    Observation::Component(crate::ComponentSeen {
        agent: Labels::from([("agent", &*format!("a{agent}"))]),
        service: "pay".into(),
        component: "db".into(),
        kind: "tcp".into(),
        status,
        evidence: Evidence::Now,
        reason: "ok".into(),
        message: "".into(),
    })
}

fn seen(kind: u8, agent: u8) -> Observation {
    let labels = Labels::from([("agent", &*format!("a{agent}"))]);
    let measured = |level, value| {
        Observation::Measured(Measured {
            set: ORDERS.rules.version(),
            rule: "cpu".into(),
            labels: labels.clone(),
            level,
            value,
            fresh_for_ms: 30_000,
        })
    };
    let lost = |is| Observation::Agent { labels: labels.clone(), condition: crate::AgentCondition::Lost, is };
    match kind % 8 {
        0 => component(agent, Status::Unhealthy),
        1 => component(agent, Status::Healthy),
        2 => measured(Level::Warning, 60.0),
        3 => measured(Level::Critical, 95.0),
        4 => measured(Level::Clear, 5.0),
        5 => lost(crate::Is::On),
        6 => lost(crate::Is::Off),
        _ => Observation::AgentGone { agent: format!("a{agent}").into(), how: crate::Ending::Left },
    }
}

/// What a book tells that is ticked four times a second, as it is live.
fn live(past: &[(u64, Vec<Observation>)], until: u64) -> Vec<(ConversationId, Notice)> {
    let mut book = Book::new(orders());
    let mut past = past.iter().peekable();
    let mut told = Vec::new();
    for quarter in 0..=until * 4 {
        let now =
            Moment { run_ms: quarter * 250, wall_ms: 1_800_000_000_000 + (quarter * 250).cast_signed() };
        book.tick(now);
        while let Some((_, seen)) = past.next_if(|(seconds, _)| seconds * 4 == quarter) {
            book.observe(seen, now);
        }
        told.extend(book.take().into_iter().filter_map(|output| match output {
            Output::Notify(telling) => Some((telling.to, telling.notice)),
            _ => None,
        }));
    }
    told
}

proptest! {
    #[test]
    fn a_past_tells_the_same_as_the_book_that_lived_through_it(
        steps in prop::collection::vec((0_u64..40, prop::collection::vec((any::<u8>(), 0_u8..3), 0..4)), 0..30),
    ) {
        let mut seconds = 0;
        let mut past = vec![(0, Vec::new())];
        for (later, what) in steps {
            seconds += later;
            past.push((seconds, what.into_iter().map(|(kind, agent)| seen(kind, agent)).collect()));
        }
        let told = replay(orders(), past.iter().map(|(s, seen)| (at(*s), seen.clone())), 900_000);
        let mut told: Vec<_> = told.into_iter().map(|told| (told.to, told.notice)).collect();
        let mut lived = live(&past, seconds + 900);
        // Live, which of two conversations is looked at first in one moment is left to chance.
        let by_moment = |(to, notice): &(ConversationId, Notice)| (notice.at_ms, to.clone(), notice.number);
        told.sort_by_key(by_moment);
        lived.sort_by_key(by_moment);
        prop_assert_eq!(told, lived);
    }
}

#[test]
fn what_waits_is_told_in_its_time_although_nothing_more_is_seen() {
    let bad =
        vec![(at(0), vec![component(1, Status::Unhealthy)]), (at(100), vec![component(1, Status::Healthy)])];
    let told = replay(orders(), bad, 600_000);
    let what: Vec<_> = told.iter().map(|told| (told.run_ms / 1_000, told.notice.why)).collect();
    // `for` is 20 s; it is well for 5 s at 105 s, and what ends waits for the group's interval.
    assert_eq!(what, [(20, Why::First), (320, Why::Resolved)]);
    assert_eq!(told[0].alerts[0].0.get("component").map(|name| &**name), Some("db"));
}

#[test]
fn a_window_that_ends_between_two_looks_tells_what_still_fires_then() {
    let span = (at(10).wall_ms, at(200).wall_ms);
    let window = Window {
        id: "w".into(),
        name: "disks".into(),
        matchers: vec![Matcher { label: "component".into(), pattern: Pattern::parse("db").unwrap() }],
        mode: WindowMode::Mute,
        schedule: Schedule::Once { from_ms: span.0, to_ms: span.1 },
        author: "me".to_owned(),
        reason: "disks".to_owned(),
        created_ms: 0,
        ends_ms: None,
    };
    let mut replay = Replay::new(orders(), &[window], at(0));
    assert_eq!(replay.observe(at(15), &[component(1, Status::Unhealthy)]), []);
    let told = replay.pass(at(900));
    let what: Vec<_> = told.iter().map(|told| (told.run_ms / 1_000, told.notice.why)).collect();
    assert_eq!(what, [(200, Why::Released)]);
}

#[test]
fn time_in_which_the_monitor_did_not_run_is_no_time_for_the_rules() {
    let mut replay = Replay::new(orders(), &[], at(0));
    assert_eq!(replay.observe(at(0), &[component(1, Status::Unhealthy)]), []);
    // Ten minutes on the wall, one second on the running clock.
    let later = Moment { run_ms: 1_000, wall_ms: at(600).wall_ms };
    assert_eq!(replay.pass(later), []);
    let told = replay.pass(Moment { run_ms: 21_000, wall_ms: at(620).wall_ms });
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].at_ms, at(619).wall_ms);
}

#[test]
fn a_meter_says_what_the_program_says_of_whole_rows() {
    let judge = Judge::Thresholds { warning: None, critical: "> 90".parse().ok(), clear: None };
    let subject = Subject::Metric { name: "open".into(), of: Some("most".into()) };
    let flap = Flap { changes: 0, within_ms: 0 };
    let rules = Ruleset::new(vec![Rule { flap, ..rule("full", subject, judge) }]).unwrap();
    assert_eq!(Meter::names(&rules).len(), 2);
    let series = vec![("open".into(), Labels::default()), ("most".into(), Labels::default())];
    let mut meter = Meter::new(&rules, &Labels::from([("agent", "a")]), series, 10_000);
    let mut levels = |seconds, values: &[(usize, f64)]| -> Vec<(Level, f64)> {
        let seen = meter.values(at(seconds), values, 10_000);
        let level = |seen| match seen {
            Observation::Measured(measured) => (measured.level, measured.value),
            other => panic!("{other:?}"),
        };
        seen.into_iter().map(level).collect()
    };
    assert_eq!(levels(0, &[(0, 19.0), (1, 20.0)]), [(Level::Critical, 95.0)]);
    // The other one's last value counts.
    assert_eq!(levels(10, &[(0, 20.0)]), [(Level::Critical, 100.0)]);
    assert_eq!(levels(20, &[(0, 1.0)]), [(Level::Clear, 5.0)]);
    assert_eq!(levels(30, &[(0, 1.0)]), [(Level::Clear, 5.0)]);
    assert_eq!(levels(40, &[(0, 1.0)]), []);
}
