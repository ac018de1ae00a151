//! A silence: whatever matches is not told of for a time.

use super::{MuteError, checked};
use crate::{Labels, Matcher};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Alerts with such labels are not told of in that time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Which silence.
    pub id: Arc<str>,
    /// Which alerts: all of these, of the alert's labels; written `{label: pattern}`.
    #[serde(with = "checked")]
    pub matchers: Vec<Matcher>,
    /// From then.
    pub starts_ms: i64,
    /// Until then.
    pub ends_ms: i64,
    /// Who wants it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When it was made.
    pub created_ms: i64,
}

/// Where a silence is in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SilenceState {
    /// Still to begin.
    Pending,
    /// It holds.
    Active,
    /// It is over.
    Expired,
}

impl Silence {
    /// Whether it may be taken, now that it is made.
    ///
    /// # Errors
    /// It ends before it starts or has ended already, matches everything, or is not signed.
    pub fn check(&self) -> Result<(), MuteError> {
        checked::times(&[self.starts_ms, self.ends_ms, self.created_ms])?;
        if self.ends_ms <= self.starts_ms {
            return Err(MuteError::Backwards);
        }
        if self.ends_ms <= self.created_ms {
            return Err(MuteError::Past);
        }
        checked::signed(&self.author, &self.reason)?;
        checked::matchers(&self.matchers)
    }

    /// Where it is in its time.
    #[must_use]
    pub const fn state(&self, now_ms: i64) -> SilenceState {
        if now_ms >= self.ends_ms {
            SilenceState::Expired
        } else if now_ms < self.starts_ms {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }

    /// Ends it now; one that is over stays as it was.
    pub fn expire(&mut self, now_ms: i64) {
        self.ends_ms = self.ends_ms.min(now_ms);
        self.starts_ms = self.starts_ms.min(self.ends_ms);
    }

    /// Whether it is meant for such labels, at whatever time.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        Matcher::all(&self.matchers, labels)
    }

    /// When it begins or ends next.
    #[must_use]
    pub fn next_change(&self, now_ms: i64) -> Option<i64> {
        match self.state(now_ms) {
            SilenceState::Pending => Some(self.starts_ms),
            SilenceState::Active => Some(self.ends_ms),
            SilenceState::Expired => None,
        }
    }
}
