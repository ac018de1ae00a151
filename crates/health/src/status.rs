//! The five statuses and their one encoding. What makes a component have one of them is decided elsewhere.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The health of a component, an instance, a service or a group. The number is the same on the wire, in the
/// store and in metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Status {
    /// Never seen, stale, or a check that says so. Never shown as health.
    #[default]
    Unknown = 0,
    /// Not yet judged: the start grace runs.
    Starting = 1,
    /// Works as it should.
    Healthy = 2,
    /// Works, but worse than it should.
    Degraded = 3,
    /// Does not work.
    Unhealthy = 4,
}

impl Status {
    /// All statuses in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::Unknown, Self::Starting, Self::Healthy, Self::Degraded, Self::Unhealthy];

    /// The lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The status with this number, `None` for any other number.
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Unknown),
            1 => Some(Self::Starting),
            2 => Some(Self::Healthy),
            3 => Some(Self::Degraded),
            4 => Some(Self::Unhealthy),
            _ => None,
        }
    }

    /// Healthy or degraded: traffic may go there, HTTP says 200 and gRPC says SERVING.
    #[must_use]
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The word is not one of the five statuses.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a status; use unknown, starting, healthy, degraded or unhealthy")]
pub struct ParseStatusError(String);

impl FromStr for Status {
    type Err = ParseStatusError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|s| s.as_str() == word).ok_or_else(|| ParseStatusError(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_word_lead_back_to_the_status() {
        for status in Status::ALL {
            assert_eq!(Status::from_u8(status as u8), Some(status));
            assert_eq!(status.as_str().parse::<Status>().unwrap(), status);
        }
        assert_eq!(Status::from_u8(5), None);
        assert!("Healthy".parse::<Status>().is_err());
    }
}
