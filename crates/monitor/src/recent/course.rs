//! One boot's reports on their way into blocks: the run that is open, and those that wait to be sealed. Decides where
//! runs end: before a key report, so that what follows decodes by itself, or when the boot's stream is over.

use super::run::Run;
use crate::fleet::Compiled;
use crate::store::{LayoutKey, ReportRecord};
use farol_wire::Boot;
use std::collections::VecDeque;
use std::sync::Arc;

/// A run with so many reports, bytes or values ends before the next key report. A block takes two million values, and
/// a segment has 64 reports of ten thousand series at most.
const REPORTS: usize = 1_024;
const BYTES: usize = 256 << 10;
const CELLS: usize = 1 << 20;
/// A run in which the clock was set back so often ends so, too: it becomes as many blocks.
const SET_BACKS: usize = 8;
/// A run that does not end although it is so large is left to the journal: its agent sends no key reports.
const BYTES_AT_MOST: usize = 8 << 20;
const CELLS_AT_MOST: usize = 2_000_000;

/// One boot.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) boot: Boot,
    /// The last report that was taken, or is sealed.
    pub(super) last_seq: u64,
    /// Runs that have ended, the oldest first.
    pub(super) closed: VecDeque<Arc<Run>>,
    /// The one that goes on. Who reads it meanwhile has it as it was.
    pub(super) open: Option<Arc<Run>>,
    /// A replay of the journal is to bring its reports up to this one first: what came since waits.
    pub(super) replayed_to: Option<u64>,
    /// What was replayed so far.
    pub(super) replayed: Replayed,
    /// From a report on the journal alone holds it, until the next start.
    pub(super) left: bool,
    /// When it was last heard, unix milliseconds.
    pub(super) heard_ms: i64,
    /// A run covers so much time.
    pub(super) limit_ms: i64,
    /// Up to when what is sealed of it is rolled up: a clock may be set back between two runs, too.
    pub(super) rolled_to_ms: i64,
}

/// What a start found in the journal.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) last_seq: u64,
    pub(super) closed: VecDeque<Arc<Run>>,
    pub(super) open: Option<Arc<Run>>,
}

/// What a report brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Took {
    /// A run ended.
    pub(super) closed: bool,
}

impl Course {
    pub(super) fn new(boot: Boot, last_seq: u64, limit_ms: i64) -> Self {
        Self {
            boot,
            last_seq,
            closed: VecDeque::new(),
            open: None,
            replayed_to: None,
            replayed: Replayed::default(),
            left: false,
            heard_ms: 0,
            limit_ms,
            rolled_to_ms: i64::MIN,
        }
    }

    /// Whether some of its reports stand in the journal only.
    pub(super) fn is_in_journal(&self) -> bool {
        self.left || self.replayed_to.is_some()
    }

    /// Takes a committed report. `lasts_ms` says how much time the next run covers.
    pub(super) fn take(
        &mut self,
        report: &ReportRecord,
        layout: impl Fn(LayoutKey) -> Option<Arc<Compiled>>,
        lasts_ms: impl Fn() -> i64,
    ) -> Took {
        if report.seq <= self.last_seq {
            return Took::default();
        }
        self.last_seq = report.seq;
        if self.left {
            return Took::default();
        }
        let mut took = Took::default();
        if self.open.as_ref().is_some_and(|run| is_over(run, report, self.limit_ms)) {
            self.closed.extend(self.open.take().map(Run::closed));
            self.limit_ms = lasts_ms();
            took.closed = true;
        }
        let run = match &mut self.open {
            Some(run) => run,
            None => {
                // One that leans on a report before it would be a block without it.
                let Some(layout) = layout(report.layout).filter(|_| report.key) else {
                    self.leave();
                    return took;
                };
                self.open.insert(Arc::new(Run::beginning(report, layout)))
            }
        };
        let run = Arc::make_mut(run);
        run.push(report);
        if run.weight() > BYTES_AT_MOST || run.cells > CELLS_AT_MOST {
            self.leave();
        }
        took
    }

