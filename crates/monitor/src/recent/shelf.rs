//! One agent's boots and blocks in memory. Decides from when on they are all there is of it.

use super::course::{Course, Took};
use super::run::Run;
use super::{Held, lasts_ms};
use crate::fleet::Compiled;
use crate::store::{LayoutKey, ReportRecord, SealedRecord};
use bytes::Bytes;
use farol_wire::Boot;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The age of blocks is counted in these.
pub(super) const MINUTE_MS: i64 = 60_000;

/// A boot of which nothing was heard for so long may have ended.
const SILENT_MS: i64 = 10 * 60_000;

/// Ended boots that are known.
const BOOTS_AT_MOST: usize = 128;

/// One agent.
#[derive(Debug)]
pub(super) struct Shelf {
    /// Boots with something that is not sealed yet; few.
    pub(super) courses: Vec<Course>,
    /// Sealed blocks, in the order in which they were sealed.
    blocks: Vec<Kept>,
    /// Boots of which nothing is here any more, and up to which report each is sealed: what comes again is known. The
    /// oldest are forgotten first; the journal knows them, too.
    ended: VecDeque<(Boot, u64)>,
    /// All samples from here on are here, but for those of boots that stand in the journal.
    pub(super) covers_from_ms: i64,
}

impl Default for Shelf {
    fn default() -> Self {
        Self { courses: Vec::new(), blocks: Vec::new(), ended: VecDeque::new(), covers_from_ms: i64::MIN }
    }
}

/// A block that is held.
#[derive(Debug)]
struct Kept {
    boot: Boot,
    last_seq: u64,
    first_ms: i64,
    last_ms: i64,
    samples: u64,
    layout: Arc<Compiled>,
    bytes: Bytes,
    /// It is committed.
    is_stored: bool,
}

/// What memory has of an agent in a time.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Blocks, the first sealed first.
    pub(crate) blocks: Vec<(Arc<Compiled>, Bytes)>,
    /// Runs, boot by boot, in order.
    pub(super) runs: Vec<Arc<Run>>,
    /// All samples from here on are among them.
    pub(crate) covers_from_ms: Option<i64>,
    /// Some reports stand in the journal only.
    pub(crate) is_in_journal: bool,
}

impl Taken {
    /// Shows the runs' reports: their layout first.
    pub(crate) fn each_run(&self, mut show: impl FnMut(&Arc<Compiled>, &Run)) {
        self.runs.iter().for_each(|run| show(&run.layout, run));
    }
}

impl Shelf {
    pub(super) fn course(&mut self, boot: Boot) -> Option<&mut Course> {
        self.courses.iter_mut().find(|course| course.boot == boot)
    }

    /// Takes a committed report.
    pub(super) fn push(
        &mut self,
        report: &ReportRecord,
        layout: impl Fn(LayoutKey) -> Option<Arc<Compiled>>,
        now_ms: i64,
        pressed: bool,
    ) -> Took {
        let at = match self.courses.iter().position(|course| course.boot == report.boot) {
            Some(at) => at,
            None => {
                let ended = self.ended.iter().find(|(boot, _)| *boot == report.boot);
                let last_seq = ended.map_or(0, |(_, seq)| *seq);
                let first = lasts_ms(report.agent, last_seq == 0, pressed);
                // Most agents have one.
                self.courses.reserve_exact(1);
                self.courses.push(Course::new(report.boot, last_seq, first));
                self.courses.len() - 1
            }
        };
        let course = &mut self.courses[at];
        course.heard_ms = now_ms;
        course.take(report, layout, || lasts_ms(report.agent, false, pressed))
    }

    /// Takes a report out of the journal; whether a run ended.
    pub(super) fn replay(&mut self, report: &ReportRecord, layout: &Arc<Compiled>, lasts_ms: i64) -> bool {
        self.course(report.boot).is_some_and(|course| course.replay(report, layout, lasts_ms).closed)
    }

    /// The boot's next run became blocks.
    pub(super) fn sealed(
        &mut self,
        boot: Boot,
        records: &[SealedRecord],
        rolled_to_ms: i64,
        layout: &Arc<Compiled>,
    ) {
        if let Some(course) = self.course(boot) {
            course.sealed(rolled_to_ms);
        }
        self.blocks.extend(records.iter().map(|record| Kept {
            boot,
            last_seq: record.last_seq,
            first_ms: record.first_ms,
            last_ms: record.last_ms,
            samples: record.samples,
            layout: Arc::clone(layout),
            bytes: record.bytes.clone(),
            is_stored: false,
        }));
    }

    /// A block is committed.
    pub(super) fn is_stored(&mut self, record: &SealedRecord) {
        let of = self.blocks.iter_mut().find(|k| (k.boot, k.last_seq) == (record.boot, record.last_seq));
        if let Some(kept) = of {
            kept.is_stored = true;
        }
    }

