//! The kinds of checks that a configuration may name, and what is common to them. What a kind's own keys mean
//! stands in its file.

use crate::{disk, http, memory, mysql, postgres, redis, system, tcp};
use farol_config::Map;
use farol_health::{Check, Dependency};
use std::sync::Arc;

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
}

impl Read {
    pub(crate) fn new(settings: String, check: impl Check) -> Self {
        Self { settings, check: Arc::new(check) }
    }
}

/// All names, for messages.
pub(crate) fn names() -> String {
    KINDS.iter().map(|kind| format!("`{}`", kind.name)).collect::<Vec<_>>().join(", ")
}
