//! The live state of the whole fleet. One owner: each agent behind its own lock, the services' counts behind
//! another, so that an agent's report touches no other agent and a probe is one look.
//!
//! Locks are taken in the order agents, agent, board, those of the outlet, and never held over an await.

mod agenda;
mod agent;
mod board;
mod component;
mod effects;
mod layout;
mod names;
mod page;
mod planned;
mod step;

pub use agent::{
    Agent, Farewell, Live, Presence, Reported, SampleError, Samples, StreamLink, Told, forget_after_ms,
};
pub use board::{GroupView, ServiceView};
pub use component::Component;
pub use effects::{Effects, Event, EventKind};
pub(crate) use layout::scoped;
pub use layout::{Compiled, CompiledSource, Interned, Layouts};
pub(crate) use planned::Drains;
pub use planned::Planned;
pub use step::Outlet;

use crate::clock::Moment;
use crate::nudges::{Nudges, Want};
use crate::remembered::{AGENTS_AT_MOST, Remembered};
use crate::store::{AgentKey, Restored};
use agenda::Agenda;
use arc_swap::ArcSwap;
pub(crate) use board::{Board, Instance};
use farol_health::aggregate::{Aggregate, Policy};
use farol_rules::{AgentCondition, Is, Labels, Ruleset};
use farol_wire::{ComponentDef, ComponentReport, Hello};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use step::Step;

/// The live state of the fleet.
pub struct Fleet {
    agents: RwLock<BTreeMap<Arc<str>, Arc<Agent>>>,
    /// The row numbers of agents that spoke once: one that was forgotten and comes back is the same, so that what it
    /// sends again is known. Locked with `agents`.
    keys: Mutex<Remembered<Arc<str>, AgentKey>>,
    board: Mutex<Board>,
    /// When to look at which agent again.
    agenda: Agenda,
    /// The alert rules that read samples.
    rules: ArcSwap<Ruleset>,
    /// The maintenance windows in force.
    planned: ArcSwap<Planned>,
    /// How long agents have to speak after a time in which the monitor did not run.
    restart_grace_ms: AtomicU64,
    /// Where the effects of each step go.
    outlet: Arc<dyn Outlet>,
    /// Sets of definitions, shared by the agents that define the same.
    pub layouts: Layouts,
    /// The last number given to a stream.
    last_stream: AtomicU64,
    /// The last row number given to an agent: never reused.
    last_key: AtomicU32,
}

/// The answer to a Hello.
#[derive(Debug)]
pub enum Connection {
    /// The stream speaks for the agent now.
    Open(Arc<Agent>, Arc<StreamLink>),
    /// Another start of this agent has an open stream: is it alive?
    Occupied(Arc<StreamLink>),
}

impl Fleet {
    /// An empty fleet whose effects go there.
    #[must_use]
    pub fn new(outlet: Arc<dyn Outlet>) -> Self {
        Self {
            agents: RwLock::default(),
            keys: Mutex::new(Remembered::new(AGENTS_AT_MOST)),
            board: Mutex::default(),
            agenda: Agenda::default(),
            rules: ArcSwap::from_pointee(Ruleset::default()),
            planned: ArcSwap::default(),
            restart_grace_ms: AtomicU64::new(agent::RESTART_GRACE_MS),
            outlet,
            layouts: Layouts::default(),
            last_stream: AtomicU64::new(0),
            last_key: AtomicU32::new(0),
        }
    }

    /// Takes the configuration's services and groups.
    pub fn declare(
        &self,
        services: &BTreeMap<String, Policy>,
        groups: &BTreeMap<String, BTreeSet<String>>,
        now: Moment,
    ) {
        let mut step = Step::new(now, &self.board);
        let (board, effects) = step.board();
        board.declare(services, groups, now.wall_ms, effects);
        step.publish(&*self.outlet);
    }

