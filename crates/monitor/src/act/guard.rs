//! Whether an action may run now: one at a time, a pause between two, so many an hour. Pure. What the action would
//! change is bounded in `scale.rs`, and how far a failure reaches is judged in `blast.rs`.

use super::blast::Wide;
use farol_rules::Moment;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// What a budget is counted over.
const HOUR_MS: u64 = 3_600_000;

/// The most runs an hour that may be configured: what a guard remembers is bounded by it.
pub const MOST_PER_HOUR: u32 = 1_000;

/// How often an action may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Between the starts of two runs.
    pub cool_down_ms: u64,
    /// Runs in any hour.
    pub per_hour: u32,
    /// It only tells what it would do. Such runs count as real ones, so that what is told is what would be.
    pub dry_run: bool,
}

/// Whether an action runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Run,
    /// It looks and tells what it would do.
    DryRun,
    /// It does not.
    Refused(Refusal),
}

/// Why an action does not run, or changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Refusal {
    /// It runs, or its effect is awaited.
    AlreadyRunning,
    /// So much went bad at once that no single cause in reach of an action is likely.
    BlastRadius(Wide),
    /// It ran a short while ago.
    CoolingDown {
        /// Until then, unix milliseconds, if the monitor runs all the while.
        until_ms: i64,
    },
    /// It ran too often.
    OverBudget {
        /// So many an hour are allowed.
        per_hour: u32,
        /// The next may run then, unix milliseconds, if the monitor runs all the while.
        until_ms: i64,
    },
    /// There are as few or as many replicas as there may be.
    AtLimit {
        /// As they are.
        replicas: u32,
        /// The bound.
        limit: Limit,
    },
    /// There are no replicas: someone switched it off.
    SwitchedOff,
    /// The alert was over before it could run.
    AlertOver,
    /// Asked for before a restart, and nothing was known of the alert afterwards.
    AlertUnknown,
    /// No such action is configured.
    UnknownAction,
    /// Too many wait already.
    QueueFull,
}

/// Which bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The lower.
    Min(u32),
    /// The upper.
    Max(u32),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRunning => f.write_str("it is running, or its effect is awaited"),
            Self::BlastRadius(wide) => write!(f, "{wide}: no automatic action"),
            Self::CoolingDown { .. } => f.write_str("it is cooling down"),
            Self::OverBudget { per_hour, .. } => write!(f, "it ran {per_hour} times within an hour"),
            Self::AtLimit { replicas, limit: Limit::Min(min) } => {
                write!(f, "there are {replicas} replicas, and `min` is {min}")
            }
            Self::AtLimit { replicas, limit: Limit::Max(max) } => {
                write!(f, "there are {replicas} replicas, and `max` is {max}")
            }
            Self::SwitchedOff => f.write_str("there are no replicas: it is switched off"),
            Self::AlertOver => f.write_str("the alert is over already"),
            Self::AlertUnknown => f.write_str("nothing is known of the alert since the restart"),
            Self::UnknownAction => f.write_str("no action of this name is configured"),
            Self::QueueFull => f.write_str("too many actions wait already"),
        }
    }
}

/// What is remembered of one action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// The start of the run that is not over, on the running clock: there is one at a time.
    running: Option<u64>,
    /// Starts of the runs that count, oldest first: the pause and the budget are measured from them.
    runs: VecDeque<u64>,
}

impl Guard {
    /// Asks for a run. One that is allowed counts from here on, and is running until it is [`ended`](Self::ended).
    pub fn ask(&mut self, policy: &Policy, wide: Option<Wide>, now: Moment) -> Verdict {
        if let Some(refusal) = self.refusal(policy, wide, now) {
            return Verdict::Refused(refusal);
        }
        self.running = Some(now.run_ms);
        self.count(now.run_ms);
        if policy.dry_run { Verdict::DryRun } else { Verdict::Run }
    }

    fn refusal(&self, policy: &Policy, wide: Option<Wide>, now: Moment) -> Option<Refusal> {
        if self.running.is_some() {
            return Some(Refusal::AlreadyRunning);
        }
        if let Some(wide) = wide {
            return Some(Refusal::BlastRadius(wide));
        }
        let until = |from: u64, pause: u64| {
            let left = from.saturating_add(pause).saturating_sub(now.run_ms);
            (left > 0).then(|| now.wall_ms.saturating_add_unsigned(left))
        };
        if let Some(until_ms) = self.runs.back().and_then(|&last| until(last, policy.cool_down_ms)) {
            return Some(Refusal::CoolingDown { until_ms });
        }
        // The run that must be an hour old for the next one to be within the budget.
        let nth = self.runs.len().checked_sub(policy.per_hour as usize)?;
        let Some(&counted) = self.runs.get(nth) else {
            return Some(Refusal::OverBudget { per_hour: policy.per_hour, until_ms: i64::MAX });
        };
        until(counted, HOUR_MS).map(|until_ms| Refusal::OverBudget { per_hour: policy.per_hour, until_ms })
    }

    fn count(&mut self, run_ms: u64) {
        if self.runs.len() >= MOST_PER_HOUR as usize {
            self.runs.pop_front();
        }
        self.runs.push_back(run_ms);
    }

    /// The run is over. One that surely changed nothing does not count.
    pub fn ended(&mut self, touched: bool) {
        if self.running.take().is_some() && !touched {
            self.runs.pop_back();
        }
    }

    /// A run of before this process started. One whose effect is still awaited is running.
    pub fn recall(&mut self, run_ms: u64, running: bool) {
        let at = self.runs.partition_point(|&other| other <= run_ms);
        self.runs.insert(at, run_ms);
        if self.runs.len() > MOST_PER_HOUR as usize {
            self.runs.pop_front();
        }
        if running {
            self.running = Some(run_ms);
        }
    }

    /// Whether it runs, or its effect is awaited.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

#[cfg(test)]
mod tests;
