//! Soft and hard: how the results of one component's runs, one after the other, become the status that counts.
//! Pure; when runs happen, what they ask and when a result is too old is decided elsewhere.

use crate::{Spec, Status};

/// What one run gave to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Soft {
    /// The check answered, or missed its deadline by its own fault.
    Result(Status),
    /// The run says nothing of the component: the process itself was starved. Not a result, so it neither adds
    /// to a row of results nor breaks it.
    Skipped,
}

/// The hard status changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it was.
    pub from: Status,
    /// What it is.
    pub to: Status,
}

/// So many skipped runs in a row make a component unknown.
pub const SKIPPED_LIMIT: u32 = 3;

/// The thresholds of one component. A threshold of 0 counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// So many worse results, or unknown ones, in a row count as a change.
    pub failure: u32,
    /// So many better results in a row count as a change.
    pub success: u32,
    /// How long only a healthy or degraded result ends `starting`.
    pub start_grace_ms: u64,
}

impl From<&Spec> for Thresholds {
    fn from(spec: &Spec) -> Self {
        Self {
            failure: spec.failure_threshold.max(1),
            success: spec.success_threshold.max(1),
            start_grace_ms: u64::try_from(spec.start_grace.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Counts the results of one component.
#[derive(Clone, Debug)]
pub struct Counter {
    /// What it takes to change.
    thresholds: Thresholds,
    /// The status that counts.
    hard: Status,
    /// The last result: it counts when the start grace ends.
    soft: Option<Status>,
    /// When the start grace ends.
    grace_until_ms: u64,
    /// The last hard status that was neither starting nor unknown: counting goes on from it after unknown.
    known: Option<Status>,
    /// The check was changed and keeps its status until its next result, which then counts at once.
    outright: bool,
    /// The latest results in a row, by what they have in common.
    rows: Rows,
    /// The latest results in a row that were unknown.
    unknowns: u32,
    /// The latest runs in a row that were skipped.
    skipped: u32,
}

/// How many of the latest results, one after the other, were all so. Enough to look back over any threshold
/// without keeping the results. A result outside the order breaks every row.
#[derive(Clone, Copy, Debug, Default)]
struct Rows {
    /// Healthy.
    healthy: u32,
    /// Healthy or degraded.
    not_unhealthy: u32,
    /// Degraded or unhealthy.
    not_healthy: u32,
    /// Unhealthy.
    unhealthy: u32,
}

impl Rows {
    fn record(&mut self, status: Status) {
        let grow = |row: &mut u32, so: bool| *row = if so { row.saturating_add(1) } else { 0 };
        grow(&mut self.healthy, status == Status::Healthy);
        grow(&mut self.not_unhealthy, status.is_up());
        grow(&mut self.not_healthy, matches!(status, Status::Degraded | Status::Unhealthy));
        grow(&mut self.unhealthy, status == Status::Unhealthy);
    }
}

impl Counter {
    /// A component that was never checked: `starting` from now on.
    #[must_use]
    pub fn new(thresholds: Thresholds, now_ms: u64) -> Self {
        let thresholds = Thresholds {
            failure: thresholds.failure.max(1),
            success: thresholds.success.max(1),
            ..thresholds
        };
        Self {
            thresholds,
            hard: Status::Starting,
            soft: None,
            grace_until_ms: now_ms.saturating_add(thresholds.start_grace_ms),
            known: None,
            outright: false,
            rows: Rows::default(),
            unknowns: 0,
            skipped: 0,
        }
    }

    /// The counter of the same component after its check was changed: the status stays until the next result,
    /// which counts at once; what is still `starting` starts anew.
    #[must_use]
    pub fn changed(&self, thresholds: Thresholds, now_ms: u64) -> Self {
        let fresh = Self::new(thresholds, now_ms);
        if self.hard == Status::Starting {
            return fresh;
        }
        Self { hard: self.hard, soft: self.soft, known: self.known, outright: true, ..fresh }
    }

    /// The status that counts.
    #[must_use]
    pub const fn hard(&self) -> Status {
        self.hard
    }

    /// The last result, `None` before the first.
    #[must_use]
    pub const fn soft(&self) -> Option<Status> {
        self.soft
    }

    /// When the start grace ends and the last result counts, as long as the component is `starting`.
    #[must_use]
    pub fn grace_until_ms(&self) -> Option<u64> {
        (self.hard == Status::Starting).then_some(self.grace_until_ms)
    }

    /// Counts one run.
    pub fn step(&mut self, run: Soft, now_ms: u64) -> Option<Change> {
        let hard = match run {
            Soft::Skipped => {
                self.skipped = self.skipped.saturating_add(1);
                self.after_no_result(now_ms)
            }
            Soft::Result(result) => {
                self.skipped = 0;
                self.soft = Some(result);
                self.rows.record(result);
                self.unknowns = if is_judged(result) { 0 } else { self.unknowns.saturating_add(1) };
                self.after_result(result, now_ms)
            }
        };
        self.become_hard(hard)
    }

    /// Lets time pass without a run: when the start grace is over, the last result counts.
    pub fn tick(&mut self, now_ms: u64) -> Option<Change> {
        let hard = self.after_no_result(now_ms);
        self.become_hard(hard)
    }

    fn become_hard(&mut self, hard: Status) -> Option<Change> {
        let from = std::mem::replace(&mut self.hard, hard);
        if is_judged(hard) {
            self.known = Some(hard);
        }
        (from != hard).then_some(Change { from, to: hard })
    }

    fn after_no_result(&self, now_ms: u64) -> Status {
        let starting = self.hard == Status::Starting;
        if starting && now_ms < self.grace_until_ms {
            Status::Starting
        } else if self.skipped >= SKIPPED_LIMIT {
            Status::Unknown
        } else if starting {
            self.soft.unwrap_or(Status::Starting)
        } else {
            self.hard
        }
    }

    fn after_result(&mut self, result: Status, now_ms: u64) -> Status {
        if std::mem::take(&mut self.outright) {
            return result;
        }
        match (self.hard, self.known) {
            (Status::Starting, _) if now_ms < self.grace_until_ms && !result.is_up() => Status::Starting,
            (Status::Starting, _) | (Status::Unknown, None) => result,
            (Status::Unknown, Some(_)) if !is_judged(result) => Status::Unknown,
            (Status::Unknown, Some(known)) => self.counted_from(known),
            _ if self.unknowns >= self.thresholds.failure => Status::Unknown,
            (hard, _) => self.counted_from(hard),
        }
    }

    /// Where enough worse or better results in a row lead from `base`: to the mildest of them.
    fn counted_from(&self, base: Status) -> Status {
        let Thresholds { failure, success, .. } = self.thresholds;
        let (worse, better) = match base {
            Status::Healthy => (self.rows.not_healthy, 0),
            Status::Degraded => (self.rows.unhealthy, self.rows.healthy),
            Status::Unhealthy => (0, self.rows.not_unhealthy),
            Status::Unknown | Status::Starting => (0, 0),
        };
        if worse >= failure {
            if self.rows.unhealthy >= failure { Status::Unhealthy } else { Status::Degraded }
        } else if better >= success {
            if self.rows.not_healthy < success { Status::Healthy } else { Status::Degraded }
        } else {
            base
        }
    }
}

/// Within the order healthy < degraded < unhealthy. A check that answers `starting` or `unknown` has not judged;
/// both count as unknown.
const fn is_judged(status: Status) -> bool {
    matches!(status, Status::Healthy | Status::Degraded | Status::Unhealthy)
}

#[cfg(test)]
mod tests;
