//! Which elements are held back, and by whom: what they depend on is itself active, which is pending, firing or over only
//! a moment ago. Only this is decided here: whatever is held back is evaluated and remembered on, and what was told of it
//! is still ended.

mod found;
mod graph;
mod order;
mod services;

pub use found::{HOLDERS_NAMED, Held, Holder};
pub use graph::{Graph, GraphError};

use crate::{Labels, Matcher};
use found::Found;
use services::ActiveServices;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Active elements of one rule, in the order of their labels.
type Elements = BTreeSet<Labels>;

/// Which elements are active, arranged so that what holds another one back is found at once.
///
/// An element is held by an active one of a rule that its own depends on, where both have the labels of `on` with the
/// same values. Where there is none, it is held by what would hold an element of that rule with these labels: who waits
/// for a database waits for the database's agent, too, as far as `on` tells which agent that is.
#[derive(Debug)]
pub struct Suppressor {
    /// Who depends on whom.
    graph: Arc<Graph>,
    /// For each join of the graph: the active elements of its parent, by the labels that the join is on.
    joins: Vec<HashMap<Labels, Elements>>,
    /// Active elements that tell of a service that is down.
    services: ActiveServices,
}

impl Suppressor {
    /// With nothing active.
    #[must_use]
    pub fn new(graph: impl Into<Arc<Graph>>) -> Self {
        let graph = graph.into();
        let joins = graph.joins().iter().map(|_| HashMap::new()).collect();
        let services = ActiveServices::new(graph.services());
        Self { graph, joins, services }
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// An element is active from now on. True if something that was not held back may be so now: elements of the rules
    /// that [`Graph::affected`] names.
    pub fn active(&mut self, rule: &str, labels: &Labels) -> bool {
        self.turn(rule, labels, true)
    }

    /// An element is not active any more. True if something that was held back may not be so now.
    pub fn inactive(&mut self, rule: &str, labels: &Labels) -> bool {
        self.turn(rule, labels, false)
    }

    fn turn(&mut self, rule: &str, labels: &Labels, active: bool) -> bool {
        let Some((index, node)) = self.graph.rule(rule) else { return false };
        let mut changed = false;
        for &join in &node.joins {
            let Some(key) = labels.all_of(&self.graph.joins()[join].on) else { continue };
            changed |= turn_one(&mut self.joins[join], key, labels, active);
        }
        if node.tells_of_services {
            changed |= self.services.turn(self.graph.services(), index, labels, active);
        }
        changed
    }

    /// What holds an element back, if anything does.
    #[must_use]
    pub fn holders(&self, rule: &str, labels: &Labels) -> Option<Held> {
        let (_, node) = self.graph.rule(rule)?;
        let mut asked = Asked { suppressor: self, labels, known: BTreeMap::new() };
        let mut found = Found::default();
        asked.gather(&node.groups, &mut BTreeSet::new(), &mut found);
        if node.held_through_services {
            self.services.gather(self.graph.services(), labels, &mut found);
        }
        found.held(|index| self.graph.name(index))
    }
}

/// Adds or takes out one element; true if that made the first one or took the last one.
fn turn_one(by_key: &mut HashMap<Labels, Elements>, key: Labels, labels: &Labels, active: bool) -> bool {
    if active {
        let elements = by_key.entry(key).or_default();
        elements.insert(labels.clone()) && elements.len() == 1
    } else if let Some(elements) = by_key.get_mut(&key) {
        elements.remove(labels);
        elements.is_empty() && by_key.remove(&key).is_some()
    } else {
        false
    }
}

/// One element that is asked for.
struct Asked<'a> {
    /// All that is active.
    suppressor: &'a Suppressor,
    /// Its labels.
    labels: &'a Labels,
    /// Which joins hold it, as far as was looked: paths that meet are not walked twice.
    known: BTreeMap<usize, bool>,
}

impl<'a> Asked<'a> {
    /// The parent's active elements that the join finds.
    fn direct(&self, join: usize) -> Option<&'a Elements> {
        let suppressor = self.suppressor;
        let by_key = &suppressor.joins[join];
        if by_key.is_empty() {
            return None;
        }
        by_key.get(&self.labels.all_of(&suppressor.graph.joins()[join].on)?)
    }

    /// What holds an element of the parent with the labels of the join, if there can be one.
    fn through(&self, join: usize) -> &'a [Vec<usize>] {
        let join = &self.suppressor.graph.joins()[join];
        let has_all = || join.on.iter().all(|label| self.labels.get(label).is_some());
        if join.through.is_empty() || !has_all() || !Matcher::all(&join.matchers, self.labels) {
            return &[];
        }
        &join.through
    }

    fn join_holds(&mut self, join: usize) -> bool {
        if let Some(known) = self.known.get(&join) {
            return *known;
        }
        // No deeper than the graph, which has a bound.
        let holds =
            self.direct(join).is_some() || self.through(join).iter().any(|group| self.group_holds(group));
        self.known.insert(join, holds);
        holds
    }

    fn group_holds(&mut self, group: &[usize]) -> bool {
        group.iter().all(|join| self.join_holds(*join))
    }

    /// Everything active that holds: the nearest on each path.
    fn gather(&mut self, groups: &[Vec<usize>], seen: &mut BTreeSet<usize>, found: &mut Found<'a>) {
        for group in groups {
            if !self.group_holds(group) {
                continue;
            }
            for &join in group {
                if !seen.insert(join) {
                    continue;
                }
                match self.direct(join) {
                    Some(elements) => found.add(self.suppressor.graph.joins()[join].parent, None, elements),
                    None => self.gather(self.through(join), seen, found),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
