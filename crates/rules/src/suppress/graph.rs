//! Who depends on whom, of rules and of services: checked once, when they are loaded. Knows nothing of what is active.

use super::order::{self, Fault, STEPS_AT_MOST};
use super::services::{SERVICE, Services};
use crate::{Dependency, Judge, Matcher, Rule, Severity, Subject};
use farol_health::Status;
use std::borrow::Borrow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// All dependencies.
#[derive(Debug)]
pub struct Graph {
    /// Where each rule stands.
    index: HashMap<Arc<str>, usize>,
    /// Each rule.
    nodes: Vec<Node>,
    /// Each way in which a rule is depended on.
    joins: Vec<Join>,
    /// Services that need one another.
    services: Services,
}

/// A rule.
#[derive(Debug)]
pub(super) struct Node {
    name: Arc<str>,
    /// Joins that hold its elements; each group does when all of it do.
    pub(super) groups: Vec<Vec<usize>>,
    /// Joins that its own elements take part in.
    pub(super) joins: Vec<usize>,
    /// Its active elements mean that their service is down.
    pub(super) tells_of_services: bool,
    /// Its elements are held while something is down that their service needs.
    pub(super) held_through_services: bool,
    /// Rules whose elements it may hold.
    affected: Vec<Arc<str>>,
}

/// A rule that is depended on by equal labels.
#[derive(Debug)]
pub(super) struct Join {
    /// That rule.
    pub(super) parent: usize,
    /// Those labels, in order.
    pub(super) on: Vec<Arc<str>>,
    /// What holds an element of the parent of which these labels are known and no others. Empty where they do not tell
    /// whether the parent looks at such an element.
    pub(super) through: Vec<Vec<usize>>,
    /// Which elements the parent looks at.
    pub(super) matchers: Vec<Matcher>,
}

/// What is wrong with dependencies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Two rules of one name.
    #[error("there are two rules `{0}`; give one of them another name")]
    SameName(Arc<str>),
    /// No such rule.
    #[error("rule `{rule}` depends on `{missing}`, which is no rule; write the name of one, or take it out")]
    UnknownRule {
        /// Which depends.
        rule: Arc<str>,
        /// On what is not there.
        missing: Arc<str>,
    },
    /// Rules that depend on each other.
    #[error("rules depend on each other: {0}; none of them would ever be told of, take one dependency out")]
    RuleCircle(String),
    /// Services that depend on each other.
    #[error(
        "services depend on each other: {0}; none of them would ever be told of, take one dependency out"
    )]
    ServiceCircle(String),
    /// A chain of rules that is too long.
    #[error("rule `{0}` depends on others over more than {STEPS_AT_MOST} steps; shorten the chain")]
    RuleTooDeep(Arc<str>),
    /// A chain of services that is too long.
    #[error("service `{0}` depends on others over more than {STEPS_AT_MOST} steps; shorten the chain")]
    ServiceTooDeep(Arc<str>),
}

impl Graph {
    /// Of rules, and of services with those that each of them needs.
    ///
    /// # Errors
    /// A rule that is not there is depended on, something depends on itself, or over too many steps.
    pub fn new<R: Borrow<Rule>>(
        rules: &[R],
        services: &BTreeMap<Arc<str>, Vec<Arc<str>>>,
    ) -> Result<Self, GraphError> {
        let rules: Vec<&Rule> = rules.iter().map(Borrow::borrow).collect();
        let mut index = HashMap::with_capacity(rules.len());
        for (at, rule) in rules.iter().enumerate() {
            if index.insert(Arc::clone(&rule.name), at).is_some() {
                return Err(GraphError::SameName(Arc::clone(&rule.name)));
            }
        }
        let services = read_services(services)?;
        let nodes = rules.iter().map(|rule| Node::new(rule, !services.needed_by.is_empty())).collect();
        let mut graph = Self { index, nodes, joins: Vec::new(), services };
        graph.join(&rules)?;
        graph.pass_through(&rules);
        graph.keep_from_circles();
        graph.affect();
        Ok(graph)
    }

