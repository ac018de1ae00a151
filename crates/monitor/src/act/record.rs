//! What is told of an action: one record when it begins and one, with the same id, whenever more is known. Decides
//! nothing; the last record of an id is the true one.

use super::guard::Refusal;
use farol_rules::{AlertId, Labels};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// An attempt, for the incident's time line and for the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// The same over all records of one attempt.
    pub id: String,
    /// The action's name.
    pub action: Arc<str>,
    /// What it acts on, for people: `deployment shop/payments`, `breaker payments`.
    pub target: String,
    /// Which alert started it.
    pub alert: AlertId,
    /// In which of its episodes.
    pub episode_ms: i64,
    /// Of which incident.
    pub incident: String,
    /// The alert's labels.
    #[serde(default)]
    pub labels: Labels,
    /// When it was asked for, unix milliseconds.
    pub asked_ms: i64,
    /// When it was begun, on the running clock.
    pub run_ms: u64,
    /// When it was begun, unix milliseconds.
    pub at_ms: i64,
    /// When this was known, unix milliseconds.
    pub known_ms: i64,
    /// It only tells what it would do.
    pub dry_run: bool,
    /// Replicas before.
    pub before: Option<u32>,
    /// Replicas after.
    pub after: Option<u32>,
    /// Which object was changed: one that was made anew is not rolled back.
    pub object: Option<String>,
    /// How it went.
    pub outcome: Outcome,
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// An alert asks for it; nothing is decided.
    Asked,
    /// It is about to act: what follows may have been done even if nothing more is told.
    Started,
    /// It did not act.
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// It would have acted so.
    WouldRun,
    /// It acted; the effect is not verified.
    Done,
    /// It acted, and the effect is looked at then.
    Verifying {
        /// On the running clock.
        due_run_ms: u64,
    },
    /// It acted, and the alert is over.
    Effective,
    /// It acted, and whether that helped is not known: nothing is known of the alert. It is left as it is.
    Unverified,
    /// It acted, and the alert fires all the same. It is left as it is.
    NoEffect,
    /// It acted in vain, and all is as before.
    RolledBack,
    /// It acted in vain, and could not be taken back.
    NotRolledBack {
        /// Why.
        why: String,
    },
    /// It failed.
    Failed {
        /// Why.
        why: String,
        /// Something may have been changed all the same.
        touched: bool,
    },
    /// The monitor ended while it acted: something may have been changed.
    Interrupted,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("asked for"),
            Self::Started => f.write_str("started"),
            Self::Refused { refusal } => write!(f, "refused: {refusal}"),
            Self::WouldRun => f.write_str("would have run (dry run)"),
            Self::Done => f.write_str("done"),
            Self::Verifying { .. } => f.write_str("done, its effect is looked at later"),
            Self::Effective => f.write_str("it helped: the alert is over"),
            Self::Unverified => f.write_str("done, whether it helped is not known"),
            Self::NoEffect => f.write_str("it did not help, and is left as it is"),
            Self::RolledBack => f.write_str("it did not help, and was rolled back"),
            Self::NotRolledBack { why } => write!(f, "it did not help, and could not be rolled back: {why}"),
            Self::Failed { why, .. } => write!(f, "failed: {why}"),
            Self::Interrupted => f.write_str("the monitor ended while it acted"),
        }
    }
}

impl Outcome {
    /// Whether nothing more follows.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        !matches!(self, Self::Asked | Self::Started | Self::Verifying { .. })
    }

    /// Whether someone should look at it: it failed, or was of no use.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        matches!(
            self,
            Self::Failed { .. }
                | Self::NoEffect
                | Self::RolledBack
                | Self::NotRolledBack { .. }
                | Self::Interrupted
        )
    }

    /// Whether it counts for the pause and the budget.
    #[must_use]
    pub const fn counts(&self) -> bool {
        !matches!(self, Self::Asked | Self::Refused { .. } | Self::Failed { touched: false, .. })
    }
}
