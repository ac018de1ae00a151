//! What of an agent an element is about, whatever its other labels are: an agent's labels change, as does the kind of a
//! check, and what is bad then is the same thing as before. Says nothing of metrics: who reads them says what is gone.

use super::Book;
use super::element::With;
use crate::output::{ElementId, Keep};
use crate::step::Input;
use crate::{Ending, Labels, Level, Matcher, Moment, Subject};
use std::sync::Arc;

/// The service and component that an element is about; neither where it is about the agent.
pub(super) type Place = [Option<Arc<str>>; 2];

/// What of its agent an element is about.
pub(super) fn place(subject: &Subject, labels: &Labels) -> Place {
    match subject {
        Subject::Agent(_) => [None, None],
        _ => ["service", "component"].map(|name| labels.get(name).cloned()),
    }
}

impl Book {
    /// All of an agent's elements.
    pub(super) fn of_agent(&self, agent: &str) -> impl Iterator<Item = &ElementId> {
        self.by_agent.get(agent).into_iter().flatten().map(|(_, id)| id)
    }

    /// Its elements that are about one component.
    pub(super) fn of_component(&self, agent: &str, place: &Place) -> Vec<ElementId> {
        let first = (place.clone(), ElementId { rule: "".into(), labels: Labels::default() });
        let of_agent = self.by_agent.get(agent).into_iter();
        let from = of_agent.flat_map(|all| all.range(&first..));
        from.take_while(|(at, _)| at == place).map(|(_, id)| id.clone()).collect()
    }

    /// Whether nothing can be measured of an element now: its agent is lost, or the component that it is about is bad, by
    /// any rule about components.
    pub(super) fn is_out_of_sight(&self, id: &ElementId) -> bool {
        let Some(agent) = id.labels.get("agent") else { return false };
        if self.lost.contains(agent) {
            return true;
        }
        let at = ["service", "component"].map(|name| id.labels.get(name).cloned());
        self.of_component(agent, &at).iter().filter_map(|id| self.elements.get(id)).any(|element| {
            matches!(self.rule(element.rule).subject, Subject::Component { .. }) && element.is_active()
        })
    }

    /// Elements of the same rule about the same thing, known under other labels.
    fn otherwise(&self, number: u32, id: &ElementId) -> Vec<ElementId> {
        let Some(of_agent) = id.labels.get("agent").and_then(|agent| self.by_agent.get(agent)) else {
            return Vec::new();
        };
        let at = place(&self.rule(number).subject, &id.labels);
        let first = (at, ElementId { rule: Arc::clone(&id.rule), labels: Labels::default() });
        let from = of_agent.range(&first..);
        let same = from.take_while(|(at, known)| *at == first.0 && known.rule == id.rule);
        same.filter(|(_, known)| known.labels != id.labels).map(|(_, known)| known.clone()).collect()
    }

    /// Steps what is about a component or an agent. What is known of it under other labels goes on under these; that it
    /// is well is told under those that it was told by. What the rule does not look at any more ends.
    pub(super) fn step_seen(
        &mut self,
        number: u32,
        labels: &Labels,
        looks: bool,
        (input, with): (Input, With),
        now: Moment,
    ) {
        let rule = Arc::clone(self.rule(number));
        let looks = looks && Matcher::all(&rule.matchers, labels);
        let id = ElementId { rule: Arc::clone(&rule.name), labels: labels.clone() };
        for known in self.otherwise(number, &id) {
            if !looks || self.elements.contains_key(&id) {
                self.end(&known, Ending::Removed, now);
            } else if input == Input::Level(Level::Clear) {
                self.step(number, known, input, with.clone(), now);
            } else {
                self.rename(&known, &id, now);
            }
        }
        if looks {
            self.step(number, id, input, with, now);
        }
    }

    /// An element goes on under other labels. Where they make it part of another alert the one that it leaves may end: to
    /// people the new one is another, with an incident of its own, and nobody has taken care of it yet.
    fn rename(&mut self, from: &ElementId, to: &ElementId, now: Moment) {
        let Some(mut element) = self.forget(from) else { return };
        let (rule, is_active) = (Arc::clone(self.rule(element.rule)), element.is_active());
        let holds = element.hold.is_on;
        element.planned_ms = None;
        self.put_element(to.clone(), element);
        self.keep(Keep::Element(from.clone(), None));
        self.keep_element(to, now);
        self.plan_element(to);
        if holds {
            // What both hold back is held back all along.
            self.may_hold(to, true);
            self.may_hold(from, false);
        }
        if !is_active {
            return;
        }
        let [old, new] = [from, to].map(|id| super::alert::id_of(&rule, &id.labels));
        self.join(&old, from, false);
        if let Some(left) = self.alerts.get_mut(&old).filter(|_| old != new) {
            left.last_ending = Some(Ending::Removed);
        }
        self.join(&new, to, true);
        self.dirty.extend([old, new]);
    }
}