    /// Takes in what the store knows, as it was when the monitor stopped. What has changed since is a step as any
    /// other: statuses that are too old are unknown.
    pub fn restore(&self, restored: &Restored, now: Moment) {
        self.layouts.restore(&restored.layouts, restored.last_layout_key);
        self.last_key.store(restored.last_agent_key, Ordering::Relaxed);
        let mut components: HashMap<&str, Vec<_>> = HashMap::new();
        for record in &restored.components {
            components.entry(&record.key.agent).or_default().push(record.clone());
        }
        let mut agents = self.agents.write();
        for record in &restored.forgotten {
            self.keys.lock().add(Arc::clone(&record.id), record.key);
        }
        // Never published: all of it was told before.
        let mut before = Step::new(now, &self.board);
        for record in &restored.agents {
            let of_agent = components.remove(&*record.id).unwrap_or_default();
            let given = (self.planned.load_full(), self.restart_grace_ms.load(Ordering::Relaxed));
            let mut live = Live::restored(record, &of_agent, given, now);
            live.settle_restored(&record.id, &mut before);
            let agent = Agent { key: record.key, id: Arc::clone(&record.id), live: Mutex::new(live) };
            let agent = Arc::new(agent);
            self.agenda.plan(&agent, &mut agent.live.lock(), now);
            agents.insert(Arc::clone(&record.id), agent);
        }
        drop((before, agents));
        // But the alert rules were not.
        self.board.lock().untell();
        self.tick(now);
    }

    /// Which of the agents that were restored the alert rules know something of.
    pub fn has_past(&self, known: impl Fn(&str) -> bool) {
        for agent in self.agents() {
            agent.live.lock().watch.set_past(known(&agent.id));
        }
    }

