//! Who holds whom back, against a plain model.

use super::*;
use crate::{Condition, Dependency, Flap, Judge, Operator, Pattern, Rule, Severity, Subject};
use farol_health::Status;

mod model;

/// Which label names two elements must share, and in which redundancy group.
type Needs<'a> = (&'a str, &'a [&'a str], Option<&'a str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Metric,
    /// A component that is unhealthy.
    Down,
    /// A component that is degraded or worse.
    Worse,
    /// A component that is unhealthy, which is a warning.
    Mild,
    Service,
    Agent,
}

fn rule(name: &str, kind: Kind, needs: &[Needs<'_>]) -> Rule {
    let statuses = |statuses: &[Status], severity| Judge::Statuses {
        statuses: statuses.to_vec(),
        stale: false,
        severity,
    };
    let component = Subject::Component { name: None, kind: None };
    let above = Condition { operator: Operator::Above, number: 85.0 };
    let thresholds = Judge::Thresholds { warning: None, critical: Some(above), clear: None };
    let lost = Subject::Agent(crate::AgentCondition::Lost);
    let (subject, judge) = match kind {
        Kind::Metric => (Subject::Metric { name: "m".into(), of: None }, thresholds),
        Kind::Down => (component, statuses(&[Status::Unhealthy], Severity::Critical)),
        Kind::Worse => (component, statuses(&[Status::Unhealthy, Status::Degraded], Severity::Critical)),
        Kind::Mild => (component, statuses(&[Status::Unhealthy], Severity::Warning)),
        Kind::Service => (Subject::Service(None), statuses(&[Status::Unhealthy], Severity::Critical)),
        Kind::Agent => (lost, Judge::Condition { severity: Severity::Critical }),
    };
    let depends_on = needs.iter().map(|(rule, on, redundancy)| Dependency {
        rule: (*rule).into(),
        on: on.iter().map(|label| (*label).into()).collect(),
        redundancy: redundancy.map(Into::into),
    });
    Rule {
        name: name.into(),
        subject,
        judge,
        depends_on: depends_on.collect(),
        matchers: Vec::new(),
        reduce: None,
        for_ms: 0,
        keep_firing_for_ms: 0,
        flap: Flap::default(),
        by: None,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        actions: Vec::new(),
    }
}

fn services(needs: &[(&str, &[&str])]) -> BTreeMap<Arc<str>, Vec<Arc<str>>> {
    needs.iter().map(|(name, needs)| ((*name).into(), needs.iter().map(|n| (*n).into()).collect())).collect()
}

/// Labels as `a=1 b=2`.
fn labels(text: &str) -> Labels {
    let pairs = text.split_whitespace().map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.into(), value.into())).collect()
}

fn by(held: Option<Held>) -> Vec<String> {
    let Some(held) = held else { return Vec::new() };
    assert_eq!(held.count, held.by.len());
    held.by.iter().map(|holder| format!("{}{}", holder.rule, holder.labels).replace('"', "")).collect()
}

fn suppressor(rules: &[Rule], needs: &[(&str, &[&str])]) -> Suppressor {
    Suppressor::new(Graph::new(rules, &services(needs)).unwrap())
}

#[test]
fn labels_must_be_there_on_both_sides_and_equal() {
    let rules = [
        rule("lost", Kind::Agent, &[]),
        rule("cpu", Kind::Metric, &[("lost", &["agent", "zone"], None)]),
        rule("any", Kind::Metric, &[("lost", &[], None)]),
    ];
    for (parent, child, held) in [
        ("agent=a zone=z", "agent=a zone=z cpu=1", true),
        ("agent=a zone=z", "agent=b zone=z", false),
        ("agent=a zone=z", "agent=a", false),
        ("agent=a", "agent=a", false),
        ("agent=a", "agent=a zone=z", false),
        ("agent=a zone=", "agent=a zone=", true),
        ("agent=a zone=", "agent=a", false),
        ("", "", false),
    ] {
        let mut all = suppressor(&rules, &[]);
        assert!(all.active("lost", &labels(parent)));
        assert_eq!(all.holders("cpu", &labels(child)).is_some(), held, "{parent} / {child}");
        assert!(all.holders("any", &labels(child)).is_some(), "on nothing, everything is equal");
        assert_eq!(all.holders("lost", &labels(parent)), None);
    }
}

