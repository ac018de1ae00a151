//! One conversation: what one receiver was told of one group of alerts, and what it must be told next, and when. Decides
//! nothing about where an alert goes or whether it is muted, and sends nothing: a [`Notice`] counts as told the moment it
//! is returned, so it and the conversation are to be stored together, before it is sent.
//!
//! What is *urgent* goes after `critical_wait` (in a crowd later: the book says when it looks), and all that fires goes along: a new critical alert, a raise to critical,
//! an alert that is not muted any more. The rest, a fall to a warning too, waits: `group_wait` where nothing was told
//! yet, else until `group_interval` after the last notice. An end goes along with what is urgent only when its alert was
//! told at least `group_interval` ago, and the same alert is not urgent twice within it: what flaps is told once or twice
//! an interval.

#[cfg(test)]
mod properties;
mod record;
mod saved;
#[cfg(test)]
mod tests;

pub use saved::Saved;

use crate::{AlertId, Ending, Moment, Severity, Waits};
use record::{Clock, Record, Tick};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One alert, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub id: AlertId,
    /// Since when it fires: tells its episodes apart.
    pub episode_ms: i64,
    /// How bad it is.
    pub severity: Severity,
    /// Whether its routes lead here now. Where they do not, only the end of what was told before is told.
    pub routed: bool,
    /// Neither held back nor silenced, acknowledged or in maintenance.
    pub audible: bool,
    /// Why it is over, if it is.
    pub ended: Option<Ending>,
}

/// What a notice, or an alert in it, is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It fires. Of a notice: and nothing of the group was open before.
    First,
    /// More of the group fires. Said of notices only.
    More,
    /// It is worse than it was told.
    Raised,
    /// It is less bad than it was told.
    Fell,
    /// What muted it ended, and it still fires.
    Released,
    /// It is over. Said of notices only: nothing in it is new but ends.
    Resolved,
    /// As it was told before.
    Repeat,
}

/// An alert that fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voiced {
    /// Which.
    pub id: AlertId,
    /// Its episode.
    pub episode_ms: i64,
    /// How bad.
    pub severity: Severity,
    /// What is new about it: `First`, `Raised`, `Fell`, `Released`, or nothing, `Repeat`.
    pub why: Why,
}

/// An alert that was told as firing, and is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// Which.
    pub id: AlertId,
    /// The episode that was told.
    pub episode_ms: i64,
    /// How bad it was told to be.
    pub severity: Severity,
    /// Why it is over.
    pub ending: Ending,
    /// The same alert fires again, in this notice: a text for people need not say that it was over in between.
    pub again: bool,
}

/// What a receiver is told at once. It is to take `resolved` before `firing`: what fires again stands in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about; of several things the loudest.
    pub why: Why,
    /// Counts the notices of the conversation, from 1.
    pub number: u64,
    /// When the first of those notices was made that have not all been taken back since: one thread, one incident.
    pub opened_ms: i64,
    /// When it was made.
    pub at_ms: i64,
    /// All that fires and is audible, the worst first. What only fell, and is routed elsewhere for that, is told so once.
    pub firing: Vec<Voiced>,
    /// What was told as firing and is over.
    pub resolved: Vec<Over>,
    /// What was told as firing, still fires and is not audible now. With neither this nor `firing` the group is well.
    pub quiet: Vec<(AlertId, i64)>,
}

/// What the receiver believes of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Belief<'a> {
    /// Which.
    pub id: &'a AlertId,
    /// The episode that it was told of.
    pub episode_ms: i64,
    /// How bad it was told to be.
    pub severity: Severity,
    /// When it was first told of this episode.
    pub told_ms: i64,
    /// Why it is over, where it was not told of that yet.
    pub over: Option<Ending>,
}

/// What the receiver is still to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting<'a> {
    /// Which alert.
    pub id: &'a AlertId,
    /// What of it.
    pub why: Why,
    /// When, on the running clock, if nothing takes it along before.
    pub due_ms: u64,
}

