//! What the wire says of a component besides its status.

use farol_health::Registration;
use std::collections::BTreeMap;
use std::time::Duration;

/// One component of this agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The service it belongs to.
    pub service: String,
    /// Its name, unique in this agent.
    pub name: String,
    /// Whether the instance is unhealthy when this is.
    pub required: bool,
    /// Whether readiness asks it.
    pub readiness: bool,
    /// A status older than this is stale.
    pub ttl_ms: u32,
    /// The kind of its check.
    pub kind: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Under which ids a component and its check's samples are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComponentIds {
    /// The component.
    pub component: u32,
    /// The source of its check's series.
    pub source: u32,
}

impl Component {
    /// Whether both are the same component, however it is set up.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.service == other.service
    }
}

impl From<&Registration> for Component {
    fn from(registration: &Registration) -> Self {
        let spec = &registration.spec;
        Self {
            service: spec.service.clone(),
            name: spec.name.clone(),
            required: spec.required,
            readiness: spec.readiness,
            ttl_ms: millis(spec.ttl),
            kind: registration.check.kind().to_owned(),
            labels: spec.labels.clone(),
        }
    }
}

/// As the wire has it; 49 days at most.
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