#[test]
fn an_element_is_held_while_its_parent_is_active_and_no_longer() {
    let rules = [rule("lost", Kind::Agent, &[]), rule("cpu", Kind::Metric, &[("lost", &["agent"], None)])];
    let mut all = suppressor(&rules, &[]);
    let (parent, other) = (labels("agent=a boot=1"), labels("agent=a boot=2"));
    let held = |all: &Suppressor| by(all.holders("cpu", &labels("agent=a cpu=0")));
    assert!(all.active("lost", &parent));
    assert!(!all.active("lost", &parent), "it was active already");
    assert!(!all.active("lost", &other), "nobody is held who was not");
    assert_eq!(held(&all), ["lost{agent=a,boot=1}", "lost{agent=a,boot=2}"]);
    assert!(!all.inactive("lost", &parent));
    assert!(!all.inactive("lost", &parent));
    assert_eq!(held(&all), ["lost{agent=a,boot=2}"]);
    assert!(all.inactive("lost", &other));
    assert_eq!(held(&all), [""; 0]);
    assert!(!all.inactive("lost", &other));
    assert!(all.joins.iter().all(HashMap::is_empty), "nothing is kept of what is over");
    assert!(!all.active("no such rule", &parent) && !all.inactive("no such rule", &parent));
    assert_eq!(all.holders("no such rule", &parent), None);
}

#[test]
fn redundant_ones_hold_together_and_all_others_each() {
    let on: &[&str] = &["site"];
    let needs =
        [("dns1", on, Some("dns")), ("dns2", on, Some("dns")), ("power", on, None), ("up1", on, Some("up"))];
    let rules = [
        rule("dns1", Kind::Metric, &[]),
        rule("dns2", Kind::Metric, &[]),
        rule("power", Kind::Metric, &[]),
        rule("up1", Kind::Metric, &[]),
        rule("app", Kind::Metric, &needs),
    ];
    for (active, holders) in [
        ("dns1", ""),
        ("dns2", ""),
        ("dns1 dns2", "dns1 dns2"),
        ("power", "power"),
        ("dns1 power", "power"),
        ("dns1 dns2 power", "power dns1 dns2"),
        ("up1", "up1"),
    ] {
        let mut all = suppressor(&rules, &[]);
        for rule in active.split(' ') {
            all.active(rule, &labels("site=x"));
        }
        let held = by(all.holders("app", &labels("site=x"))).join(" ").replace("{site=x}", "");
        assert_eq!(held, holders, "{active}");
        assert_eq!(all.holders("app", &labels("site=y")), None);
    }
}

#[test]
fn what_holds_the_parent_holds_the_child_where_labels_tell_which_parent() {
    let mut rules = vec![
        rule("lost", Kind::Agent, &[]),
        rule("database", Kind::Down, &[("lost", &["agent"], None)]),
        rule("same_agent", Kind::Metric, &[("database", &["agent", "cluster"], None)]),
        rule("elsewhere", Kind::Metric, &[("database", &["cluster"], None)]),
    ];
    let element = labels("agent=a cluster=eu");
    let mut all = suppressor(&rules, &[]);
    all.active("lost", &labels("agent=a"));
    assert_eq!(by(all.holders("same_agent", &element)), ["lost{agent=a}"]);
    assert_eq!(all.holders("elsewhere", &element), None, "the database may be on another agent");
    all.active("database", &labels("agent=a cluster=eu"));
    assert_eq!(
        by(all.holders("same_agent", &element)),
        ["database{agent=a,cluster=eu}"],
        "the nearest is named"
    );
    assert_eq!(
        all.graph().affected("lost").iter().map(|r| &**r).collect::<Vec<_>>(),
        ["database", "same_agent"]
    );
    assert_eq!(
        all.graph().affected("database").iter().map(|r| &**r).collect::<Vec<_>>(),
        ["same_agent", "elsewhere"]
    );
    // A parent that does not look at such elements passes nothing on; nor does one of which this is not known.
    for (label, pattern, passes) in
        [("cluster", "eu", true), ("cluster", "us", false), ("pod", "!x", false), ("agent", "~a|b", true)]
    {
        rules[1].matchers = vec![Matcher { label: label.into(), pattern: Pattern::parse(pattern).unwrap() }];
        let mut all = suppressor(&rules, &[]);
        all.active("lost", &labels("agent=a"));
        assert_eq!(all.holders("same_agent", &element).is_some(), passes, "{label}: {pattern}");
    }
}

