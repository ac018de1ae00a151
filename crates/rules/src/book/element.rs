//! One element in the book: its life, what was last seen of it, and when it becomes stale by itself.

use crate::output::{ElementId, Keep, SavedElement, Seen};
use crate::step::{Input, Life, Phase, Timing, Turn};
use crate::{Ending, Level, Moment, Ruleset, Severity, Subject};
use std::sync::Arc;

use super::hold::Hold;
use super::{Book, Due};

/// What an agent does not have any more counts as gone after so long. Before, what measures it may only give nothing: a
/// check that fails has no figures.
const VANISHED_FOR_MS: u64 = 3_600_000;

/// An element that is not as any element is at first.
pub(super) struct Element {
    /// The number of its rule.
    pub(super) rule: u32,
    /// The rule that it lives under.
    pub(super) fingerprint: u64,
    /// Its life.
    pub(super) life: Life,
    /// What was last seen of it.
    pub(super) seen: Seen,
    /// If nothing more is seen it is stale then, on the running clock; `None` where the fleet says when.
    pub(super) fresh_until_ms: Option<u64>,
    /// It is over then, unless it happens or is said again.
    pub(super) quiet_at_ms: Option<u64>,
    /// It is gone then, unless it is seen again.
    pub(super) gone_at_ms: Option<u64>,
    /// Whether it holds others back.
    pub(super) hold: Hold,
    /// How it last ended.
    pub(super) ended: Option<Ending>,
    /// When it is looked at next, on the running clock: the agenda has no later look at it than that, and need have no
    /// second one.
    pub(super) planned_ms: Option<u64>,
}

/// What an element is to those who look: what changes of it is on the time line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Appearance {
    /// What was last seen of it.
    pub(super) seen: Seen,
    /// How bad, where it fires.
    pub(super) severity: Option<Severity>,
}

impl Element {
    /// One of which nothing was seen yet.
    pub(super) fn new(rule: u32, fingerprint: u64) -> Self {
        Self {
            rule,
            fingerprint,
            life: Life::default(),
            seen: Seen::default(),
            fresh_until_ms: None,
            quiet_at_ms: None,
            gone_at_ms: None,
            hold: Hold::default(),
            ended: None,
            planned_ms: None,
        }
    }

    pub(super) fn appearance(&self) -> Appearance {
        Appearance { seen: self.seen.clone(), severity: self.firing().map(|(severity, _)| severity) }
    }

    /// Pending or firing.
    pub(super) fn is_active(&self) -> bool {
        !matches!(self.life.phase(), Phase::Inactive)
    }

    /// Whether it is as any element is at first.
    fn is_idle(&self) -> bool {
        self.life.is_idle() && !self.hold.is_on
    }

    /// Firing, how bad and since when.
    pub(super) fn firing(&self) -> Option<(Severity, i64)> {
        match self.life.phase() {
            Phase::Firing { severity, since_ms, .. } => Some((severity, since_ms)),
            Phase::Inactive | Phase::Pending { .. } => None,
        }
    }

    /// Takes an input. No news of what is well is nothing: what it did is forgotten in its time all the same.
    fn take(&mut self, timing: &Timing, input: Input, now: Moment) -> Vec<Turn> {
        let is_active = self.is_active();
        let is_news = !matches!(input, Input::Stale | Input::Past);
        let input = if is_news || is_active { input } else { Input::Fresh };
        self.life.step(timing, input, now)
    }

    fn due_ms(&self, timing: &Timing) -> Option<u64> {
        let fresh = self.fresh_until_ms.filter(|_| !self.life.is_stale());
        let told = [fresh, self.quiet_at_ms, self.gone_at_ms, self.let_go_ms(), self.hold.held_until_ms];
        self.life.due_ms(timing).into_iter().chain(told.into_iter().flatten()).min()
    }
}

fn timing(rules: &Ruleset, number: u32) -> Timing {
    Timing::from(&*rules.rules()[number as usize])
}

/// What of a life is worth writing down, besides its turns: which timers run, and whether they do after a restart.
fn worth_keeping(life: &Life) -> ([bool; 4], bool) {
    (life.timers(), life.goes() && !life.is_idle())
}

