//! The live state of the whole fleet. One owner: each agent behind its own lock, the services' counts behind
//! another, so that an agent's report touches no other agent and a probe is one look.
//!
//! Locks are taken in the order agents, agent, board, and never held over an await.

mod agent;
mod board;
mod component;
mod effects;
mod layout;
mod names;
mod page;

pub use agent::{
    Agent, Farewell, Live, Presence, Reported, SampleError, Samples, StreamLink, Told, forget_after_ms,
};
pub use board::{GroupView, ServiceView};
pub use component::Component;
pub use effects::{Effects, Event, EventKind};
pub use layout::{Compiled, CompiledSource, Interned, Layouts};

use crate::clock::Moment;
use crate::store::{AgentKey, Restored};
use board::Board;
use farol_health::aggregate::{Aggregate, Policy};
use farol_wire::{ComponentDef, ComponentReport, Hello};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The live state of the fleet.
#[derive(Debug, Default)]
pub struct Fleet {
    agents: RwLock<BTreeMap<Arc<str>, Arc<Agent>>>,
    board: Mutex<Board>,
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
    Open(Arc<Agent>, Arc<StreamLink>, Effects),
    /// Another start of this agent has an open stream: is it alive?
    Occupied(Arc<StreamLink>),
}

impl Fleet {
    /// Takes the configuration's services and groups.
    pub fn declare(
        &self,
        services: &BTreeMap<String, Policy>,
        groups: &BTreeMap<String, BTreeSet<String>>,
        now: Moment,
    ) -> Effects {
        let mut effects = Effects::default();
        self.board.lock().declare(services, groups, now.wall_ms, &mut effects);
        effects
    }

    /// Takes in what the store knows.
    pub fn restore(&self, restored: &Restored, now: Moment) -> Effects {
        let mut effects = Effects::default();
        self.layouts.restore(&restored.layouts, restored.last_layout_key);
        self.last_key.store(restored.last_agent_key, Ordering::Relaxed);
        let mut components: HashMap<&str, Vec<_>> = HashMap::new();
        for record in &restored.components {
            components.entry(&record.key.agent).or_default().push(record.clone());
        }
        let mut agents = self.agents.write();
        for record in &restored.agents {
            let of_agent = components.remove(&*record.id).unwrap_or_default();
            let mut live = Live::restored(record, &of_agent, now);
            live.settle_restored(&record.id, &self.board, now, &mut effects);
            let agent = Agent { key: record.key, id: Arc::clone(&record.id), live: Mutex::new(live) };
            agents.insert(Arc::clone(&record.id), Arc::new(agent));
        }
        effects
    }

    /// Opens a stream for an agent whose identity is established. `replace` is the number of a stream that was
    /// found dead. The same start, and one that said Goodbye, are replaced without asking.
    pub fn connect(&self, id: &str, hello: &Hello, now: Moment, replace: Option<u64>) -> Connection {
        let agent = self.agent_or_new(id, hello, now);
        let mut live = agent.live.lock();
        if live.is_forgotten {
            // It was forgotten since it was looked up; it is out of the map, or will be in a moment.
            drop(live);
            self.agents.write().retain(|_, known| !Arc::ptr_eq(known, &agent));
            return self.connect(id, hello, now, replace);
        }
        if let Some(open) = &live.stream {
            let gone = open.boot == hello.boot
                || open.goodbye.load(Ordering::Relaxed)
                || replace == Some(open.number);
            if !gone {
                return Connection::Occupied(Arc::clone(open));
            }
            open.replaced.cancel();
        }
        let link = Arc::new(StreamLink {
            number: self.last_stream.fetch_add(1, Ordering::Relaxed) + 1,
            boot: hello.boot,
            replaced: Default::default(),
            ping: Default::default(),
            heard: AtomicU64::new(0),
            goodbye: false.into(),
        });
        live.stream = Some(Arc::clone(&link));
        live.role = hello.role;
        live.labels = Arc::new(hello.labels.clone());
        live.version = hello.version.as_str().into();
        live.scope = hello.scope.as_str().into();
        live.interval_ms = hello.interval_ms;
        live.boot = hello.boot;
        live.skew_ms = i64::try_from(hello.wall_ms).unwrap_or(i64::MAX).saturating_sub(now.wall_ms);
        live.samples.lose();
        let mut effects = Effects::default();
        effects.events.push(Event::new(EventKind::AgentConnected, now.wall_ms).agent(&agent.id));
        effects.agents.push(live.record(agent.key, &agent.id));
        drop(live);
        Connection::Open(agent, link, effects)
    }