/// See the module. A new one has told nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// What is known and was told of each alert; no alert stays that is well and owed nothing.
    alerts: BTreeMap<AlertId, Record>,
    /// The last notice: `group_interval` and `repeat_interval` count from it.
    last: Option<Tick>,
    /// As of the last step, for [`due_ms`](Self::due_ms).
    waits: Waits,
    /// Notices so far.
    number: u64,
    /// When the receiver was first told of what is open.
    opened_ms: Option<i64>,
}

impl Conversation {
    /// Takes in how every alert stands that is routed here or that was told here, and tells what is due. An alert that is
    /// missing is forgotten if it was not told; if it was, it is not over for that: say `ended` for it, once.
    pub fn step(&mut self, standing: &[Standing], waits: &Waits, now: Moment) -> Option<Notice> {
        let known: BTreeSet<&AlertId> = standing.iter().map(|alert| &alert.id).collect();
        for (id, record) in &mut self.alerts {
            if !known.contains(id) {
                record.away();
            }
        }
        self.change(standing, waits, now)
    }

    /// As [`step`](Self::step), with only those alerts that changed; none, where only time went by. Each call looks at
    /// every alert that it keeps: what changed at one moment belongs into one call, and so into one notice.
    pub fn change(&mut self, changed: &[Standing], waits: &Waits, now: Moment) -> Option<Notice> {
        self.waits = *waits;
        for alert in changed.iter().filter(|alert| alert.ended.is_some()) {
            if let Some(record) = self.alerts.get_mut(&alert.id) {
                record.ends(alert);
            }
        }
        for alert in changed.iter().filter(|alert| alert.ended.is_none()) {
            self.alerts.entry(alert.id.clone()).or_default().fires(alert);
        }
        let clock = self.clock(now);
        self.alerts.retain(|_, record| {
            record.want(&clock);
            !record.is_idle()
        });
        self.tell(&clock)
    }

