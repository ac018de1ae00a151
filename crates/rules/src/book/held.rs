//! What is held back, and by what: found anew for whatever depends on what changed, a crowd of changes at once, and at
//! once for what somebody is about to hear of.

use super::alert;
use super::{Book, Due, LOOK_AGAIN_MS, NAMED_AT_MOST};
use crate::output::ElementId;
use crate::{AlertId, Moment};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What is to be looked at, and when that was last done.
#[derive(Default)]
pub(super) struct HeldAnew {
    /// Rules whose alerts may be held back by something else than before.
    rules: HashSet<Arc<str>>,
    /// Who holds whom is not as it was last found.
    holding: bool,
    /// When what is held back was last looked at, on the running clock.
    looked_ms: Option<u64>,
    /// When who holds whom was last found.
    found_ms: Option<u64>,
}

impl HeldAnew {
    /// Whether alerts of this rule may not be held back as they were last found.
    pub(super) fn may_differ(&self, rule: &str) -> bool {
        self.rules.contains(rule)
    }

    /// Who holds whom is to be found anew.
    pub(super) fn all(&mut self) {
        self.holding = true;
    }
}

/// The alerts that one holds back.
#[derive(Default)]
pub(super) struct Holding {
    /// The first of them.
    pub(super) named: Vec<AlertId>,
    /// How many there are.
    pub(super) count: usize,
}

impl Book {
    /// An element holds others back from now on, or does not any more.
    pub(super) fn may_hold(&mut self, id: &ElementId, holds: bool) {
        let changed = match holds {
            true => self.suppressor.active(&id.rule, &id.labels),
            false => self.suppressor.inactive(&id.rule, &id.labels),
        };
        let affected = self.suppressor.graph().affected(&id.rule);
        if changed {
            self.held.rules.extend(affected.iter().cloned());
        }
        self.held.holding |= !affected.is_empty();
    }

    /// Looks at what is held back, if anything may have changed and it was not just done.
    pub(super) fn look_at_held(&mut self, now: Moment) {
        if self.held.rules.is_empty() || !self.is_time(self.held.looked_ms, now) {
            return;
        }
        self.held.looked_ms = Some(now.run_ms);
        for rule in std::mem::take(&mut self.held.rules) {
            let first = AlertId { rule, labels: crate::Labels::default() };
            for (id, alert) in self.alerts.range_mut(&first..).take_while(|(id, _)| id.rule == first.rule) {
                alert.recheck = true;
                self.dirty.insert(id.clone());
            }
        }
    }

    /// Whether what was looked at then may be looked at now; if not, it is planned.
    fn is_time(&mut self, looked_ms: Option<u64>, now: Moment) -> bool {
        let again_ms = looked_ms.map_or(0, |looked_ms| looked_ms + LOOK_AGAIN_MS);
        if again_ms > now.run_ms {
            self.plan(Some(again_ms), Due::Held);
        }
        again_ms <= now.run_ms
    }

    /// Finds who holds whom, if that may have changed and was not just done. It puts off nothing that is to be told.
    pub(super) fn find_holding(&mut self, now: Moment) {
        if !self.held.holding || !self.is_time(self.held.found_ms, now) {
            return;
        }
        (self.held.holding, self.held.found_ms) = (false, Some(now.run_ms));
        let mut holding: HashMap<AlertId, Holding> = HashMap::new();
        for (child, _) in self.alerts.iter().filter(|(_, alert)| alert.is_firing() && alert.is_held()) {
            for parent in self.held_by(child) {
                if parent == *child {
                    continue;
                }
                let holding = holding.entry(parent).or_default();
                holding.count += 1;
                if holding.named.len() < NAMED_AT_MOST {
                    holding.named.push(child.clone());
                }
            }
        }
        self.holding = holding;
    }

    /// The alerts that hold all of an alert's elements back, those of the first elements; none where one of them is
    /// free. Of an alert that fires, the elements that do count.
    pub(super) fn held_by(&self, id: &AlertId) -> Vec<AlertId> {
        let Some(alert) = self.alerts.get(id) else { return Vec::new() };
        let fires = alert.firing_count() > 0;
        if fires && !alert.is_held() {
            return Vec::new();
        }
        let counted = alert.parts.iter().filter(|(_, part)| !fires || part.firing.is_some());
        let mut parents = Vec::new();
        for (element, _) in counted.take(NAMED_AT_MOST) {
            let Some(held) = self.suppressor.holders(&element.rule, &element.labels) else {
                return Vec::new();
            };
            for parent in held.by {
                let Some(rule) = self.orders.rules.rule(&parent.rule) else { continue };
                let parent = alert::id_of(rule, &parent.labels);
                if !parents.contains(&parent) && parents.len() < NAMED_AT_MOST {
                    parents.push(parent);
                }
            }
        }
        parents
    }
}
