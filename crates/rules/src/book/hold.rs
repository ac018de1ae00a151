//! For how long an element holds others back: while it fires, for a while from when it begins to be bad, and for a while
//! from when it ended. Decides nothing about whom it holds.

use super::element::Element;
use super::saved::Away;
use crate::Moment;
use crate::output::SavedHold;
use crate::step::{Life, Phase, Turn};

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
    /// How much of that is left once there is news of it: it was pending when the monitor stopped.
    pending_left_ms: Option<u64>,
    /// Because it fired a moment ago, up to then, on the running clock.
    ended_ms: Option<u64>,
    /// It was held back itself when the monitor stopped, and stays so up to then, on the running clock, unless there is
    /// news of it.
    pub(super) held_until_ms: Option<u64>,
}

impl Hold {
    /// Takes up what its element came to. `goes`: there is news of it.
    fn follow(&mut self, phase: &Phase, goes: bool, turns: &[Turn], now: Moment) {
        let is_pending = matches!(phase, Phase::Pending { .. });
        if let Some(left_ms) = self.pending_left_ms.take_if(|_| goes || !is_pending) {
            self.pending_ms = Some(now.run_ms + left_ms);
        }
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
        SavedHold {
            pending_ms: wall(self.pending_ms),
            pending_left_ms: self.pending_left_ms,
            ended_ms: wall(self.ended_ms),
        }
    }

    /// As it was kept. The time in which there was no monitor does not count, nor for what is pending that in which there
    /// is no news of it yet.
    pub(super) fn restored(saved: SavedHold, life: &Life, away: Away, now: Moment) -> Self {
        let left = |at: Option<i64>, most: u64| {
            let left_ms = u64::try_from(at?.saturating_sub(away.alive_until_wall_ms)).unwrap_or(0);
            Some(left_ms.min(most))
        };
        let pending_left_ms = saved.pending_left_ms.or(left(saved.pending_ms, PENDING_MS));
        let waits = |left_ms: u64| left_ms > 0 && !life.is_stale();
        let pending_ms = pending_left_ms
            .map(|left_ms| now.run_ms + left_ms + if waits(left_ms) { away.news_within_ms } else { 0 });
        Self {
            is_on: false,
            // One that held for all its time does not hold for another.
            pending_ms,
            pending_left_ms: pending_left_ms.filter(|left_ms| waits(*left_ms)),
            ended_ms: left(saved.ended_ms, AFTER_END_MS).map(|left_ms| now.run_ms + left_ms),
            held_until_ms: None,
        }
    }
}

impl Element {
    /// Finds whether it holds others back now, after these turns; true if that is not as it was.
    pub(super) fn hold_anew(&mut self, turns: &[Turn], now: Moment) -> bool {
        let phase = self.life.phase();
        self.hold.follow(&phase, self.life.goes(), turns, now);
        let fires = matches!(phase, Phase::Firing { .. });
        let is_on = fires || self.holds_until_ms().is_some_and(|until_ms| until_ms > now.run_ms);
        std::mem::replace(&mut self.hold.is_on, is_on) != is_on
    }

    /// It was held back when the monitor stopped: it stays so until there is news of it, or should have been.
    pub(super) fn stay_held(&mut self, away: Away, now: Moment) {
        let has_no_news = !self.life.goes() && !self.life.is_stale();
        self.hold.held_until_ms = has_no_news.then(|| now.run_ms + away.news_within_ms);
    }

    /// Whether it need not stay held back any longer. True once.
    pub(super) fn is_let_go(&mut self, now: Moment) -> bool {
        let is_news = self.life.goes() || self.life.is_stale();
        self.hold.held_until_ms.take_if(|until_ms| is_news || *until_ms <= now.run_ms).is_some()
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