    fn agent_or_new(&self, id: &str, hello: &Hello, now: Moment) -> Arc<Agent> {
        if let Some(agent) = self.agents.read().get(id) {
            return Arc::clone(agent);
        }
        let mut agents = self.agents.write();
        let new = || {
            let key = AgentKey(self.last_key.fetch_add(1, Ordering::Relaxed) + 1);
            Arc::new(Agent { key, id: id.into(), live: Mutex::new(Live::new(hello, now)) })
        };
        Arc::clone(agents.entry(id.into()).or_insert_with(new))
    }

    /// The agent's whole set and every status.
    pub fn adopt(
        &self,
        agent: &Agent,
        set: &[ComponentDef],
        now: Vec<ComponentReport>,
        told: Told,
    ) -> Effects {
        agent.adopt(set, now, told, &self.board)
    }

    /// Components added in mid-stream.
    pub fn define(&self, agent: &Agent, components: &[ComponentDef], now: Moment) -> Effects {
        agent.define(components, now, &self.board)
    }

    /// Components taken out in mid-stream.
    pub fn retire(&self, agent: &Agent, components: &[u32], now: Moment) -> Effects {
        agent.retire(components, now, &self.board)
    }

    /// A live report's statuses; `at_ms` is the report's time on the agent's clock.
    pub fn report(&self, agent: &Agent, reported: Reported, told: Told, at_ms: u64) -> Effects {
        agent.report(reported, told, at_ms, &self.board)
    }

    /// A planned end is announced.
    pub fn goodbye(&self, agent: &Agent, kind: Farewell, deadline_ms: u32, now: Moment) -> Effects {
        agent.goodbye(kind, deadline_ms, now, &self.board)
    }

    /// A stream ended.
    pub fn disconnected(&self, agent: &Agent, stream: u64, now: Moment) -> Effects {
        let effects = agent.disconnected(stream, now, &self.board);
        self.drop_forgotten(&effects);
        effects
    }

    /// Time passes: silence, times to live, forgetting.
    pub fn tick(&self, now: Moment) -> Vec<Effects> {
        let mut all = Vec::new();
        for agent in self.agents() {
            let mut effects = agent.tick(now, &self.board);
            if self.is_to_be_forgotten(&agent, now) {
                self.forget_into(&agent, now, &mut effects);
            }
            if !effects.is_empty() {
                self.drop_forgotten(&effects);
                all.push(effects);
            }
        }
        all
    }

    /// Takes a lost agent out of the fleet; `None` when there is none of this id, or it is not lost.
    pub fn forget(&self, id: &str, now: Moment) -> Option<Effects> {
        let agent = self.agent(id)?;
        if !matches!(agent.live.lock().presence, Presence::Lost { .. }) {
            return None;
        }
        let mut effects = Effects::default();
        self.forget_into(&agent, now, &mut effects);
        self.drop_forgotten(&effects);
        Some(effects)
    }

    fn is_to_be_forgotten(&self, agent: &Agent, now: Moment) -> bool {
        let live = agent.live.lock();
        let Presence::Lost { since_ms } = live.presence else { return false };
        if live.stream.is_some() || now.run_ms.saturating_sub(since_ms) < forget_after_ms(live.role) {
            return false;
        }
        let services = live.services();
        drop(live);
        let board = self.board.lock();
        services.iter().all(|service| board.is_up_without(service, &agent.id))
    }

    fn forget_into(&self, agent: &Agent, now: Moment, effects: &mut Effects) {
        let mut live = agent.live.lock();
        live.remove_components(&agent.id, |_| true, &self.board, now, effects);
        effects.events.push(Event::new(EventKind::AgentForgotten, now.wall_ms).agent(&agent.id));
        live.forget();
        effects.forgotten.push(agent.key);
    }

    fn drop_forgotten(&self, effects: &Effects) {
        if !effects.forgotten.is_empty() {
            self.agents.write().retain(|_, agent| !effects.forgotten.contains(&agent.key));
        }
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
