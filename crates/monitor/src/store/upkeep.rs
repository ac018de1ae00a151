//! When which piece of a store's upkeep is due. Pure; how it is done is each store's business.

use super::Piece;

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

/// Roll-ups that are due and what is too old of blocks are looked for so often.
const BLOCKS_MS: i64 = 60_000;
/// How much there is of all is measured so often: every journal row is looked at.
const BUDGET_MS: i64 = 600_000;
/// Free pages are looked for so often.
const PAGES_MS: i64 = 10_000;

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
    documents_ms: i64,
    roll_ups_ms: i64,
    retention_ms: i64,
    budget_ms: i64,
    /// `None` where the server looks after its own files.
    pages_ms: Option<i64>,
    /// Components up to this one have been looked at in this round.
    component: i64,
}

impl Upkeep {
    /// Of a store whose files a server looks after.
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
            documents_ms: never,
            roll_ups_ms: never,
            retention_ms: never,
            budget_ms: never,
            pages_ms: None,
            component: 0,
        }
    }

    /// Of a store that looks after its own file.
    pub(crate) fn of_file(marked_row: i64) -> Self {
        Self { pages_ms: Some(0), ..Self::new(marked_row) }
    }

    /// What is due first. Checkpoints and marks that fail are due again only after their time.
    pub(crate) fn due(&mut self, now_ms: i64, last_row: i64) -> Option<Piece> {
        let due = |last_ms: i64, every_ms: i64| now_ms.abs_diff(last_ms) >= every_ms.unsigned_abs();
        if self.bytes >= CHECKPOINT_BYTES || (self.bytes > 0 && due(self.checkpoint_ms, CHECKPOINT_MS)) {
            self.checkpoint_ms = now_ms;
            return Some(Piece::Checkpoint);
        }
        if last_row > self.marked_row && due(self.marks_ms, MARKS_MS) {
            self.marks_ms = now_ms;
            return Some(Piece::Marks);
        }
        let rest = [
            (Piece::Stamp, due(self.stamp_ms, STAMP_MS)),
            (Piece::Journal, due(self.journal_ms, RETENTION_MS)),
            (Piece::RollUps, due(self.roll_ups_ms, BLOCKS_MS)),
            (Piece::Retention, due(self.retention_ms, BLOCKS_MS)),
            (Piece::Budget, due(self.budget_ms, BUDGET_MS)),
            (Piece::Statuses, due(self.statuses_ms, RETENTION_MS)),
            (Piece::Documents, due(self.documents_ms, RETENTION_MS)),
            (Piece::Pages, self.pages_ms.is_some_and(|ms| due(ms, PAGES_MS))),
        ];
        rest.into_iter().find(|(_, is_due)| *is_due).map(|(piece, _)| piece)
    }

    /// Nothing more is due of a piece for a while, or it failed.
    pub(crate) fn rests(&mut self, piece: Piece, now_ms: i64) {
        match piece {
            Piece::Journal => self.journal_ms = now_ms,
            Piece::RollUps => self.roll_ups_ms = now_ms,
            Piece::Retention => self.retention_ms = now_ms,
            Piece::Budget => self.budget_ms = now_ms,
            Piece::Pages => self.pages_ms = Some(now_ms),
            Piece::Stamp => self.stamp_ms = now_ms,
            Piece::Statuses => self.statuses_ms = now_ms,
            Piece::Documents => self.documents_ms = now_ms,
            // These rest from when they are begun.
            Piece::Checkpoint | Piece::Marks => {}
        }
    }

    /// The budget cut something: what lies before the cut is to be deleted, and what is left to be measured.
    pub(crate) fn was_cut(&mut self) {
        (self.retention_ms, self.budget_ms) = (0, 0);
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

    /// Rows up to this one are in the saved marks.
    pub(crate) fn marked_row(&self) -> i64 {
        self.marked_row
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
    use super::{CHECKPOINT_BYTES, COMPONENTS_A_STEP, Upkeep};
    use crate::store::Piece;

    #[test]
    fn each_piece_is_due_in_its_time_and_none_in_between() {
        let mut upkeep = Upkeep::of_file(5);
        let now_ms = 1_000_000;
        assert_eq!(upkeep.due(now_ms, 5), Some(Piece::Stamp), "a start is one of the times");
        upkeep.stamped(now_ms);
        for piece in [Piece::Journal, Piece::RollUps, Piece::Retention, Piece::Budget] {
            assert_eq!(upkeep.due(now_ms, 5), Some(piece));
            upkeep.rests(piece, now_ms);
        }
        assert_eq!(upkeep.due(now_ms, 5), Some(Piece::Statuses));
        assert_eq!(upkeep.components(), (0, COMPONENTS_A_STEP));
        upkeep.looked_at(COMPONENTS_A_STEP, Some(COMPONENTS_A_STEP + 1), now_ms);
        assert_eq!(upkeep.due(now_ms, 5), Some(Piece::Statuses), "one component is left");
        upkeep.looked_at(2 * COMPONENTS_A_STEP, Some(COMPONENTS_A_STEP + 1), now_ms);
        assert_eq!(upkeep.components().0, 0, "the next round begins at the first");
        assert_eq!(upkeep.due(now_ms, 5), Some(Piece::Documents));
        upkeep.rests(Piece::Documents, now_ms);
        assert_eq!(upkeep.due(now_ms, 5), Some(Piece::Pages));
        upkeep.rests(Piece::Pages, now_ms + 50_000);
        assert_eq!(upkeep.due(now_ms + 59_999, 5), None);
        upkeep.rests(Piece::Pages, now_ms);
        // A row that is not in the saved marks; and what was written waits for its last place.
        assert_eq!(upkeep.due(now_ms, 6), Some(Piece::Marks));
        assert_eq!(upkeep.due(now_ms, 6), None, "tried again in its time");
        upkeep.marked(6);
        upkeep.wrote(CHECKPOINT_BYTES);
        assert_eq!(upkeep.due(now_ms, 6), Some(Piece::Checkpoint));
        upkeep.checkpointed();
        assert_eq!(upkeep.due(now_ms, 6), None);
    }

    #[test]
    fn a_clock_that_was_set_back_stops_no_upkeep() {
        let mut upkeep = Upkeep::new(0);
        for set in [5_000_000, 1_000_000] {
            upkeep.stamped(set);
            upkeep.rests(Piece::Journal, set);
            upkeep.looked_at(1, None, set);
        }
        assert_eq!(upkeep.due(900_000, 0), Some(Piece::Stamp));
    }
}
