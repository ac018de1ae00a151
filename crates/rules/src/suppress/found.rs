//! What was found to hold an element back: the first few are named, all are counted, each once.

use super::Elements;
use crate::Labels;
use std::sync::Arc;

/// So many of those that hold an element back are named.
pub const HOLDERS_NAMED: usize = 16;

/// An active element that holds another one back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holder {
    /// Its rule.
    pub rule: Arc<str>,
    /// Its labels.
    pub labels: Labels,
}

/// Held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// By these; [`HOLDERS_NAMED`] at most.
    pub by: Vec<Holder>,
    /// By so many.
    pub count: usize,
}

/// Sets of active elements.
#[derive(Default)]
pub(super) struct Found<'a> {
    sets: Vec<Set<'a>>,
}

struct Set<'a> {
    /// Of which rule.
    rule: usize,
    /// Which service they all tell of: sets of different services have no element in common.
    service: Option<usize>,
    elements: &'a Elements,
}

impl<'a> Found<'a> {
    /// Adds a set, which is not empty.
    pub(super) fn add(&mut self, rule: usize, service: Option<usize>, elements: &'a Elements) {
        self.sets.push(Set { rule, service, elements });
    }

    /// All of it.
    pub(super) fn held(&self, name: impl Fn(usize) -> Arc<str>) -> Option<Held> {
        let mut by: Vec<Holder> = Vec::new();
        let mut count = 0;
        for (at, set) in self.sets.iter().enumerate() {
            let earlier: Vec<&Set<'_>> =
                self.sets[..at].iter().filter(|other| other.may_share(set)).collect();
            let is_new = |element: &Labels| !earlier.iter().any(|other| other.elements.contains(element));
            count += match earlier.is_empty() {
                true => set.elements.len(),
                false => set.elements.iter().filter(|element| is_new(element)).count(),
            };
            let named = set.elements.iter().filter(|element| is_new(element)).take(HOLDERS_NAMED - by.len());
            by.extend(named.map(|labels| Holder { rule: name(set.rule), labels: labels.clone() }));
        }
        (count > 0).then_some(Held { by, count })
    }
}

impl Set<'_> {
    fn may_share(&self, other: &Self) -> bool {
        self.rule == other.rule
            && match (self.service, other.service) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            }
    }
}
