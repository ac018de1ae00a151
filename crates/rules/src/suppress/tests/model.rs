//! The same answers from a model that searches everything each time.

use super::{Kind, Needs, labels, rule};
use crate::suppress::services::SERVICE;
use crate::suppress::{Graph, Held, Holder, Suppressor};
use crate::{Labels, Matcher, Pattern, Rule};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

struct Model {
    rules: Vec<Rule>,
    services: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    active: BTreeSet<Holder>,
}

impl Model {
    fn rule(&self, name: &str) -> &Rule {
        self.rules.iter().find(|rule| &*rule.name == name).unwrap()
    }

    fn holders(&self, name: &str, labels: &Labels) -> BTreeSet<Holder> {
        let mut all = self.by_rules(name, labels);
        if matches!(self.kind(name), Kind::Metric | Kind::Down | Kind::Worse | Kind::Mild | Kind::Service)
            && !self.rules.iter().any(|p| self.tells(&p.name) && self.leads_to(&p.name, name, false))
        {
            let needed = labels.get(SERVICE).map(|service| self.needs(service)).unwrap_or_default();
            let down = |holder: &&Holder| {
                self.tells(&holder.rule) && holder.labels.get(SERVICE).is_some_and(|s| needed.contains(s))
            };
            all.extend(self.active.iter().filter(down).cloned());
        }
        all
    }

    fn by_rules(&self, name: &str, labels: &Labels) -> BTreeSet<Holder> {
        let mut groups: BTreeMap<String, Vec<BTreeSet<Holder>>> = BTreeMap::new();
        for (n, dependency) in self.rule(name).depends_on.iter().enumerate() {
            let group = dependency.redundancy.as_ref().map_or(format!("alone {n}"), ToString::to_string);
            let holders = self.by_parent(&dependency.rule, &dependency.on, labels);
            groups.entry(group).or_default().push(holders);
        }
        groups.into_values().filter(|group| group.iter().all(|h| !h.is_empty())).flatten().flatten().collect()
    }

    fn by_parent(&self, parent: &str, on: &[Arc<str>], labels: &Labels) -> BTreeSet<Holder> {
        if on.iter().any(|label| labels.get(label).is_none()) {
            return BTreeSet::new();
        }
        let equal = |holder: &&Holder| {
            &*holder.rule == parent && on.iter().all(|label| holder.labels.get(label) == labels.get(label))
        };
        let direct: BTreeSet<Holder> = self.active.iter().filter(equal).cloned().collect();
        let told = labels.only(on);
        let matchers = &self.rule(parent).matchers;
        let looks_at = matchers.iter().all(|m| told.get(&m.label).is_some() && m.matches(&told));
        if direct.is_empty() && looks_at { self.by_rules(parent, &told) } else { direct }
    }

    fn kind(&self, name: &str) -> Kind {
        let all = [Kind::Metric, Kind::Down, Kind::Worse, Kind::Mild, Kind::Service, Kind::Agent];
        let own = self.rule(name);
        let same = |kind: &Kind| {
            let other = rule("", *kind, &[]);
            other.subject == own.subject && other.judge == own.judge
        };
        all.into_iter().find(same).unwrap()
    }

    fn tells(&self, name: &str) -> bool {
        self.kind(name) == Kind::Service
    }

    /// Whether a path of dependencies goes there that loses the service.
    fn leads_to(&self, from: &str, to: &str, lost: bool) -> bool {
        self.rule(from).depends_on.iter().any(|dependency| {
            let lost = lost || !dependency.on.iter().any(|label| &**label == SERVICE);
            &*dependency.rule == to && lost || self.leads_to(&dependency.rule, to, lost)
        })
    }

    fn needs(&self, service: &Arc<str>) -> BTreeSet<Arc<str>> {
        let direct = self.services.get(service).into_iter().flatten();
        direct.flat_map(|needed| self.needs(needed).into_iter().chain([Arc::clone(needed)])).collect()
    }
}

const KINDS: [Kind; 6] = [Kind::Metric, Kind::Down, Kind::Service, Kind::Service, Kind::Worse, Kind::Agent];
const ONS: [&[&str]; 5] = [&["agent"], &["service"], &["agent", "service"], &["cluster"], &[]];

/// For each rule: its kind, what it matches, and on which earlier ones it depends.
type Shape = (usize, u8, Vec<(usize, usize, u8)>);

