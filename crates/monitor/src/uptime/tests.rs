//! Tables of what was what, and for how long.

use super::{Uptime, component, components, service};
use crate::store::{ComponentKey, StatusChange};
use farol_health::Status;
use farol_health::aggregate::Policy;
use std::collections::BTreeMap;

fn change(agent: &str, name: &str, at_ms: i64, word: char, muted: bool) -> StatusChange {
    let status = match word.to_ascii_lowercase() {
        'h' => Some(Status::Healthy),
        'd' => Some(Status::Degraded),
        'u' => Some(Status::Unhealthy),
        's' => Some(Status::Starting),
        '?' => Some(Status::Unknown),
        'x' => None,
        other => panic!("{other}"),
    };
    StatusChange {
        key: ComponentKey { agent: agent.into(), service: "shop".into(), component: name.into() },
        at_ms,
        status,
        // A capital letter: under maintenance.
        maintenance: word.is_ascii_uppercase(),
        muted,
        stale: word == '?',
        reason: "ok".into(),
    }
}

/// `h10 u20` and so on, `h10~` where a window mutes it; a word may begin with an agent and a component: `a/db:h10`.
fn line(text: &str) -> Vec<StatusChange> {
    text.split_whitespace()
        .map(|word| {
            let (whose, what) = word.split_once(':').unwrap_or(("a/db", word));
            let (agent, name) = whose.split_once('/').unwrap();
            let (what, muted) = what.strip_suffix('~').map_or((what, false), |what| (what, true));
            change(agent, name, what[1..].parse().unwrap(), what.chars().next().unwrap(), muted)
        })
        .collect()
}

/// `h5 u10`: the parts that are not zero, in their order.
fn words(uptime: &Uptime) -> String {
    let parts = [
        ('h', uptime.healthy_ms),
        ('d', uptime.degraded_ms),
        ('u', uptime.unhealthy_ms),
        ('?', uptime.unknown_ms),
        ('s', uptime.starting_ms),
        ('M', uptime.maintenance_ms),
        ('b', uptime.blind_ms),
        ('x', uptime.absent_ms),
    ];
    let there = parts.iter().filter(|(_, ms)| *ms > 0).map(|(word, ms)| format!("{word}{ms}"));
    there.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_millisecond_of_a_component_is_counted_once() {
    type Line<'a> = (&'a str, &'a [(i64, i64)], &'a str);
    let table: &[Line<'_>] = &[
        ("", &[], "x100"),
        ("h-50", &[], "h100"),
        ("h0", &[], "h100"),
        ("h40", &[], "h60 x40"),
        ("h-50 u20 h30", &[], "h90 u10"),
        ("h-50 d10 u20 ?30 s60 H70 h90", &[], "h20 d10 u10 ?30 s10 M20"),
        ("h-50 x60", &[], "h60 x40"),
        ("h-50 x60 h70", &[], "h90 x10"),
        ("h-50 u100", &[], "h100"),
        ("h-50 u99", &[], "h99 u1"),
        // What a window mutes is not counted, whatever it shows meanwhile.
        ("h-50 h20~ u40~ h60~ h70", &[], "h50 M50"),
        ("h-50 u-20", &[], "u100"),
        // Blind time counts neither way, whatever the status was; it may overlap, and lie outside.
        ("h-50", &[(20, 30)], "h90 b10"),
        ("h-50", &[(-20, 30), (25, 40), (26, 27), (90, 500)], "h50 b50"),
        ("h-50 u20 h50", &[(10, 30)], "h60 u20 b20"),
        ("H-50", &[(10, 30)], "M80 b20"),
        ("h-50 x60", &[(50, 70)], "h50 b10 x40"),
        ("h-50", &[(-100, -50), (100, 200), (0, 0)], "h100"),
        ("h-50", &[(-100, 200)], "b100"),
    ];
    for (changes, blind, expected) in table {
        let uptime = component(&line(changes), blind, 0, 100);
        assert_eq!(words(&uptime), *expected, "{changes} {blind:?}");
    }
}

#[test]
fn a_range_without_length_or_backwards_counts_nothing() {
    assert_eq!(component(&line("h0"), &[], 50, 50), Uptime::default());
    assert_eq!(component(&line("h0"), &[], 50, 20), Uptime::default());
}