    /// When, on the running clock, the next notice is due if nothing changes; `None` is never. Before that
    /// [`change`](Self::change) without changes does nothing; from then on it gives a notice.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        let gathers = self.gathers();
        let wants = self.alerts.values().filter_map(|record| record.due(&self.waits, gathers));
        wants.chain(self.repeat_due()).min().map(unsigned)
    }

    /// Whether it may be forgotten: nothing told is open, and nothing is waiting or muted.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.alerts.is_empty()
    }

    /// What the receiver believes to be firing.
    pub fn told(&self) -> impl Iterator<Item = Belief<'_>> {
        self.alerts.iter().filter_map(|(id, record)| record.belief(id))
    }

    /// What the receiver believes of one alert, if it was told of it.
    #[must_use]
    pub fn told_of(&self, id: &AlertId) -> Option<Belief<'_>> {
        let (id, record) = self.alerts.get_key_value(id)?;
        record.belief(id)
    }

    /// Every alert that something is known of here, and what of it was told.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&AlertId, Option<Belief<'_>>)> {
        self.alerts.iter().map(|(id, record)| (id, record.belief(id)))
    }

    /// Whether anything is known of an alert here: its end is to be said.
    pub(crate) fn knows(&self, id: &AlertId) -> bool {
        self.alerts.contains_key(id)
    }

    /// The waits of the last step.
    pub(crate) fn waits(&self) -> Waits {
        self.waits
    }

    /// What is worth keeping besides notices: when the next one is due, how many alerts were muted, and how many ends
    /// are still to be told. What is new of an alert besides is said again after a restart.
    pub(crate) fn mark(&self) -> (Option<u64>, usize, usize) {
        let count = |is: fn(&Record) -> bool| self.alerts.values().filter(|record| is(record)).count();
        (self.due_ms(), count(Record::is_muted), count(Record::is_over))
    }

    /// Takes over what another conversation with the same receiver told of an alert: the receiver knows it, and knows
    /// nothing of groups. False where either does not fit: nothing was told there, or something is known here.
    pub(crate) fn adopt(&mut self, other: &mut Self, id: &AlertId) -> bool {
        let known = self.alerts.get(id).is_some_and(Record::is_told);
        if known || !other.alerts.get(id).is_some_and(Record::is_told) {
            return false;
        }
        self.alerts.extend(other.alerts.remove_entry(id));
        self.last = self.last.max(other.last);
        self.opened_ms = self.opened_ms.or(other.opened_ms);
        true
    }

    /// What the receiver is still to be told.
    pub fn waiting(&self) -> impl Iterator<Item = Waiting<'_>> {
        let gathers = self.gathers();
        self.alerts.iter().filter_map(move |(id, record)| {
            let due_ms = unsigned(record.due(&self.waits, gathers)?);
            Some(Waiting { id, why: record.wanted()?, due_ms })
        })
    }

    fn clock(&self, now: Moment) -> Clock {
        let open = self.alerts.values().any(Record::is_told);
        let last = self.last.filter(|_| open);
        Clock { run: signed(now.run_ms), wall_ms: now.wall_ms, waits: self.waits, last }
    }

    /// Whether news waits for more of its kind also long after the last notice: something that was told goes on. Once all
    /// of it is over nothing more comes.
    fn gathers(&self) -> bool {
        self.alerts.values().any(|record| record.repeats() && !record.is_over())
    }

    fn repeat_due(&self) -> Option<Tick> {
        let interval = signed(self.waits.repeat_interval_ms).max(1);
        let any = self.alerts.values().any(Record::repeats);
        self.last.filter(|_| any).map(|last| last.saturating_add(interval))
    }

    fn tell(&mut self, clock: &Clock) -> Option<Notice> {
        let reached = |due: Option<Tick>| due.is_some_and(|due| due <= clock.run);
        let gathers = self.gathers();
        let ordinary = self.alerts.values().any(|record| reached(record.ordinary_due(&clock.waits, gathers)));
        let urgent = self.alerts.values().any(|record| reached(record.urgent_due(&clock.waits)));
        let repeat = reached(self.repeat_due());
        if !(ordinary || urgent || repeat) {
            return None;
        }
        let opened_ms = self.opened_ms.filter(|_| clock.last.is_some()).unwrap_or(clock.wall_ms);
        let (mut firing, mut resolved, mut quiet) = (Vec::new(), Vec::new(), Vec::new());
        for (id, record) in &mut self.alerts {
            resolved.extend(record.tell_over(id, clock, ordinary));
            quiet.extend(record.quiet().map(|episode_ms| (id.clone(), episode_ms)));
            firing.extend(record.tell_firing(id, clock));
        }
        self.alerts.retain(|_, record| !record.is_idle());
        firing.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
        self.number += 1;
        self.last = Some(clock.run);
        self.opened_ms = Some(opened_ms);
        let why = loudest(&firing, &resolved, clock.last.is_some());
        Some(Notice { why, number: self.number, opened_ms, at_ms: clock.wall_ms, firing, resolved, quiet })
    }
}

fn loudest(firing: &[Voiced], resolved: &[Over], open: bool) -> Why {
    let any = |why| firing.iter().any(|alert| alert.why == why);
    match () {
        () if !open && any(Why::First) => Why::First,
        () if any(Why::Raised) => Why::Raised,
        () if any(Why::Released) => Why::Released,
        () if any(Why::First) => Why::More,
        () if any(Why::Fell) => Why::Fell,
        () if !resolved.is_empty() => Why::Resolved,
        () => Why::Repeat,
    }
}

fn signed(ms: u64) -> Tick {
    Tick::try_from(ms).unwrap_or(Tick::MAX)
}

fn unsigned(tick: Tick) -> u64 {
    u64::try_from(tick).unwrap_or(0)
}
