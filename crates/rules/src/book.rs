//! The book of all alerts: takes observations in order, steps the elements they are about, makes alerts of them, and
//! writes down what follows: who is told, what must be kept, what happens at once. One owner, one lock, no clock.

mod alert;
mod element;
mod flush;
mod held;
mod hold;
mod incidents;
mod kin;
mod mutes;
mod observe;
mod pace;
mod saved;
mod shown;
mod talks;
mod view;

pub use saved::{Away, Saved as SavedBook};
pub use shown::{AlertHead, AlertShown, AlertState, ElementCounts, TalkShown, ToldOf};
pub use view::Why as Explanation;

use crate::incident::Incident;
use crate::observation::Is;
use crate::output::{AlertChange, AlertEvent, ElementId, Keep, Output};
use crate::{
    Acknowledgement, AlertId, ConversationId, Graph, Labels, Moment, MonitorCondition, Rule, Ruleset,
    Silence, Suppressor, Tree, Window,
};
use alert::Alert;
use element::Element;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use talks::Talk;

/// Elements that are named where many are meant: of an alert, and alerts that one holds back.
pub const NAMED_AT_MOST: usize = 50;

/// Elements that may be known at once, besides those of the monitor's conditions. What is over is counted and not looked
/// at, until there is room again.
pub const ELEMENTS_AT_MOST: usize = 500_000;

/// A condition that only happens is over when it has not happened for so long; one of the monitor that was there before
/// a restart, when it was not said since.
const QUIET_MS: u64 = 10 * 60_000;

/// Between two looks at one conversation, at what is held back, and at an incident that is to be kept, lie so many
/// milliseconds: what comes in a crowd is taken in a crowd.
const LOOK_AGAIN_MS: u64 = 1_000;

/// By so much more than before the clocks may differ: above it the monitor did not run, or the wall clock was set.
const SKEW_MS: i64 = 2_000;

/// An alert that ended is shown for so long.
const SHOWN_AFTER_END_MS: u64 = 15 * 60_000;

/// What the book goes by. Another one is taken over whole.
#[derive(Clone)]
pub struct Orders {
    /// The rules.
    pub rules: Ruleset,
    /// What holds what back.
    pub graph: Arc<Graph>,
    /// Who is told.
    pub tree: Arc<Tree>,
}

/// All alerts, and what they come from.
pub struct Book {
    orders: Orders,
    /// Positions of the rules by what they look at.
    index: observe::Index,
    /// Elements that are pending or firing, and what could hold others back.
    suppressor: Suppressor,
    /// Elements that are not as any element is at first.
    elements: HashMap<ElementId, Element>,
    /// Which of them are an agent's, by what of it they are about: it may leave, or call itself otherwise.
    by_agent: HashMap<Arc<str>, BTreeSet<(kin::Place, ElementId)>>,
    /// Alerts that fire, or did until a moment ago; in the order of their rules.
    alerts: BTreeMap<AlertId, Alert>,
    /// Those of them that fired, by their names: receivers know them by these.
    by_name: HashMap<Box<str>, AlertId>,
    /// What each receiver was told.
    talks: HashMap<ConversationId, Talk>,
    /// Incidents that are not over.
    incidents: HashMap<Arc<str>, Incident>,
    /// What mutes.
    mutes: mutes::Mutes,
    /// What is wrong with the monitor, and why: rules that come later must know it.
    wrong: BTreeMap<(MonitorCondition, Labels), Arc<str>>,
    /// Agents that are lost: nothing is heard of what they have, whether a rule looks at that or not.
    lost: HashSet<Arc<str>>,
    /// When to look at what again, on the running clock. What is looked at for nothing costs a look.
    agenda: BTreeSet<(u64, Due)>,
    /// Alerts to be looked at before anybody is told anything.
    dirty: BTreeSet<AlertId>,
    /// What is held back by what.
    held: held::HeldAnew,
    /// By alert: the alerts that it holds back, as of the last look at what is held back.
    holding: HashMap<AlertId, held::Holding>,
    /// Incidents that are to be kept, and when each was last, on the running clock.
    incidents_anew: HashSet<Arc<str>>,
    /// Those of them that were kept just before: the agenda has them.
    incidents_waiting: HashSet<Arc<str>>,
    incidents_kept: HashMap<Arc<str>, u64>,
    /// How far the wall clock was ahead of the running one when everything was last kept that counts by it.
    skew_ms: Option<i64>,
    /// Conversations to be looked at.
    talking: BTreeSet<ConversationId>,
    /// What follows, until it is taken.
    outputs: Vec<Output>,
    /// Tells incidents apart that begin in one millisecond.
    last_incident: i64,
    /// Elements that were not looked at because there were too many.
    pub(crate) over: u64,
    /// One was not since there was room: it will not come again by itself.
    full: bool,
    /// So many elements may be known.
    room: usize,
}

