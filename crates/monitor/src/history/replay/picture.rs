//! The fleet as status changes tell of it, in the rules' words. Decides what a change says that does not say it itself:
//! an agent all of whose components are stale is lost, and it is gone when all of them are.

use crate::fleet::{Board, Effects, Instance};
use crate::store::{ComponentKey, Restored, StatusChange};
use farol_health::Status;
use farol_health::aggregate::{self, Aggregate, Part, Policy};
use farol_rules::{AgentCondition, ComponentSeen, Ending, Evidence, Is, Labels, Observation};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// An agent, and the name of components of it.
type OfAgent = (Arc<str>, Arc<str>);

/// What changes of statuses do not say.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The agents' labels, `agent` among them.
    agents: HashMap<Arc<str>, (Labels, u32)>,
    /// The kind of each component's check, and whether its instance depends on it.
    components: HashMap<ComponentKey, (Arc<str>, bool)>,
    /// The services of an agent's components of one name.
    services: HashMap<OfAgent, BTreeSet<Arc<str>>>,
}

impl Known {
    /// What a starting monitor would find: what is gone by now is not known.
    #[must_use]
    pub fn of(restored: &Restored) -> Self {
        let mut known = Self::default();
        for agent in restored.forgotten.iter().chain(&restored.agents) {
            let labels =
                agent.labels.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
            known.agent(&agent.id, labels.collect(), agent.interval_ms);
        }
        for component in &restored.components {
            known.component(&component.key, &component.kind, component.required);
        }
        known
    }

    /// An agent has these labels of its own, and reports so often.
    pub fn agent(&mut self, id: &Arc<str>, own: Labels, interval_ms: u32) {
        let labels = own.with([(&Arc::from("agent"), id)]);
        self.agents.insert(Arc::clone(id), (labels, interval_ms));
    }

    /// A component's check is of this kind.
    pub fn component(&mut self, key: &ComponentKey, kind: &Arc<str>, required: bool) {
        self.components.insert(key.clone(), (Arc::clone(kind), required));
        let of_name = self.services.entry((Arc::clone(&key.agent), Arc::clone(&key.component)));
        of_name.or_default().insert(Arc::clone(&key.service));
    }

    /// A series' own labels with the service as live has it: what a check measures has that of its component, which is
    /// known with the agent's scope.
    pub(super) fn in_scope(&self, agent: &Arc<str>, own: Labels) -> Labels {
        let (Some(service), Some(component)) = (own.get("service"), own.get("component")) else { return own };
        let known = self.services.get(&(Arc::clone(agent), Arc::clone(component)));
        let Some(known) = known.filter(|known| !known.contains(service)) else { return own };
        let with_scope = format!(".{service}");
        let scoped = known.iter().filter(|known| known.ends_with(&with_scope));
        let found = scoped.min_by_key(|known| known.len()).cloned();
        found.map_or(own.clone(), |found| own.with([(&Arc::from("service"), &found)]))
    }

    /// An agent's labels.
    pub(super) fn labels(&self, id: &Arc<str>) -> Labels {
        let known = self.agents.get(id).map(|(labels, _)| labels.clone());
        known.unwrap_or_else(|| Labels::default().with([(&Arc::from("agent"), id)]))
    }

    /// How often an agent reports, as far as that is known.
    pub(super) fn interval_ms(&self, id: &Arc<str>) -> Option<u64> {
        self.agents.get(id).map(|(_, interval_ms)| u64::from(*interval_ms))
    }
}

/// The fleet at a moment.
pub struct Picture {
    known: Known,
    agents: BTreeMap<Arc<str>, Agent>,
    board: Board,
}

#[derive(Default)]
struct Agent {
    labels: Labels,
    /// By service and name.
    components: BTreeMap<(Arc<str>, Arc<str>), Component>,
    /// Nothing is heard of any of them.
    is_lost: bool,
}

struct Component {
    kind: Arc<str>,
    required: bool,
    /// The last status that was not the monitor's own word for hearing nothing.
    hard: Status,
    reason: Arc<str>,
    stale: bool,
    maintenance: bool,
    /// What the rules were told last.
    told: Option<(Status, Evidence)>,
}

impl Picture {
    /// A fleet of nobody.
    #[must_use]
    pub fn new(
        known: Known,
        services: &BTreeMap<String, Policy>,
        groups: &BTreeMap<String, BTreeSet<String>>,
    ) -> Self {
        let mut board = Board::default();
        board.declare(services, groups, 0, &mut Effects::default());
        board.untell();
        Self { known, agents: BTreeMap::new(), board }
    }