#[test]
fn the_ratio_leaves_out_maintenance_blind_and_absent_time_and_counts_unknown_as_down() {
    let ratio = |text, blind: &[(i64, i64)]| component(&line(text), blind, 0, 100).ratio();
    assert_eq!(ratio("h-1", &[]), Some(1.0));
    assert_eq!(ratio("d-1 u75", &[]), Some(0.75));
    assert_eq!(ratio("h-1 ?75", &[]), Some(0.75));
    assert_eq!(ratio("h-1 U50", &[]), Some(1.0));
    assert_eq!(ratio("h50 u75", &[]), Some(0.5));
    assert_eq!(ratio("h-1 u50", &[(50, 100)]), Some(1.0));
    assert_eq!(ratio("U-1", &[]), None);
    assert_eq!(ratio("", &[]), None);
}

#[test]
fn a_mixed_list_is_told_apart() {
    let all = components(&line("a/db:h-9 b/db:u-5 a/db:u50 b/db:x60"), &[(0, 10)], 0, 100);
    let told: BTreeMap<&str, String> = all.iter().map(|(key, uptime)| (&*key.agent, words(uptime))).collect();
    assert_eq!(told, BTreeMap::from([("a", "h40 u50 b10".to_owned()), ("b", "u50 b10 x40".to_owned())]));
}

#[test]
fn a_service_is_what_the_policy_makes_of_its_instances_at_each_moment() {
    let at_least = |k| Policy { at_least: Some(k), ..Policy::default() };
    let all = Policy { all: true, ..Policy::default() };
    let table: &[(&str, Policy, &str)] = &[
        // One of two is down for a while: enough are left, or not.
        ("a/db:h-9 b/db:h-9 b/db:u20 b/db:h50", at_least(1), "h70 d30"),
        ("a/db:h-9 b/db:h-9 b/db:u20 b/db:h50", at_least(2), "h70 u30"),
        ("a/db:h-9 b/db:h-9 b/db:?20 b/db:h50", at_least(2), "h70 ?30"),
        ("a/db:h-9 b/db:h-9 b/db:u20 b/db:h50", all, "h70 u30"),
        // Both fail at different times.
        ("a/db:h-9 b/db:h-9 a/db:u10 a/db:h30 b/db:u20 b/db:h40", at_least(1), "h70 d20 u10"),
        // An instance comes, leaves, and is under maintenance.
        ("a/db:h-9 b/db:u40", at_least(1), "h40 d60"),
        ("a/db:h-9 b/db:u-9 b/db:x40", at_least(1), "h60 d40"),
        ("a/db:h-9 a/db:H40", at_least(1), "h40 M60"),
        ("a/db:h20 a/db:x80", at_least(1), "h60 x40"),
        // A window mutes all of it, or a part: a part is counted as it is.
        ("a/db:h-9 b/db:h-9 a/db:u20~ b/db:u20~ a/db:h50 b/db:h50", at_least(2), "h70 M30"),
        ("a/db:h-9 b/db:h-9 a/db:u20~ a/db:h50", at_least(1), "h70 d30"),
        ("a/db:h-9 b/db:h-9 a/db:h20~ a/db:h50", at_least(2), "h100"),
        ("a/db:h-9 a/cache:h-9 a/db:u20~ a/db:h50", at_least(1), "h70 u30"),
        ("a/db:h-9 b/db:h-9 a/db:u20~ b/db:H20 a/db:h50 b/db:h50", at_least(2), "h70 M30"),
        ("a/db:h-9 b/db:u-9~ a/db:x40", at_least(1), "d40 M60"),
        // Two components make an instance; an optional one only degrades it.
        ("a/db:h-9 a/cache:h-9 a/cache:u10 a/db:u60 a/db:h90", at_least(1), "h10 d60 u30"),
        // Nothing is heard of an agent that has optional components only, or of all but a drained one.
        ("a/cache:h0 a/cache:?10", at_least(1), "h10 ?90"),
        ("a/cache:h0 a/db:H0 a/cache:?10", at_least(1), "h10 ?90"),
        ("a/db:h0 a/cache:h0 a/cache:?10", at_least(1), "h10 d90"),
        // Several changes at one moment are one.
        ("a/db:h-9 b/db:h-9 a/db:u50 b/db:u50 a/db:h60 b/db:h60", at_least(1), "h90 u10"),
    ];
    for (text, policy, expected) in table {
        let mut changes = line(text);
        changes.sort_by_key(|change| change.at_ms);
        let uptime = service(&changes, policy, |key| *key.component != *"cache", &[], 0, 100);
        assert_eq!(words(&uptime), *expected, "{text} {policy:?}");
    }
}

#[test]
fn a_service_is_blind_with_its_components() {
    let uptime = service(&line("a/db:h-9 a/db:u50"), &Policy::default(), |_| true, &[(40, 60)], 0, 100);
    assert_eq!(words(&uptime), "h40 u40 b20");
}
