//! How long something was what: exact times out of status changes. Pure. Decides what counts as up; which changes
//! there are is the store's business.
//!
//! Up is healthy or degraded. What was not seen (unknown, starting) is never counted as up; maintenance and blind time
//! count neither way; before its first change and after its removal a component is absent. A service is what the
//! policy makes of its instances at each moment, with the policy and the `required` of today. A window that mutes all
//! of it is maintenance; one that mutes a part changes nothing, as it enters no aggregation.

use crate::store::{ComponentKey, StatusChange};
use farol_health::Status;
use farol_health::aggregate::{self, Aggregate, InstanceCounts, Part, Policy};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long, in milliseconds. All parts together are the whole time asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uptime {
    /// Healthy.
    pub healthy_ms: u64,
    /// Degraded.
    pub degraded_ms: u64,
    /// Unhealthy.
    pub unhealthy_ms: u64,
    /// Unknown: never seen, stale, or saying so.
    pub unknown_ms: u64,
    /// Starting.
    pub starting_ms: u64,
    /// Under maintenance.
    pub maintenance_ms: u64,
    /// No monitor watched.
    pub blind_ms: u64,
    /// It was not there.
    pub absent_ms: u64,
}

impl Uptime {
    /// The share of the time that was up, of all that counts; `None` when nothing does.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let up = self.healthy_ms + self.degraded_ms;
        let counted = up + self.unhealthy_ms + self.unknown_ms + self.starting_ms;
        (counted > 0).then(|| up as f64 / counted as f64)
    }

    fn add(&mut self, shown: Shown, length_ms: u64) {
        let part = match shown {
            None => &mut self.absent_ms,
            Some(Aggregate::Maintenance) => &mut self.maintenance_ms,
            Some(Aggregate::Status(Status::Healthy)) => &mut self.healthy_ms,
            Some(Aggregate::Status(Status::Degraded)) => &mut self.degraded_ms,
            Some(Aggregate::Status(Status::Unhealthy)) => &mut self.unhealthy_ms,
            Some(Aggregate::Status(Status::Unknown)) => &mut self.unknown_ms,
            Some(Aggregate::Status(Status::Starting)) => &mut self.starting_ms,
        };
        *part += length_ms;
    }
}

/// What is shown at a moment; `None` when it is absent.
type Shown = Option<Aggregate>;

/// One component, from its own changes in order of time, the last one before `from_ms` included.
#[must_use]
pub fn component(changes: &[StatusChange], blind: &[(i64, i64)], from_ms: i64, to_ms: i64) -> Uptime {
    let mut sum = Sum::new(blind, from_ms, to_ms);
    for change in changes {
        sum.until(change.at_ms);
        sum.shown = shown(change);
    }
    sum.finish()
}

/// All components in a mixed list of changes, each by itself.
#[must_use]
pub fn components(
    changes: &[StatusChange],
    blind: &[(i64, i64)],
    from_ms: i64,
    to_ms: i64,
) -> BTreeMap<ComponentKey, Uptime> {
    let mut sums: BTreeMap<&ComponentKey, Sum<'_>> = BTreeMap::new();
    for change in changes {
        let sum = sums.entry(&change.key).or_insert_with(|| Sum::new(blind, from_ms, to_ms));
        sum.until(change.at_ms);
        sum.shown = shown(change);
    }
    sums.into_iter().map(|(key, sum)| (key.clone(), sum.finish())).collect()
}

/// One service, from the changes of all its components in order of time. `required` tells whether an instance
/// depends on a component.
#[must_use]
pub fn service(
    changes: &[StatusChange],
    policy: &Policy,
    required: impl Fn(&ComponentKey) -> bool,
    blind: &[(i64, i64)],
    from_ms: i64,
    to_ms: i64,
) -> Uptime {
    let mut sum = Sum::new(blind, from_ms, to_ms);
    let mut instances: BTreeMap<&Arc<str>, Instance<'_>> = BTreeMap::new();
    let mut counts = InstanceCounts::default();
    for moment in changes.chunk_by(|a, b| a.at_ms == b.at_ms) {
        let Some(first) = moment.first() else { continue };
        sum.until(first.at_ms);
        for change in moment {
            let instance = instances.entry(&change.key.agent).or_default();
            instance.take(change, required(&change.key));
            if let Some(before) = instance.counted {
                counts.remove(before);
            }
            instance.counted = instance.shown();
            if let Some(now) = instance.counted {
                counts.add(now);
            }
        }
        let there = || instances.values().filter(|instance| instance.counted.is_some());
        let muted = there().all(Instance::is_muted);
        let shown = || if muted { Aggregate::Maintenance } else { aggregate::service(policy, &counts) };
        sum.shown = there().next().map(|_| shown());
    }
    sum.finish()
}

