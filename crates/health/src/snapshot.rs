//! What a process knows of its own components at one moment. Readers get it whole, in O(1).

use crate::Status;
use crate::aggregate::{Aggregate, Part, instance};
use crate::check::{Dependency, Figure};
use jiff::Timestamp;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// One component as it stood when the snapshot was made.
#[derive(Clone, Debug)]
pub struct ComponentView {
    /// Its name, unique in this process.
    pub name: Arc<str>,
    /// The service it belongs to.
    pub service: Arc<str>,
    /// The kind of its check.
    pub kind: &'static str,
    /// Whether the instance depends on it.
    pub required: bool,
    /// Whether readiness asks it.
    pub readiness: bool,
    /// The word readiness uses.
    pub dependency: Dependency,
    /// The status that counts.
    pub hard: Status,
    /// What the last result said.
    pub soft: Status,
    /// The last result's code.
    pub reason: Cow<'static, str>,
    /// The last result's words.
    pub message: Arc<str>,
    /// The last result's figures.
    pub figures: Arc<[Figure]>,
    /// The last result's facts.
    pub metadata: Arc<[(Cow<'static, str>, String)]>,
    /// How long the last run took.
    pub response_time: Option<Duration>,
    /// When the last result came, on the boot clock.
    pub checked_ms: Option<u64>,
    /// The same on the wall clock, for people.
    pub checked_at: Option<Timestamp>,
    /// When the hard status last changed.
    pub changed_at: Timestamp,
    /// A result older than this, in milliseconds, is stale.
    pub ttl_ms: u64,
    /// Under maintenance: the statuses above stay true beneath it.
    pub maintenance: bool,
}

impl ComponentView {
    /// Whether the last result is too old at `now_ms` of the boot clock. A component that has never been
    /// checked is not stale: it is starting or unknown already.
    #[must_use]
    pub fn is_stale(&self, now_ms: u64) -> bool {
        self.checked_ms.is_some_and(|checked| now_ms.saturating_sub(checked) > self.ttl_ms)
    }

    /// The hard status, or unknown when stale.
    #[must_use]
    pub fn status_at(&self, now_ms: u64) -> Status {
        if self.is_stale(now_ms) { Status::Unknown } else { self.hard }
    }
}

/// All components of this process at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// In the order of their registration. Shared, so that a new snapshot costs one count per component that
    /// did not change.
    pub components: Vec<Arc<ComponentView>>,
    /// The process drains, or was put under maintenance by hand: it is under maintenance as a whole.
    pub draining: bool,
    /// Why it was put under maintenance by hand.
    pub maintenance: Option<Arc<str>>,
}

impl Snapshot {
    /// The process's own status at `now_ms` of the boot clock: the instance rule over its components.
    #[must_use]
    pub fn status_at(&self, now_ms: u64) -> Aggregate {
        if self.draining {
            return Aggregate::Maintenance;
        }
        instance(self.components.iter().map(|component| Part {
            status: component.status_at(now_ms),
            required: component.required,
            drained: component.maintenance,
        }))
    }

    /// The component of this name.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<&Arc<ComponentView>> {
        self.components.iter().find(|component| &*component.name == name)
    }
}
