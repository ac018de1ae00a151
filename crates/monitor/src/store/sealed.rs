//! What is kept besides the journal, and for how long: sealed blocks, roll-ups, and the pieces of upkeep. Says what each
//! is; the bytes of blocks and roll-ups are farol-series's.

use super::{AgentKey, Layout, LayoutKey};
use bytes::Bytes;
use farol_wire::Boot;
use std::ops::ControlFlow;
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;
/// What is not sealed is kept for so long after its age: it is in no block.
const UNSEALED_KEPT_MS: i64 = 12 * HOUR_MS;
/// A boot is known for so long after it was sealed last: its agent may send the same again, out of its spool, which
/// keeps reports for thirty days at most. Of very many the older ones are known for as long as a spool keeps a day.
const BOOT_KEPT_MS: i64 = 31 * DAY_MS;
const CROWDED_BOOT_KEPT_MS: i64 = 2 * DAY_MS;
const BOOTS_AT_MOST: usize = 100_000;
/// The length of a day.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Reports of one boot, made with one layout, as a column block. Once it is committed they are read from the block,
/// and no more from the journal: the boot's *sealed mark* rises to `last_seq`.
///
/// The report after it begins anew with a key report, or belongs to a stream that is still to come, which begins so:
/// what follows in the journal decodes without what was sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct SealedRecord {
    /// Whose.
    pub agent: AgentKey,
    /// Of which start.
    pub boot: Boot,
    /// The first report's number.
    pub first_seq: u64,
    /// The last report's number.
    pub last_seq: u64,
    /// The oldest sample's time, unix milliseconds.
    pub first_ms: i64,
    /// The newest sample's time.
    pub last_ms: i64,
    /// The definitions.
    pub layout: LayoutKey,
    /// How many samples.
    pub samples: u64,
    /// The column block; empty when there was nothing in the reports.
    pub bytes: Bytes,
    /// Its roll-up by 5 minutes; empty when there is none.
    pub rollup: Bytes,
}

/// How fine what is kept is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every sample.
    Raw,
    /// Buckets of five minutes.
    FiveMinutes,
    /// Buckets of an hour.
    OneHour,
}

impl Level {
    /// From fine to coarse: the order in which the budget takes them away.
    pub const ALL: [Self; 3] = [Self::Raw, Self::FiveMinutes, Self::OneHour];

    /// The word for it in answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::FiveMinutes => "5m",
            Self::OneHour => "1h",
        }
    }

    /// As it is stored.
    pub(crate) const fn number(self) -> i64 {
        self as i64
    }
}

/// A block or a roll-up as it comes back.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredBlock {
    /// Whose.
    pub agent: AgentKey,
    /// The oldest sample's time, or the first bucket's start.
    pub first_ms: i64,
    /// The newest sample's time.
    pub last_ms: i64,
    /// Its definitions.
    pub layout: Arc<Layout>,
    /// As farol-series wrote it.
    pub bytes: Bytes,
}

/// Sees blocks.
pub trait Blocks: Send {
    /// Whether it wants those of this layout; others are not read.
    fn wants(&mut self, layout: &Layout) -> bool;

    /// Sees one block after another, and says when it has seen enough.
    fn take(&mut self, block: StoredBlock) -> ControlFlow<()>;
}

/// Wants all.
impl<F: FnMut(StoredBlock) -> ControlFlow<()> + Send> Blocks for F {
    fn wants(&mut self, _: &Layout) -> bool {
        true
    }

    fn take(&mut self, block: StoredBlock) -> ControlFlow<()> {
        self(block)
    }
}

/// Whoever sees blocks.
pub type VisitBlocks<'a> = &'a mut dyn Blocks;

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Reports and blocks of samples; a block goes with the end of its day.
    pub raw_ms: i64,
    /// Roll-ups by 5 minutes.
    pub five_minutes_ms: i64,
    /// Roll-ups by the hour.
    pub one_hour_ms: i64,
    /// Status changes and blind times.
    pub statuses_ms: i64,
    /// Bytes of all this together, and of documents; it wins over the ages. Documents and the journal, which is what is
    /// not sealed yet, are never cut; however large they are, a quarter is left for blocks and roll-ups.
    pub budget: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            raw_ms: super::JOURNAL_KEPT_MS,
            five_minutes_ms: 14 * DAY_MS,
            one_hour_ms: 400 * DAY_MS,
            statuses_ms: super::STATUS_KEPT_MS,
            budget: 20_000_000_000,
        }
    }
}

impl Retention {
    /// Nothing is ever old enough to be deleted.
    pub const FOR_EVER: Self = Self {
        raw_ms: i64::MAX / 4,
        five_minutes_ms: i64::MAX / 4,
        one_hour_ms: i64::MAX / 4,
        statuses_ms: i64::MAX / 4,
        budget: u64::MAX,
    };

    /// Whether anything may be deleted for its age: while the clock cannot be trusted nothing may.
    pub(crate) fn deletes_by_age(&self) -> bool {
        self.raw_ms != Self::FOR_EVER.raw_ms
    }