    /// Its runs do not fit into blocks.
    pub(super) fn give_up(&mut self) {
        self.closed.clear();
        self.replayed.closed.clear();
        self.replayed.open = None;
        self.leave();
    }

    /// The journal alone holds what comes, until the next start.
    fn leave(&mut self) {
        self.open = None;
        if !std::mem::replace(&mut self.left, true) {
            tracing::warn!(
                boot = self.boot.number,
                "reports without key reports cannot be sealed; their history is read from the journal for a day"
            );
        }
    }

    /// Takes a report out of the journal, of before this start.
    pub(super) fn replay(&mut self, report: &ReportRecord, layout: &Arc<Compiled>, lasts_ms: i64) -> Took {
        let mut took = Took::default();
        if self.left
            || report.seq <= self.replayed.last_seq
            || self.replayed_to.is_none_or(|last| report.seq > last)
        {
            return took;
        }
        self.replayed.last_seq = report.seq;
        if self.replayed.open.as_ref().is_some_and(|run| is_over(run, report, lasts_ms)) {
            self.replayed.closed.extend(self.replayed.open.take().map(Run::closed));
            took.closed = true;
        }
        if self.replayed.open.is_none() && !report.key {
            self.give_up();
            return took;
        }
        let begin = || Arc::new(Run::beginning(report, Arc::clone(layout)));
        let run = Arc::make_mut(self.replayed.open.get_or_insert_with(begin));
        run.push(report);
        if run.weight() > BYTES_AT_MOST || run.cells > CELLS_AT_MOST {
            self.give_up();
        }
        took
    }

    /// The replay is over: what it found stands before what came since, which begins with a key report.
    pub(super) fn replay_is_over(&mut self) -> Took {
        if self.replayed_to.take().is_none() {
            return Took::default();
        }
        let Replayed { closed: mut before, open, .. } = std::mem::take(&mut self.replayed);
        let last = open.filter(|_| !self.left);
        let had = !before.is_empty();
        match (last, &self.open) {
            (Some(mut last), Some(open))
                if self.closed.is_empty() && Arc::ptr_eq(&last.layout, &open.layout) =>
            {
                Arc::make_mut(&mut last).join(open);
                self.open = Some(last);
            }
            (Some(last), None) if self.closed.is_empty() => self.open = Some(last),
            (last, _) => before.extend(last.map(Run::closed)),
        }
        let more = before.len() + self.closed.len();
        before.append(&mut self.closed);
        self.closed = before;
        Took { closed: had || more > 0 }
    }

    /// Ends the open run: no report will follow it, or one that begins anew.
    pub(super) fn end(&mut self) -> Took {
        let open = self.open.take();
        let closed = open.is_some();
        self.closed.extend(open.map(Run::closed));
        Took { closed }
    }

    /// The next run to be sealed.
    pub(super) fn next(&self) -> Option<&Arc<Run>> {
        if self.replayed_to.is_some() { self.replayed.closed.front() } else { self.closed.front() }
    }

    /// That run is sealed, and rolled up to this time.
    pub(super) fn sealed(&mut self, rolled_to_ms: i64) {
        self.rolled_to_ms = rolled_to_ms;
        if self.replayed_to.is_some() {
            self.replayed.closed.pop_front()
        } else {
            self.closed.pop_front()
        };
    }

    /// Every run, in the order of the reports.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.replayed.closed.iter().chain(&self.replayed.open).chain(&self.closed).chain(&self.open)
    }

    /// Nothing of it waits any more.
    pub(super) fn is_empty(&self) -> bool {
        !self.left && self.replayed_to.is_none() && self.open.is_none() && self.closed.is_empty()
    }
}

/// Whether a run ends before this report.
fn is_over(run: &Run, report: &ReportRecord, limit_ms: i64) -> bool {
    if report.layout != run.layout.layout.key {
        return true;
    }
    report.key
        && (run.length_ms() >= limit_ms
            || report.at_ms.abs_diff(run.first_ms) >= limit_ms.unsigned_abs()
            || run.reports >= REPORTS
            || run.set_backs >= SET_BACKS
            || run.weight() >= BYTES
            || run.cells >= CELLS)
}
