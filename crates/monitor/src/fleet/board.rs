//! Services and groups: counts that each change of an instance moves by one, so that every read is one look.
//! How counts become a status is decided by `farol_health::aggregate`.

use super::effects::{Effects, Event, EventKind};
use farol_health::Status;
use farol_health::aggregate::{self, Aggregate, InstanceCounts, Policy};
use farol_rules::{Observation, Shown};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What one agent contributes to one service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Instance {
    /// All its components of the service.
    pub(crate) shown: Aggregate,
    /// Those that readiness asks; `None` when none is marked.
    pub(crate) ready: Option<Aggregate>,
    /// Each component by name.
    pub(crate) components: Vec<(Arc<str>, Aggregate)>,
    /// Windows drain some of it until then at least, unix milliseconds.
    pub(crate) drained_until_ms: Option<i64>,
    /// Its agent said so before the monitor started, or stood still, and has a while to speak.
    pub(crate) is_past: bool,
}

/// A service as readers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceView {
    /// Its name.
    pub name: Arc<str>,
    /// What it shows.
    pub shown: Aggregate,
    /// What its readiness components show, or the same where none is marked.
    pub ready: Aggregate,
    /// Since when, unix milliseconds.
    pub since_ms: i64,
    /// How many instances show what.
    pub counts: InstanceCounts,
    /// How many must be up, of those that count now.
    pub policy: Policy,
    /// It stands in the configuration.
    pub declared: bool,
}

/// A group as readers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    /// Its name.
    pub name: Arc<str>,
    /// What it shows.
    pub shown: Aggregate,
    /// Since when, unix milliseconds.
    pub since_ms: i64,
    /// Its services and what they show.
    pub services: Vec<(Arc<str>, Aggregate)>,
}

/// All services and groups.
#[derive(Debug, Default)]
pub(crate) struct Board {
    services: BTreeMap<Arc<str>, Service>,
    groups: BTreeMap<Arc<str>, Group>,
}

#[derive(Debug)]
struct Service {
    /// It stands in the configuration: it exists without instances too.
    declared: bool,
    policy: Policy,
    /// By agent: what is counted, so that it can be counted out again.
    instances: HashMap<Arc<str>, Instance>,
    counts: InstanceCounts,
    /// Over the instances that are not past.
    of_now: InstanceCounts,
    /// Over the instances that have readiness components.
    ready: InstanceCounts,
    /// By component name, over the instances that have it.
    components: HashMap<Arc<str>, InstanceCounts>,
    shown: Aggregate,
    /// What it would show without what is past.
    shown_of_now: Aggregate,
    since_ms: i64,
    /// The groups to look at when this changes.
    groups: Vec<Arc<str>>,
    /// What the alert rules were told; nothing before the first word of an agent since the monitor started.
    told: Option<Shown>,
}

#[derive(Debug)]
struct Group {
    services: Vec<Arc<str>>,
    shown: Aggregate,
    since_ms: i64,
    /// As a service's.
    told: Option<Shown>,
}

impl Service {
    fn new(now_ms: i64) -> Self {
        Self {
            declared: false,
            policy: Policy::default(),
            instances: HashMap::new(),
            counts: InstanceCounts::default(),
            of_now: InstanceCounts::default(),
            ready: InstanceCounts::default(),
            components: HashMap::new(),
            shown: Aggregate::Status(Status::Unknown),
            shown_of_now: Aggregate::Status(Status::Unknown),
            since_ms: now_ms,
            groups: Vec::new(),
            told: None,
        }
    }

    fn count_out(&mut self, instance: &Instance) {
        self.counts.remove(instance.shown);
        if !instance.is_past {
            self.of_now.remove(instance.shown);
        }
        if let Some(ready) = instance.ready {
            self.ready.remove(ready);
        }
        for (name, shown) in &instance.components {
            if let Some(counts) = self.components.get_mut(name) {
                counts.remove(*shown);
                if *counts == InstanceCounts::default() {
                    self.components.remove(name);
                }
            }
        }
    }

    fn count_in(&mut self, instance: &Instance) {
        self.counts.add(instance.shown);
        if !instance.is_past {
            self.of_now.add(instance.shown);
        }
        if let Some(ready) = instance.ready {
            self.ready.add(ready);
        }
        for (name, shown) in &instance.components {
            self.components.entry(Arc::clone(name)).or_default().add(*shown);
        }
    }

    fn has_past(&self) -> bool {
        self.counts != self.of_now
    }

    fn ready(&self) -> Aggregate {
        if self.ready == InstanceCounts::default() {
            self.shown
        } else {
            aggregate::service(&self.policy, &self.ready)
        }
    }
}

