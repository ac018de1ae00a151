//! From observations to the elements of the rules that look at them.

use super::element::{Element, With};
use super::{Book, QUIET_MS};
use crate::observation::{ComponentSeen, Evidence, Is, Measured, Observation, Shown};
use crate::output::{ElementId, Seen};
use crate::step::Input;
use crate::{
    AgentCondition, Ending, Judge, Labels, Level, Matcher, Moment, MonitorCondition, Ruleset, Severity,
    Subject, judge,
};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The numbers of the rules by what they look at.
#[derive(Default)]
pub(super) struct Index {
    components: Vec<u32>,
    services: Vec<u32>,
    groups: Vec<u32>,
    agents: HashMap<AgentCondition, Vec<u32>>,
    monitor: HashMap<MonitorCondition, Vec<u32>>,
}

impl Index {
    pub(super) fn new(rules: &Ruleset) -> Self {
        let mut index = Self::default();
        for (number, rule) in (0_u32..).zip(rules.rules()) {
            match &rule.subject {
                Subject::Metric { .. } => {}
                Subject::Component { .. } => index.components.push(number),
                Subject::Service(_) => index.services.push(number),
                Subject::Group(_) => index.groups.push(number),
                Subject::Agent(condition) => index.agents.entry(*condition).or_default().push(number),
                Subject::Monitor(condition) => index.monitor.entry(*condition).or_default().push(number),
            }
        }
        index
    }
}

impl Book {
    /// Takes what was seen, in order, and decides what follows.
    pub fn observe(&mut self, observations: &[Observation], now: Moment) {
        self.pass(now);
        for observation in observations {
            self.see(observation, now);
        }
        self.flush(now);
    }

    fn see(&mut self, observation: &Observation, now: Moment) {
        match observation {
            Observation::Component(seen) => self.component(seen, now),
            Observation::ComponentGone { agent, service, component, how } => {
                let place = [service, component].map(|name| Some(Arc::clone(name)));
                for id in self.of_component(agent, &place) {
                    self.end(&id, *how, now);
                }
            }
            Observation::Service(name, shown) => self.shown(name, *shown, false, now),
            Observation::Group(name, shown) => self.shown(name, *shown, true, now),
            Observation::ServiceGone(name) => self.end_shown(name, false, now),
            Observation::GroupGone(name) => self.end_shown(name, true, now),
            Observation::Exist { services, groups } => self.exist(services, groups, now),
            Observation::Measured(reading) => self.reading(reading, now),
            Observation::ReadingGone { rule, labels, for_good } => {
                let id = ElementId { rule: Arc::clone(rule), labels: labels.clone() };
                match for_good {
                    true => self.end(&id, Ending::Removed, now),
                    false => self.vanish(&id, now),
                }
            }
            Observation::Looked { labels, elements, for_good } => {
                self.looked(labels, elements, *for_good, now);
            }
            Observation::Agent { labels, condition, is } => {
                if let (AgentCondition::Lost, Some(agent)) = (condition, labels.get("agent")) {
                    match is {
                        Is::On => drop(self.lost.insert(Arc::clone(agent))),
                        Is::Off | Is::Happened => drop(self.lost.remove(agent)),
                    }
                }
                let rules = self.index.agents.get(condition).cloned().unwrap_or_default();
                self.condition(&rules, labels, *is, None, now);
            }
            Observation::AgentGone { agent, how } => {
                self.lost.remove(agent);
                let of_agent: Vec<ElementId> = self.of_agent(agent).cloned().collect();
                for id in of_agent {
                    self.end(&id, *how, now);
                }
            }
            Observation::Monitor { condition, labels, is, why } => {
                match is {
                    Is::On => drop(self.wrong.insert((*condition, labels.clone()), Arc::clone(why))),
                    Is::Off => drop(self.wrong.remove(&(*condition, labels.clone()))),
                    Is::Happened => {}
                }
                self.monitor(*condition, labels, *is, why, now);
            }
        }
    }

    fn component(&mut self, seen: &ComponentSeen, now: Moment) {
        let names = ["service", "component", "kind"].map(Arc::<str>::from);
        let values = [&seen.service, &seen.component, &seen.kind];
        let labels = seen.agent.with(names.iter().zip(values));
        let last = (seen.evidence != Evidence::Past).then(|| Seen {
            value: None,
            status: Some(seen.status.as_str().into()),
            reason: Some(Arc::clone(&seen.reason)),
            message: Some(Arc::clone(&seen.message)),
            at_ms: now.wall_ms,
        });
        for number in self.index.components.clone() {
            let rule = self.rule(number);
            let looks = judge::looks_at(&rule.subject, &seen.component, &seen.kind);
            let input = judge::component(&rule.judge, seen);
            let with = With { seen: last.clone(), ..With::default() };
            self.step_seen(number, &labels, looks, (input, with), now);
        }
    }

