//! The life of one element: pending, firing, resolved. Decides what there is to tell of it and when time alone may
//! change that. It does not decide who is told, nor what several elements of one alert amount to.
//!
//! Every timer stands on the life's own clock, which goes only while the element is seen: it stands still while the
//! element is stale and from a restart to the first word of it. So missing data neither fires nor ends anything.

mod course;
mod flaps;
#[cfg(test)]
mod laws;
mod saved;
#[cfg(test)]
mod tests;

pub use saved::Saved;

use crate::{Ending, Flap, Level, Moment, Rule, Severity};
use course::{Course, Timer};
use flaps::Flaps;

/// How long a rule waits, before it begins and before it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// It must be bad for so long; 0 fires at the first bad level.
    pub for_ms: u64,
    /// It must be well for so long; 0 ends at the first clear level.
    pub keep_firing_for_ms: u64,
    /// When it is flapping.
    pub flap: Flap,
}

impl From<&Rule> for Timing {
    fn from(rule: &Rule) -> Self {
        Self { for_ms: rule.for_ms, keep_firing_for_ms: rule.keep_firing_for_ms, flap: rule.flap }
    }
}

/// What happens to an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// It was observed. This ends staleness.
    Level(Level),
    /// There is no news of it for too long. All timers stand still; nothing ends by this.
    Stale,
    /// What is known of it is of before a restart or a standstill, and news may come yet: all timers stand still, and
    /// there is nothing to tell.
    Past,
    /// There is news of it again, though the same as before.
    Fresh,
    /// It is no longer there. [`Ending::Recovered`] is not for this to say and is taken as [`Ending::Removed`].
    Gone(Ending),
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is bad, not yet for long enough; or, told again, what it is about to fire as has changed.
    Pending(Severity),
    /// It was pending and is not bad any more, or gone.
    Calmed,
    /// It fires: a new episode.
    Fired(Severity),
    /// It fires and has become worse.
    Raised(Severity),
    /// It fires and has become milder.
    Fell(Severity),
    /// It fires no more.
    Resolved(Ending),
    /// It begins and ends too often. From now on it fires until it is steady, and ends are held back.
    Flapping,
    /// It flaps no more. If an end was held back, [`Turn::Resolved`] follows.
    Steady,
    /// It is pending or firing, and there is no news of it.
    Stale,
    /// There is news of it again.
    Fresh,
}

/// What there is to tell at once, in its order. Mostly nothing, which allocates nothing.
pub type Turns = Vec<Turn>;

/// Where an element stands, its timers as of the last step or tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing to tell.
    Inactive,
    /// Bad, not yet for long enough.
    Pending {
        /// What it fires as if it stays so.
        severity: Severity,
        /// Since when it is bad: Unix milliseconds.
        since_ms: i64,
        /// How much of `for` is behind it.
        held_ms: u64,
    },
    /// Bad for long enough, and not well for long enough since.
    Firing {
        /// How bad.
        severity: Severity,
        /// When it fired: Unix milliseconds. Tells one episode from the next.
        since_ms: i64,
        /// How much of `keep_firing_for` is behind it, if it is well.
        clear_ms: Option<u64>,
        /// How much of `for` is behind it on its way from warning to critical.
        critical_ms: Option<u64>,
    },
}

/// What was told of an element that flaps: it stands until the element is steady.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Held {
    /// The worst that was told of this episode: while it flaps only what is worse is told.
    severity: Severity,
    /// When the episode began, which is the same for all ends that are held back.
    since_ms: i64,
    /// Since when it is well, if it was seen to be since it was last bad: no end that was held back is told without
    /// `keep_firing_for` of this.
    clear_ms: Option<u64>,
}

/// The life of one element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// The life's own clock: how long the element was seen. All other times are readings of it.
    lived_ms: u64,
    /// Up to which moment of the running clock that was counted; `None` while it stands still.
    run_ms: Option<u64>,
    /// There is no news of it. Kept apart from the clock, which also stands still after a restart.
    stale: bool,
    /// Where it stands by itself, whether or not it flaps.
    course: Course,
    /// When it began and ended, to find flapping.
    flaps: Flaps,
    /// What stands while it flaps; `None` while it does not.
    held: Option<Held>,
}

