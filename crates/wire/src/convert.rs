//! From messages to what the house speaks, and back. The peer is a stranger: every conversion from a message
//! checks lengths, names and numbers. What the values then mean is decided by agent and monitor.

mod definition;
mod hello;
mod status;

pub use definition::{ComponentDef, Definition, Refused, SeriesDef, SeriesType, SourceDef, define};
pub use hello::{Boot, Hello, Role};
pub use status::{Bitmap, ComponentReport, component_report};

use crate::limits::{LABEL_NAME_BYTES, LABEL_VALUE_BYTES, LABELS};
use std::collections::{BTreeMap, HashMap};

/// A message that cannot be taken: what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    /// Says what is wrong.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl From<Invalid> for tonic::Status {
    fn from(invalid: Invalid) -> Self {
        Self::invalid_argument(invalid.0)
    }
}

/// `[A-Za-z0-9._-]{1,128}`: services, components, sources, groups.
#[must_use]
pub fn name_is_valid(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// An agent's id: a name that may hold `:` too.
#[must_use]
pub fn agent_id_is_valid(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':'))
}

/// Prometheus' metric names: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
fn metric_name_is_valid(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':');
    name.len() <= crate::limits::METRIC_NAME_BYTES
        && name.bytes().all(legal)
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// Prometheus' label names, those beginning with `__` left out.
fn label_name_is_valid(name: &str) -> bool {
    name.len() <= LABEL_NAME_BYTES
        && !name.starts_with("__")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

fn labels(map: HashMap<String, String>) -> Result<BTreeMap<String, String>, Invalid> {
    if map.len() > LABELS {
        return Err(Invalid::new(format!("{} labels; at most {LABELS} are taken", map.len())));
    }
    for (name, value) in &map {
        if !label_name_is_valid(name) {
            return Err(Invalid::new(format!("{name:?} is not a label name; use [a-zA-Z_][a-zA-Z0-9_]*")));
        }
        if value.len() > LABEL_VALUE_BYTES {
            return Err(Invalid::new(format!(
                "the value of label {name} has {} bytes; at most {LABEL_VALUE_BYTES} are taken",
                value.len()
            )));
        }
    }
    Ok(map.into_iter().collect())
}

#[cfg(test)]
mod tests;
