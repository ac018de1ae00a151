//! The steps of an agent's state machine: what a message or a moment does to it.

use super::super::board::Board;
use super::super::component::Component;
use super::super::effects::{Effects, Event, EventKind};
use super::presence::{Farewell, Presence, RESTART_GRACE_MS};
use super::{Agent, Live};
use crate::clock::Moment;
use farol_wire::{Bitmap, ComponentDef, ComponentReport};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Maps a time of the agent's boot clock to the monitor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Now.
    pub now: Moment,
    /// The monitor's boot clock minus the agent's.
    pub offset_ms: i64,
}

impl Told {
    /// An agent's time on the monitor's running clock and on the wall clock; never later than now.
    #[must_use]
    pub fn map(self, agent_ms: u64) -> (u64, i64) {
        let agent = i64::try_from(agent_ms).unwrap_or(i64::MAX);
        let boot = agent.saturating_add(self.offset_ms);
        let age = i64::try_from(self.now.boot_ms).unwrap_or(i64::MAX).saturating_sub(boot).max(0);
        let run = self.now.run_ms.saturating_sub(age.unsigned_abs());
        (run, self.now.wall_ms.saturating_sub(age))
    }
}

/// What a report says of components.
#[derive(Debug, Default)]
pub struct Reported {
    /// Those whose status or reason changed.
    pub changed: Vec<ComponentReport>,
    /// Those that were checked since the last report.
    pub checked: Bitmap,
}

/// What a stream says counts only while it speaks for the agent: one that was replaced changes nothing any more, nor
/// does one of an agent that was forgotten.
impl Agent {
    /// The agent's whole set and the status of each: what was known and is not in it is gone.
    pub(crate) fn adopt(
        &self,
        stream: u64,
        defs: &[ComponentDef],
        statuses: Vec<ComponentReport>,
        told: Told,
        board: &Mutex<Board>,
    ) -> Effects {
        let mut effects = Effects::default();
        let mut live = self.live.lock();
        let Some(interval_ms) = live.link(stream).map(|link| link.interval_ms) else { return effects };
        let names: HashSet<_> =
            defs.iter().map(|d| (live.service_name(&d.service), d.name.as_str())).collect();
        let gone = |c: &Component| !names.contains(&(Arc::clone(&c.service), &*c.name));
        live.remove_components(&self.id, gone, board, told.now, &mut effects);
        live.by_id.clear();
        live.place(defs, told.now);
        self.heard(&mut live, told, &mut effects);
        if interval_ms != live.interval_ms {
            live.interval_ms = interval_ms;
            effects.agents.push(live.record(self.key, &self.id));
        }
        for status in statuses {
            live.tell(status, told);
        }
        live.renew_staleness(told.now);
        live.settle(&self.id, board, told.now, &mut effects);
        effects
    }

    /// Components added or changed in mid-stream.
    pub(crate) fn define(
        &self,
        stream: u64,
        defs: &[ComponentDef],
        now: Moment,
        board: &Mutex<Board>,
    ) -> Effects {
        let mut effects = Effects::default();
        let mut live = self.live.lock();
        if !live.is_linked(stream) {
            return effects;
        }
        live.place(defs, now);
        live.settle(&self.id, board, now, &mut effects);
        effects
    }

    /// Components taken out in mid-stream.
    pub(crate) fn retire(&self, stream: u64, ids: &[u32], now: Moment, board: &Mutex<Board>) -> Effects {
        let mut effects = Effects::default();
        let mut live = self.live.lock();
        if !live.is_linked(stream) {
            return effects;
        }
        let given_up: Vec<usize> = ids.iter().filter_map(|id| live.by_id.remove(id)).collect();
        // A component whose id changed was defined under the new one first: it stays.
        let kept: HashSet<usize> = live.by_id.values().copied().collect();
        let gone: HashSet<_> = given_up
            .iter()
            .filter(|position| !kept.contains(position))
            .filter_map(|position| live.components.get(*position))
            .map(|c| (Arc::clone(&c.service), Arc::clone(&c.name)))
            .collect();
        let is_gone = |c: &Component| gone.contains(&(Arc::clone(&c.service), Arc::clone(&c.name)));
        live.remove_components(&self.id, is_gone, board, now, &mut effects);
        effects
    }

