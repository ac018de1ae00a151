//! For how long an element holds others back: while it fires, for a while from when it begins to be bad, and for a while
//! from when it ended. Decides nothing about whom it holds.

use super::element::Element;
use crate::Moment;
use crate::output::SavedHold;
use crate::step::{Phase, Turn};

/// From its end on an element holds others back for so long: what depends on it recovers a moment later, and what still
/// fails then fails by itself.
const AFTER_END_MS: u64 = 60_000;

/// One that is pending holds others back for so long, while there is news of it: nobody was told of it, and may never be.
const PENDING_MS: u64 = 60_000;

/// What of an element decides whether it holds others back, besides that it fires.
#[derive(Default)]
pub(super) struct Hold {
    /// It was last found to do so.
    pub(super) is_on: bool,
    /// Because it is pending, up to then, on the running clock.
    pending_ms: Option<u64>,
    /// Because it fired a moment ago, up to then, on the running clock.
    ended_ms: Option<u64>,
}

impl Hold {
    /// Takes up what its element came to.
    fn follow(&mut self, phase: &Phase, turns: &[Turn], now: Moment) {
        let is_pending = matches!(phase, Phase::Pending { .. });
        self.pending_ms = is_pending.then(|| self.pending_ms.unwrap_or(now.run_ms + PENDING_MS));
        if matches!(phase, Phase::Firing { .. }) {
            self.ended_ms = None;
        } else if turns.iter().any(|turn| matches!(turn, Turn::Resolved(_))) {
            self.ended_ms = Some(now.run_ms + AFTER_END_MS);
        } else {
            self.ended_ms = self.ended_ms.filter(|until_ms| *until_ms > now.run_ms);
        }
    }

    /// As it is kept.
    pub(super) fn saved(&self, now: Moment) -> SavedHold {
        let wall =
            |at: Option<u64>| Some(now.wall_ms.saturating_add(at?.cast_signed() - now.run_ms.cast_signed()));
        SavedHold { pending_ms: wall(self.pending_ms), ended_ms: wall(self.ended_ms) }
    }

    /// As it was kept. The time in which there was no monitor does not count: what recovered in it is yet to be seen.
    pub(super) fn restored(saved: SavedHold, alive_until_wall_ms: i64, now: Moment) -> Self {
        let run = |at: Option<i64>, most: u64| {
            let left_ms = u64::try_from(at?.saturating_sub(alive_until_wall_ms)).unwrap_or(0);
            Some(now.run_ms + left_ms.min(most))
        };
        Self {
            is_on: false,
            pending_ms: run(saved.pending_ms, PENDING_MS),
            ended_ms: run(saved.ended_ms, AFTER_END_MS),
        }
    }
}

impl Element {
    /// Finds whether it holds others back now, after these turns; true if that is not as it was.
    pub(super) fn hold_anew(&mut self, turns: &[Turn], now: Moment) -> bool {
        let phase = self.life.phase();
        self.hold.follow(&phase, turns, now);
        let fires = matches!(phase, Phase::Firing { .. });
        let is_on = fires || self.holds_until_ms().is_some_and(|until_ms| until_ms > now.run_ms);
        std::mem::replace(&mut self.hold.is_on, is_on) != is_on
    }

    /// When it holds others back no more by time alone, on the running clock.
    pub(super) fn let_go_ms(&self) -> Option<u64> {
        self.holds_until_ms().filter(|_| self.hold.is_on)
    }

    fn holds_until_ms(&self) -> Option<u64> {
        let pending_ms = self.hold.pending_ms.filter(|_| !self.life.is_stale());
        pending_ms.max(self.hold.ended_ms)
    }
}