/// What time alone can bring.
#[derive(Clone, Copy)]
enum Due {
    Timer(Timer),
    Steady,
    /// The last change has left the window of a life that has nothing else to keep.
    Forget,
}

impl Life {
    /// What an input brings. Timers that ran out before `now` come first; of those that run out at this very moment
    /// the input counts first.
    pub fn step(&mut self, timing: &Timing, input: Input, now: Moment) -> Turns {
        let mut turns = Turns::new();
        self.advance(timing, now, false, &mut turns);
        match input {
            Input::Level(level) => {
                self.wake(now, &mut turns);
                self.meet(timing, level, now, &mut turns);
            }
            Input::Stale if !self.stale => {
                self.stale = true;
                self.run_ms = None;
                turns.extend((!self.is_inactive()).then_some(Turn::Stale));
            }
            Input::Stale => {}
            Input::Past => self.run_ms = None,
            Input::Fresh => self.wake(now, &mut turns),
            Input::Gone(ending) => self.leave(ending, now, &mut turns),
        }
        self.advance(timing, now, true, &mut turns);
        turns
    }

    /// What time alone brings.
    pub fn tick(&mut self, timing: &Timing, now: Moment) -> Turns {
        let mut turns = Turns::new();
        self.advance(timing, now, true, &mut turns);
        turns
    }

    /// When [`Self::tick`] has something to do, on the running clock; `None` if time alone brings nothing.
    #[must_use]
    pub fn due_ms(&self, timing: &Timing) -> Option<u64> {
        let run_ms = self.run_ms?;
        let (due, _) = self.next(timing)?;
        Some(run_ms.saturating_add(due.saturating_sub(self.lived_ms)))
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let phase = self.course.phase(self.lived_ms);
        let Some(Held { severity, since_ms, clear_ms }) = self.held else {
            return phase;
        };
        let clear_ms = clear_ms.map(|since| self.lived_ms.saturating_sub(since));
        let critical_ms = match phase {
            Phase::Firing { critical_ms, .. } => critical_ms,
            Phase::Inactive | Phase::Pending { .. } => None,
        };
        Phase::Firing { severity, since_ms, clear_ms, critical_ms }
    }

    /// Whether there is no news of it.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether it flaps.
    #[must_use]
    pub fn is_flapping(&self) -> bool {
        self.held.is_some()
    }

    /// Whether it fires only because it flaps: by itself it would be over.
    #[must_use]
    pub fn holds_back_an_end(&self) -> bool {
        self.held.is_some() && !matches!(self.course, Course::Firing { .. })
    }

    /// How often it began or ended within the window of flapping. No more are counted than make it flap.
    #[must_use]
    pub fn changes_within(&self, timing: &Timing, now: Moment) -> usize {
        self.flaps.within(timing.flap, self.lived_at(now))
    }

    /// Which timers run: where that changes the life is worth writing down, though nothing is told.
    pub(crate) fn timers(&self) -> [bool; 4] {
        let [critical, clear, milder] = self.course.timers();
        [critical, clear, milder, self.held.is_some_and(|held| held.clear_ms.is_some())]
    }

    /// Whether its clock goes: it stands still while it is stale, and after a restart.
    pub(crate) fn goes(&self) -> bool {
        self.run_ms.is_some()
    }