    /// The rules whose elements have to be looked at again when an element of this one becomes active or inactive.
    #[must_use]
    pub fn affected(&self, rule: &str) -> &[Arc<str>] {
        self.rule(rule).map_or(&[], |(_, node)| &node.affected)
    }

    pub(super) fn rule(&self, name: &str) -> Option<(usize, &Node)> {
        let at = *self.index.get(name)?;
        Some((at, &self.nodes[at]))
    }

    pub(super) fn name(&self, rule: usize) -> Arc<str> {
        Arc::clone(&self.nodes[rule].name)
    }

    pub(super) fn joins(&self) -> &[Join] {
        &self.joins
    }

    pub(super) fn services(&self) -> &Services {
        &self.services
    }

    /// Makes the joins: one for all that depend on a rule by the same labels.
    fn join(&mut self, rules: &[&Rule]) -> Result<(), GraphError> {
        let mut known: BTreeMap<(usize, Vec<Arc<str>>), usize> = BTreeMap::new();
        let mut needs = Vec::with_capacity(rules.len());
        for (child, rule) in rules.iter().enumerate() {
            let mut together: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for dependency in &rule.depends_on {
                let parent = self.parent(rule, dependency)?;
                let on: BTreeSet<Arc<str>> = dependency.on.iter().cloned().collect();
                let on: Vec<Arc<str>> = on.into_iter().collect();
                let join = match known.entry((parent, on.clone())) {
                    Entry::Occupied(join) => *join.get(),
                    Entry::Vacant(place) => {
                        let join = Join { parent, on, through: Vec::new(), matchers: Vec::new() };
                        self.joins.push(join);
                        self.nodes[parent].joins.push(self.joins.len() - 1);
                        *place.insert(self.joins.len() - 1)
                    }
                };
                match &dependency.redundancy {
                    Some(group) => together.entry(group).or_default().push(join),
                    None => self.nodes[child].groups.push(vec![join]),
                }
            }
            self.nodes[child].groups.extend(together.into_values());
            needs.push(self.parents(child).collect());
        }
        let names: Vec<Arc<str>> = rules.iter().map(|rule| Arc::clone(&rule.name)).collect();
        order::check(&names, &needs).map_err(|fault| match fault {
            Fault::Circle(circle) => GraphError::RuleCircle(circle),
            Fault::Deep(rule) => GraphError::RuleTooDeep(rule),
        })
    }

    fn parent(&self, rule: &Rule, dependency: &Dependency) -> Result<usize, GraphError> {
        let known = self.index.get(&dependency.rule).copied();
        known.ok_or_else(|| GraphError::UnknownRule {
            rule: Arc::clone(&rule.name),
            missing: Arc::clone(&dependency.rule),
        })
    }

    fn parents(&self, rule: usize) -> impl Iterator<Item = usize> {
        self.nodes[rule].groups.iter().flatten().map(|join| self.joins[*join].parent)
    }

    /// Finds for each join what holds its parent by the same labels.
    fn pass_through(&mut self, rules: &[&Rule]) {
        for at in 0..self.joins.len() {
            let Join { parent, on, .. } = &self.joins[at];
            let told = |label: &Arc<str>| on.binary_search(label).is_ok();
            let matchers = &rules[*parent].matchers;
            if !matchers.iter().all(|matcher| told(&matcher.label)) {
                continue;
            }
            let all_told =
                |group: &&Vec<usize>| group.iter().all(|join| self.joins[*join].on.iter().all(told));
            let through = self.nodes[*parent].groups.iter().filter(all_told).cloned().collect();
            (self.joins[at].through, self.joins[at].matchers) = (through, matchers.clone());
        }
    }

