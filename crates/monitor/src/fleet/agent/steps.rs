//! The steps of an agent's state machine: what a message or a moment does to it.

use super::super::component::Component;
use super::super::effects::{Event, EventKind};
use super::super::step::Step;
use super::presence::{Farewell, Presence, RESTART_GRACE_MS, forget_after_ms, restore_grace_ms};
use super::{Agent, Live};
use crate::clock::Moment;
use crate::nudges::Want;
use farol_rules::{AgentCondition, Ending, Is, Observation};
use farol_wire::{Bitmap, ComponentDef, ComponentReport};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// An agent that should be forgotten and that its services need is looked at so often.
const FORGET_AGAIN_MS: u64 = 60_000;

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

impl Agent {
    /// The agent's whole set and the status of each: what was known and is not in it is gone.
    pub(crate) fn adopt(
        &self,
        live: &mut Live,
        defs: &[ComponentDef],
        statuses: Vec<ComponentReport>,
        told: Told,
        step: &mut Step<'_>,
    ) {
        let names: HashSet<_> =
            defs.iter().map(|d| (live.service_name(&d.service), d.name.as_str())).collect();
        let gone = |c: &Component| !names.contains(&(Arc::clone(&c.service), &*c.name));
        live.remove_components(&self.id, gone, Ending::Removed, step);
        live.by_id.clear();
        live.may_be_due_sooner = true;
        live.place(defs, step.now);
        self.heard(live, step);
        let decided_ms = live.stream.as_ref().map_or(live.interval_ms, |link| link.interval_ms);
        if decided_ms != live.interval_ms {
            live.interval_ms = decided_ms;
            step.effects.agents.push(live.record(self.key, &self.id));
        }
        for status in statuses {
            live.tell(status, told);
        }
        live.renew_staleness(step.now);
        live.settle(&self.id, step);
    }

    /// Components added or changed in mid-stream.
    pub(crate) fn define(&self, live: &mut Live, defs: &[ComponentDef], step: &mut Step<'_>) {
        live.may_be_due_sooner = true;
        live.place(defs, step.now);
        live.settle(&self.id, step);
    }

    /// Components taken out in mid-stream.
    pub(crate) fn retire(&self, live: &mut Live, ids: &[u32], step: &mut Step<'_>) {
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
        live.remove_components(&self.id, is_gone, Ending::Removed, step);
    }

    /// A live report's statuses. A report without any costs no look at the components but the renewals.
    pub(crate) fn report(
        &self,
        live: &mut Live,
        reported: Reported,
        told: Told,
        at_ms: u64,
        step: &mut Step<'_>,
    ) {
        let was_here = live.presence == Presence::Here;
        self.heard(live, step);
        live.watch.reported(&live.rule_labels, &live.samples, step.now.run_ms);
        step.effects.observed.extend(live.watch.take());
        let changed = !reported.changed.is_empty();
        // Some say themselves when they were checked; of the others only the report's time is known.
        let timed = reported.changed.iter().filter(|status| status.checked_ms.is_some());
        let said: HashSet<usize> = timed.filter_map(|status| live.by_id.get(&status.id).copied()).collect();
        for status in reported.changed {
            live.tell(status, told);
        }
        let checked = told.map(at_ms);
        let mut revived = false;
        for position in reported.checked.positions() {
            let Some(at) = live.order.get(position).copied() else { break };
            let Some(component) = live.components.get_mut(at) else { continue };
            // One that was never checked before may expire from now on.
            revived |= component.stale || component.checked_run_ms.is_none();
            if !said.contains(&at) {
                component.checked_run_ms = component.checked_run_ms.max(Some(checked.0));
                component.checked_wall_ms = component.checked_wall_ms.max(Some(checked.1));
            }
        }
        if changed || revived || !was_here {
            live.renew_staleness(step.now);
            live.settle(&self.id, step);
            live.may_be_due_sooner = true;
        }
    }