    /// Takes what changed in one moment, and says it as the fleet does.
    pub fn change(&mut self, changes: &[StatusChange]) -> Vec<Observation> {
        let mut of_agents: BTreeMap<&Arc<str>, Vec<&StatusChange>> = BTreeMap::new();
        for change in changes {
            of_agents.entry(&change.key.agent).or_default().push(change);
        }
        let mut effects = Effects::default();
        for (id, changes) in of_agents {
            self.change_agent(id, &changes, &mut effects);
        }
        effects.observed
    }

    fn change_agent(&mut self, id: &Arc<str>, changes: &[&StatusChange], effects: &mut Effects) {
        let known = &self.known;
        let agent = self
            .agents
            .entry(Arc::clone(id))
            .or_insert_with(|| Agent { labels: known.labels(id), ..Agent::default() });
        let was_lost = agent.is_lost;
        let was_leaving = agent.components.values().any(|component| component.maintenance);
        let mut gone = Vec::new();
        for change in changes {
            if !agent.take(change, known) {
                gone.push((Arc::clone(&change.key.service), Arc::clone(&change.key.component)));
            }
        }
        let is_gone = agent.components.is_empty() && (was_lost || was_leaving);
        let how = match (is_gone, was_lost) {
            (false, _) => Ending::Removed,
            (true, true) => Ending::Forgotten,
            (true, false) => Ending::Left,
        };
        agent.is_lost = !agent.components.is_empty() && agent.components.values().all(|c| c.stale);
        if agent.is_lost != was_lost && !agent.components.is_empty() {
            let is = if agent.is_lost { Is::On } else { Is::Off };
            let labels = agent.labels.clone();
            effects.observed.push(Observation::Agent { labels, condition: AgentCondition::Lost, is });
        }
        agent.tell(effects);
        for (service, component) in &gone {
            let (agent, service, component) = (Arc::clone(id), Arc::clone(service), Arc::clone(component));
            effects.observed.push(Observation::ComponentGone { agent, service, component, how });
        }
        let mut services: BTreeSet<Arc<str>> = gone.into_iter().map(|(service, _)| service).collect();
        services.extend(changes.iter().map(|change| Arc::clone(&change.key.service)));
        if agent.is_lost != was_lost {
            services.extend(agent.components.keys().map(|(service, _)| Arc::clone(service)));
        }
        for service in services {
            self.board.set(id, &service, agent.instance(&service), 0, effects);
        }
        if is_gone {
            effects.observed.push(Observation::AgentGone { agent: Arc::clone(id), how });
        }
        if agent.components.is_empty() {
            self.agents.remove(id);
        }
    }
}

impl Agent {
    /// Takes a change; false where the component was there and is gone.
    fn take(&mut self, change: &StatusChange, known: &Known) -> bool {
        let name = (Arc::clone(&change.key.service), Arc::clone(&change.key.component));
        let Some(status) = change.status else { return self.components.remove(&name).is_none() };
        let component = self.components.entry(name).or_insert_with(|| {
            let (kind, required) = known.components.get(&change.key).cloned().unwrap_or(("".into(), true));
            let (hard, reason) = (Status::Unknown, Arc::clone(&change.reason));
            Component { kind, required, hard, reason, stale: false, maintenance: false, told: None }
        });
        if !change.stale {
            (component.hard, component.reason) = (status, Arc::clone(&change.reason));
        }
        (component.stale, component.maintenance) = (change.stale, change.maintenance);
        true
    }

    /// Tells what is other than it was told.
    fn tell(&mut self, effects: &mut Effects) {
        for ((service, name), component) in &mut self.components {
            let evidence = match (self.is_lost, component.maintenance, component.stale) {
                (true, ..) => Evidence::Absent,
                (false, true, _) => Evidence::Excused,
                (false, false, true) => Evidence::Stale,
                (false, false, false) => Evidence::Now,
            };
            let seen = (component.hard, evidence);
            if component.told.replace(seen) == Some(seen) {
                continue;
            }
            effects.observed.push(Observation::Component(ComponentSeen {
                agent: self.labels.clone(),
                service: Arc::clone(service),
                component: Arc::clone(name),
                kind: Arc::clone(&component.kind),
                status: component.hard,
                evidence,
                reason: Arc::clone(&component.reason),
                message: "".into(),
            }));
        }
    }

