//! An acknowledgement: somebody works on this alert. It is for one episode and one severity, so that it never hides the
//! next outage, nor that this one became worse.

use super::{MuteError, checked};
use crate::{AlertId, Severity};
use serde::{Deserialize, Serialize};

/// Somebody knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Of which alert.
    pub alert: AlertId,
    /// Since when that alert fired: the episode that it is for.
    pub episode_ms: i64,
    /// As bad as the alert was then.
    pub severity: Severity,
    /// Who.
    pub author: String,
    /// What is done.
    pub reason: String,
    /// When.
    pub at_ms: i64,
    /// Until then at most.
    pub ends_ms: Option<i64>,
}

/// Whether an acknowledgement holds, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acknowledged {
    /// It holds.
    Holds,
    /// The alert that it was for is over; this one is another.
    OtherEpisode,
    /// The alert became worse.
    Raised,
    /// Its time is over.
    Ended,
}

impl Acknowledgement {
    /// Whether it may be taken.
    ///
    /// # Errors
    /// It has ended already, or is not signed.
    pub fn check(&self) -> Result<(), MuteError> {
        checked::times(&[self.at_ms, self.ends_ms.unwrap_or(self.at_ms)])?;
        if self.ends_ms.is_some_and(|ends_ms| ends_ms <= self.at_ms) {
            return Err(MuteError::Past);
        }
        checked::signed(&self.author, &self.reason)
    }

    /// Whether it holds for its alert as that is now.
    #[must_use]
    pub fn state(&self, episode_ms: i64, severity: Severity, now_ms: i64) -> Acknowledged {
        if episode_ms != self.episode_ms {
            Acknowledged::OtherEpisode
        } else if severity > self.severity {
            Acknowledged::Raised
        } else if self.ends_ms.is_some_and(|ends_ms| now_ms >= ends_ms) {
            Acknowledged::Ended
        } else {
            Acknowledged::Holds
        }
    }

    /// Whether it does.
    #[must_use]
    pub fn holds(&self, episode_ms: i64, severity: Severity, now_ms: i64) -> bool {
        self.state(episode_ms, severity, now_ms) == Acknowledged::Holds
    }

    /// When it ends, if that is still to come.
    #[must_use]
    pub fn next_change(&self, now_ms: i64) -> Option<i64> {
        self.ends_ms.filter(|ends_ms| *ends_ms > now_ms)
    }
}