    /// A rule that may hold what tells of a service, by labels without `service`, is not itself held through services:
    /// the two could hold each other, and nobody would be told. With `service` among the labels they cannot, since what
    /// is needed never needs who needs it.
    fn keep_from_circles(&mut self) {
        let mut next: Vec<(usize, bool)> = Vec::new();
        next.extend(
            (0..self.nodes.len()).filter(|rule| self.nodes[*rule].tells_of_services).map(|r| (r, false)),
        );
        let mut seen: BTreeSet<(usize, bool)> = next.iter().copied().collect();
        while let Some((rule, left_service)) = next.pop() {
            for join in self.nodes[rule].groups.iter().flatten().map(|join| &self.joins[*join]) {
                let step = (join.parent, left_service || !join.on.iter().any(|label| &**label == SERVICE));
                if seen.insert(step) {
                    next.push(step);
                }
            }
        }
        for (rule, _) in seen.into_iter().filter(|(_, left_service)| *left_service) {
            self.nodes[rule].held_through_services = false;
        }
    }

    /// Finds for each rule whom it may hold.
    fn affect(&mut self) {
        let mut affected = vec![BTreeSet::new(); self.nodes.len()];
        for child in 0..self.nodes.len() {
            let mut next: Vec<usize> = self.nodes[child].groups.iter().flatten().copied().collect();
            let mut seen: BTreeSet<usize> = next.iter().copied().collect();
            while let Some(join) = next.pop() {
                let join = &self.joins[join];
                affected[join.parent].insert(child);
                next.extend(join.through.iter().flatten().copied().filter(|join| seen.insert(*join)));
            }
        }
        let through_services = |(rule, node): (usize, &Node)| node.held_through_services.then_some(rule);
        let held: Vec<usize> = self.nodes.iter().enumerate().filter_map(through_services).collect();
        for (rule, mut affected) in affected.into_iter().enumerate() {
            if self.nodes[rule].tells_of_services {
                affected.extend(&held);
            }
            self.nodes[rule].affected = affected.into_iter().map(|child| self.name(child)).collect();
        }
    }
}

impl Node {
    fn new(rule: &Rule, with_services: bool) -> Self {
        // What is wrong with a whole agent or with the monitor is not explained by a service.
        let of_service =
            matches!(rule.subject, Subject::Metric { .. } | Subject::Component { .. } | Subject::Service(_));
        Self {
            name: Arc::clone(&rule.name),
            groups: Vec::new(),
            joins: Vec::new(),
            tells_of_services: with_services && tells_of_services(rule),
            held_through_services: with_services && of_service,
            affected: Vec::new(),
        }
    }
}

/// Whether an alert of this rule means that others cannot work: only a service does, of which so many instances must be
/// up; not one of its components at one of them. A warning does not, nor does `degraded`, which is still up.
fn tells_of_services(rule: &Rule) -> bool {
    let Judge::Statuses { statuses, severity, .. } = &rule.judge else { return false };
    matches!(rule.subject, Subject::Service(_))
        && *severity == Severity::Critical
        && statuses.iter().all(|status| matches!(status, Status::Unhealthy | Status::Unknown))
}

fn read_services(needs: &BTreeMap<Arc<str>, Vec<Arc<str>>>) -> Result<Services, GraphError> {
    let names: BTreeSet<&Arc<str>> = needs
        .iter()
        .filter(|(_, needs)| !needs.is_empty())
        .flat_map(|(name, needs)| needs.iter().chain([name]))
        .collect();
    let names: Vec<Arc<str>> = names.into_iter().cloned().collect();
    let index: HashMap<Arc<str>, usize> = names.iter().cloned().zip(0..).collect();
    let mut steps = vec![Vec::new(); names.len()];
    let mut needed_by = vec![Vec::new(); names.len()];
    for (service, needs) in needs {
        for needed in needs {
            if let (Some(&service), Some(&needed)) = (index.get(service), index.get(needed)) {
                steps[service].push(needed);
                needed_by[needed].push(service);
            }
        }
    }
    order::check(&names, &steps).map_err(|fault| match fault {
        Fault::Circle(circle) => GraphError::ServiceCircle(circle),
        Fault::Deep(service) => GraphError::ServiceTooDeep(service),
    })?;
    Ok(Services { index, needed_by })
}
