//! Services that need one another: while one that is needed is down, what tells of those that need it is held back. Which
//! rules tell that a service is down is decided by the graph.

use super::{Elements, Found};
use crate::Labels;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The label that names a service.
pub(super) const SERVICE: &str = "service";

/// Who needs whom.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// All that are named.
    pub(super) index: HashMap<Arc<str>, usize>,
    /// Who needs it, without what lies between.
    pub(super) needed_by: Vec<Vec<usize>>,
}

/// The services that are down.
#[derive(Debug)]
pub(super) struct ActiveServices {
    /// The active elements that say so, by their rule.
    down: BTreeMap<usize, BTreeMap<usize, Elements>>,
    /// For each service: those that are down of all that it needs, however far.
    needs: Vec<BTreeSet<usize>>,
}

impl Services {
    fn of(&self, labels: &Labels) -> Option<usize> {
        self.index.get(labels.get(SERVICE)?).copied()
    }

    /// All that need a service, however far; not itself.
    fn all_that_need(&self, service: usize) -> BTreeSet<usize> {
        let (mut all, mut next) = (BTreeSet::new(), vec![service]);
        while let Some(service) = next.pop() {
            next.extend(self.needed_by[service].iter().copied().filter(|other| all.insert(*other)));
        }
        all
    }
}

impl ActiveServices {
    pub(super) fn new(services: &Services) -> Self {
        Self { down: BTreeMap::new(), needs: vec![BTreeSet::new(); services.needed_by.len()] }
    }

    /// An element became active or inactive; true if it was the first or the last of a service that others need.
    pub(super) fn turn(&mut self, services: &Services, rule: usize, labels: &Labels, active: bool) -> bool {
        let Some(service) = services.of(labels) else { return false };
        let was_down = self.down.contains_key(&service);
        let by_rule = self.down.entry(service).or_default();
        let elements = by_rule.entry(rule).or_default();
        if active {
            elements.insert(labels.clone());
        } else {
            elements.remove(labels);
        }
        if elements.is_empty() {
            by_rule.remove(&rule);
        }
        let is_down = !by_rule.is_empty();
        if !is_down {
            self.down.remove(&service);
        }
        if was_down == is_down {
            return false;
        }
        let waiting = services.all_that_need(service);
        for other in &waiting {
            if is_down {
                self.needs[*other].insert(service);
            } else {
                self.needs[*other].remove(&service);
            }
        }
        !waiting.is_empty()
    }

    /// What holds back an element with these labels.
    pub(super) fn gather<'a>(&'a self, services: &Services, labels: &Labels, found: &mut Found<'a>) {
        let Some(service) = services.of(labels) else { return };
        for needed in &self.needs[service] {
            for (rule, elements) in self.down.get(needed).into_iter().flatten() {
                found.add(*rule, Some(*needed), elements);
            }
        }
    }
}