/// What comes along with an input.
#[derive(Clone, Default)]
pub(super) struct With {
    pub(super) seen: Option<Seen>,
    pub(super) fresh_for_ms: Option<u64>,
    pub(super) quiet_ms: Option<u64>,
}

impl Book {
    /// Steps an element. One that is as any element is at first, and is not bad, is not even made.
    pub(super) fn step(&mut self, at: u32, id: ElementId, input: Input, with: With, now: Moment) {
        let is_new = !self.elements.contains_key(&id);
        let is_bad = matches!(input, Input::Level(Level::Warning | Level::Critical));
        if is_new && !is_bad {
            return;
        }
        // The monitor's own are few, and one of them tells of this.
        let own = matches!(self.rule(at).subject, Subject::Monitor(_));
        if is_new && !own && self.elements.len() >= self.room {
            self.over += 1;
            self.full = true;
            return;
        }
        if is_new {
            self.put_element(id.clone(), Element::new(at, self.orders.rules.fingerprint(at)));
        }
        let Some(element) = self.elements.get_mut(&id) else { return };
        let was = if is_new { Appearance::default() } else { element.appearance() };
        if let Some(seen) = with.seen {
            element.seen = seen;
        }
        element.fresh_until_ms = with.fresh_for_ms.map(|ms| now.run_ms + ms).or(element.fresh_until_ms);
        element.quiet_at_ms = with.quiet_ms.map(|ms| now.run_ms + ms);
        element.gone_at_ms = None;
        let timing = timing(&self.orders.rules, at);
        let before = worth_keeping(&element.life);
        let turns = element.take(&timing, input, now);
        let changed = before != worth_keeping(&element.life);
        self.after(&id, &was, &turns, now);
        if changed && turns.is_empty() {
            self.keep_element(&id, now);
        }
    }

    /// Time passed for an element.
    pub(super) fn wake(&mut self, id: &ElementId, now: Moment) {
        let is_due = |element: &Element| element.gone_at_ms.is_some_and(|at| at <= now.run_ms);
        let is_gone = self.elements.get(id).is_some_and(is_due);
        let is_out_of_sight = is_gone && self.is_out_of_sight(id);
        let Some(element) = self.elements.get_mut(id) else { return };
        element.planned_ms = None;
        let timing = timing(&self.orders.rules, element.rule);
        let was = element.appearance();
        let mut turns = Vec::new();
        if element.quiet_at_ms.is_some_and(|at| at <= now.run_ms) {
            element.quiet_at_ms = None;
            turns = element.life.step(&timing, Input::Level(Level::Clear), now);
        }
        if element.fresh_until_ms.is_some_and(|at| at <= now.run_ms) {
            element.fresh_until_ms = None;
            turns.extend(element.take(&timing, Input::Stale, now));
        }
        turns.extend(element.life.tick(&timing, now));
        if is_gone && is_out_of_sight {
            element.gone_at_ms = Some(now.run_ms + VANISHED_FOR_MS);
        } else if is_gone {
            element.gone_at_ms = None;
            turns.extend(element.life.step(&timing, Input::Gone(Ending::Removed), now));
        }
        self.after(id, &was, &turns, now);
    }

    /// An element is not seen any more, and perhaps never will be: it is stale, and gone after a while, unless the
    /// component that it is measured by is bad by then, or its agent is lost.
    pub(super) fn vanish(&mut self, id: &ElementId, now: Moment) {
        let Some(element) = self.elements.get_mut(id) else { return };
        let timing = timing(&self.orders.rules, element.rule);
        let was = element.appearance();
        element.fresh_until_ms = None;
        element.gone_at_ms.get_or_insert(now.run_ms + VANISHED_FOR_MS);
        let turns = element.take(&timing, Input::Stale, now);
        self.after(id, &was, &turns, now);
    }

    /// An element is gone.
    pub(super) fn end(&mut self, id: &ElementId, how: Ending, now: Moment) {
        let Some(element) = self.elements.get_mut(id) else { return };
        let timing = timing(&self.orders.rules, element.rule);
        let was = element.appearance();
        (element.fresh_until_ms, element.quiet_at_ms, element.gone_at_ms) = (None, None, None);
        let turns = element.life.step(&timing, Input::Gone(how), now);
        self.after(id, &was, &turns, now);
    }

