//! One agent: its presence, its components, its samples. A pure state machine: every step takes `now` and tells
//! what it brought about. Who may speak for the agent and what is stored is decided elsewhere.

mod begin;
mod losses;
mod presence;
mod samples;
mod starts;
mod steps;
mod watch;

pub(crate) use presence::RESTART_GRACE_MS;
pub use presence::{Farewell, Presence, forget_after_ms};
pub use samples::{SampleError, Samples};
pub use steps::{Reported, Told};

use self::losses::Losses;
use self::starts::Starts;
use self::watch::Watch;
use super::board::Instance;
use super::component::{Component, Known};
use super::effects::{Event, EventKind};
use super::planned::{Drains, Planned};
use super::step::Step;
use crate::nudges::{Nudges, Want};
use crate::store::{AgentKey, AgentRecord};
use farol_health::Status;
use farol_health::aggregate::{self, Aggregate};
use farol_rules::{Ending, Evidence, Labels, Observation, Ruleset};
use farol_wire::{Boot, Role};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// An agent of the fleet.
#[derive(Debug)]
pub struct Agent {
    /// Its row number in the store.
    pub key: AgentKey,
    /// Its id.
    pub id: Arc<str>,
    /// What changes.
    pub live: Mutex<Live>,
}

/// What the alert rules were told of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    status: Status,
    evidence: Evidence,
}

/// What a component's last status is worth now.
fn evidence(presence: Presence, component: &Component) -> Evidence {
    match presence {
        Presence::Lost { .. } => Evidence::Absent,
        Presence::Restored { .. } => Evidence::Past,
        Presence::Leaving { .. } => Evidence::Excused,
        Presence::Here | Presence::Held { .. } if component.is_left_out(false) => Evidence::Excused,
        Presence::Here | Presence::Held { .. } if component.stale => Evidence::Stale,
        Presence::Here | Presence::Held { .. } => Evidence::Now,
    }
}

/// The open stream of an agent, as others see it.
#[derive(Debug)]
pub struct StreamLink {
    /// Tells streams of one agent apart; rises over all streams of this monitor.
    pub number: u64,
    /// The start that speaks on it.
    pub boot: Boot,
    /// The report interval decided for it: the agent's from its first State on, since Hello renews nothing.
    pub interval_ms: u32,
    /// What others want of it.
    pub nudges: Arc<Nudges>,
    /// Counts the agent's messages.
    pub heard: AtomicU64,
    /// The agent said Goodbye on it.
    pub goodbye: AtomicBool,
}

/// What the monitor knows of an agent now.
#[derive(Debug)]
pub struct Live {
    /// What it runs beside.
    pub role: Role,
    /// Its labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Its software version.
    pub version: Arc<str>,
    /// Prefix of its services; empty for none.
    pub scope: Arc<str>,
    /// Its report interval, as decided.
    pub interval_ms: u32,
    /// The start that spoke last.
    pub boot: Boot,
    /// How far its wall clock is ahead of the monitor's, at the last Hello. Shown, and moves nothing.
    pub skew_ms: i64,
    /// The open stream.
    pub stream: Option<Arc<StreamLink>>,
    /// It told its statuses once, now or before a restart. One that only said Hello leaves no trace.
    pub(crate) spoke: bool,
    /// It was taken out of the fleet: who still holds it must look the agent up anew.
    pub(crate) is_forgotten: bool,
    /// Whether it is there.
    pub presence: Presence,
    /// It was lost when the monitor stopped: the alert rules hear that it still is then, on the running clock, unless it
    /// speaks before.
    lost_anew_ms: Option<u64>,
    /// When it last spoke of now, on the running clock.
    pub last_message_ms: u64,
    /// The same on the wall clock.
    pub last_seen_ms: i64,
    /// When it connected first since the monitor started, unix milliseconds.
    pub connected_ms: Option<i64>,
    /// Its components, in the order in which they became known.
    pub components: Vec<Component>,
    /// What was last told of each component: to those who watch, and to the alert rules.
    told: Vec<(Known, Option<Seen>)>,
    /// Its labels as the alert rules know them, its id among them.
    pub(crate) rule_labels: Labels,
    /// Whether it was lost when its services were last counted.
    told_lost: bool,
    /// The maintenance windows that are in force.
    planned: Arc<Planned>,
    /// What of it is to drain: an open stream is told when it changes.
    drains: Drains,
    /// Where the component with this id of the stream stands.
    by_id: BTreeMap<u32, usize>,
    /// The same positions in the order of the ids, as the bitmap of a report needs them.
    order: Vec<usize>,
    /// Its latest samples.
    pub samples: Samples,
    /// Reports that it announced as lost.
    pub(crate) losses: Losses,
    /// Its last starts.
    pub(crate) starts: Starts,
    /// What the alert rules read of its samples.
    pub(crate) watch: Watch,
    /// When it is looked at again, on the running clock; never earlier than needed, and not later.
    pub(super) look_ms: u64,
    /// What was just done may make it due before that. A report that says nothing new only puts it off.
    pub(super) may_be_due_sooner: bool,
}

