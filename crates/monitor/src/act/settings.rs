//! What actions there are, as they are configured. Decides nothing.

use super::blast::BlastRadius;
use super::breaker::BreakerPolicy;
use super::guard::Policy;
use super::kubernetes::{Access, Workload};
use super::mirror::Mirror;
use super::scale::{Amount, Bounds};
use super::webhook::Webhook;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything about actions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// By name.
    pub actions: BTreeMap<Arc<str>, Action>,
    /// Where automatic action ends.
    pub radius: BlastRadius,
    /// How the API server is reached; `None` when no action needs it.
    pub kubernetes: Option<Access>,
    /// Where the breakers' states are written.
    pub mirror: Option<Mirror>,
}

/// One action.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// What it does.
    pub what: What,
    /// How often it may.
    pub policy: Policy,
    /// Whether and when its effect is looked at.
    pub verify: Option<Verify>,
}

/// What an action does.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Scales through the API server.
    Scale {
        /// What.
        workload: Workload,
        /// By how much.
        by: Amount,
        /// Between.
        bounds: Bounds,
    },
    /// Has someone else scale.
    Webhook {
        /// Whom.
        webhook: Webhook,
        /// By how much; `None` leaves it to the other side.
        by: Option<Amount>,
        /// Between.
        bounds: Bounds,
    },
    /// Opens a circuit breaker.
    Breaker {
        /// Its name.
        name: Arc<str>,
        /// How it behaves.
        policy: BreakerPolicy,
    },
}

/// When the effect of an action is looked at, and what follows when there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verify {
    /// So long after it.
    pub after_ms: u64,
    /// It is taken back when it was of no use.
    pub roll_back: bool,
}

impl Settings {
    /// The breakers that its actions name.
    pub fn breakers(&self) -> impl Iterator<Item = (Arc<str>, BreakerPolicy)> {
        self.actions.values().filter_map(|action| match &action.what {
            What::Breaker { name, policy } => Some((Arc::clone(name), *policy)),
            What::Scale { .. } | What::Webhook { .. } => None,
        })
    }
}

impl What {
    /// What it acts on, for people. The address of a webhook may hold a secret.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::Scale { workload, .. } => workload.to_string(),
            Self::Webhook { webhook, .. } => format!("webhook {}", webhook.url.host()),
            Self::Breaker { name, .. } => format!("breaker {name}"),
        }
    }
}