#[test]
fn services_hold_those_that_need_them_however_far() {
    let needs: &[(&str, &[&str])] =
        &[("shop", &["payments"]), ("payments", &["postgres", "redis"]), ("blog", &[])];
    let rules = [
        rule("down", Kind::Down, &[]),
        rule("service", Kind::Service, &[]),
        rule("slow", Kind::Metric, &[]),
        rule("lost", Kind::Agent, &[]),
        rule("worse", Kind::Worse, &[]),
        rule("mild", Kind::Mild, &[]),
    ];
    for (active, element, held) in [
        ("service service=postgres", "slow service=payments", true),
        ("service service=postgres", "slow service=shop", true),
        ("service service=postgres", "down service=shop agent=a", true),
        ("service service=postgres", "service service=shop", true),
        ("service service=shop", "slow service=payments", false),
        ("service service=postgres", "slow service=redis", false),
        ("service service=postgres", "slow service=blog", false),
        ("service service=postgres", "slow service=unheard", false),
        ("service service=postgres", "slow agent=a", false),
        // None holds its own service.
        ("service service=payments", "down service=payments agent=b", false),
        // What is slow, degraded or a warning is up, and so is a service one of whose components is down; a lost agent
        // is no service and needs none.
        ("down service=postgres agent=a", "slow service=payments", false),
        ("slow service=postgres", "down service=payments", false),
        ("worse service=postgres", "slow service=payments", false),
        ("mild service=postgres", "slow service=payments", false),
        ("lost service=postgres", "slow service=payments", false),
        ("service service=postgres", "lost service=payments", false),
    ] {
        let mut all = suppressor(&rules, needs);
        let (rule, active_labels) = active.split_once(' ').unwrap();
        let of_services = rule == "service";
        assert_eq!(
            all.active(rule, &labels(active_labels)),
            of_services && !active.contains("=shop"),
            "{active}"
        );
        let (rule, element_labels) = element.split_once(' ').unwrap();
        let holders = all.holders(rule, &labels(element_labels));
        assert_eq!(holders.is_some(), held, "{active} / {element}: {holders:?}");
    }
    let all = suppressor(&rules, needs);
    assert_eq!(all.graph().affected("service").len(), 5, "all but the agent's");
    assert!(all.graph().affected("slow").is_empty() && all.graph().affected("down").is_empty());
    assert!(suppressor(&rules, &[("blog", &[])]).graph().affected("service").is_empty());
}

#[test]
fn no_two_hold_each_other_through_rules_and_services() {
    let needs: &[(&str, &[&str])] = &[("shop", &["postgres"])];
    for (on, held) in [(&["cluster"] as &[&str], false), (&["cluster", "service"], true)] {
        let rules = [rule("slow", Kind::Metric, &[]), rule("down", Kind::Service, &[("slow", on, None)])];
        let mut all = suppressor(&rules, needs);
        let (slow, down) = (labels("service=shop cluster=eu"), labels("service=postgres cluster=eu"));
        all.active("slow", &slow);
        all.active("down", &down);
        assert_eq!(all.holders("slow", &slow).is_some(), held, "{on:?}");
        assert_eq!(all.holders("down", &down).is_some(), !held, "{on:?}");
    }
}

#[test]
fn one_parent_is_told_to_fifty_thousand_children_and_so_many_parents_to_one() {
    let rules =
        [rule("lost", Kind::Agent, &[]), rule("down", Kind::Service, &[("lost", &["cluster"], None)])];
    let mut all = suppressor(&rules, &[("shop", &["postgres"])]);
    let element = |n: u32| labels(&format!("agent=a{n:05} cluster=eu service=postgres"));
    for n in 0..50_000 {
        assert_eq!(all.active("lost", &element(n)), n == 0);
        assert_eq!(all.active("down", &element(n)), n == 0);
    }
    for n in 0..50_000 {
        let held = all.holders("down", &element(n)).unwrap();
        assert_eq!((held.count, held.by.len()), (50_000, HOLDERS_NAMED));
    }
    let held = all.holders("down", &labels("service=shop cluster=us")).unwrap();
    assert_eq!((held.count, held.by.len(), &held.by[0].labels), (50_000, HOLDERS_NAMED, &element(0)));
    // By both ways at once, each is counted once.
    let held = all.holders("down", &labels("service=shop cluster=eu")).unwrap();
    assert_eq!((held.count, held.by.len()), (100_000, HOLDERS_NAMED));
    for n in 0..50_000 {
        assert_eq!(all.inactive("lost", &element(n)), n == 49_999);
    }
    assert_eq!(all.holders("down", &labels("service=postgres cluster=eu")), None);
}