impl Live {
    /// Takes over the labels that it said as the alert rules know them.
    pub(crate) fn label(&mut self, id: &Arc<str>) {
        let own = self.labels.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        self.rule_labels = own.chain([("agent".into(), Arc::clone(id))]).collect();
        // The rules know its components by them.
        self.untell();
        self.plan();
    }

    /// Other maintenance windows are in force.
    pub(crate) fn take_planned(&mut self, planned: &Arc<Planned>) {
        self.planned = Arc::clone(planned);
        self.plan();
    }

    /// Decides anew which windows hold for its components.
    pub(crate) fn plan(&mut self) {
        for component in &mut self.components {
            component.planned = self.planned.of(&self.rule_labels, component);
        }
        let drains = self.planned.drains(&self.rule_labels, &self.components);
        if self.drains != drains {
            self.drains = drains;
            self.ask_to_drain();
        }
    }

    /// What of it is to drain.
    pub(crate) fn drains(&self) -> &Drains {
        &self.drains
    }

    /// Has the open stream tell the agent what of it is to drain.
    pub(crate) fn ask_to_drain(&self) {
        if let Some(link) = &self.stream {
            link.nudges.want(Want::Drain);
        }
    }

    /// The alert rules are told of every component anew, when they are next settled.
    pub(crate) fn untell(&mut self) {
        self.told.iter_mut().for_each(|(_, seen)| *seen = None);
    }

    /// Applies one block of samples, and lets the alert rules read it.
    pub(crate) fn apply(
        &mut self,
        rules: &Ruleset,
        source: u32,
        data: &[u8],
        ticked: (u64, i64),
    ) -> Result<(), SampleError> {
        let position = self.samples.apply(source, data, ticked)?;
        self.watch.read(rules, &self.rule_labels, &self.samples, position, ticked, self.interval_ms);
        Ok(())
    }

    /// Whether its components are left out because it leaves.
    #[must_use]
    pub fn draining(&self) -> bool {
        matches!(self.presence, Presence::Leaving { .. })
    }

    fn is_lost(&self) -> bool {
        matches!(self.presence, Presence::Lost { .. })
    }

    /// The full name of one of its services.
    pub(crate) fn service_name(&self, service: &str) -> Arc<str> {
        if self.scope.is_empty() { service.into() } else { format!("{}.{service}", self.scope).into() }
    }

    /// The component with this id of the stream.
    pub(crate) fn component_mut(&mut self, id: u32) -> Option<&mut Component> {
        let position = *self.by_id.get(&id)?;
        self.components.get_mut(position)
    }

