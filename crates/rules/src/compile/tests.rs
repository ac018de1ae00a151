//! What a set of rules may not be, and what of a rule its fingerprint stands for.

use super::*;
use crate::{AgentCondition, Dependency, Flap, MonitorCondition, Reduction, Severity};
use farol_health::Status;
use farol_series::Reduce;

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
        labels: Default::default(),
        annotations: Default::default(),
        actions: Vec::new(),
    }
}

fn thresholds([warning, critical, clear]: [&str; 3]) -> Judge {
    let [warning, critical, clear] = [warning, critical, clear].map(|text| text.parse().ok());
    Judge::Thresholds { warning, critical, clear }
}

fn cpu() -> Rule {
    rule("cpu", Subject::Metric { name: "cpu".into(), of: None }, thresholds(["> 75", "> 85", "< 70"]))
}

fn statuses(statuses: &[Status], stale: bool) -> Judge {
    Judge::Statuses { statuses: statuses.to_vec(), stale, severity: Severity::Critical }
}

fn condition() -> Judge {
    Judge::Condition { severity: Severity::Warning }
}

/// Where the problems of a set are.
fn keys(rules: Vec<Rule>) -> Vec<&'static str> {
    Ruleset::new(rules).err().unwrap_or_default().into_iter().map(|error| error.key).collect()
}

#[test]
fn thresholds_that_contradict_each_other_are_refused() {
    for (judge, expected) in [
        (["> 75", "> 85", "< 70"], None),
        (["> 75", "", "<= 75"], None),
        (["< 5", "> 100", ""], None),
        (["", "== 0", "!= 0"], None),
        (["< 5", "== 0", "> 8"], None),
        (["", "", ""], Some("critical")),
        (["", "", "< 5"], Some("critical")),
        (["> 85", "> 75", ""], Some("critical")),
        (["< 5", "<= 9", ""], Some("critical")),
        (["> 75", "> 85", "< 80"], Some("clear")),
        (["> 75", "> 85", "> 60"], Some("clear")),
        (["", ">= 5", "<= 5"], Some("clear")),
        (["> 3", "", "< 4"], Some("clear")),
        (["!= 3", "", "< 4"], Some("clear")),
    ] {
        let found = keys(vec![Rule { judge: thresholds(judge), ..cpu() }]);
        assert_eq!(found, Vec::from_iter(expected), "{judge:?}");
    }
}

#[test]
fn what_does_not_go_with_a_subject_is_refused() {
    let component = Subject::Component { name: None, kind: None };
    let bad = &[Status::Unhealthy];
    for (subject, judge, expected) in [
        (component.clone(), statuses(&[], true), None),
        (component.clone(), statuses(&[], false), Some("status")),
        (component.clone(), thresholds(["> 1", "", ""]), Some("status")),
        (Subject::Service(None), statuses(bad, false), None),
        (Subject::Service(None), statuses(bad, true), Some("status")),
        (Subject::Group(None), condition(), Some("status")),
        (Subject::Agent(AgentCondition::Lost), condition(), None),
        (Subject::Agent(AgentCondition::Lost), statuses(bad, false), Some("severity")),
        (Subject::Metric { name: "a".into(), of: None }, statuses(bad, false), Some("metric")),
        (Subject::Metric { name: "a-b".into(), of: None }, thresholds(["> 1", "", ""]), Some("metric")),
        (
            Subject::Metric { name: "a".into(), of: Some("a".into()) },
            thresholds(["> 1", "", ""]),
            Some("percent_of"),
        ),
    ] {
        let found = keys(vec![rule("r", subject.clone(), judge.clone())]);
        assert_eq!(found, Vec::from_iter(expected), "{subject:?} {judge:?}");
    }
}

