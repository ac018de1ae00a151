//! One circuit breaker: closed, open, half-open. Pure; who asks it and who is told is decided elsewhere. It opens when
//! its alert fires, lets a few through after a while, and closes when they do well or when the alert is over.

use super::carried::Carried;
use farol_rules::{AlertId, Moment};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most firing alerts that are remembered; of more the end is not waited for.
const MOST_ALERTS: usize = 256;

/// How a breaker behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// It stays open for so long before it lets anyone try.
    pub open_for_ms: u64,
    /// So many are let through half-open, and all of them must do well.
    pub half_open_probes: u32,
}

impl BreakerPolicy {
    /// When one that was let through then, and never reported, is given up.
    const fn given_up(&self, admitted_run_ms: u64) -> u64 {
        admitted_run_ms.saturating_add(self.open_for_ms)
    }
}

/// Whether calls are to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// They are.
    Closed,
    /// They are not.
    Open {
        /// Until then on the running clock; `None` until someone closes it.
        until_run_ms: Option<u64>,
    },
    /// A few are, to see how they fare.
    HalfOpen {
        /// So many were let through.
        admitted: u32,
        /// The last of them then, on the running clock; before the first, when it became half-open.
        admitted_run_ms: u64,
        /// So many of them did well.
        succeeded: u32,
    },
}

/// What brought a breaker into its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// Nothing has happened yet.
    New,
    /// An alert fired.
    Alert {
        /// Which.
        alert: AlertId,
    },
    /// It was open for long enough, or half-open for so long that nothing is to be expected of it.
    Time,
    /// How those fared that were let through.
    Probes,
    /// Its alerts are over.
    Recovered,
    /// Someone wanted it so.
    Person {
        /// Who.
        author: String,
        /// Why.
        reason: String,
    },
}

/// A breaker, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Whether calls are to be made.
    #[serde(flatten)]
    state: State,
    /// Why it is so.
    because: Cause,
    /// Since then, unix milliseconds.
    since_ms: i64,
    /// Alerts that opened it and are not over: half-open, it closes when the last of them is.
    firing: BTreeSet<AlertId>,
}

/// Whether one call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "admission", rename_all = "snake_case")]
pub enum Admission {
    /// As any other.
    Allowed,
    /// To see how it fares, which is to be reported.
    Probe,
    /// Not now.
    Denied {
        /// Asking again pays after so long; `None`: not known.
        retry_after_ms: Option<u64>,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed, because: Cause::New, since_ms: 0, firing: BTreeSet::new() }
    }
}

impl Breaker {
    /// Whether calls are to be made.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Why.
    #[must_use]
    pub const fn because(&self) -> &Cause {
        &self.because
    }

    /// Since then, unix milliseconds.
    #[must_use]
    pub const fn since_ms(&self) -> i64 {
        self.since_ms
    }

    /// Alerts that opened it and are not over.
    pub fn firing(&self) -> impl ExactSizeIterator<Item = &AlertId> {
        self.firing.iter()
    }

    /// As an earlier process kept it, on the clock of this one.
    pub(super) fn carried(mut self, carried: Carried) -> Self {
        match &mut self.state {
            State::Open { until_run_ms: Some(run_ms) } | State::HalfOpen { admitted_run_ms: run_ms, .. } => {
                *run_ms = carried.over(*run_ms);
            }
            State::Closed | State::Open { until_run_ms: None } => {}
        }
        self
    }

    fn becomes(&mut self, state: State, because: Cause, now: Moment) {
        (self.state, self.because, self.since_ms) = (state, because, now.wall_ms);
    }

    /// Its alert fires: to be said once an episode.
    pub fn fire(&mut self, policy: &BreakerPolicy, alert: &AlertId, now: Moment) {
        if self.firing.len() < MOST_ALERTS {
            self.firing.insert(alert.clone());
        }
        // Someone who opened it for good, or for longer, is not overruled.
        let until = now.run_ms.saturating_add(policy.open_for_ms);
        let stays = match self.state {
            State::Open { until_run_ms } => until_run_ms.is_none_or(|known| known >= until),
            State::Closed | State::HalfOpen { .. } => false,
        };
        if !stays {
            self.becomes(
                State::Open { until_run_ms: Some(until) },
                Cause::Alert { alert: alert.clone() },
                now,
            );
        }
    }