    /// The distinct services of its components.
    #[must_use]
    pub fn services(&self) -> Vec<Arc<str>> {
        let mut all: Vec<Arc<str>> = self.components.iter().map(|c| Arc::clone(&c.service)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    pub(crate) fn record(&self, key: AgentKey, id: &Arc<str>) -> AgentRecord {
        AgentRecord {
            key,
            id: Arc::clone(id),
            role: self.role,
            labels: Arc::clone(&self.labels),
            version: Arc::clone(&self.version),
            interval_ms: self.interval_ms,
            last_seen_ms: self.last_seen_ms,
            boot: self.boot,
        }
    }

    /// Whether it is lost, as is known since the monitor started.
    pub(crate) fn is_known_lost(&self) -> bool {
        self.is_lost() && !self.is_forgotten && self.lost_anew_ms.is_none()
    }

    /// Of an agent that is lost nothing is known, even where all its components are optional.
    fn instance(&self, service: &str) -> Option<Instance> {
        let draining = self.draining();
        let of_service = || self.components.iter().filter(move |c| *c.service == *service);
        of_service().next()?;
        // What drains may be switched off: nobody misses it.
        let drained = of_service().all(Component::is_drained);
        let lost = self.is_lost() && !drained;
        let until_ms =
            of_service().filter(|c| c.is_drained()).filter_map(|c| c.planned).map(|p| p.to_ms).min();
        let asked = || of_service().filter(|c| c.readiness);
        let whole = |shown: Aggregate| if lost { Aggregate::Status(Status::Unknown) } else { shown };
        let ready = asked().next().is_some().then(|| {
            aggregate::instance(asked().map(|c| aggregate::Part { required: true, ..c.part(draining) }))
        });
        Some(Instance {
            shown: whole(aggregate::instance(of_service().map(|c| c.part(draining)))),
            ready: ready.map(whole),
            drained_until_ms: until_ms,
            is_past: matches!(self.presence, Presence::Restored { .. }),
            components: of_service().map(|c| (Arc::clone(&c.name), c.shown(draining))).collect(),
        })
    }

    /// Tells what changed since the last call: events, rows, and the services' counts.
    pub(crate) fn settle(&mut self, id: &Arc<str>, step: &mut Step<'_>) {
        let (now, effects) = (step.now, &mut step.effects);
        let (draining, presence) = (self.draining(), self.presence);
        let mut dirty: Vec<Arc<str>> = Vec::new();
        for (position, component) in self.components.iter_mut().enumerate() {
            let known = component.known(draining);
            let seen = Seen { status: component.hard, evidence: evidence(presence, component) };
            if component.goes_bad(presence, seen.evidence) {
                effects.went_bad.push((Arc::clone(&component.service), Arc::clone(id)));
            }
            let before = self.told.get(position).copied();
            if before.and_then(|(_, seen)| seen) != Some(seen) {
                effects.observed.push(component.seen(&self.rule_labels, seen.evidence));
                // Its service is told anew, too, where nothing of it was told since the monitor started.
                dirty.push(Arc::clone(&component.service));
            }
            match self.told.get_mut(position) {
                Some(told) => *told = (known, Some(seen)),
                None => self.told.push((known, Some(seen))),
            }
            let before = before.map(|(known, _)| known);
            if before == Some(known) {
                continue;
            }
            let shown_before = before.map(|known| known.shown);
            let was_muted = before.is_some_and(Known::is_muted);
            if shown_before != Some(known.shown) {
                component.changed_wall_ms = now.wall_ms;
                effects.events.push(component.event(id, shown_before, known.shown, now.wall_ms));
            }
            if shown_before != Some(known.shown) || was_muted != known.is_muted() {
                effects.changes.push(component.change(id, now.wall_ms, draining));
            }
            effects.components.push(component.record(id));
            dirty.push(Arc::clone(&component.service));
        }
        if self.told_lost != self.is_lost() {
            self.told_lost = self.is_lost();
            dirty = self.services();
        }
        dirty.sort_unstable();
        dirty.dedup();
        self.recount(id, dirty, step);
    }

    /// Counts the instance of these services anew.
    fn recount(&self, id: &Arc<str>, services: Vec<Arc<str>>, step: &mut Step<'_>) {
        for service in services {
            step.count(id, &service, self.instance(&service));
        }
    }

    /// Takes out the components for which `gone` says so, with an event and a row each.
    pub(crate) fn remove_components(
        &mut self,
        id: &Arc<str>,
        gone: impl Fn(&Component) -> bool,
        how: Ending,
        step: &mut Step<'_>,
    ) {
        let (now, effects) = (step.now, &mut step.effects);
        let mut services = Vec::new();
        let mut moved = HashMap::new();
        let (mut kept, mut told) = (Vec::new(), Vec::new());
        for (position, component) in std::mem::take(&mut self.components).into_iter().enumerate() {
            if gone(&component) {
                let mut event = Event::new(EventKind::ComponentRemoved, now.wall_ms).agent(id);
                event.service = Some(Arc::clone(&component.service));
                event.component = Some(Arc::clone(&component.name));
                effects.events.push(event);
                let mut change = component.change(id, now.wall_ms, false);
                (change.status, change.maintenance, change.muted, change.stale) = (None, false, false, false);
                effects.changes.push(change);
                effects.removed.push(component.key(id));
                effects.observed.push(Observation::ComponentGone {
                    agent: Arc::clone(id),
                    service: Arc::clone(&component.service),
                    component: Arc::clone(&component.name),
                    how,
                });
                services.push(Arc::clone(&component.service));
            } else {
                moved.insert(position, kept.len());
                told.extend(self.told.get(position).copied());
                kept.push(component);
            }
        }
        (self.components, self.told) = (kept, told);
        self.by_id.retain(|_, position| match moved.get(position) {
            Some(new) => {
                *position = *new;
                true
            }
            None => false,
        });
        self.order = self.by_id.values().copied().collect();
        services.sort_unstable();
        services.dedup();
        self.recount(id, services, step);
    }

    /// How many components show unknown because nothing was heard of them.
    #[must_use]
    pub fn stale_components(&self) -> usize {
        self.components.iter().filter(|c| c.stale).count()
    }

    /// Whether the stream with this number speaks for the agent.
    pub(crate) fn is_linked(&self, number: u64) -> bool {
        self.link(number).is_some()
    }

    fn link(&self, number: u64) -> Option<&StreamLink> {
        self.stream.as_deref().filter(|link| link.number == number)
    }
}

impl StreamLink {
    /// Counts a message.
    pub fn note_message(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }
}
