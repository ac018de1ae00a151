//! Planned work on the fleet: the maintenance windows that are in force, and which of them hold for a component. When a
//! window begins and ends is its schedule's; what a component under one shows is decided where it stands.

use super::Fleet;
use super::component::Component;
use crate::clock::Moment;
use farol_health::aggregate::InstanceCounts;
use farol_rules::{Labels, Matcher, Window, WindowMode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The labels that a component has and its agent has not.
const OF_COMPONENTS: [&str; 3] = ["service", "component", "kind"];

/// The windows that are in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned(Vec<Work>);

/// One of them.
#[derive(Clone, Debug, PartialEq)]
struct Work {
    matchers: Vec<Matcher>,
    until: Until,
    reason: Arc<str>,
}

/// What holds for a component, and until when at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Until {
    pub(crate) mode: WindowMode,
    /// Unix milliseconds.
    pub(crate) to_ms: i64,
}

/// What an agent is asked to drain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drains {
    /// All of it.
    pub(crate) whole: bool,
    /// These services of it.
    pub(crate) services: Vec<Arc<str>>,
    /// These components, of services that do not drain whole.
    pub(crate) components: Vec<Arc<str>>,
    /// Why.
    pub(crate) reason: Arc<str>,
    /// Then the last of it is over, unix milliseconds.
    pub(crate) to_ms: i64,
}

/// What a window is matched against.
fn labels(agent: &Labels, component: &Component) -> Labels {
    let names = OF_COMPONENTS.map(Arc::<str>::from);
    agent.with(names.iter().zip([&component.service, &component.name, &component.kind]))
}

fn meant(matchers: &[Matcher], agent: &Labels, component: &Component) -> bool {
    Matcher::all(matchers, &labels(agent, component))
}

impl Drains {
    /// Whether it is asked to drain nothing.
    pub(crate) fn is_empty(&self) -> bool {
        !self.whole && self.services.is_empty() && self.components.is_empty()
    }
}

impl Planned {
    /// Those of these windows that are in force at this moment.
    #[must_use]
    pub fn at<'w>(windows: impl IntoIterator<Item = &'w Window>, now_ms: i64) -> Self {
        let works = windows.into_iter().filter_map(|window| {
            let until = Until { mode: window.mode, to_ms: window.span(now_ms)?.to_ms };
            Some(Work { matchers: window.matchers.clone(), until, reason: window.reason.as_str().into() })
        });
        Self(works.collect())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What holds for a component. One that drains is muted, too; of several windows the one that lasts longest.
    pub(super) fn of(&self, agent: &Labels, component: &Component) -> Option<Until> {
        if self.is_empty() {
            return None;
        }
        let labels = labels(agent, component);
        let holding = self.0.iter().filter(|work| Matcher::all(&work.matchers, &labels));
        holding.map(|work| work.until).max_by_key(|until| (until.mode == WindowMode::Drain, until.to_ms))
    }

    /// What an agent with these components is asked to drain.
    pub(super) fn drains(&self, agent: &Labels, components: &[Component]) -> Drains {
        let draining = |work: &&Work| work.until.mode == WindowMode::Drain;
        let of_agents =
            |work: &&Work| !work.matchers.iter().any(|matcher| OF_COMPONENTS.contains(&&*matcher.label));
        let whole = self.0.iter().filter(draining).filter(of_agents);
        let whole = whole.filter(|work| Matcher::all(&work.matchers, agent)).max_by_key(|w| w.until.to_ms);
        let mut drains = Drains { whole: whole.is_some(), ..Drains::default() };
        let drained = components.iter().filter(|component| component.is_drained());
        let to_ms = drained.clone().filter_map(|c| c.planned).map(|until| until.to_ms).max();
        drains.to_ms = to_ms.max(whole.map(|work| work.until.to_ms)).unwrap_or_default();
        for component in drained {
            let mut of_service = components.iter().filter(|c| c.service == component.service);
            if !of_service.all(Component::is_drained) {
                drains.components.push(Arc::clone(&component.name));
            } else if !drains.services.contains(&component.service) {
                drains.services.push(Arc::clone(&component.service));
            }
        }
        if !drains.is_empty() {
            let last = self.0.iter().filter(draining).max_by_key(|work| work.until.to_ms);
            drains.reason = whole.or(last).map(|work| Arc::clone(&work.reason)).unwrap_or_default();
        }
        drains
    }
}

/// A service that has too few instances while others drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// The service.
    pub service: Arc<str>,
    /// So many instances that are left are up.
    pub up: u64,
    /// So many must be.
    pub needed: u64,
}

impl Fleet {
    /// The services that have too few instances up while what these say drains, in the order of their names: one of
    /// whose instances drains whole, and of which others are left.
    #[must_use]
    pub fn short_without(&self, matchers: &[Matcher]) -> Vec<Short> {
        let mut drained: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> = BTreeMap::new();
        for agent in self.agents() {
            let live = agent.live.lock();
            let mut parts: BTreeMap<&Arc<str>, bool> = BTreeMap::new();
            for component in &live.components {
                *parts.entry(&component.service).or_insert(true) &=
                    meant(matchers, &live.rule_labels, component);
            }
            for (service, _) in parts.into_iter().filter(|(_, whole)| *whole) {
                drained.entry(Arc::clone(service)).or_default().insert(Arc::clone(&agent.id));
            }
        }
        let short = |(service, agents): (Arc<str>, BTreeSet<Arc<str>>)| {
            let view = self.service(&service)?;
            let mut left = InstanceCounts::default();
            let instances = self.instances(&service).into_iter();
            instances.filter(|(agent, _)| !agents.contains(agent)).for_each(|(_, shown)| left.add(shown));
            let (up, needed) = (left.up(), view.policy.needed(left.counted()));
            (left.counted() > 0 && up < needed).then_some(Short { service, up, needed })
        };
        drained.into_iter().filter_map(short).collect()
    }

    /// Whether these are meant for something of an agent's instance of a service.
    #[must_use]
    pub fn is_meant(&self, matchers: &[Matcher], service: &str, agent: &str) -> bool {
        self.agent(agent).is_some_and(|agent| {
            let live = agent.live.lock();
            let mut of_service = live.components.iter().filter(|component| *component.service == *service);
            of_service.any(|component| meant(matchers, &live.rule_labels, component))
        })
    }

    /// The windows in force are these from now on: agents and services show it at once.
    pub fn plan(&self, planned: Planned, now: Moment) {
        let planned = Arc::new(planned);
        // First: who comes meanwhile finds it.
        self.planned.store(Arc::clone(&planned));
        for agent in self.agents() {
            self.step(&agent, now, |live, step| {
                live.take_planned(&planned);
                live.settle(&agent.id, step);
            });
        }
    }

    /// When the first of what keeps a service or group in maintenance ends, unix milliseconds; `None` where nobody
    /// knows.
    #[must_use]
    pub fn drained_until(&self, service: &str) -> Option<i64> {
        self.board.lock().drained_until(service)
    }
}