    /// Whether there is nothing worth keeping: a new life would go on as this one.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.is_inactive() && self.flaps.is_empty()
    }

    fn is_inactive(&self) -> bool {
        self.held.is_none() && self.course == Course::Well
    }

    fn lived_at(&self, now: Moment) -> u64 {
        let since = self.run_ms.map_or(0, |run_ms| now.run_ms.saturating_sub(run_ms));
        self.lived_ms.saturating_add(since)
    }

    /// The next thing that time alone brings, and when. Of two at one moment the first named comes first.
    fn next(&self, timing: &Timing) -> Option<(u64, Due)> {
        let steady = self.held.map(|_| (self.flaps.steady_at(timing.flap), Due::Steady));
        let forget = (self.is_inactive() && !self.flaps.is_empty())
            .then(|| (self.flaps.over_at(timing.flap), Due::Forget));
        let timer = self.course.next(timing).map(|(at, timer)| (at, Due::Timer(timer)));
        [timer, steady, forget].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Lets time go on to `now`, one thing after the other at its own time, so that it does not matter how often this
    /// is called. What is due at `now` itself happens only if `inclusive`.
    fn advance(&mut self, timing: &Timing, now: Moment, inclusive: bool, turns: &mut Turns) {
        let Some(run_ms) = self.run_ms else { return };
        let until = self.lived_at(now);
        self.run_ms = Some(run_ms.max(now.run_ms));
        while let Some((at, due)) = self.next(timing) {
            if at > until || (at == until && !inclusive) {
                break;
            }
            self.lived_ms = self.lived_ms.max(at);
            let late = i64::try_from(until - self.lived_ms).unwrap_or(i64::MAX);
            self.happen(timing, due, now.wall_ms.saturating_sub(late), turns);
        }
        self.lived_ms = until;
    }

    fn happen(&mut self, timing: &Timing, due: Due, wall_ms: i64, turns: &mut Turns) {
        match due {
            Due::Timer(timer) => {
                let before = self.fires_as();
                let turn = self.course.pass(timing, timer, self.lived_ms, wall_ms);
                self.tell(timing.flap, turn, before, turns);
            }
            Due::Steady => self.steady(timing, turns),
            Due::Forget => self.flaps.clear(),
        }
    }

    fn fires_as(&self) -> Option<Held> {
        match self.course {
            Course::Firing { severity, since_ms, clear_ms, .. } => {
                Some(Held { severity, since_ms, clear_ms })
            }
            Course::Well | Course::Pending { .. } => None,
        }
    }

    /// Tells a turn of the course, or holds it back because it flaps. `before` is what it fired as before that turn.
    fn tell(&mut self, flap: Flap, turn: Turn, before: Option<Held>, turns: &mut Turns) {
        let changed = matches!(turn, Turn::Fired(_) | Turn::Resolved(_));
        if changed {
            self.flaps.add(flap, self.lived_ms);
        }
        if let Some(held) = &mut self.held {
            if let Turn::Fired(severity) | Turn::Raised(severity) = turn
                && severity > held.severity
            {
                held.severity = severity;
                turns.push(Turn::Raised(severity));
            }
            return;
        }
        let flapping = changed && self.flaps.too_many(flap, self.lived_ms);
        if !(flapping && matches!(turn, Turn::Resolved(_))) {
            turns.push(turn);
        }
        if flapping {
            self.held = before.or(self.fires_as());
            turns.push(Turn::Flapping);
        }
    }

    fn steady(&mut self, timing: &Timing, turns: &mut Turns) {
        let Some(held) = self.held.take() else { return };
        turns.push(Turn::Steady);
        turns.extend(self.course.go_on(timing, held, self.lived_ms));
    }

    /// There is news of it: its clock goes on.
    fn wake(&mut self, now: Moment, turns: &mut Turns) {
        if self.stale && !self.is_inactive() {
            turns.push(Turn::Fresh);
        }
        self.stale = false;
        self.run_ms = self.run_ms.or(Some(now.run_ms));
    }

    fn meet(&mut self, timing: &Timing, level: Level, now: Moment, turns: &mut Turns) {
        if let Some(Held { clear_ms, .. }) = &mut self.held {
            course::count_clear(clear_ms, timing, level, self.lived_ms);
        }
        match self.course.meet(timing, level, self.lived_ms, now.wall_ms) {
            // It fires in the same breath.
            Some(Turn::Pending(_)) if timing.for_ms == 0 => {}
            Some(turn) if self.held.is_none() => turns.push(turn),
            Some(_) | None => {}
        }
    }

    fn leave(&mut self, ending: Ending, now: Moment, turns: &mut Turns) {
        let ending = if ending == Ending::Recovered { Ending::Removed } else { ending };
        match self.phase() {
            Phase::Inactive => {}
            Phase::Pending { .. } => turns.push(Turn::Calmed),
            Phase::Firing { .. } => turns.push(Turn::Resolved(ending)),
        }
        self.course = Course::Well;
        self.held = None;
        self.stale = false;
        // What it did is forgotten in its time, though nothing is seen of it.
        self.run_ms = self.run_ms.or(Some(now.run_ms));
    }
}