#[test]
fn bounds_names_and_labels_are_checked() {
    let day = 24 * 3_600_000;
    let over = |over_ms| Some(Reduction { how: Reduce::Avg, over_ms });
    let by = |names: &[&str]| Some(names.iter().map(|name| Arc::from(*name)).collect());
    let dependency = |rule: &str, on: &[&str]| {
        vec![Dependency {
            rule: rule.into(),
            on: on.iter().map(|n| Arc::from(*n)).collect(),
            redundancy: None,
        }]
    };
    let label = |name: &str| [(Arc::from(name), Arc::from("x"))].into();
    let service = rule("s", Subject::Service(None), statuses(&[Status::Unhealthy], false));
    let queue = rule("q", Subject::Monitor(MonitorCondition::QueueFull), condition());
    for (rule, expected) in [
        (Rule { reduce: over(1_000), ..cpu() }, None),
        (Rule { reduce: over(999), ..cpu() }, Some("reduce")),
        (Rule { reduce: over(day), ..cpu() }, None),
        (Rule { reduce: over(day + 1), ..cpu() }, Some("reduce")),
        (Rule { reduce: over(60_000), ..queue.clone() }, Some("reduce")),
        (Rule { for_ms: 7 * day, keep_firing_for_ms: 7 * day, ..cpu() }, None),
        (Rule { for_ms: 7 * day + 1, ..cpu() }, Some("for")),
        (Rule { keep_firing_for_ms: 7 * day + 1, ..cpu() }, Some("keep_firing_for")),
        (Rule { flap: Flap { changes: 1, within_ms: 0 }, ..cpu() }, Some("flap")),
        (Rule { flap: Flap { changes: 0, within_ms: 0 }, ..cpu() }, None),
        (Rule { by: by(&["agent", "mount"]), ..cpu() }, None),
        (Rule { by: by(&["agent", "agent"]), ..cpu() }, Some("by")),
        (Rule { by: by(&["a-b"]), ..cpu() }, Some("by")),
        (Rule { by: by(&["service"]), ..service.clone() }, None),
        (Rule { by: by(&["agent"]), ..service }, Some("by")),
        (Rule { by: by(&["queue"]), ..queue.clone() }, None),
        (Rule { by: by(&["agent"]), ..queue }, Some("by")),
        (Rule { depends_on: dependency("other", &["agent"]), ..cpu() }, None),
        (Rule { depends_on: dependency("nobody", &["agent"]), ..cpu() }, Some("depends_on")),
        (Rule { depends_on: dependency("cpu", &["agent"]), ..cpu() }, Some("depends_on")),
        (Rule { depends_on: dependency("other", &["1"]), ..cpu() }, Some("depends_on")),
        (Rule { depends_on: dependency("other", &[]), ..cpu() }, Some("depends_on")),
        (Rule { labels: label("team"), ..cpu() }, None),
        (Rule { labels: label("severity"), ..cpu() }, Some("labels")),
        (Rule { labels: label("a b"), ..cpu() }, Some("labels")),
        (Rule { name: "a b".into(), ..cpu() }, Some("name")),
        (Rule { name: "other".into(), ..cpu() }, Some("name")),
    ] {
        let found = keys(vec![Rule { name: "other".into(), ..cpu() }, rule.clone()]);
        assert_eq!(found, Vec::from_iter(expected), "{rule:?}");
    }
}