impl Board {
    /// Takes the configuration's services and groups. What was declared before and is no more stays only while it
    /// has instances.
    pub(crate) fn declare(
        &mut self,
        services: &BTreeMap<String, Policy>,
        groups: &BTreeMap<String, BTreeSet<String>>,
        now_ms: i64,
        effects: &mut Effects,
    ) {
        for service in self.services.values_mut() {
            (service.declared, service.policy) = (false, Policy::default());
            service.groups.clear();
        }
        for (name, policy) in services {
            let service = self.services.entry(name.as_str().into()).or_insert_with(|| Service::new(now_ms));
            (service.declared, service.policy) = (true, *policy);
        }
        self.services.retain(|name, service| {
            let stays = service.declared || !service.instances.is_empty();
            if !stays {
                effects.observed.push(Observation::ServiceGone(Arc::clone(name)));
            }
            stays
        });
        let before = std::mem::take(&mut self.groups);
        for (name, members) in groups {
            let name: Arc<str> = name.as_str().into();
            for member in members {
                if let Some(service) = self.services.get_mut(member.as_str()) {
                    service.groups.push(Arc::clone(&name));
                }
            }
            let (shown, since_ms) = before
                .get(&name)
                .map_or((Aggregate::Status(Status::Unknown), now_ms), |g| (g.shown, g.since_ms));
            let services = members.iter().map(|m| m.as_str().into()).collect();
            self.groups.insert(name, Group { services, shown, since_ms, told: None });
        }
        let gone = before.into_keys().filter(|name| !self.groups.contains_key(name));
        effects.observed.extend(gone.map(Observation::GroupGone));
        self.settle_all(now_ms, effects);
        effects.shown_changed = true;
    }

    /// The alert rules are told everything anew, each when it is next counted.
    pub(crate) fn untell(&mut self) {
        self.services.values_mut().for_each(|service| service.told = None);
        self.groups.values_mut().for_each(|group| group.told = None);
    }

    /// All that there are, for the alert rules: others that they know from before are gone.
    pub(crate) fn all(&self) -> Observation {
        let (services, groups) = (self.services.keys(), self.groups.keys());
        Observation::Exist { services: services.cloned().collect(), groups: groups.cloned().collect() }
    }

    /// Counts every service and group anew.
    pub(crate) fn settle_all(&mut self, now_ms: i64, effects: &mut Effects) {
        for name in self.services.keys().cloned().collect::<Vec<_>>() {
            self.settle(&name, now_ms, effects);
        }
        for name in self.groups.keys().cloned().collect::<Vec<_>>() {
            self.settle_group(&name, now_ms, effects);
        }
    }

    /// Counts one agent's instance of a service anew; `None` takes it away.
    pub(crate) fn set(
        &mut self,
        agent: &Arc<str>,
        service: &Arc<str>,
        instance: Option<Instance>,
        now_ms: i64,
        effects: &mut Effects,
    ) {
        let entry = self.services.entry(Arc::clone(service)).or_insert_with(|| Service::new(now_ms));
        if let Some(before) = entry.instances.remove(agent) {
            entry.count_out(&before);
        }
        if let Some(instance) = instance {
            entry.count_in(&instance);
            entry.instances.insert(Arc::clone(agent), instance);
        }
        effects.shown_changed = true;
        if !entry.declared && entry.instances.is_empty() {
            // Nobody has it any more and nobody declared it: it is gone, not unknown.
            self.services.remove(service);
            effects.observed.push(Observation::ServiceGone(Arc::clone(service)));
            return;
        }
        self.settle(service, now_ms, effects);
    }

    fn settle(&mut self, name: &Arc<str>, now_ms: i64, effects: &mut Effects) {
        let Some(service) = self.services.get_mut(name) else { return };
        let shown = aggregate::service(&service.policy, &service.counts);
        let of_now = aggregate::service(&service.policy, &service.of_now);
        let told = for_rules(shown, of_now, service.has_past());
        let is_told = service.told.replace(told) != Some(told);
        if is_told {
            effects.observed.push(Observation::Service(Arc::clone(name), told));
        }
        if !is_told && (shown, of_now) == (service.shown, service.shown_of_now) {
            return;
        }
        service.shown_of_now = of_now;
        if shown != service.shown {
            let mut event =
                Event::new(EventKind::ServiceStatus, now_ms).change(service.shown.as_str(), shown.as_str());
            event.service = Some(Arc::clone(name));
            effects.events.push(event.message(why(&service.policy, &service.counts)));
            (service.shown, service.since_ms) = (shown, now_ms);
        }
        for group in service.groups.clone() {
            self.settle_group(&group, now_ms, effects);
        }
    }