    /// A live report's statuses. A report without any costs no look at the components but the renewals.
    pub(crate) fn report(
        &self,
        stream: u64,
        reported: Reported,
        told: Told,
        at_ms: u64,
        board: &Mutex<Board>,
    ) -> Effects {
        let mut effects = Effects::default();
        let mut live = self.live.lock();
        if !live.is_linked(stream) {
            return effects;
        }
        let was_here = live.presence == Presence::Here;
        self.heard(&mut live, told, &mut effects);
        let changed = !reported.changed.is_empty();
        for status in reported.changed {
            live.tell(status, told);
        }
        let checked = told.map(at_ms);
        let mut revived = false;
        for position in reported.checked.positions() {
            let Some(at) = live.order.get(position).copied() else { break };
            let Some(component) = live.components.get_mut(at) else { continue };
            component.checked_run_ms = component.checked_run_ms.max(Some(checked.0));
            component.checked_wall_ms = component.checked_wall_ms.max(Some(checked.1));
            revived |= component.stale;
        }
        if changed || revived || !was_here {
            live.renew_staleness(told.now);
            live.settle(&self.id, board, told.now, &mut effects);
        }
        effects
    }

    /// A planned end is announced.
    pub(crate) fn goodbye(
        &self,
        stream: u64,
        kind: Farewell,
        deadline_ms: u32,
        now: Moment,
        board: &Mutex<Board>,
    ) -> Effects {
        let mut effects = Effects::default();
        let mut live = self.live.lock();
        let Some(link) = live.link(stream) else { return effects };
        link.goodbye.store(true, std::sync::atomic::Ordering::Relaxed);
        let word = match kind {
            Farewell::Workload => "workload",
            Farewell::Agent => "agent",
            Farewell::Failing => "failing",
        };
        let mut event = Event::new(EventKind::AgentGoodbye, now.wall_ms).agent(&self.id);
        event.reason = Some(word.into());
        effects.events.push(event);
        live.presence = match kind {
            Farewell::Workload => {
                Presence::Leaving { until_ms: now.run_ms + u64::from(deadline_ms.max(1_000)) }
            }
            Farewell::Agent => Presence::Held { until_ms: now.run_ms + RESTART_GRACE_MS },
            Farewell::Failing => Presence::Lost { since_ms: now.run_ms },
        };
        live.renew_staleness(now);
        live.settle(&self.id, board, now, &mut effects);
        effects
    }

    /// The stream ended. Only an agent that is leaving is gone with it.
    pub(crate) fn disconnected(&self, stream: u64, now: Moment, board: &Mutex<Board>) -> Effects {
        let mut effects = Effects::default();
        let mut live = self.live.lock();
        if !live.is_linked(stream) {
            return effects;
        }
        live.stream = None;
        effects.events.push(Event::new(EventKind::AgentDisconnected, now.wall_ms).agent(&self.id));
        effects.agents.push(live.record(self.key, &self.id));
        if live.draining() {
            self.leave(&mut live, now, board, &mut effects);
        } else if !live.spoke {
            live.forget();
            effects.forgotten.push(self.key);
        }
        effects
    }