#[test]
fn what_a_rule_depends_on_is_joined_by_labels_that_both_can_have() {
    let blind = rule("blind", Subject::Monitor(MonitorCondition::Blind), condition());
    let queue = rule("queue", Subject::Monitor(MonitorCondition::QueueFull), condition());
    let lost = rule("lost", Subject::Agent(AgentCondition::Lost), condition());
    let down = || statuses(&[Status::Unhealthy], false);
    let service = rule("service", Subject::Service(None), down());
    let group = rule("group", Subject::Group(None), down());
    for (child, parent, on, expected) in [
        (&cpu(), "lost", &["agent", "cluster"] as &[&str], None),
        (&cpu(), "service", &["service"], None),
        (&service, "down", &["service"], None),
        (&cpu(), "queue", &["queue"], None),
        (&cpu(), "blind", &[], None),
        (
            &cpu(),
            "lost",
            &[],
            Some("names `lost` and no labels; write those that both must have with the same values, such"),
        ),
        (&service, "lost", &[], Some("names `lost` and no labels; write")),
        (&cpu(), "queue", &[], Some("names `queue` and no labels; write")),
        (
            &service,
            "lost",
            &["agent"],
            Some("names `lost` and `agent`; what `child` looks at has only `service`"),
        ),
        (
            &cpu(),
            "group",
            &["agent"],
            Some("names `group` and `agent`; what `group` looks at has only `group`"),
        ),
        (&service, "group", &["group"], Some("what `child` looks at has only `service`")),
        (&cpu(), "blind", &["agent"], Some("names `blind` and `agent`; what `blind` looks at has no labels")),
    ] {
        let on = on.iter().map(|name| Arc::from(*name)).collect();
        let depends_on = vec![Dependency { rule: parent.into(), on, redundancy: None }];
        let child = Rule { name: "child".into(), depends_on, ..child.clone() };
        let component = rule("down", Subject::Component { name: None, kind: None }, down());
        let mut rules = vec![blind.clone(), queue.clone(), lost.clone(), service.clone(), group.clone()];
        rules.extend([component, child.clone()]);
        let found = Ruleset::new(rules).err().unwrap_or_default();
        assert_eq!(found.len(), usize::from(expected.is_some()), "{child:?}: {found:?}");
        for (error, expected) in found.iter().zip(expected) {
            assert_eq!(error.key, "depends_on");
            assert!(error.what.contains(expected), "{} is not {expected}", error.what);
        }
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let wrong = Rule { for_ms: u64::MAX, judge: thresholds(["", "", ""]), ..cpu() };
    let errors = Ruleset::new(vec![wrong.clone(), wrong]).unwrap_err();
    assert_eq!(errors.len(), 5, "{errors:?}");
    assert_eq!(errors[1].to_string(), "rule `cpu`: `for` is too long; 7d is the most");
}

#[test]
fn a_fingerprint_is_of_what_is_looked_at_and_written_down_for_good() {
    let print = |rule: Rule| Ruleset::new(vec![rule]).unwrap().fingerprint(0);
    let whole = Rule { reduce: Some(Reduction { how: Reduce::Avg, over_ms: 60_000 }), ..cpu() };
    assert_eq!(print(whole.clone()), 0xa3ba_5f2d_fb5a_0609, "elements that are in stores would begin anew");
    let said = Rule {
        name: "other".into(),
        for_ms: 5,
        annotations: [(Arc::from("summary"), Arc::from("x"))].into(),
        ..whole.clone()
    };
    assert_eq!(print(said), print(whole.clone()));
    for other in [
        Rule { subject: Subject::Metric { name: "cpu2".into(), of: None }, ..whole.clone() },
        Rule { judge: thresholds(["> 75", "> 85", "< 71"]), ..whole.clone() },
        Rule { by: Some(Vec::new()), ..whole.clone() },
        Rule { reduce: Some(Reduction { how: Reduce::Avg, over_ms: 61_000 }), ..whole.clone() },
        Rule { reduce: None, ..whole.clone() },
    ] {
        assert_ne!(print(other.clone()), print(whole.clone()), "{other:?}");
    }
}

#[test]
fn rules_are_found_by_name_and_each_set_has_its_own_version() {
    let set = Ruleset::new(vec![cpu(), Rule { name: "b".into(), ..cpu() }]).unwrap();
    assert_eq!((set.number("b"), set.number("c")), (Some(1), None));
    assert_eq!(set.rule("cpu").unwrap().name, set.rules()[0].name);
    assert_eq!(set.about(|subject| matches!(subject, Subject::Metric { .. })).count(), 2);
    assert_eq!(set.level_of_value(0, 80.0), Some(Level::Warning));
    assert_eq!(set.level_of_value(0, f64::NAN), None);
    assert_ne!(set.version(), Ruleset::new(vec![cpu()]).unwrap().version());
}