    /// An alert is over. Open, it stays so until its time is up.
    pub fn resolved(&mut self, alert: &AlertId, now: Moment) {
        let was_last = self.firing.remove(alert) && self.firing.is_empty();
        if was_last && matches!(self.state, State::HalfOpen { .. }) {
            self.becomes(State::Closed, Cause::Recovered, now);
        }
    }

    /// What time brings about.
    pub fn step(&mut self, policy: &BreakerPolicy, now: Moment) {
        match self.state {
            // Those that were let through and failed are newer evidence than the end of an alert before them.
            State::Open { until_run_ms: Some(until) } if now.run_ms >= until => {
                if self.firing.is_empty() && self.because != Cause::Probes {
                    self.becomes(State::Closed, Cause::Recovered, now);
                } else {
                    let state = State::HalfOpen { admitted: 0, admitted_run_ms: now.run_ms, succeeded: 0 };
                    self.becomes(state, Cause::Time, now);
                }
            }
            // Nobody has shown that it is well: what is known is that its alerts fire.
            State::HalfOpen { admitted_run_ms, .. }
                if !self.firing.is_empty() && now.run_ms >= policy.given_up(admitted_run_ms) =>
            {
                let until = now.run_ms.saturating_add(policy.open_for_ms);
                self.becomes(State::Open { until_run_ms: Some(until) }, Cause::Time, now);
            }
            _ => {}
        }
    }

    /// Whether a call may be made now. One that was let through and never reported is given up after the time that
    /// the breaker stays open.
    pub fn admit(&mut self, policy: &BreakerPolicy, now: Moment) -> Admission {
        self.step(policy, now);
        match &mut self.state {
            State::Closed => Admission::Allowed,
            State::Open { until_run_ms } => {
                Admission::Denied { retry_after_ms: until_run_ms.map(|until| until - now.run_ms) }
            }
            State::HalfOpen { admitted, admitted_run_ms, succeeded } => {
                let given_up = policy.given_up(*admitted_run_ms);
                if *admitted >= policy.half_open_probes && now.run_ms >= given_up {
                    *admitted = *succeeded;
                }
                if *admitted >= policy.half_open_probes {
                    return Admission::Denied { retry_after_ms: Some(given_up - now.run_ms) };
                }
                *admitted += 1;
                *admitted_run_ms = now.run_ms;
                Admission::Probe
            }
        }
    }

    /// How one that was let through fared. Of one that was not, nothing follows.
    pub fn report(&mut self, policy: &BreakerPolicy, success: bool, now: Moment) {
        let State::HalfOpen { admitted, succeeded, .. } = &mut self.state else { return };
        if *succeeded >= *admitted {
            return;
        }
        if !success {
            let until = now.run_ms.saturating_add(policy.open_for_ms);
            return self.becomes(State::Open { until_run_ms: Some(until) }, Cause::Probes, now);
        }
        *succeeded += 1;
        if *succeeded >= policy.half_open_probes {
            self.becomes(State::Closed, Cause::Probes, now);
        }
    }

    /// Someone opens it, for so long or until someone closes it.
    pub fn open(&mut self, author: &str, reason: &str, for_ms: Option<u64>, now: Moment) {
        let until_run_ms = for_ms.map(|pause| now.run_ms.saturating_add(pause));
        self.becomes(State::Open { until_run_ms }, person(author, reason), now);
    }

    /// Someone closes it. Alerts that fire already do not open it again; the next does.
    pub fn close(&mut self, author: &str, reason: &str, now: Moment) {
        self.firing.clear();
        self.becomes(State::Closed, person(author, reason), now);
    }
}

fn person(author: &str, reason: &str) -> Cause {
    Cause::Person { author: author.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