    /// Ends all runs; the boots that had one.
    pub(super) fn end_all(&mut self) -> Vec<Boot> {
        let ended = self.courses.iter_mut().filter_map(|course| course.end().closed.then_some(course.boot));
        ended.collect()
    }

    /// The boots with a run of which nothing was heard for long, and whether another boot of this agent spoke since:
    /// then it is over, whoever follows it. Whatever comes of one that is over comes on a new stream, and begins anew.
    pub(super) fn silent(&mut self, now_ms: i64) -> Vec<(Boot, bool)> {
        // After a start agents have as much time to come back.
        for course in self.courses.iter_mut().filter(|course| course.heard_ms == 0) {
            course.heard_ms = now_ms;
        }
        let newest_ms = self.courses.iter().map(|course| course.heard_ms).max().unwrap_or(0);
        let silent = self.courses.iter().filter(|course| course.open.is_some() && is_silent(course, now_ms));
        silent.map(|course| (course.boot, course.heard_ms < newest_ms)).collect()
    }

    /// Ends the run of a boot that is over, if it is silent still; whether it had one.
    pub(super) fn end_silent(&mut self, boot: Boot, now_ms: i64) -> bool {
        self.course(boot).is_some_and(|course| is_silent(course, now_ms) && course.end().closed)
    }

    /// Lets go of blocks that are committed and older, or whose layout is used no more: it would take up more than they
    /// do. And of boots of which nothing waits.
    pub(super) fn let_go(&mut self, oldest_ms: i64, is_unused: impl Fn(LayoutKey) -> bool) {
        let covers_from_ms = &mut self.covers_from_ms;
        self.blocks.retain(|kept| {
            let is_old = kept.last_ms < oldest_ms || is_unused(kept.layout.layout.key);
            let stays = !kept.is_stored || !is_old;
            if !stays {
                *covers_from_ms = (*covers_from_ms).max(kept.last_ms.saturating_add(1));
            }
            stays
        });
        let gone: Vec<(Boot, u64)> = self
            .courses
            .extract_if(.., |course| course.is_empty())
            .map(|course| (course.boot, course.last_seq))
            .collect();
        gone.into_iter().for_each(|(boot, last_seq)| self.has_ended(boot, last_seq));
        // Of an agent that is gone only a few numbers stay.
        if self.courses.is_empty() {
            self.courses = Vec::new();
        }
        if self.blocks.is_empty() {
            self.blocks = Vec::new();
        }
    }

    /// All of this boot up to this report is sealed.
    pub(super) fn has_ended(&mut self, boot: Boot, last_seq: u64) {
        self.ended.retain(|(known, _)| *known != boot);
        if self.ended.len() >= BOOTS_AT_MOST {
            self.ended.pop_front();
        }
        self.ended.push_back((boot, last_seq));
    }

    /// Adds what it takes up.
    pub(super) fn count(&self, held: &mut Held, by_minute: &mut BTreeMap<i64, usize>) {
        held.bytes += size_of::<Self>();
        held.bytes += self.courses.capacity() * size_of::<Course>();
        held.bytes += self.ended.capacity() * size_of::<(Boot, u64)>();
        for course in &self.courses {
            held.in_journal += usize::from(course.is_in_journal());
            for run in course.runs() {
                held.bytes += run.weight();
                held.reports += run.reports;
            }
        }
        for kept in &self.blocks {
            let bytes = size_of::<Kept>() + kept.bytes.len();
            held.bytes += bytes;
            held.samples += kept.samples;
            if kept.is_stored {
                *by_minute.entry(kept.last_ms.div_euclid(MINUTE_MS)).or_default() += bytes;
            }
        }
    }

    /// What belongs to this time, of layouts that are wanted.
    pub(super) fn take(&self, from_ms: i64, to_ms: i64, mut wants: impl FnMut(&Compiled) -> bool) -> Taken {
        let is_in = |first_ms: i64, last_ms: i64| last_ms >= from_ms && first_ms <= to_ms;
        let blocks = self.blocks.iter().filter(|k| !k.bytes.is_empty() && is_in(k.first_ms, k.last_ms));
        let blocks = blocks.filter(|kept| wants(&kept.layout));
        let blocks = blocks.map(|kept| (Arc::clone(&kept.layout), kept.bytes.clone())).collect();
        let runs = self.courses.iter().flat_map(Course::runs).filter(|r| is_in(r.first_ms, r.last_ms));
        let runs = runs.filter(|run| wants(&run.layout)).cloned().collect();
        Taken {
            blocks,
            runs,
            covers_from_ms: Some(self.covers_from_ms),
            is_in_journal: self.courses.iter().any(Course::is_in_journal),
        }
    }
}

/// Whether nothing was heard of it for long.
fn is_silent(course: &Course, now_ms: i64) -> bool {
    course.heard_ms <= now_ms.saturating_sub(SILENT_MS)
}