    /// A planned end is announced.
    pub(crate) fn goodbye(&self, live: &mut Live, kind: Farewell, deadline_ms: u32, step: &mut Step<'_>) {
        if let Some(link) = &live.stream {
            link.goodbye.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        let word = match kind {
            Farewell::Workload => "workload",
            Farewell::Agent => "agent",
            Farewell::Failing => "failing",
        };
        let now = step.now;
        live.may_be_due_sooner = true;
        live.last_message_ms = now.run_ms;
        live.lost_anew_ms = None;
        let mut event = Event::new(EventKind::AgentGoodbye, now.wall_ms).agent(&self.id);
        event.reason = Some(word.into());
        step.effects.events.push(event);
        live.presence = match kind {
            Farewell::Workload => {
                Presence::Leaving { until_ms: now.run_ms + u64::from(deadline_ms.max(1_000)) }
            }
            Farewell::Agent => Presence::Held { until_ms: now.run_ms + RESTART_GRACE_MS },
            Farewell::Failing => Presence::Lost { since_ms: now.run_ms },
        };
        if kind == Farewell::Failing {
            live.observe(AgentCondition::Lost, Is::On, step);
        }
        live.renew_staleness(now);
        live.settle(&self.id, step);
    }

    /// The stream ended. Only an agent that is leaving is gone with it.
    pub(crate) fn disconnected(&self, live: &mut Live, step: &mut Step<'_>) {
        live.stream = None;
        live.may_be_due_sooner = true;
        step.tell(EventKind::AgentDisconnected, &self.id);
        step.effects.agents.push(live.record(self.key, &self.id));
        if live.draining() {
            self.go(live, EventKind::AgentLeft, step);
        } else if !live.spoke {
            live.forget();
            step.effects.forgotten.push(self.key);
        }
    }

    /// Time passes: silence, times to live, held statuses, forgetting.
    pub(crate) fn tick(&self, live: &mut Live, step: &mut Step<'_>) {
        let now = step.now;
        let silent = live.presence.is_over(live.last_message_ms, live.interval_ms, now.run_ms);
        if silent && live.draining() {
            return self.go(live, EventKind::AgentLeft, step);
        }
        if silent {
            live.presence = Presence::Lost { since_ms: now.run_ms };
            step.tell(EventKind::AgentLost, &self.id);
            live.observe(AgentCondition::Lost, Is::On, step);
        }
        if live.lost_anew_ms.take_if(|at_ms| *at_ms <= now.run_ms).is_some() {
            live.observe(AgentCondition::Lost, Is::On, step);
        }
        if live.renew_staleness(now) || silent {
            live.settle(&self.id, step);
        }
        if live.may_be_forgotten(now) && step.is_up_without(&live.services(), &self.id) {
            self.go(live, EventKind::AgentForgotten, step);
        }
    }

    /// It is taken out of the fleet, with all that it was part of.
    pub(crate) fn go(&self, live: &mut Live, how: EventKind, step: &mut Step<'_>) {
        let ending = if how == EventKind::AgentLeft { Ending::Left } else { Ending::Forgotten };
        live.remove_components(&self.id, |_| true, ending, step);
        live.samples.clear();
        step.tell(how, &self.id);
        step.effects.observed.push(Observation::AgentGone { agent: Arc::clone(&self.id), how: ending });
        live.forget();
        step.effects.forgotten.push(self.key);
    }

    /// The agent spoke of now.
    fn heard(&self, live: &mut Live, step: &mut Step<'_>) {
        let spoke_before = std::mem::replace(&mut live.spoke, true);
        live.lost_anew_ms = None;
        live.last_message_ms = step.now.run_ms;
        live.last_seen_ms = step.now.wall_ms;
        // A Goodbye stands until the stream ends, and one that goes on speaking is not lost meanwhile.
        if live.said_goodbye() {
            if let Presence::Held { until_ms } = &mut live.presence {
                *until_ms = step.now.run_ms + RESTART_GRACE_MS;
            }
        } else {
            let before = std::mem::replace(&mut live.presence, Presence::Here);
            if spoke_before && matches!(before, Presence::Lost { .. }) {
                step.tell(EventKind::AgentBack, &self.id);
            }
            // Also one that was lost before the monitor started, or before it said that it stops.
            if spoke_before && before != Presence::Here {
                live.observe(AgentCondition::Lost, Is::Off, step);
            }
        }
        live.connected_ms.get_or_insert(step.now.wall_ms);
    }
}

impl Live {
    /// It is out of the fleet. An open stream ends; what it still says goes nowhere.
    pub(crate) fn forget(&mut self) {
        self.is_forgotten = true;
        if let Some(link) = self.stream.take() {
            link.nudges.want(Want::Replaced);
        }
    }

    /// Its silence is the monitor's fault: it has as long to speak as after a restart of the monitor. Whether that changes
    /// anything.
    pub(in crate::fleet) fn excuse(&mut self, now: Moment, grace_ms: u64) -> bool {
        let was_here = self.presence == Presence::Here;
        if was_here {
            let grace_ms = restore_grace_ms(self.interval_ms, grace_ms);
            self.presence = Presence::Restored { until_ms: now.run_ms + grace_ms, stands: true };
            self.may_be_due_sooner = true;
        }
        was_here
    }

    /// Tells the alert rules of something that is wrong with it, or not any more.
    pub(in crate::fleet) fn observe(&self, condition: AgentCondition, is: Is, step: &mut Step<'_>) {
        let labels = self.rule_labels.clone();
        step.effects.observed.push(Observation::Agent { labels, condition, is });
    }

    /// Whether it has been lost for so long that it may be forgotten where nobody misses it.
    fn may_be_forgotten(&self, now: Moment) -> bool {
        let Presence::Lost { since_ms } = self.presence else { return false };
        self.stream.is_none() && now.run_ms.saturating_sub(since_ms) >= forget_after_ms(self.role)
    }

    /// When time may change something, on the running clock, if nothing is heard until then.
    pub(in crate::fleet) fn due_ms(&self, run_ms: u64) -> u64 {
        let presence = self.presence.over_ms(self.last_message_ms, self.interval_ms);
        let forgetting = match self.presence {
            Presence::Lost { since_ms } => {
                let forget_ms = since_ms.saturating_add(forget_after_ms(self.role));
                // Where its services need it, it is looked at again and again.
                if forget_ms > run_ms { forget_ms } else { run_ms + FORGET_AGAIN_MS }
            }
            _ => u64::MAX,
        };
        let stands = !matches!(self.presence, Presence::Restored { stands: false, .. });
        if !stands && self.components.iter().any(|component| !component.stale) {
            return run_ms;
        }
        let is_here = self.presence == Presence::Here;
        let components = self.components.iter().map(|part| part.due_ms(is_here, self.interval_ms));
        components.chain([presence, forgetting]).chain(self.lost_anew_ms).min().unwrap_or(u64::MAX)
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
                    let other_kind = self.components[*position].redefine(def);
                    // The rules know it by its kind.
                    if let Some((_, seen)) = self.told.get_mut(*position).filter(|_| other_kind) {
                        *seen = None;
                    }
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
        self.plan();
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
                Presence::Lost { .. } | Presence::Restored { stands: false, .. } => true,
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
