//! How often an element began and ended of late, by time and not by count of samples. Times are readings of the life's
//! own clock.

use crate::Flap;
use serde::{Deserialize, Serialize};

/// No more changes are kept, and a rule that asks for more of them finds flapping at so many.
const CHANGES_AT_MOST: usize = 256;

/// When it began or ended, the latest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Flaps(Vec<u64>);

/// So many changes are flapping; `None` never is.
fn many(flap: Flap) -> Option<usize> {
    let changes = usize::try_from(flap.changes).unwrap_or(usize::MAX);
    (changes > 0).then_some(changes.min(CHANGES_AT_MOST))
}

impl Flaps {
    /// It changed. Forgets what has left the window, and of more than make it flap the oldest.
    pub(super) fn add(&mut self, flap: Flap, lived_ms: u64) {
        let Some(many) = many(flap) else {
            self.0.clear();
            return;
        };
        self.0.retain(|at| lived_ms.saturating_sub(*at) < flap.within_ms);
        self.0.push(lived_ms);
        self.0.drain(..self.0.len().saturating_sub(many));
    }

    /// How many changes are within the window.
    pub(super) fn within(&self, flap: Flap, lived_ms: u64) -> usize {
        self.0.iter().filter(|at| lived_ms.saturating_sub(**at) < flap.within_ms).count()
    }

    pub(super) fn too_many(&self, flap: Flap, lived_ms: u64) -> bool {
        many(flap).is_some_and(|many| self.within(flap, lived_ms) >= many)
    }

    /// When at most half as many as make it flap are within the window, if no more come.
    pub(super) fn steady_at(&self, flap: Flap) -> u64 {
        let Some(many) = many(flap) else { return 0 };
        let last_to_leave = self.0.len().checked_sub(many / 2 + 1).and_then(|index| self.0.get(index));
        last_to_leave.map_or(0, |at| at.saturating_add(flap.within_ms))
    }

    /// When the last of them leaves the window.
    pub(super) fn over_at(&self, flap: Flap) -> u64 {
        match (many(flap), self.0.last()) {
            (Some(_), Some(at)) => at.saturating_add(flap.within_ms),
            (None, _) | (_, None) => 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