    /// Time passes: silence, times to live, held statuses.
    pub(crate) fn tick(&self, now: Moment, board: &Mutex<Board>) -> Effects {
        let mut effects = Effects::default();
        let mut live = self.live.lock();
        let silent = live.presence.is_over(live.last_message_ms, live.interval_ms, now.run_ms);
        if silent && live.draining() {
            self.leave(&mut live, now, board, &mut effects);
            return effects;
        }
        if silent {
            live.presence = Presence::Lost { since_ms: now.run_ms };
            effects.events.push(Event::new(EventKind::AgentLost, now.wall_ms).agent(&self.id));
        }
        if live.renew_staleness(now) || silent {
            live.settle(&self.id, board, now, &mut effects);
        }
        effects
    }

    fn leave(&self, live: &mut Live, now: Moment, board: &Mutex<Board>, effects: &mut Effects) {
        live.remove_components(&self.id, |_| true, board, now, effects);
        live.samples.clear();
        live.presence = Presence::Lost { since_ms: now.run_ms };
        effects.events.push(Event::new(EventKind::AgentLeft, now.wall_ms).agent(&self.id));
        live.forget();
        effects.forgotten.push(self.key);
    }

    /// The agent spoke of now.
    fn heard(&self, live: &mut Live, told: Told, effects: &mut Effects) {
        let spoke_before = std::mem::replace(&mut live.spoke, true);
        live.last_message_ms = told.now.run_ms;
        live.last_seen_ms = told.now.wall_ms;
        // A Goodbye stands until the stream ends.
        if !live.said_goodbye() {
            let before = std::mem::replace(&mut live.presence, Presence::Here);
            if spoke_before && matches!(before, Presence::Lost { .. }) {
                effects.events.push(Event::new(EventKind::AgentBack, told.now.wall_ms).agent(&self.id));
            }
        }
        live.connected_ms.get_or_insert(told.now.wall_ms);
    }
}

impl Live {
    /// It is out of the fleet. An open stream ends; what it still says goes nowhere.
    pub(crate) fn forget(&mut self) {
        self.is_forgotten = true;
        if let Some(link) = self.stream.take() {
            link.replaced.cancel();
        }
    }

    fn said_goodbye(&self) -> bool {
        self.stream.as_ref().is_some_and(|link| link.goodbye.load(std::sync::atomic::Ordering::Relaxed))
    }

    fn place(&mut self, defs: &[ComponentDef], now: Moment) {
        let name_of = |c: &Component| (Arc::clone(&c.service), Arc::clone(&c.name));
        let mut known: HashMap<_, usize> =
            self.components.iter().enumerate().map(|(position, c)| (name_of(c), position)).collect();
        for def in defs {
            let service = self.service_name(&def.service);
            let position = match known.get(&(Arc::clone(&service), def.name.as_str().into())) {
                Some(position) => {
                    self.components[*position].redefine(def);
                    *position
                }
                None => {
                    let component = Component::defined(def, service, now);
                    known.insert(name_of(&component), self.components.len());
                    self.components.push(component);
                    self.components.len() - 1
                }
            };
            self.by_id.insert(def.id, position);
        }
        self.order = self.by_id.values().copied().collect();
    }

    fn tell(&mut self, status: ComponentReport, told: Told) {
        let checked = status.checked_ms.map(|ms| told.map(ms));
        if let Some(component) = self.component_mut(status.id) {
            component.tell(status, checked, RESTART_GRACE_MS);
        }
    }

    /// Decides anew which components are stale; whether one changed.
    fn renew_staleness(&mut self, now: Moment) -> bool {
        let (presence, interval_ms) = (self.presence, self.interval_ms);
        let mut changed = false;
        for component in &mut self.components {
            if component.held_until_ms.is_some_and(|until| now.run_ms >= until) {
                component.release();
                changed = true;
            }
            let stale = match presence {
                Presence::Lost { .. } => true,
                Presence::Here => {
                    component.held_until_ms.is_none() && component.has_expired(now.run_ms, interval_ms)
                }
                Presence::Held { .. } | Presence::Restored { .. } | Presence::Leaving { .. } => {
                    component.stale
                }
            };
            changed |= stale != component.stale;
            component.stale = stale;
        }
        changed
    }
}