#[test]
fn dependencies_that_lead_nowhere_or_in_a_circle_are_refused() {
    let one = |name: &str, on: &[&str]| {
        let needs: Vec<Needs<'_>> = on.iter().map(|other| (*other, &["agent"] as &[&str], None)).collect();
        rule(name, Kind::Metric, &needs)
    };
    for (rules, part) in [
        (vec![one("a", &["b"])], "`a` depends on `b`, which is no rule"),
        (vec![one("a", &["a"])], "each other: a → a;"),
        (
            vec![one("x", &["a"]), one("a", &["c", "b"]), one("b", &["a"]), one("c", &[])],
            "each other: a → b → a;",
        ),
        (vec![one("a", &[]), one("a", &[])], "two rules `a`"),
    ] {
        let error = Graph::new(&rules, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let none: [Rule; 0] = [];
    for (needs, circle) in [
        (services(&[("a", &["a"])]), "a → a"),
        (services(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])]), "a → b → c → a"),
    ] {
        assert_eq!(Graph::new(&none, &needs).unwrap_err(), GraphError::ServiceCircle(circle.into()));
    }
}

#[test]
fn a_chain_has_256_steps_and_not_one_more() {
    for (steps, right) in [(256, true), (257, false), (100_000, false)] {
        let name = |n: usize| format!("r{n}");
        let chain = (0..=steps).map(|n| {
            let parent = name(n + 1);
            let needs: &[Needs<'_>] = if n < steps { &[(&parent, &["agent"], None)] } else { &[] };
            rule(&name(n), Kind::Metric, needs)
        });
        let chain: Vec<Arc<Rule>> = chain.map(Arc::new).collect();
        let needs: BTreeMap<Arc<str>, Vec<Arc<str>>> =
            (0..steps).map(|n| (name(n).into(), vec![name(n + 1).into()])).collect();
        let rules = Graph::new(&chain, &BTreeMap::new());
        let down: Vec<Rule> = vec![rule("down", Kind::Service, &[])];
        let services = Graph::new(&down, &needs);
        assert_eq!((rules.is_ok(), services.is_ok()), (right, right), "{steps}");
        let (Ok(rules), Ok(services)) = (rules, services) else { continue };
        let mut all = Suppressor::new(rules);
        all.active(&name(steps), &labels("agent=a"));
        assert_eq!(by(all.holders("r0", &labels("agent=a"))), [format!("r{steps}{{agent=a}}")]);
        let mut all = Suppressor::new(services);
        all.active("down", &labels(&format!("service=r{steps}")));
        assert!(all.holders("down", &labels("service=r0")).is_some());
    }
}

#[test]
fn paths_that_meet_again_and_again_are_walked_once() {
    // Two rules on each of 200 levels, each on both of the next: 2^200 paths.
    let mut rules = vec![rule("a200", Kind::Metric, &[]), rule("b200", Kind::Metric, &[])];
    for level in 0..200 {
        let (a, b) = (format!("a{}", level + 1), format!("b{}", level + 1));
        let needs: [Needs<'_>; 2] = [(&a, &["agent"], Some("both")), (&b, &["agent"], Some("both"))];
        rules.push(rule(&format!("a{level}"), Kind::Metric, &needs));
        rules.push(rule(&format!("b{level}"), Kind::Metric, &needs));
    }
    let mut all = suppressor(&rules, &[]);
    all.active("a200", &labels("agent=x"));
    assert_eq!(all.holders("a0", &labels("agent=x")), None);
    all.active("b200", &labels("agent=x"));
    assert_eq!(by(all.holders("a0", &labels("agent=x"))), ["a200{agent=x}", "b200{agent=x}"]);
}
