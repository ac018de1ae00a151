//! What a conversation keeps of one alert: what was told of it, how it stands, and what is to be told. Decides what is
//! urgent; not whether a notice goes.

use super::{Belief, Over, Standing, Voiced, Why, signed};
use crate::{AlertId, Ending, Severity, Waits};
use serde::{Deserialize, Serialize};

/// A moment on the running clock, in milliseconds. Below 0 after a restart, for what was before it.
pub(super) type Tick = i64;

/// What a step knows besides the alerts.
pub(super) struct Clock {
    pub(super) run: Tick,
    pub(super) wall_ms: i64,
    pub(super) waits: Waits,
    /// The last notice, while anything told is open.
    pub(super) last: Option<Tick>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// What the receiver was told, and was not told the end of.
    told: Option<Told>,
    /// Why the told episode is over: kept until it is told, although the alert may fire again by then.
    over: Option<Ending>,
    /// The episode that fires now.
    firing: Option<Firing>,
    /// What the receiver is to be told.
    want: Option<Want>,
    /// When it was last told as critical: it is not urgent to be raised again soon after.
    raised: Option<Tick>,
    /// When it was last told as released: the same.
    released: Option<Tick>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Told {
    episode_ms: i64,
    severity: Severity,
    /// When this episode was first told, on both clocks: for how long it must stand, and for people.
    at: Tick,
    at_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Firing {
    episode_ms: i64,
    severity: Severity,
    voice: Voice,
    /// It was muted and nothing was told of it since: when it is audible, it was released.
    muted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Voice {
    Audible,
    Muted,
    /// Not routed here, because it is less bad than it was told here: that is still to be told.
    Leaving,
    /// Not routed here.
    Elsewhere,
}

/// What makes one want another than before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Cause {
    why: Why,
    severity: Severity,
    released: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Want {
    cause: Cause,
    /// Since when there is anything to tell.
    since: Tick,
    /// The last notice before that: kept, so that urgent notices in between do not put it off again and again.
    after: Option<Tick>,
    /// Since when it is urgent.
    urgent: Option<Tick>,
}

impl Record {
    /// Takes in that an episode is over.
    pub(super) fn ends(&mut self, alert: &Standing) {
        if let Some(told) = self.told.filter(|told| told.episode_ms <= alert.episode_ms) {
            // One before it is over as well, whether or not anybody said so.
            let said = self.over.filter(|_| told.episode_ms < alert.episode_ms);
            self.over = said.or(alert.ended);
        }
        self.firing = self.firing.filter(|firing| firing.episode_ms > alert.episode_ms);
    }

    /// Takes in that an episode fires: one before it is over, whether or not anybody said so.
    pub(super) fn fires(&mut self, alert: &Standing) {
        if let Some(told) = self.told {
            let same = told.episode_ms == alert.episode_ms;
            self.over = match (same, alert.routed) {
                (true, true) => None,
                // That its routes lead elsewhere takes back no end that is still to be told.
                (true, false) => self.over,
                (false, _) => Some(self.over.unwrap_or(Ending::Recovered)),
            };
        }
        let before = self.firing.filter(|firing| firing.episode_ms == alert.episode_ms);
        let told = self.told.filter(|told| told.episode_ms == alert.episode_ms && self.over.is_none());
        let fell = told.is_some_and(|told| told.severity > alert.severity);
        let voice = match (alert.routed, alert.audible) {
            (false, true) if fell => Voice::Leaving,
            (false, _) => Voice::Elsewhere,
            (true, false) => Voice::Muted,
            (true, true) => Voice::Audible,
        };
        let muted = voice == Voice::Muted || before.is_some_and(|firing| firing.muted);
        let (episode_ms, severity) = (alert.episode_ms, alert.severity);
        self.firing = Some(Firing { episode_ms, severity, voice, muted });
    }

    /// Nobody speaks of it any more.
    pub(super) fn away(&mut self) {
        if let Some(firing) = &mut self.firing {
            firing.voice = Voice::Elsewhere;
        }
    }

    /// Finds what is to be told. What was already waiting is not put off by what comes to it.
    pub(super) fn want(&mut self, clock: &Clock) {
        let Some((cause, urgent)) = self.news(clock) else {
            self.want = None;
            return;
        };
        let before = self.want;
        if before.is_some_and(|want| want.cause == cause) {
            return;
        }
        let urgent = urgent.then(|| before.and_then(|want| want.urgent).unwrap_or(clock.run));
        let (since, after) = before.map_or((clock.run, clock.last), |want| (want.since, want.after));
        self.want = Some(Want { cause, since, after, urgent });
    }

    /// What the receiver does not know, and whether that is urgent.
    fn news(&self, clock: &Clock) -> Option<(Cause, bool)> {
        let recent = |at: Option<Tick>| {
            at.is_some_and(|at| clock.run.saturating_sub(at) < signed(clock.waits.group_interval_ms))
        };
        let Some(firing) = self.heard() else {
            let severity = self.told.filter(|_| self.over.is_some())?.severity;
            return Some((Cause { why: Why::Resolved, severity, released: false }, false));
        };
        let Firing { episode_ms, severity, muted: released, .. } = firing;
        let (why, urgent) = match self.told {
            None if released => (Why::Released, true),
            None => (Why::First, severity == Severity::Critical),
            Some(told) if severity > told.severity => {
                (Why::Raised, !recent(self.raised) || released && !recent(self.released))
            }
            Some(_) if released => (Why::Released, !recent(self.released)),
            Some(told) if told.episode_ms != episode_ms => (Why::First, false),
            Some(told) if severity < told.severity => (Why::Fell, false),
            Some(_) => return None,
        };
        Some((Cause { why, severity, released }, urgent))
    }

    fn heard(&self) -> Option<Firing> {
        self.firing.filter(|firing| matches!(firing.voice, Voice::Audible | Voice::Leaving))
    }

    pub(super) fn wanted(&self) -> Option<Why> {
        self.want.map(|want| want.cause.why)
    }

    pub(super) fn ordinary_due(&self, waits: &Waits) -> Option<Tick> {
        let want = self.want?;
        Some(match want.after {
            Some(last) => last.saturating_add(signed(waits.group_interval_ms)).max(want.since),
            None => want.since.saturating_add(signed(waits.group_wait_ms)),
        })
    }

    pub(super) fn urgent_due(&self, waits: &Waits) -> Option<Tick> {
        Some(self.want?.urgent?.saturating_add(signed(waits.critical_wait_ms)))
    }

    pub(super) fn due(&self, waits: &Waits) -> Option<Tick> {
        self.ordinary_due(waits).into_iter().chain(self.urgent_due(waits)).min()
    }

    pub(super) fn is_muted(&self) -> bool {
        self.firing.is_some_and(|firing| firing.muted)
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.is_some()
    }

    pub(super) fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// Whether it is to be told again when nothing is new.
    pub(super) fn repeats(&self) -> bool {
        self.told.is_some() && self.heard().is_some()
    }

    /// Whether nothing is owed and nothing need be remembered.
    pub(super) fn is_idle(&self) -> bool {
        self.told.is_none() && self.firing.is_none_or(|firing| firing.voice == Voice::Elsewhere)
    }

    pub(super) fn belief<'a>(&self, id: &'a AlertId) -> Option<Belief<'a>> {
        let Told { episode_ms, severity, at_ms: told_ms, .. } = self.told?;
        Some(Belief { id, episode_ms, severity, told_ms, over: self.over })
    }

    /// The episode that was told, still fires and is not audible.
    pub(super) fn quiet(&self) -> Option<i64> {
        let told = self.told.filter(|_| self.over.is_none())?;
        self.heard().is_none().then_some(told.episode_ms)
    }

    /// Tells the end. With what is urgent it goes only if it was told long ago, or if it fires again.
    pub(super) fn tell_over(&mut self, id: &AlertId, clock: &Clock, ordinary: bool) -> Option<Over> {
        let (told, ending) = self.told.zip(self.over)?;
        let again = self.heard().is_some();
        let stood = clock.run.saturating_sub(told.at) >= signed(clock.waits.group_interval_ms);
        if !(ordinary || again || stood) {
            return None;
        }
        (self.told, self.over) = (None, None);
        self.want = self.want.filter(|_| again);
        let Told { episode_ms, severity, .. } = told;
        Some(Over { id: id.clone(), episode_ms, severity, ending, again })
    }

    /// Tells that it fires, if it is audible.
    pub(super) fn tell_firing(&mut self, id: &AlertId, clock: &Clock) -> Option<Voiced> {
        let Firing { episode_ms, severity, .. } = self.heard()?;
        let why = self.want.take().map_or(Why::Repeat, |want| want.cause.why);
        if severity == Severity::Critical {
            self.raised = Some(clock.run);
        }
        if let Some(firing) = &mut self.firing {
            if std::mem::take(&mut firing.muted) {
                self.released = Some(clock.run);
            }
            if firing.voice == Voice::Leaving {
                firing.voice = Voice::Elsewhere;
            }
        }
        let (at, at_ms) = self.told.map_or((clock.run, clock.wall_ms), |told| (told.at, told.at_ms));
        self.told = Some(Told { episode_ms, severity, at, at_ms });
        Some(Voiced { id: id.clone(), episode_ms, severity, why })
    }

    /// Moves every moment on the running clock.
    pub(super) fn shift(&mut self, by: Tick) {
        let told = self.told.iter_mut().map(|told| &mut told.at);
        let want = self.want.iter_mut();
        let want = want.flat_map(|w| [Some(&mut w.since), w.after.as_mut(), w.urgent.as_mut()]).flatten();
        for tick in told.chain(want).chain(&mut self.raised).chain(&mut self.released) {
            *tick = tick.saturating_add(by);
        }
    }
}
