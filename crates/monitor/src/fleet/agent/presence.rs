//! Whether an agent is there, and what its silence means. Pure.

use farol_wire::Role;

/// An agent that said nothing of now for so many report intervals is lost.
pub(crate) const LOST_AFTER_INTERVALS: u64 = 3;
/// One that leaves is not called silent before its last report can be acknowledged.
const LEAVING_AT_LEAST_MS: u64 = 3_000;
/// How long the last status stands while an agent restarts; and, where nothing else is configured, after a restart of
/// the monitor.
pub(crate) const RESTART_GRACE_MS: u64 = 60_000;
/// Statuses older than this are not served after a restart of the monitor.
pub(crate) const RESTORE_AT_MOST_MS: i64 = 300_000;

/// Whether an agent is there. Times are on the running clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It speaks, or spoke a moment ago.
    Here,
    /// It said that only it stops: the last statuses stand until then.
    Held {
        /// Until when.
        until_ms: u64,
    },
    /// The monitor restarted, or did not run for long, and has not heard it yet: it is not called lost until then.
    Restored {
        /// Until when.
        until_ms: u64,
        /// The last statuses are young enough to stand so long.
        stands: bool,
    },
    /// It ends with its workload: under maintenance until its stream ends or it is silent, at the latest then.
    Leaving {
        /// Until when.
        until_ms: u64,
    },
    /// Nothing was heard for too long.
    Lost {
        /// Since when.
        since_ms: u64,
    },
}

/// What a Goodbye means for the agent's components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The workload ends: maintenance, then gone.
    Workload,
    /// Only the agent ends: the last statuses stand for a while.
    Agent,
    /// The agent fails: stale at once.
    Failing,
}

impl Presence {
    /// The lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Held { .. } => "held",
            Self::Restored { .. } => "restored",
            Self::Leaving { .. } => "leaving",
            Self::Lost { .. } => "lost",
        }
    }

    /// Whether silence has lasted too long at `run_ms`.
    #[must_use]
    pub fn is_over(self, last_message_ms: u64, interval_ms: u32, run_ms: u64) -> bool {
        run_ms >= self.over_ms(last_message_ms, interval_ms)
    }

    /// From when on silence has lasted too long.
    pub(crate) fn over_ms(self, last_message_ms: u64, interval_ms: u32) -> u64 {
        let lost_after_ms = LOST_AFTER_INTERVALS * u64::from(interval_ms);
        let silent_after = |ms: u64| last_message_ms.saturating_add(ms).saturating_add(1);
        match self {
            Self::Here => silent_after(lost_after_ms),
            Self::Leaving { until_ms } => until_ms.min(silent_after(lost_after_ms.max(LEAVING_AT_LEAST_MS))),
            Self::Held { until_ms } | Self::Restored { until_ms, .. } => until_ms,
            Self::Lost { .. } => u64::MAX,
        }
    }
}

/// How long a lost agent is remembered.
#[must_use]
pub fn forget_after_ms(role: Role) -> u64 {
    match role {
        Role::Pod => 3_600_000,
        Role::Node | Role::Host => 7 * 24 * 3_600_000,
    }
}

/// How long an agent with this interval has to speak before it is called lost, and its restored statuses stand: as
/// configured, and never less than its silence may last.
#[must_use]
pub(crate) fn restore_grace_ms(interval_ms: u32, configured_ms: u64) -> u64 {
    (LOST_AFTER_INTERVALS * u64::from(interval_ms)).max(configured_ms)
}