    /// Its part of a service.
    fn instance(&self, service: &str) -> Option<Instance> {
        let mut parts = self.components.iter().filter(|((of, _), _)| **of == *service).peekable();
        parts.peek()?;
        let parts = parts.map(|(_, component)| Part {
            status: if component.stale { Status::Unknown } else { component.hard },
            required: component.required,
            drained: component.maintenance,
        });
        let shown = aggregate::instance(parts);
        let shown = if self.is_lost { Aggregate::Status(Status::Unknown) } else { shown };
        Some(Instance { shown, ready: None, components: Vec::new(), drained_until_ms: None, is_past: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(component: &str, status: Option<Status>, stale: bool) -> StatusChange {
        let key = ComponentKey { agent: "a".into(), service: "pay".into(), component: component.into() };
        let (maintenance, muted) = (false, false);
        StatusChange { key, at_ms: 0, status, maintenance, muted, stale, reason: "ok".into() }
    }

    /// What is seen, in a few words each.
    fn words(seen: &[Observation]) -> Vec<String> {
        let word = |seen: &Observation| match seen {
            Observation::Component(seen) => {
                format!("{} {} {:?}", seen.component, seen.status, seen.evidence)
            }
            Observation::ComponentGone { component, how, .. } => format!("{component} gone {}", how.as_str()),
            Observation::Service(name, shown) => format!("{name} {shown:?}"),
            Observation::ServiceGone(name) => format!("{name} gone"),
            Observation::Agent { condition, is, .. } => format!("{condition:?} {is:?}"),
            Observation::AgentGone { how, .. } => format!("agent gone {}", how.as_str()),
            other => format!("{other:?}"),
        };
        seen.iter().map(word).collect()
    }

    #[test]
    fn what_a_check_measured_is_of_the_service_that_its_component_is_of() {
        let mut known = Known::default();
        for service in ["eu.pay", "eu.v2.pay", "eu.a.pay", "eu.stock"] {
            let key = ComponentKey { service: service.into(), ..change("db", None, false).key };
            known.component(&key, &"tcp".into(), true);
        }
        for (service, component, expected) in [
            ("pay", "db", "eu.pay"),
            ("v2.pay", "db", "eu.v2.pay"),
            ("stock", "db", "eu.stock"),
            ("eu.pay", "db", "eu.pay"),
            ("other", "db", "other"),
            ("pay", "web", "pay"),
        ] {
            let own = Labels::from([("service", service), ("component", component)]);
            let found = known.in_scope(&"a".into(), own.clone());
            assert_eq!(found, own.with(Labels::from([("service", expected)]).iter()));
            assert_eq!(known.in_scope(&"b".into(), own.clone()), own);
        }
    }

    #[test]
    fn changes_are_told_as_the_fleet_tells_them() {
        use Status::{Healthy, Unhealthy, Unknown};
        let mut picture = Picture::new(Known::default(), &BTreeMap::new(), &BTreeMap::new());
        let mut told = |changes: &[StatusChange]| words(&picture.change(changes));
        let both = [change("db", Some(Healthy), false), change("web", Some(Healthy), false)];
        assert_eq!(told(&both), ["db healthy Now", "web healthy Now", "pay Status(Healthy)"]);
        assert_eq!(
            told(&[change("db", Some(Unhealthy), false)]),
            ["db unhealthy Now", "pay Status(Unhealthy)"]
        );
        // One alone is stale; then the other one, too: the agent is lost, and what it said last is not forgotten.
        assert_eq!(told(&[change("web", Some(Unknown), true)]), ["web healthy Stale"]);
        assert_eq!(
            told(&[change("db", Some(Unknown), true)]),
            ["Lost On", "db unhealthy Absent", "web healthy Absent", "pay Status(Unknown)"]
        );
        assert_eq!(
            told(&[change("db", Some(Healthy), false)]),
            ["Lost Off", "db healthy Now", "web healthy Stale"]
        );
        assert_eq!(told(&[change("web", None, false)]), ["web gone removed", "pay Status(Healthy)"]);
        let leaving = StatusChange { maintenance: true, ..change("db", Some(Healthy), false) };
        assert_eq!(told(&[leaving]), ["db healthy Excused", "pay Maintenance"]);
        assert_eq!(told(&[change("db", None, false)]), ["db gone left", "pay gone", "agent gone left"]);
    }
}
