//! Groups over components in memory: what they show, the codes, and what is refused.

use super::*;
use crate::{Checker, Outcome, Registration, Spec, check_fn};
use Status::{Degraded, Healthy, Starting, Unhealthy, Unknown};
use std::sync::Arc;

fn snapshot(statuses: &[Status]) -> Snapshot {
    let names = (0..statuses.len()).map(|n| Spec::new(format!("c{n}"), "shop"));
    let check = || check_fn("test", || std::future::ready(Outcome::healthy()));
    let registrations = names.map(|spec| Registration::new(spec, check())).collect();
    let mut snapshot = (*Checker::new(registrations, Arc::new(())).unwrap().snapshot()).clone();
    for (component, status) in snapshot.components.iter_mut().zip(statuses) {
        Arc::make_mut(component).hard = *status;
    }
    snapshot
}

fn of_all(statuses: &[Status]) -> (Group, Snapshot) {
    let snapshot = snapshot(statuses);
    (Group::new("all", snapshot.components.iter().map(|c| c.name.to_string())), snapshot)
}

#[test]
fn each_rule_makes_one_status_of_many() {
    let cases: [(Rule, &[Status], Status); 11] = [
        (Rule::Worst, &[Healthy, Healthy], Healthy),
        (Rule::Worst, &[Healthy, Degraded], Degraded),
        (Rule::Worst, &[Degraded, Starting], Starting),
        (Rule::Worst, &[Starting, Unknown], Unknown),
        (Rule::Worst, &[Unknown, Unhealthy, Healthy], Unhealthy),
        (Rule::AtLeast(1), &[Healthy, Healthy], Healthy),
        (Rule::AtLeast(1), &[Healthy, Unhealthy], Degraded),
        (Rule::AtLeast(2), &[Healthy, Degraded, Unhealthy], Degraded),
        (Rule::AtLeast(2), &[Healthy, Unknown, Unhealthy], Unknown),
        (Rule::AtLeast(2), &[Healthy, Unhealthy, Unhealthy], Unhealthy),
        (Rule::AtLeast(1), &[Starting, Starting], Starting),
    ];
    for (rule, statuses, expected) in cases {
        let (group, snapshot) = of_all(statuses);
        assert_eq!(group.rule(rule).status_at(&snapshot, 0), expected.into(), "{rule:?} of {statuses:?}");
    }
}

#[test]
fn others_maintenance_and_what_was_taken_away_count_as_they_should() {
    let mut snapshot = snapshot(&[Healthy, Unhealthy, Healthy]);
    let one = Group::new("one", ["c0"]);
    assert_eq!(one.status_at(&snapshot, 0), Healthy.into(), "what is no member does not count");
    let two = Group::new("two", ["c0", "c1"]);
    Arc::make_mut(&mut snapshot.components[1]).maintenance = true;
    assert_eq!(two.status_at(&snapshot, 0), Healthy.into());
    Arc::make_mut(&mut snapshot.components[0]).maintenance = true;
    assert_eq!(two.status_at(&snapshot, 0), Aggregate::Maintenance);
    let gone = Group::new("gone", ["c2"]);
    snapshot.components.pop();
    assert_eq!(gone.status_at(&snapshot, 0), Unknown.into());
    snapshot.draining = true;
    assert_eq!(gone.status_at(&snapshot, 0), Aggregate::Maintenance);
}

#[test]
fn a_code_is_the_usual_one_unless_the_group_says_otherwise() {
    let group = Group::new("g", ["c0"])
        .answers(Degraded, 429)
        .answers(Unknown, 200)
        .answers(Aggregate::Maintenance, 307);
    for (shown, code) in [
        (Healthy.into(), 200),
        (Degraded.into(), 429),
        (Unknown.into(), 200),
        (Starting.into(), 503),
        (Unhealthy.into(), 503),
        (Aggregate::Maintenance, 307),
    ] {
        assert_eq!(group.code(shown), code, "{shown}");
    }
}

#[test]
fn a_group_that_cannot_stand_is_refused_by_name() {
    let checks = snapshot(&[Healthy, Healthy]);
    let cases: [(Vec<Group>, &str); 8] = [
        (
            vec![Group::new("shop", ["c0", "databse"])],
            "group `shop` names the check `databse`, which there is not; known here: c0, c1",
        ),
        (vec![Group::new("none", [""; 0])], "group `none` has no members; name at least one check"),
        (vec![Group::new("a", ["c0"]), Group::new("a", ["c1"])], "two groups are named `a`; rename one"),
        (
            vec![Group::new("a b", ["c0"])],
            "`a b` cannot name a group; use 1 to 128 of the characters A-Z a-z 0-9 . _ -",
        ),
        (
            vec![Group::new("a", ["c0", "c1"]).rule(Rule::AtLeast(3))],
            "group `a` asks for 3 of its 2 members; ask for 1 to 2",
        ),
        (
            vec![Group::new("a", ["c0"]).rule(Rule::AtLeast(0))],
            "group `a` asks for 0 of its 1 members; ask for 1 to 1",
        ),
        (
            vec![Group::new("a", ["c0"]).answers(Healthy, 204)],
            "group `a` answers with the code 204; use one of 200 to 599, but not 204, 205 or 304",
        ),
        (
            vec![Group::new("a", ["c0"]).answers(Healthy, 99)],
            "group `a` answers with the code 99; use one of 200 to 599, but not 204, 205 or 304",
        ),
    ];
    for (groups, expected) in cases {
        assert_eq!(Groups::new(groups, &checks).unwrap_err().to_string(), expected);
    }
    let fine =
        Groups::new([Group::new("a", ["c0"]).answers(Degraded, 599), Group::new("b", ["c1"])], &checks);
    assert_eq!(fine.unwrap().iter().map(Group::name).collect::<Vec<_>>(), ["a", "b"]);
}