fn read_rules(shapes: &[Shape]) -> Vec<Rule> {
    let read = |(n, (kind, matches, needs)): (usize, &Shape)| {
        let names: Vec<String> = (0..n).map(|n| format!("r{n}")).collect();
        let needs: Vec<Needs<'_>> = needs
            .iter()
            .filter(|_| n > 0)
            .map(|(parent, on, group)| {
                let group = [None, None, Some("g"), Some("h")][usize::from(*group)];
                (names[parent % n].as_str(), ONS[*on], group)
            })
            .collect();
        let mut rule = rule(&format!("r{n}"), KINDS[*kind], &needs);
        if let Some((label, pattern)) =
            [None, None, Some(("service", "s1")), Some(("agent", "!a0"))][usize::from(*matches)]
        {
            rule.matchers = vec![Matcher { label: label.into(), pattern: Pattern::parse(pattern).unwrap() }];
        }
        rule
    };
    shapes.iter().enumerate().map(read).collect()
}

/// Each label may be missing.
fn grid() -> Vec<Labels> {
    let mut all = Vec::new();
    for agent in ["", "agent=a0 ", "agent=a1 "] {
        for cluster in ["", "cluster=c0 "] {
            for service in ["", "service=s0", "service=s1", "service=s2", "service=s3"] {
                all.push(labels(&format!("{agent}{cluster}{service}")));
            }
        }
    }
    all
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let needs = prop::collection::vec((0..6_usize, 0..ONS.len(), 0..4_u8), 0..4);
    prop::collection::vec((0..KINDS.len(), 0..4_u8, needs), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn the_index_answers_as_a_search_of_everything_does(
        shapes in shapes(),
        service_needs in prop::collection::vec(prop::collection::vec(0..4_usize, 0..3), 4),
        turns in prop::collection::vec((0..6_usize, 0..30_usize, prop::bool::weighted(0.7)), 1..12),
    ) {
        let rules = read_rules(&shapes);
        let services: BTreeMap<Arc<str>, Vec<Arc<str>>> = service_needs
            .iter()
            .enumerate()
            .map(|(n, needs)| {
                let earlier = needs.iter().filter(|_| n > 0).map(|needed| format!("s{}", needed % n).into());
                (format!("s{n}").into(), earlier.collect())
            })
            .collect();
        let grid = grid();
        let names: Vec<Arc<str>> = rules.iter().map(|rule| Arc::clone(&rule.name)).collect();
        let mut all = Suppressor::new(Graph::new(&rules, &services).unwrap());
        let mut model = Model { rules, services, active: BTreeSet::new() };
        let ask = |all: &Suppressor| -> Vec<Vec<Option<Held>>> {
            names.iter().map(|name| grid.iter().map(|labels| all.holders(name, labels)).collect()).collect()
        };
        let mut before = ask(&all);
        for (rule, element, active) in turns {
            let holder = Holder { rule: Arc::clone(&names[rule % names.len()]), labels: grid[element].clone() };
            let may_change = if active {
                model.active.insert(holder.clone());
                all.active(&holder.rule, &holder.labels)
            } else {
                model.active.remove(&holder);
                all.inactive(&holder.rule, &holder.labels)
            };
            let after = ask(&all);
            for ((name, before), after) in names.iter().zip(&before).zip(&after) {
                for ((labels, before), after) in grid.iter().zip(before).zip(after) {
                    let expected = model.holders(name, labels);
                    let named: BTreeSet<Holder> = after.iter().flat_map(|held| held.by.iter().cloned()).collect();
                    prop_assert_eq!(&named, &expected, "{}{}", name, labels);
                    prop_assert_eq!(after.as_ref().map_or(0, |held| held.count), expected.len());
                    prop_assert_eq!(after.as_ref().map_or(0, |held| held.by.len()), expected.len());
                    if before.is_some() != after.is_some() {
                        prop_assert!(may_change, "{}{} turned unseen", name, labels);
                        prop_assert!(all.graph().affected(&holder.rule).contains(name));
                    }
                }
            }
            // Somebody is always told.
            let told = |holder: &Holder| all.holders(&holder.rule, &holder.labels).is_none();
            prop_assert!(model.active.is_empty() || model.active.iter().any(told), "{:?}", model.active);
            before = after;
        }
    }
}