    fn shown(&mut self, name: &Arc<str>, shown: Shown, group: bool, now: Moment) {
        let numbers = if group { &self.index.groups } else { &self.index.services };
        for number in numbers.clone() {
            let rule = Arc::clone(self.rule(number));
            let Some(labels) = shown_labels(&rule.subject, name) else { continue };
            if !Matcher::all(&rule.matchers, &labels) {
                continue;
            }
            let status = match shown {
                Shown::Status(status) => Some(status.as_str()),
                Shown::Maintenance => Some("maintenance"),
                Shown::Past => None,
            };
            let last =
                |status: &str| Seen { status: Some(status.into()), at_ms: now.wall_ms, ..Seen::default() };
            let id = ElementId { rule: Arc::clone(&rule.name), labels };
            let with = With { seen: status.map(last), ..With::default() };
            self.step(number, id, judge::shown(&rule.judge, shown), with, now);
        }
    }

    fn end_shown(&mut self, name: &Arc<str>, group: bool, now: Moment) {
        let numbers = if group { &self.index.groups } else { &self.index.services };
        for number in numbers.clone() {
            let rule = self.rule(number);
            let Some(labels) = shown_labels(&rule.subject, name) else { continue };
            let id = ElementId { rule: Arc::clone(&rule.name), labels };
            self.end(&id, Ending::Removed, now);
        }
    }

    fn exist(&mut self, services: &[Arc<str>], groups: &[Arc<str>], now: Moment) {
        let names = [services, groups].map(|names| names.iter().collect::<HashSet<_>>());
        let is_gone = |(id, element): &(&ElementId, &Element)| {
            let (label, names) = match self.rule(element.rule).subject {
                Subject::Service(_) => ("service", &names[0]),
                Subject::Group(_) => ("group", &names[1]),
                _ => return false,
            };
            id.labels.get(label).is_none_or(|name| !names.contains(name))
        };
        let gone: Vec<ElementId> = self.elements.iter().filter(is_gone).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.end(&id, Ending::Removed, now);
        }
    }

    fn reading(&mut self, reading: &Measured, now: Moment) {
        let rules = &self.orders.rules;
        let Some(number) = rules.number(&reading.rule).filter(|_| rules.version() == reading.set) else {
            return;
        };
        let id = ElementId { rule: Arc::clone(&reading.rule), labels: reading.labels.clone() };
        let seen = Seen { value: Some(reading.value), at_ms: now.wall_ms, ..Seen::default() };
        let with = With { seen: Some(seen), fresh_for_ms: Some(reading.fresh_for_ms), quiet_ms: None };
        self.step(number, id, Input::Level(reading.level), with, now);
    }

    fn condition(&mut self, rules: &[u32], labels: &Labels, is: Is, why: Option<&Arc<str>>, now: Moment) {
        for number in rules {
            let severity = match &self.rule(*number).judge {
                Judge::Condition { severity } | Judge::Statuses { severity, .. } => *severity,
                Judge::Thresholds { .. } => Severity::Critical,
            };
            let level = if is == Is::Off { Level::Clear } else { severity.into() };
            let seen = Seen { message: why.cloned(), at_ms: now.wall_ms, ..Seen::default() };
            let quiet_ms = (is == Is::Happened).then_some(QUIET_MS);
            let with = With { seen: Some(seen), fresh_for_ms: None, quiet_ms };
            self.step_seen(*number, labels, true, (Input::Level(level), with), now);
        }
    }

    pub(super) fn monitor(
        &mut self,
        condition: MonitorCondition,
        labels: &Labels,
        is: Is,
        why: &Arc<str>,
        now: Moment,
    ) {
        let rules = self.index.monitor.get(&condition).cloned().unwrap_or_default();
        self.condition(&rules, labels, is, Some(why), now);
    }

    fn looked(&mut self, agent: &Labels, elements: &[(Arc<str>, Labels)], for_good: bool, now: Moment) {
        let Some(name) = agent.get("agent") else { return };
        let has: HashSet<(&str, &Labels)> = elements.iter().map(|(rule, labels)| (&**rule, labels)).collect();
        let measured = self.of_agent(name).filter(|id| {
            let rule = self.orders.rules.rule(&id.rule);
            rule.is_some_and(|rule| matches!(rule.subject, Subject::Metric { .. }))
        });
        let gone: Vec<ElementId> =
            measured.filter(|id| !has.contains(&(&*id.rule, &id.labels))).cloned().collect();
        // Those of a check say of themselves what service and component they are of.
        let own = || agent.iter().filter(|(label, _)| !matches!(&***label, "service" | "component"));
        for id in gone {
            let is_other = own().any(|(label, value)| id.labels.get(label) != Some(value));
            match for_good || is_other {
                true => self.end(&id, Ending::Removed, now),
                false => self.vanish(&id, now),
            }
        }
    }
}

/// The labels of a service or group, if a rule looks at it.
fn shown_labels(subject: &Subject, name: &Arc<str>) -> Option<Labels> {
    let (label, pattern) = match subject {
        Subject::Service(pattern) => ("service", pattern),
        Subject::Group(pattern) => ("group", pattern),
        _ => return None,
    };
    let fits = pattern.as_ref().is_none_or(|pattern| pattern.matches(name));
    fits.then(|| [(Arc::from(label), Arc::clone(name))].into_iter().collect())
}