    /// What the turns of an element's life bring about.
    fn after(&mut self, id: &ElementId, was: &Appearance, turns: &[Turn], now: Moment) {
        let Some(element) = self.elements.get_mut(id) else { return };
        let rule = Arc::clone(&self.orders.rules.rules()[element.rule as usize]);
        for turn in turns {
            if let Turn::Resolved(ending) = turn {
                element.ended = Some(*ending);
            }
        }
        let holds_anew = element.hold_anew(turns, now).then_some(element.hold.is_on);
        let is_let_go = element.is_let_go(now);
        let (is_active, is_idle) = (element.is_active(), element.is_idle());
        let alert = super::alert::id_of(&rule, &id.labels);
        self.note_status(&alert, id, was, turns, now);
        if let Some(holds) = holds_anew {
            self.may_hold(id, holds);
        }
        if !turns.is_empty() || is_let_go {
            self.join(&alert, id, is_active);
            if was.severity.is_some() && !is_active {
                self.remember(&alert, id, was);
            }
            if is_let_go && let Some(alert) = self.alerts.get_mut(&alert) {
                alert.recheck = true;
            }
            self.dirty.insert(alert.clone());
        }
        if let Some(Turn::Pending(severity)) = turns.first()
            && turns.len() == 1
        {
            let text = format!("{severity}, if it goes on");
            self.tell(&alert, super::AlertChange::Pending, now, text);
        }
        if turns.contains(&Turn::Flapping) {
            self.note_flapping(&alert, now);
        }
        if !turns.is_empty() || is_idle {
            self.keep_element(id, now);
        }
        if is_idle {
            drop(self.forget(id));
        } else {
            self.plan_element(id);
        }
    }

    /// After a restart timers stand until there is news of what they measure. Of what is well nothing is measured.
    pub(super) fn let_go_on(&mut self, id: &ElementId, now: Moment) {
        let Some(element) = self.elements.get_mut(id) else { return };
        if !element.is_active() {
            element.take(&timing(&self.orders.rules, element.rule), Input::Fresh, now);
        }
    }

    /// Plans the next look at an element, unless there is one as soon.
    pub(super) fn plan_element(&mut self, id: &ElementId) {
        let Some(element) = self.elements.get_mut(id) else { return };
        let due_ms = element.due_ms(&timing(&self.orders.rules, element.rule));
        if due_ms.is_some_and(|due_ms| element.planned_ms.is_none_or(|planned| due_ms < planned)) {
            element.planned_ms = due_ms;
            self.plan(due_ms, Due::Element(id.clone()));
        }
    }

    pub(super) fn keep_element(&mut self, id: &ElementId, now: Moment) {
        let Some(element) = self.elements.get(id) else { return };
        let saved = (!element.is_idle()).then(|| {
            Box::new(SavedElement {
                life: element.life.saved(now),
                fingerprint: element.fingerprint,
                seen: element.seen.clone(),
                happens: element.quiet_at_ms.is_some(),
                hold: element.hold.saved(now),
            })
        });
        self.keep(Keep::Element(id.clone(), saved));
    }

    pub(super) fn forget(&mut self, id: &ElementId) -> Option<Element> {
        let element = self.elements.remove(id)?;
        let place = super::kin::place(&self.rule(element.rule).subject, &id.labels);
        if let Some(agent) = id.labels.get("agent")
            && let Some(of_agent) = self.by_agent.get_mut(agent)
        {
            of_agent.remove(&(place, id.clone()));
            if of_agent.is_empty() {
                self.by_agent.remove(agent);
            }
        }
        Some(element)
    }

    pub(super) fn put_element(&mut self, id: ElementId, element: Element) {
        if let Some(agent) = id.labels.get("agent") {
            let place = super::kin::place(&self.rule(element.rule).subject, &id.labels);
            self.by_agent.entry(Arc::clone(agent)).or_default().insert((place, id.clone()));
        }
        self.elements.insert(id, element);
    }
}