/// An agent's part of a service at a moment.
#[derive(Default)]
struct Instance<'a> {
    /// Each component as it is counted, and its last change.
    parts: BTreeMap<&'a Arc<str>, (Part, &'a StatusChange)>,
    /// As what it was counted in.
    counted: Shown,
}

impl<'a> Instance<'a> {
    fn take(&mut self, change: &'a StatusChange, required: bool) {
        match change.status {
            Some(status) => {
                let part = Part { status, required, drained: change.maintenance };
                self.parts.insert(&change.key.component, (part, change));
            }
            None => {
                self.parts.remove(&change.key.component);
            }
        }
    }

    /// Windows mute all of it, or drain the rest.
    fn is_muted(&self) -> bool {
        self.parts.values().all(|(part, change)| change.muted || part.drained)
    }

    /// Where all that counts is stale, nothing is known of the instance, even where all its components are optional.
    fn shown(&self) -> Shown {
        let mut counted = self.parts.values().filter(|(part, _)| !part.drained).peekable();
        let silent = counted.peek().is_some() && counted.all(|(_, change)| change.stale);
        (!self.parts.is_empty()).then(|| match silent {
            true => Aggregate::Status(Status::Unknown),
            false => aggregate::instance(self.parts.values().map(|(part, _)| *part)),
        })
    }
}

fn shown(change: &StatusChange) -> Shown {
    let status = change.status?;
    Some(if change.maintenance || change.muted { Aggregate::Maintenance } else { Aggregate::Status(status) })
}

/// The sum so far.
struct Sum<'a> {
    uptime: Uptime,
    /// What is shown from `at_ms` on.
    shown: Shown,
    at_ms: i64,
    to_ms: i64,
    /// Blind times that are not over; they may overlap.
    blind: &'a [(i64, i64)],
}

impl<'a> Sum<'a> {
    fn new(blind: &'a [(i64, i64)], from_ms: i64, to_ms: i64) -> Self {
        Self { uptime: Uptime::default(), shown: None, at_ms: from_ms, to_ms: to_ms.max(from_ms), blind }
    }

    /// Counts the time up to here.
    fn until(&mut self, until_ms: i64) {
        let until_ms = until_ms.min(self.to_ms);
        while self.at_ms < until_ms {
            let (blind, end_ms) = self.stretch(until_ms);
            let length_ms = end_ms.abs_diff(self.at_ms);
            match self.shown {
                Some(_) if blind => self.uptime.blind_ms += length_ms,
                shown => self.uptime.add(shown, length_ms),
            }
            self.at_ms = end_ms;
        }
    }

    /// Whether it is blind from here on, and until when that is so at least.
    fn stretch(&mut self, until_ms: i64) -> (bool, i64) {
        while let Some(((_, to_ms), rest)) = self.blind.split_first()
            && *to_ms <= self.at_ms
        {
            self.blind = rest;
        }
        let covering = self.blind.iter().take_while(|(from_ms, _)| *from_ms <= self.at_ms);
        if let Some(end_ms) = covering.map(|(_, to_ms)| *to_ms).filter(|to_ms| *to_ms > self.at_ms).max() {
            return (true, end_ms.min(until_ms));
        }
        let next = self.blind.iter().map(|(from_ms, _)| *from_ms).find(|from_ms| *from_ms > self.at_ms);
        (false, next.map_or(until_ms, |from_ms| from_ms.min(until_ms)))
    }

    fn finish(mut self) -> Uptime {
        self.until(self.to_ms);
        self.uptime
    }
}

#[cfg(test)]
mod tests;