/// What there is to look at again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Element(ElementId),
    Alert(AlertId),
    Talk(ConversationId),
    Held,
    Incident(Arc<str>),
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new(orders: Orders) -> Self {
        Self {
            index: observe::Index::new(&orders.rules),
            suppressor: Suppressor::new(orders.graph.clone()),
            orders,
            elements: HashMap::new(),
            by_agent: HashMap::new(),
            alerts: BTreeMap::new(),
            by_name: HashMap::new(),
            talks: HashMap::new(),
            incidents: HashMap::new(),
            mutes: mutes::Mutes::default(),
            wrong: BTreeMap::new(),
            lost: HashSet::new(),
            agenda: BTreeSet::new(),
            dirty: BTreeSet::new(),
            held: held::HeldAnew::default(),
            holding: HashMap::new(),
            incidents_anew: HashSet::new(),
            incidents_waiting: HashSet::new(),
            incidents_kept: HashMap::new(),
            skew_ms: None,
            talking: BTreeSet::new(),
            outputs: Vec::new(),
            last_incident: 0,
            over: 0,
            full: false,
            room: ELEMENTS_AT_MOST,
        }
    }

    /// What followed since the last call, in order.
    pub fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Time passes.
    pub fn tick(&mut self, now: Moment) {
        self.pass(now);
        while let Some((at_ms, _)) = self.agenda.first() {
            if *at_ms > now.run_ms {
                break;
            }
            let Some((_, due)) = self.agenda.pop_first() else { break };
            match due {
                Due::Element(id) => self.wake(&id, now),
                Due::Alert(id) => {
                    self.dirty.insert(id);
                }
                Due::Talk(id) => {
                    self.talking.insert(id);
                }
                // Looked at with every flush.
                Due::Held => {}
                Due::Incident(id) => {
                    self.incidents_waiting.remove(&id);
                    self.incidents_anew.insert(id);
                }
            }
        }
        self.flush(now);
    }

    /// What comes with the wall clock: silences and windows begin and end, and where it was set everything is kept anew
    /// that counts by it.
    fn pass(&mut self, now: Moment) {
        let skew_ms = now.wall_ms.saturating_sub_unsigned(now.run_ms);
        let moved = self.skew_ms.is_some_and(|before| before.abs_diff(skew_ms) > SKEW_MS.unsigned_abs());
        if moved {
            self.mutes.look_again();
        }
        if self.mutes.changed_by(now.wall_ms) {
            self.recheck_all();
        }
        if moved {
            self.keep_all(now);
        }
        if moved || self.skew_ms.is_none() {
            self.skew_ms = Some(skew_ms);
        }
    }

    /// When time alone may bring something, on the running clock. Windows that stand in a calendar are seen at a tick.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        self.agenda.first().map(|(at_ms, _)| *at_ms)
    }

    /// Takes over other rules and routes. What a rule that is the same has come to stays; the alerts of one that is
    /// gone or another end as removed.
    pub fn order(&mut self, orders: Orders, now: Moment) {
        let gone: Vec<ElementId> = self
            .elements
            .iter()
            .filter(|(id, element)| {
                let rule = orders.rules.number(&id.rule).map(|at| orders.rules.fingerprint(at));
                rule != Some(element.fingerprint)
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in &gone {
            self.end(id, crate::Ending::Removed, now);
            drop(self.forget(id));
            self.keep(Keep::Element(id.clone(), None));
        }
        self.flush(now);
        self.index = observe::Index::new(&orders.rules);
        self.suppressor = Suppressor::new(orders.graph.clone());
        self.orders = orders;
        for (id, element) in &mut self.elements {
            element.rule = self.orders.rules.number(&id.rule).unwrap_or(element.rule);
            if element.hold.is_on {
                self.suppressor.active(&id.rule, &id.labels);
            }
        }
        for alert in self.alerts.values_mut() {
            alert.rerouted = true;
        }
        for ((condition, labels), why) in self.wrong.clone() {
            self.monitor(condition, &labels, Is::On, &why, now);
        }
        self.recheck_all();
        self.held.all();
        self.flush(now);
        // Under other rules an element's next moment may come sooner.
        let ids: Vec<ElementId> = self.elements.keys().cloned().collect();
        for id in ids {
            self.plan_element(&id);
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &Ruleset {
        &self.orders.rules
    }

    /// The routes in force.
    #[must_use]
    pub fn tree(&self) -> &Arc<Tree> {
        &self.orders.tree
    }

    /// Elements that were not looked at because there were too many.
    #[must_use]
    pub fn over(&self) -> u64 {
        self.over
    }

    /// Some elements are not looked at because there are too many.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// There is room again, for a tenth of all: what was not looked at is to be told anew. Said once.
    pub fn has_room_again(&mut self) -> bool {
        let again = self.full && self.elements.len() < self.room - self.room / 10;
        self.full &= !again;
        again
    }

    /// The rule of a number that is in force.
    fn rule(&self, number: u32) -> &Arc<Rule> {
        &self.orders.rules.rules()[number as usize]
    }

    fn plan(&mut self, at_ms: Option<u64>, due: Due) {
        if let Some(at_ms) = at_ms {
            self.agenda.insert((at_ms, due));
        }
    }

    fn keep(&mut self, keep: Keep) {
        self.outputs.push(Output::Keep(keep));
    }

    fn tell(&mut self, id: &AlertId, change: AlertChange, now: Moment, text: String) {
        let event = AlertEvent { id: id.clone(), change, at_ms: now.wall_ms, text };
        self.outputs.push(Output::Alert(event));
    }

    /// Silences in force and to come.
    #[must_use]
    pub fn silences(&self) -> &[Silence] {
        &self.mutes.silences
    }

    /// Maintenance windows.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.mutes.windows
    }

    /// Acknowledgements in force.
    pub fn acknowledgements(&self) -> impl Iterator<Item = &Acknowledgement> {
        self.mutes.acknowledgements.values()
    }
}

#[cfg(test)]
mod tests;
