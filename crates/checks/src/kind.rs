//! The kinds of checks that a configuration may name, and what is common to them. What a kind's own keys mean
//! stands in its file.

use crate::{
    command, cpu, disk, file_descriptors, heartbeat, http, memory, mysql, postgres, process, push, redis,
    system, tcp,
};
use farol_config::Map;
use farol_health::{Check, Dependency};
use std::sync::Arc;
use std::time::Duration;

/// Every kind, one line each.
pub const KINDS: &[Kind] = &[
    postgres::KIND,
    mysql::KIND,
    redis::KIND,
    http::KIND,
    tcp::KIND,
    disk::KIND,
    memory::KIND,
    system::KIND,
    command::KIND,
    heartbeat::KIND,
    push::KIND,
    process::KIND,
    cpu::KIND,
    file_descriptors::KIND,
];

/// A kind of check.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The key under which its settings stand.
    pub name: &'static str,
    /// It looks at the machine itself, so it is optional by default.
    pub(crate) host: bool,
    /// Which words readiness uses for it.
    pub(crate) dependency: Dependency,
    /// Reads its settings; `None` after it has told a problem.
    pub(crate) read: fn(&mut Map<'_>) -> Option<Read>,
}

/// What was read.
pub(crate) struct Read {
    /// All its settings, secrets included: only ever hashed.
    pub(crate) settings: String,
    /// Ready to run.
    pub(crate) check: Arc<dyn Check>,
    /// Nobody is asked: its results are told, and silence for so long means what the check says.
    pub(crate) told_within: Option<Duration>,
}

impl Read {
    pub(crate) fn new(settings: String, check: impl Check) -> Self {
        Self { settings, check: Arc::new(check), told_within: None }
    }

    /// Of a component that an application tells of.
    pub(crate) fn told(ttl: Duration, check: impl Check) -> Self {
        Self { told_within: Some(ttl), ..Self::new(String::new(), check) }
    }
}

/// All names, for messages.
pub(crate) fn names() -> String {
    KINDS.iter().map(|kind| format!("`{}`", kind.name)).collect::<Vec<_>>().join(", ")
}
