//! When which piece of a store's upkeep is due. Pure; how it is done is each store's business.

/// A checkpoint after so many bytes written, or so long after the last.
const CHECKPOINT_BYTES: usize = 4 << 20;
const CHECKPOINT_MS: i64 = 60_000;
/// Marks are saved so often; what came since is rebuilt from the journal at the next start.
const MARKS_MS: i64 = 60_000;
/// With nothing to commit the store is stamped so often: the time after the last stamp was watched by nobody.
const STAMP_MS: i64 = 60_000;
/// Retention looks for what is too old so often, and deletes so much in a step.
const RETENTION_MS: i64 = 60_000;
pub(crate) const ROWS_A_STEP: i64 = 32;
pub(crate) const COMPONENTS_A_STEP: i64 = 256;

/// A piece of upkeep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// What is committed reaches its last place; only where the store must do so itself.
    Checkpoint,
    /// The marks are saved.
    Marks,
    /// The store says that it is watched.
    Stamp,
    /// The oldest journal rows are deleted.
    Journal,
    /// The oldest status changes of the next components are deleted.
    Statuses,
}

/// What is due when.
#[derive(Debug)]
pub(crate) struct Upkeep {
    /// Written since the last checkpoint; stays 0 where there are none.
    bytes: usize,
    checkpoint_ms: i64,
    /// Rows up to this one are in the saved marks.
    marked_row: i64,
    marks_ms: i64,
    stamp_ms: i64,
    journal_ms: i64,
    statuses_ms: i64,
    /// Components up to this one have been looked at in this round.
    component: i64,
}

impl Upkeep {
    pub(crate) fn new(marked_row: i64) -> Self {
        let never = 0;
        Self {
            bytes: 0,
            checkpoint_ms: never,
            marked_row,
            marks_ms: never,
            stamp_ms: never,
            journal_ms: never,
            statuses_ms: never,
            component: 0,
        }
    }

    /// What is due first. Checkpoints and marks that fail are due again only after their time.
    pub(crate) fn due(&mut self, now_ms: i64, last_row: i64) -> Option<Step> {
        let due = |last_ms: i64, every_ms: i64| now_ms.abs_diff(last_ms) >= every_ms.unsigned_abs();
        if self.bytes >= CHECKPOINT_BYTES || (self.bytes > 0 && due(self.checkpoint_ms, CHECKPOINT_MS)) {
            self.checkpoint_ms = now_ms;
            Some(Step::Checkpoint)
        } else if last_row > self.marked_row && due(self.marks_ms, MARKS_MS) {
            self.marks_ms = now_ms;
            Some(Step::Marks)
        } else if due(self.stamp_ms, STAMP_MS) {
            Some(Step::Stamp)
        } else if due(self.journal_ms, RETENTION_MS) {
            Some(Step::Journal)
        } else {
            due(self.statuses_ms, RETENTION_MS).then_some(Step::Statuses)
        }
    }

    /// A commit stamps the store too.
    pub(crate) fn stamped(&mut self, now_ms: i64) {
        self.stamp_ms = now_ms;
    }

    /// Counts what was written; each commit touches a few pages besides.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes + 16_384);
    }

    pub(crate) fn checkpointed(&mut self) {
        self.bytes = 0;
    }

    pub(crate) fn marked(&mut self, row: i64) {
        self.marked_row = row;
    }

    /// The journal holds nothing that is too old.
    pub(crate) fn journal_is_short(&mut self, now_ms: i64) {
        self.journal_ms = now_ms;
    }

    /// The components of this step: those after the first number, up to the second.
    pub(crate) fn components(&self) -> (i64, i64) {
        (self.component, self.component + COMPONENTS_A_STEP)
    }

    /// They were looked at; `last` is the last component there is.
    pub(crate) fn looked_at(&mut self, until: i64, last: Option<i64>, now_ms: i64) {
        self.component = until;
        if last.is_none_or(|last| until >= last) {
            self.component = 0;
            self.statuses_ms = now_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CHECKPOINT_BYTES, COMPONENTS_A_STEP, Step, Upkeep};

    #[test]
    fn each_piece_is_due_in_its_time_and_none_in_between() {
        let mut upkeep = Upkeep::new(5);
        let now_ms = 1_000_000;
        assert_eq!(upkeep.due(now_ms, 5), Some(Step::Stamp), "a start is one of the times");
        upkeep.stamped(now_ms);
        assert_eq!(upkeep.due(now_ms, 5), Some(Step::Journal));
        upkeep.journal_is_short(now_ms);
        assert_eq!(upkeep.due(now_ms, 5), Some(Step::Statuses));
        assert_eq!(upkeep.components(), (0, COMPONENTS_A_STEP));
        upkeep.looked_at(COMPONENTS_A_STEP, Some(COMPONENTS_A_STEP + 1), now_ms);
        assert_eq!(upkeep.due(now_ms, 5), Some(Step::Statuses), "one component is left");
        upkeep.looked_at(2 * COMPONENTS_A_STEP, Some(COMPONENTS_A_STEP + 1), now_ms);
        assert_eq!(upkeep.components().0, 0, "the next round begins at the first");
        assert_eq!(upkeep.due(now_ms + 59_999, 5), None);
        // A row that is not in the saved marks; and what was written waits for its last place.
        assert_eq!(upkeep.due(now_ms, 6), Some(Step::Marks));
        assert_eq!(upkeep.due(now_ms, 6), None, "tried again in its time");
        upkeep.marked(6);
        upkeep.wrote(CHECKPOINT_BYTES);
        assert_eq!(upkeep.due(now_ms, 6), Some(Step::Checkpoint));
        upkeep.checkpointed();
        assert_eq!(upkeep.due(now_ms, 6), None);
    }

    #[test]
    fn a_clock_that_was_set_back_stops_no_upkeep() {
        let mut upkeep = Upkeep::new(0);
        for set in [5_000_000, 1_000_000] {
            upkeep.stamped(set);
            upkeep.journal_is_short(set);
            upkeep.looked_at(1, None, set);
        }
        assert_eq!(upkeep.due(900_000, 0), Some(Step::Stamp));
    }
}