    /// Makes a step on an agent.
    fn step<T>(
        &self,
        agent: &Arc<Agent>,
        now: Moment,
        make: impl FnOnce(&mut Live, &mut Step<'_>) -> T,
    ) -> T {
        let mut live = agent.live.lock();
        let mut step = Step::new(now, &self.board);
        let made = make(&mut live, &mut step);
        let is_gone = !step.effects.forgotten.is_empty();
        step.publish(&*self.outlet);
        if std::mem::take(&mut live.may_be_due_sooner) {
            self.agenda.plan(agent, &mut live, now);
        }
        drop(live);
        if is_gone {
            self.let_go(agent);
        }
        made
    }

    /// Makes a step that a stream asks for. It counts only while that one speaks for the agent: a stream that was
    /// replaced changes nothing any more, nor does one of an agent that was forgotten.
    fn said(
        &self,
        agent: &Arc<Agent>,
        stream: u64,
        now: Moment,
        make: impl FnOnce(&mut Live, &mut Step<'_>),
    ) {
        self.step(agent, now, |live, step| {
            if live.is_linked(stream) {
                make(live, step);
            }
        });
    }

    /// Opens a stream for an agent whose identity is established. `replace` is the number of a stream that was
    /// found dead. The same start, and one that said Goodbye, are replaced without asking.
    pub fn connect(
        &self,
        id: &str,
        hello: &Hello,
        now: Moment,
        nudges: &Arc<Nudges>,
        replace: Option<u64>,
    ) -> Connection {
        loop {
            let agent = self.agent_or_new(id, hello, now);
            let link = self.step(&agent, now, |live, step| {
                (!live.is_forgotten).then(|| self.link(&agent, live, (hello, nudges), replace, step))
            });
            match link {
                Some(Ok(link)) => return Connection::Open(agent, link),
                Some(Err(open)) => return Connection::Occupied(open),
                // It was forgotten since it was looked up; it is out of the map, or will be in a moment.
                None => self.let_go(&agent),
            }
        }
    }

    /// The stream's place with the agent, or the one that has it.
    fn link(
        &self,
        agent: &Agent,
        live: &mut Live,
        (hello, nudges): (&Hello, &Arc<Nudges>),
        replace: Option<u64>,
        step: &mut Step<'_>,
    ) -> Result<Arc<StreamLink>, Arc<StreamLink>> {
        if let Some(open) = &live.stream {
            let gone = open.boot == hello.boot
                || open.goodbye.load(Ordering::Relaxed)
                || replace == Some(open.number);
            if !gone {
                return Err(Arc::clone(open));
            }
            open.nudges.want(Want::Replaced);
        }
        let link = Arc::new(StreamLink {
            number: self.last_stream.fetch_add(1, Ordering::Relaxed) + 1,
            boot: hello.boot,
            interval_ms: hello.interval_ms,
            nudges: Arc::clone(nudges),
            heard: AtomicU64::new(0),
            goodbye: false.into(),
        });
        live.stream = Some(Arc::clone(&link));
        live.role = hello.role;
        if *live.labels != hello.labels || live.rule_labels == Labels::default() {
            live.labels = Arc::new(hello.labels.clone());
            live.label(&agent.id);
        }
        if live.starts.note(hello.boot, step.now.run_ms) {
            live.observe(AgentCondition::Restarting, Is::Happened, step);
        }
        live.version = hello.version.as_str().into();
        live.scope = hello.scope.as_str().into();
        live.watch.set_scope(&live.scope);
        live.boot = hello.boot;
        live.skew_ms = i64::try_from(hello.wall_ms).unwrap_or(i64::MAX).saturating_sub(step.now.wall_ms);
        live.samples.lose();
        // One that drained while it was away, and need not any more, must hear of it.
        if hello.accept_drain || !live.drains().is_empty() {
            live.ask_to_drain();
        }
        step.tell(EventKind::AgentConnected, &agent.id);
        step.effects.agents.push(live.record(agent.key, &agent.id));
        Ok(link)
    }

    fn agent_or_new(&self, id: &str, hello: &Hello, now: Moment) -> Arc<Agent> {
        if let Some(agent) = self.agents.read().get(id) {
            return Arc::clone(agent);
        }
        let mut agents = self.agents.write();
        let new = || {
            let key = self.keys.lock().get(id).copied();
            let key = key.unwrap_or_else(|| AgentKey(self.last_key.fetch_add(1, Ordering::Relaxed) + 1));
            let live = Live::new(hello, self.planned.load_full(), now);
            Arc::new(Agent { key, id: id.into(), live: Mutex::new(live) })
        };
        Arc::clone(agents.entry(id.into()).or_insert_with(new))
    }

    /// Takes a forgotten agent out of the map. It may have come back meanwhile.
    fn let_go(&self, agent: &Arc<Agent>) {
        let mut agents = self.agents.write();
        if agents.get(&agent.id).is_some_and(|known| Arc::ptr_eq(known, agent)) {
            agents.remove(&agent.id);
            let mut keys = self.keys.lock();
            // One that only said Hello leaves no trace.
            if agent.live.lock().spoke || keys.get(&agent.id).is_some() {
                keys.add(Arc::clone(&agent.id), agent.key);
            }
        }
    }

    /// The agent's whole set and every status. `stream` is the number of the stream that says so, here and below.
    pub fn adopt(
        &self,
        agent: &Arc<Agent>,
        stream: u64,
        set: &[ComponentDef],
        now: Vec<ComponentReport>,
        told: Told,
    ) {
        self.said(agent, stream, told.now, |live, step| agent.adopt(live, set, now, told, step));
    }

    /// Components added in mid-stream.
    pub fn define(&self, agent: &Arc<Agent>, stream: u64, components: &[ComponentDef], now: Moment) {
        self.said(agent, stream, now, |live, step| agent.define(live, components, step));
    }

    /// Components taken out in mid-stream.
    pub fn retire(&self, agent: &Arc<Agent>, stream: u64, components: &[u32], now: Moment) {
        self.said(agent, stream, now, |live, step| agent.retire(live, components, step));
    }

    /// A live report's statuses; `at_ms` is the report's time on the agent's clock.
    pub fn report(&self, agent: &Arc<Agent>, stream: u64, reported: Reported, told: Told, at_ms: u64) {
        self.said(agent, stream, told.now, |live, step| agent.report(live, reported, told, at_ms, step));
    }

    /// A planned end is announced.
    pub fn goodbye(&self, agent: &Arc<Agent>, stream: u64, kind: Farewell, deadline_ms: u32, now: Moment) {
        self.said(agent, stream, now, |live, step| agent.goodbye(live, kind, deadline_ms, step));
    }

    /// A stream ended.
    pub fn disconnected(&self, agent: &Arc<Agent>, stream: u64, now: Moment) {
        self.said(agent, stream, now, |live, step| agent.disconnected(live, step));
    }

    /// Time passes: silence, times to live, forgetting.
    pub fn tick(&self, now: Moment) {
        for (at_ms, agent) in self.agenda.take_due(now.run_ms) {
            self.step(&agent, now, |live, step| {
                if live.look_ms != at_ms {
                    return;
                }
                live.look_ms = u64::MAX;
                if !live.is_forgotten {
                    agent.tick(live, step);
                    live.may_be_due_sooner = true;
                }
            });
        }
    }

    /// The monitor did not run for so long that agents gave their streams up and try again less and less often: as after
    /// a restart, their last statuses stand until they come back, for a while.
    pub fn excuse(&self, now: Moment) {
        let grace_ms = self.restart_grace_ms.load(Ordering::Relaxed);
        for agent in self.agents() {
            self.step(&agent, now, |live, step| {
                if live.excuse(now, grace_ms) {
                    live.settle(&agent.id, step);
                }
            });
        }
    }

    /// How long agents have to speak, at the least, after a time in which the monitor did not run.
    pub fn set_restart_grace(&self, grace: Duration) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.restart_grace_ms.store(grace_ms, Ordering::Relaxed);
    }

    /// The alert rules that read samples.
    #[must_use]
    pub fn rules(&self) -> arc_swap::Guard<Arc<Ruleset>> {
        self.rules.load()
    }

    /// Takes other alert rules, and tells them everything that is known of now.
    pub fn take_rules(&self, rules: Ruleset, now: Moment) {
        self.rules.store(Arc::new(rules));
        self.retell(now);
    }

    /// Tells the rules in force everything that is known of now.
    pub(crate) fn retell(&self, now: Moment) {
        for agent in self.agents() {
            self.step(&agent, now, |live, step| {
                if live.is_known_lost() {
                    live.observe(AgentCondition::Lost, Is::On, step);
                }
                live.untell();
                live.watch.tell_all();
                live.settle(&agent.id, step);
            });
        }
        let mut step = Step::new(now, &self.board);
        let (board, effects) = step.board();
        board.untell();
        board.settle_all(now.wall_ms, effects);
        effects.observed.push(board.all());
        step.publish(&*self.outlet);
    }

    /// Takes a lost agent out of the fleet; false when there is none of this id, or it is not lost.
    pub fn forget(&self, id: &str, now: Moment) -> bool {
        let Some(agent) = self.agent(id) else { return false };
        self.step(&agent, now, |live, step| {
            let lost = !live.is_forgotten && matches!(live.presence, Presence::Lost { .. });
            if lost {
                agent.go(live, EventKind::AgentForgotten, step);
            }
            lost
        })
    }

    /// Tells the alert rules of something that happened to an agent.
    pub fn happened(&self, agent: &Arc<Agent>, condition: AgentCondition, now: Moment) {
        self.step(agent, now, |live, step| live.observe(condition, Is::Happened, step));
    }

    /// All agents, in the order of their ids.
    #[must_use]
    pub fn agents(&self) -> Vec<Arc<Agent>> {
        self.agents.read().values().cloned().collect()
    }

    /// One agent.
    #[must_use]
    pub fn agent(&self, id: &str) -> Option<Arc<Agent>> {
        self.agents.read().get(id).cloned()
    }

    /// One service.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<ServiceView> {
        self.board.lock().service(name)
    }

    /// All services, in the order of their names.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceView> {
        self.board.lock().services()
    }

    /// The agents that run a service, and what each instance shows.
    #[must_use]
    pub fn instances(&self, service: &str) -> Vec<(Arc<str>, Aggregate)> {
        self.board.lock().instances(service)
    }

    /// One group.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<GroupView> {
        self.board.lock().group(name)
    }

    /// All groups, in the order of their names.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupView> {
        self.board.lock().groups()
    }
}

#[cfg(test)]
mod tests;