    fn settle_group(&mut self, name: &Arc<str>, now_ms: i64, effects: &mut Effects) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let members = group.services.iter().filter_map(|s| Some((s, self.services.get(s)?)));
        let shown = aggregate::group(members.clone().map(|(_, service)| service.shown));
        let of_now = aggregate::group(members.clone().map(|(_, service)| service.shown_of_now));
        let is_past = |service: &Service| {
            for_rules(service.shown, service.shown_of_now, service.has_past()) == Shown::Past
        };
        let has_past = members.clone().any(|(_, service)| is_past(service));
        let told = for_rules(shown, of_now, has_past);
        if group.told.replace(told) != Some(told) {
            effects.observed.push(Observation::Group(Arc::clone(name), told));
        }
        if shown != group.shown {
            let mut event =
                Event::new(EventKind::GroupStatus, now_ms).change(group.shown.as_str(), shown.as_str());
            event.group = Some(Arc::clone(name));
            let like: Vec<_> =
                members.filter(|(_, service)| service.shown == shown).map(|(name, _)| &**name).collect();
            effects.events.push(event.message(format!("{shown}: {}", like.join(", "))));
            (group.shown, group.since_ms) = (shown, now_ms);
        }
    }

    pub(crate) fn service(&self, name: &str) -> Option<ServiceView> {
        self.services.get_key_value(name).map(|(name, service)| service.view(name))
    }

    pub(crate) fn services(&self) -> Vec<ServiceView> {
        self.services.iter().map(|(name, service)| service.view(name)).collect()
    }

    /// One component over all instances of its service, by the service's policy.
    pub(crate) fn component(&self, service: &str, component: &str) -> Option<Aggregate> {
        let service = self.services.get(service)?;
        Some(aggregate::service(&service.policy, service.components.get(component)?))
    }

    /// What one agent's instance shows.
    pub(crate) fn instance(&self, service: &str, agent: &str) -> Option<Aggregate> {
        Some(self.services.get(service)?.instances.get(agent)?.shown)
    }

    /// What one component of one instance shows.
    pub(crate) fn instance_component(
        &self,
        service: &str,
        component: &str,
        agent: &str,
    ) -> Option<Aggregate> {
        let instance = self.services.get(service)?.instances.get(agent)?;
        instance.components.iter().find(|(name, _)| **name == *component).map(|(_, shown)| *shown)
    }

    /// The agents that have an instance of the service, and what each shows.
    pub(crate) fn instances(&self, service: &str) -> Vec<(Arc<str>, Aggregate)> {
        let Some(service) = self.services.get(service) else { return Vec::new() };
        let mut all: Vec<_> =
            service.instances.iter().map(|(agent, i)| (Arc::clone(agent), i.shown)).collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// When the first of the service's drained instances comes back, unix milliseconds.
    pub(crate) fn drained_until(&self, service: &str) -> Option<i64> {
        self.services.get(service)?.instances.values().filter_map(|instance| instance.drained_until_ms).min()
    }

    /// Whether the service would be up without this agent's instance.
    pub(crate) fn is_up_without(&self, service: &str, agent: &str) -> bool {
        let Some(service) = self.services.get(service) else { return true };
        let mut counts = service.counts;
        if let Some(instance) = service.instances.get(agent) {
            counts.remove(instance.shown);
        }
        aggregate::service(&service.policy, &counts).is_up()
    }

    pub(crate) fn group(&self, name: &str) -> Option<GroupView> {
        self.groups.get_key_value(name).map(|(name, group)| self.group_view(name, group))
    }

    pub(crate) fn groups(&self) -> Vec<GroupView> {
        self.groups.iter().map(|(name, group)| self.group_view(name, group)).collect()
    }

    fn group_view(&self, name: &Arc<str>, group: &Group) -> GroupView {
        let shown = |name: &Arc<str>| self.services.get(name).map(|s| (Arc::clone(name), s.shown));
        GroupView {
            name: Arc::clone(name),
            shown: group.shown,
            since_ms: group.since_ms,
            services: group.services.iter().filter_map(shown).collect(),
        }
    }
}

impl Service {
    fn view(&self, name: &Arc<str>) -> ServiceView {
        ServiceView {
            name: Arc::clone(name),
            shown: self.shown,
            ready: self.ready(),
            since_ms: self.since_ms,
            counts: self.counts,
            policy: self.policy,
            declared: self.declared,
        }
    }
}

/// The same in the rules' words, which take for true only what shows without what is past, too.
fn for_rules(shown: Aggregate, of_now: Aggregate, has_past: bool) -> Shown {
    match shown {
        _ if has_past && (shown != of_now || shown == Aggregate::Status(Status::Unknown)) => Shown::Past,
        Aggregate::Status(status) => Shown::Status(status),
        Aggregate::Maintenance => Shown::Maintenance,
    }
}

/// Why a service shows what it shows.
fn why(policy: &Policy, counts: &InstanceCounts) -> String {
    let (up, n) = (counts.up(), counts.counted());
    if n == 0 {
        return "no instance counts".to_owned();
    }
    let mut why = format!("{up} of {n} up, {} needed", policy.needed(n));
    for (count, word) in [
        (counts.degraded, "degraded"),
        (counts.unhealthy, "unhealthy"),
        (counts.unknown, "unknown"),
        (counts.starting, "starting"),
        (counts.draining, "draining"),
    ] {
        if count > 0 {
            why.push_str(&format!(", {count} {word}"));
        }
    }
    why
}

#[cfg(test)]
mod tests;