    /// Journal rows that were committed before this go although not all in them is sealed.
    pub(crate) fn oldest_row_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.raw_ms).saturating_sub(UNSEALED_KEPT_MS)
    }

    /// Boots of which the journal holds nothing, oldest first: which of them go if they were sealed last before when.
    pub(crate) fn boots_over<'a>(&self, silent: &'a [u32], now_ms: i64) -> [(&'a [u32], i64); 2] {
        let (crowded, rest) = silent.split_at(silent.len().saturating_sub(BOOTS_AT_MOST));
        let before =
            |kept_ms: i64| if self.deletes_by_age() { now_ms.saturating_sub(kept_ms) } else { i64::MIN };
        [(crowded, before(CROWDED_BOOT_KEPT_MS)), (rest, before(BOOT_KEPT_MS))]
    }

    /// What of a level lies before this is too old. Whole days.
    pub(crate) fn oldest_ms(&self, level: Level, now_ms: i64) -> i64 {
        let kept_ms = match level {
            Level::Raw => self.raw_ms,
            Level::FiveMinutes => self.five_minutes_ms,
            Level::OneHour => self.one_hour_ms,
        };
        now_ms.saturating_sub(kept_ms).div_euclid(DAY_MS) * DAY_MS
    }
}

/// Before these times what is kept of each level is gone. [`i64::MIN`]: it never was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cuts([i64; 3]);

impl Default for Cuts {
    fn default() -> Self {
        Self([i64::MIN; 3])
    }
}

impl Cuts {
    /// From when on a level is whole.
    #[must_use]
    pub const fn of(&self, level: Level) -> i64 {
        self.0[level as usize]
    }

    /// Moves a cut to where it is, also back: one that was made by a clock that was ahead.
    pub fn set(&mut self, level: Level, to_ms: i64) {
        self.0[level as usize] = to_ms;
    }

    /// Moves a cut; never back.
    pub fn raise(&mut self, level: Level, to_ms: i64) {
        let cut = &mut self.0[level as usize];
        *cut = (*cut).max(to_ms);
    }
}

/// What a store holds, in bytes of what it was given; a database needs some more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Reports that are not sealed yet, and those that are not deleted yet.
    pub journal: u64,
    /// Blocks and roll-ups, by level.
    pub levels: [u64; 3],
    /// Documents.
    pub documents: u64,
    /// Times that the budget took something away since the start.
    pub over_budget: u64,
}

impl Sizes {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.levels
            .iter()
            .fold(self.journal.saturating_add(self.documents), |all, level| all.saturating_add(*level))
    }
}

/// A piece of upkeep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// What is committed reaches its last place; only where the store must do so itself.
    Checkpoint,
    /// The marks are saved.
    Marks,
    /// The store says that it is watched.
    Stamp,
    /// Journal rows that are sealed, or too old, are deleted.
    Journal,
    /// The oldest status changes of the next components are deleted.
    Statuses,
    /// The oldest documents of kinds that are not kept for ever are deleted.
    Documents,
    /// An agent's roll-ups of a day become one, and one by the hour.
    RollUps,
    /// What is too old of blocks and roll-ups is deleted.
    Retention,
    /// What is kept is measured, and more is cut when it is too much.
    Budget,
    /// Pages that are free are given back; only where the store must do so itself.
    Pages,
}

/// What a step of the upkeep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    /// The piece; `None` when nothing was due.
    pub did: Option<Piece>,
    /// More is due at once.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::{BOOTS_AT_MOST, Cuts, DAY_MS, Level, Retention};

    #[test]
    fn a_boot_is_known_for_longer_than_any_spool_keeps_reports_unless_there_are_very_many() {
        let silent: Vec<u32> = (0..BOOTS_AT_MOST as u32 + 3).collect();
        let (now_ms, retention) = (100 * DAY_MS, Retention::default());
        let few = retention.boots_over(&silent[..2], now_ms);
        assert_eq!(few, [(&[][..], 98 * DAY_MS), (&[0, 1], 69 * DAY_MS)]);
        assert_eq!(retention.boots_over(&silent, now_ms)[0], (&[0, 1, 2][..], 98 * DAY_MS));
        let untrusted = Retention::FOR_EVER.boots_over(&silent, now_ms);
        assert_eq!(untrusted.map(|(_, before_ms)| before_ms), [i64::MIN; 2]);
    }

    #[test]
    fn what_is_too_old_is_whole_days_and_a_cut_never_goes_back() {
        let retention = Retention { raw_ms: DAY_MS, ..Retention::default() };
        assert_eq!(retention.oldest_ms(Level::Raw, 10 * DAY_MS + 5), 9 * DAY_MS);
        assert_eq!(retention.oldest_ms(Level::Raw, 10 * DAY_MS - 1), 8 * DAY_MS);
        let mut cuts = Cuts::default();
        for to_ms in [5, 9, 7] {
            cuts.raise(Level::FiveMinutes, to_ms);
        }
        assert_eq!(Level::ALL.map(|level| cuts.of(level)), [i64::MIN, 9, i64::MIN]);
    }
}
