//! How bad what was observed is. Decides nothing about time.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How bad an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Someone should look at it.
    Warning,
    /// Someone must look at it now.
    Critical,
}

impl Severity {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one observation says of an element, by the rule alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It is well: the only evidence that ends an alert as recovered.
    Clear,
    /// Not bad enough to begin an alert, and not good enough to end one: between `clear` and the thresholds.
    Between,
    /// As bad as `warning` says.
    Warning,
    /// As bad as `critical` says.
    Critical,
}

impl Level {
    /// The severity that it calls for.
    #[must_use]
    pub const fn severity(self) -> Option<Severity> {
        match self {
            Self::Clear | Self::Between => None,
            Self::Warning => Some(Severity::Warning),
            Self::Critical => Some(Severity::Critical),
        }
    }
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}

/// Why an alert is over. Missing data is none of these: it ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It was seen to be well.
    Recovered,
    /// What was looked at is gone: a component that its agent does not have any more, a rule taken out.
    Removed,
    /// Its agent left as planned, with its workload.
    Left,
    /// Its agent was taken out of the fleet.
    Forgotten,
}

impl Ending {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Removed => "removed",
            Self::Left => "left",
            Self::Forgotten => "forgotten",
        }
    }
}
