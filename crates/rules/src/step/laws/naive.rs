//! The same life, counted millisecond by millisecond: every timer is a count that grows by one, and nothing is ever
//! due. Slow, and too simple to be wrong in the same way.

use super::super::{Input, Timing, Turn};
use crate::{Ending, Level, Severity};

#[derive(Default)]
pub(super) struct Naive {
    pub(super) going: bool,
    stale: bool,
    /// What it fires as by itself.
    fires: Option<Severity>,
    /// So long each of these is so, in milliseconds that were seen.
    bad: Option<u64>,
    critical: Option<u64>,
    clear: Option<u64>,
    milder: Option<u64>,
    /// The ages of all changes.
    changes: Vec<u64>,
    /// What was told, while it flaps.
    held: Option<Severity>,
}

impl Naive {
    /// One millisecond goes by.
    pub(super) fn grow(&mut self) {
        if self.going {
            let counts = [&mut self.bad, &mut self.critical, &mut self.clear, &mut self.milder];
            counts.into_iter().flatten().chain(&mut self.changes).for_each(|count| *count += 1);
        }
    }

    fn speaks(&self) -> bool {
        self.held.is_some() || self.fires.is_some() || self.bad.is_some()
    }

    pub(super) fn input(&mut self, timing: &Timing, input: Input, turns: &mut Vec<Turn>) {
        match input {
            Input::Stale => {
                if self.speaks() && !self.stale {
                    turns.push(Turn::Stale);
                }
                self.stale = true;
                self.going = false;
            }
            Input::Past => self.going = false,
            Input::Fresh => self.news(turns),
            Input::Level(level) => {
                self.news(turns);
                self.level(timing, level, turns);
            }
            Input::Gone(ending) => {
                if self.held.is_some() || self.fires.is_some() {
                    turns.push(Turn::Resolved(ending));
                } else if self.bad.is_some() {
                    turns.push(Turn::Calmed);
                }
                *self = Self { going: true, changes: std::mem::take(&mut self.changes), ..Self::default() };
            }
        }
    }

    fn news(&mut self, turns: &mut Vec<Turn>) {
        if self.stale && self.speaks() {
            turns.push(Turn::Fresh);
        }
        self.stale = false;
        self.going = true;
    }

    fn level(&mut self, timing: &Timing, level: Level, turns: &mut Vec<Turn>) {
        let is_bad = level >= Level::Warning;
        let before = self.about_to_be();
        if is_bad {
            self.clear = None;
        } else if level == Level::Clear && (self.fires.is_some() || self.held.is_some()) {
            self.clear = self.clear.or(Some(0));
        } else if level == Level::Between && self.clear.is_some_and(|ms| ms < timing.keep_firing_for_ms) {
            self.milder = self.milder.filter(|_| self.milder != self.clear);
            self.clear = None;
        }
        if level == Level::Critical {
            self.milder = None;
            if self.fires != Some(Severity::Critical) {
                self.critical = self.critical.or(Some(0));
            }
        } else {
            self.critical = None;
            if level != Level::Between && self.fires == Some(Severity::Critical) {
                self.milder = self.milder.or(Some(0));
            }
        }
        if self.fires.is_some() {
            return;
        }
        let was_bad = self.bad.is_some();
        self.bad = if is_bad { self.bad.or(Some(0)) } else { None };
        if self.held.is_some() {
            return;
        }
        if was_bad && !is_bad {
            turns.push(Turn::Calmed);
        }
        let after = self.about_to_be();
        if let Some(severity) = after.filter(|_| after != before && timing.for_ms > 0) {
            turns.push(Turn::Pending(severity));
        }
    }

    fn about_to_be(&self) -> Option<Severity> {
        self.bad.map(|bad| if self.critical == Some(bad) { Severity::Critical } else { Severity::Warning })
    }

    fn recent(&self, timing: &Timing) -> u32 {
        let recent = self.changes.iter().filter(|age| **age < timing.flap.within_ms).count();
        u32::try_from(recent).unwrap()
    }

    /// A change, which was told unless it flaps; whether it flaps by that from now on.
    fn change(&mut self, timing: &Timing) -> bool {
        self.changes.push(0);
        timing.flap.changes > 0 && self.held.is_none() && self.recent(timing) >= timing.flap.changes
    }

    /// Whatever its counts bring by now.
    pub(super) fn look(&mut self, timing: &Timing, turns: &mut Vec<Turn>) {
        while self.going && self.look_once(timing, turns) {}
    }

    fn look_once(&mut self, timing: &Timing, turns: &mut Vec<Turn>) -> bool {
        let Timing { for_ms, keep_firing_for_ms, .. } = *timing;
        let bad_enough = |count: Option<u64>| count.is_some_and(|count| count >= for_ms);
        let well_enough = |count: Option<u64>| count.is_some_and(|count| count >= keep_firing_for_ms);
        if let Some(fires) = self.fires {
            if well_enough(self.clear) {
                self.fires = None;
                self.milder = None;
                if self.change(timing) {
                    self.held = Some(fires);
                    turns.push(Turn::Flapping);
                } else if self.held.is_none() {
                    self.clear = None;
                    turns.push(Turn::Resolved(Ending::Recovered));
                }
                return true;
            }
            if well_enough(self.milder) {
                self.fires = Some(Severity::Warning);
                self.milder = None;
                turns.extend(self.held.is_none().then_some(Turn::Fell(Severity::Warning)));
                return true;
            }
            if fires == Severity::Warning && bad_enough(self.critical) {
                self.fires = Some(Severity::Critical);
                self.critical = None;
                self.tell_worse(Turn::Raised(Severity::Critical), Severity::Critical, turns);
                return true;
            }
        } else if bad_enough(self.bad) {
            let critical = bad_enough(self.critical);
            let severity = if critical { Severity::Critical } else { Severity::Warning };
            self.bad = None;
            self.critical = self.critical.filter(|_| !critical);
            self.fires = Some(severity);
            let begins = self.change(timing);
            self.tell_worse(Turn::Fired(severity), severity, turns);
            if begins {
                self.held = Some(severity);
                turns.push(Turn::Flapping);
            }
            return true;
        }
        self.look_if_steady(timing, turns)
    }

    fn tell_worse(&mut self, turn: Turn, severity: Severity, turns: &mut Vec<Turn>) {
        match self.held {
            None => turns.push(turn),
            Some(held) if severity > held => {
                self.held = Some(severity);
                turns.push(Turn::Raised(severity));
            }
            Some(_) => {}
        }
    }

    fn look_if_steady(&mut self, timing: &Timing, turns: &mut Vec<Turn>) -> bool {
        let Some(held) = self.held.filter(|_| self.recent(timing) * 2 <= timing.flap.changes) else {
            return false;
        };
        self.held = None;
        turns.push(Turn::Steady);
        if let Some(fires) = self.fires {
            turns.extend((fires < held).then_some(Turn::Fell(fires)));
            return true;
        }
        if self.bad.is_none() && self.clear.is_some_and(|count| count >= timing.keep_firing_for_ms) {
            self.clear = None;
            turns.push(Turn::Resolved(Ending::Recovered));
            return true;
        }
        self.fires = Some(held);
        if held == Severity::Critical {
            let mild = self.bad.is_some() && self.critical.is_none();
            self.milder = self.clear.or(mild.then_some(0));
            self.critical = None;
        }
        self.bad = None;
        true
    }
}
