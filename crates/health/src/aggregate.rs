//! How the statuses of many become the status of one: components an instance, instances a service, services a
//! group. Pure, and told statuses that already count staleness; who is stale or drained is decided elsewhere.

use crate::Status;
use std::fmt;

/// What a component, an instance, a service or a group shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// One of the five statuses.
    Status(Status),
    /// All that could be asked is drained or draining. The true status is that of the same call with the
    /// drained ones counted by their statuses.
    Maintenance,
}

impl Aggregate {
    /// The status, `None` under maintenance.
    #[must_use]
    pub const fn status(self) -> Option<Status> {
        match self {
            Self::Status(status) => Some(status),
            Self::Maintenance => None,
        }
    }

    /// The lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status(status) => status.as_str(),
            Self::Maintenance => "maintenance",
        }
    }

    /// The number where one number is shown: the status's own, 5 for maintenance.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        match self {
            Self::Status(status) => status as u8,
            Self::Maintenance => 5,
        }
    }

    /// Healthy or degraded: HTTP says 200 and gRPC says SERVING.
    #[must_use]
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Status(Status::Healthy | Status::Degraded))
    }
}

impl From<Status> for Aggregate {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One component, as an instance counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its hard status, unknown when stale.
    pub status: Status,
    /// Whether the instance depends on it.
    pub required: bool,
    /// Drained or draining: left out. A mute window must not set this.
    pub drained: bool,
}

/// The status of an instance, from its components.
///
/// An instance all of whose components are drained is under maintenance. One of which nothing has begun is starting,
/// though none of it be required. One without any component has nothing
/// to complain of and is healthy, which is right for a process that answers for itself; a monitor knows no
/// instance without components.
#[must_use]
pub fn instance(parts: impl IntoIterator<Item = Part>) -> Aggregate {
    let (mut counted, mut drained, mut begun) = (false, false, false);
    let mut required = [false; Status::ALL.len()];
    let mut optional = [false; Status::ALL.len()];
    for part in parts {
        if part.drained {
            drained = true;
            continue;
        }
        counted = true;
        begun |= part.status != Status::Starting;
        let seen = if part.required { &mut required } else { &mut optional };
        seen[part.status as usize] = true;
    }
    if drained && !counted {
        return Aggregate::Maintenance;
    }
    let required = |status: Status| required[status as usize];
    let optional = |status: Status| optional[status as usize];
    Aggregate::Status(if required(Status::Unhealthy) {
        Status::Unhealthy
    } else if required(Status::Unknown) {
        Status::Unknown
    } else if required(Status::Starting) || (counted && !begun) {
        Status::Starting
    } else if required(Status::Degraded)
        || optional(Status::Degraded)
        || optional(Status::Unhealthy)
        || optional(Status::Unknown)
    {
        Status::Degraded
    } else {
        Status::Healthy
    })
}

/// How many instances of a service show what. Kept up to date by [`InstanceCounts::add`] and
/// [`InstanceCounts::remove`], so that one change costs no look at the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceCounts {
    /// Healthy ones.
    pub healthy: u32,
    /// Degraded ones.
    pub degraded: u32,
    /// Unhealthy ones.
    pub unhealthy: u32,
    /// Unknown ones: never seen, stale, or saying so.
    pub unknown: u32,
    /// Starting ones.
    pub starting: u32,
    /// Drained and draining ones, whatever their status.
    pub draining: u32,
}

impl InstanceCounts {
    /// Counts an instance in.
    pub fn add(&mut self, shown: Aggregate) {
        let count = self.of(shown);
        *count = count.saturating_add(1);
    }

    /// Counts an instance out that was counted in as this.
    pub fn remove(&mut self, shown: Aggregate) {
        let count = self.of(shown);
        debug_assert!(*count > 0, "an instance is counted out as it was counted in");
        *count = count.saturating_sub(1);
    }

    /// Those that serve: healthy and degraded ones.
    #[must_use]
    pub const fn up(&self) -> u64 {
        self.healthy as u64 + self.degraded as u64
    }

    /// Those that a policy counts: starting and draining ones are left out.
    #[must_use]
    pub const fn counted(&self) -> u64 {
        self.up() + self.unhealthy as u64 + self.unknown as u64
    }

    fn of(&mut self, shown: Aggregate) -> &mut u32 {
        match shown {
            Aggregate::Status(Status::Healthy) => &mut self.healthy,
            Aggregate::Status(Status::Degraded) => &mut self.degraded,
            Aggregate::Status(Status::Unhealthy) => &mut self.unhealthy,
            Aggregate::Status(Status::Unknown) => &mut self.unknown,
            Aggregate::Status(Status::Starting) => &mut self.starting,
            Aggregate::Maintenance => &mut self.draining,
        }
    }
}

impl FromIterator<Aggregate> for InstanceCounts {
    fn from_iter<I: IntoIterator<Item = Aggregate>>(instances: I) -> Self {
        let mut counts = Self::default();
        for shown in instances {
            counts.add(shown);
        }
        counts
    }
}

/// How many instances must be up. What is given must hold together; with nothing given it is `at_least: 1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// So many.
    pub at_least: Option<u32>,
    /// So many per hundred, rounded up.
    pub percent: Option<u8>,
    /// Every one.
    pub all: bool,
}

impl Policy {
    /// How many of `n` instances must be up.
    #[must_use]
    pub fn needed(&self, n: u64) -> u64 {
        let at_least = self.at_least.map(u64::from);
        let percent = self.percent.map(|p| (n * u64::from(p)).div_ceil(100));
        let all = self.all.then_some(n);
        [at_least, percent, all].into_iter().flatten().max().unwrap_or(1)
    }
}

/// The status of a service, from its instances.
#[must_use]
pub fn service(policy: &Policy, counts: &InstanceCounts) -> Aggregate {
    let (up, n) = (counts.up(), counts.counted());
    let unknown = u64::from(counts.unknown);
    if n == 0 {
        return if counts.starting > 0 {
            Aggregate::Status(Status::Starting)
        } else if counts.draining > 0 {
            Aggregate::Maintenance
        } else {
            Aggregate::Status(Status::Unknown)
        };
    }
    let needed = policy.needed(n);
    Aggregate::Status(if up >= needed {
        if u64::from(counts.healthy) == n { Status::Healthy } else { Status::Degraded }
    } else if up + unknown >= needed {
        Status::Unknown
    } else {
        Status::Unhealthy
    })
}

/// The status of a group: the worst of its services, drained ones left out. A group of drained services only is
/// under maintenance, one without services is unknown.
#[must_use]
pub fn group(services: impl IntoIterator<Item = Aggregate>) -> Aggregate {
    let mut drained = false;
    let mut worst: Option<Status> = None;
    for shown in services {
        match shown {
            Aggregate::Maintenance => drained = true,
            Aggregate::Status(status) => {
                if worst.is_none_or(|worst| badness(status) > badness(worst)) {
                    worst = Some(status);
                }
            }
        }
    }
    match worst {
        Some(status) => Aggregate::Status(status),
        None if drained => Aggregate::Maintenance,
        None => Aggregate::Status(Status::Unknown),
    }
}

/// In a group: unhealthy > unknown > starting > degraded > healthy.
const fn badness(status: Status) -> u8 {
    match status {
        Status::Healthy => 0,
        Status::Degraded => 1,
        Status::Starting => 2,
        Status::Unknown => 3,
        Status::Unhealthy => 4,
    }
}

#[cfg(test)]
mod tests;
