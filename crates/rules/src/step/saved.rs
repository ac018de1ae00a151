//! A life as it outlasts the process. It holds readings of the life's own clock and none of the running clock, which
//! begins anew with the process.

use super::{Course, Flaps, Held, Life};
use crate::Moment;
use serde::{Deserialize, Serialize};

/// A life, to be written down. Worth writing when there was a turn: timers that go on need no writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The life's own clock when it was saved.
    lived_ms: u64,
    /// When that was, in Unix milliseconds, if the clock went: it goes on from there.
    going_ms: Option<i64>,
    /// There was no news of it.
    stale: bool,
    /// Where it stood.
    course: Course,
    /// When it began and ended of late.
    flaps: Flaps,
    /// What stood, if it was flapping.
    held: Option<Held>,
}

impl Life {
    /// The life as it is at this moment. After the wall clock was set, or the monitor did not run for a while, a life
    /// must be saved anew: what lies between this and `alive_until_wall_ms` of [`Self::restored`] counts as lived.
    #[must_use]
    pub fn saved(&self, now: Moment) -> Saved {
        Saved {
            lived_ms: self.lived_at(now),
            going_ms: self.run_ms.map(|_| now.wall_ms),
            stale: self.stale,
            course: self.course.clone(),
            flaps: self.flaps.clone(),
            held: self.held,
        }
    }

    /// A life as it was when the monitor was last alive. Timers that ran when it was saved have run until then; now all
    /// stand still until there is news of it.
    #[must_use]
    pub fn restored(saved: Saved, alive_until_wall_ms: i64) -> Self {
        let since = saved.going_ms.map_or(0, |at| alive_until_wall_ms.saturating_sub(at));
        Self {
            lived_ms: saved.lived_ms.saturating_add(u64::try_from(since).unwrap_or(0)),
            run_ms: None,
            stale: saved.stale,
            course: saved.course,
            flaps: saved.flaps,
            held: saved.held,
        }
    }
}
