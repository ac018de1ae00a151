//! The phases of a process' life and the time each may take. Pure; the supervisor walks through them.

use std::fmt;
use std::time::Duration;

/// Where the process is in its life. Phases only go forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Serving (or still starting).
    Running,
    /// Readiness says no, everything is still accepted and served.
    StopAcceptingRequests,
    /// Listeners are closed, connections get GOAWAY, streams end themselves.
    DrainConnections,
    /// The named cleanups run, the last registered first.
    CleanupResources,
    /// Tasks that are still running are named and dropped.
    FinalShutdown,
}

impl Phase {
    /// The name printed in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Running => "RUNNING",
            Phase::StopAcceptingRequests => "STOP_ACCEPTING_REQUESTS",
            Phase::DrainConnections => "DRAIN_CONNECTIONS",
            Phase::CleanupResources => "CLEANUP_RESOURCES",
            Phase::FinalShutdown => "FINAL_SHUTDOWN",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When the delay of STOP_ACCEPTING_REQUESTS is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delay {
    /// Only when a listener is reachable from beyond loopback and nobody sits at a terminal:
    /// the delay exists for load balancers that have yet to see the closed door.
    #[default]
    WhenExposed,
    /// Always.
    Always,
}

/// The time each phase may take at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// How long the process serves on after readiness said no.
    pub stop_accepting: Duration,
    /// When `stop_accepting` is kept.
    pub delay: Delay,
    /// How long connections may take to finish; then they are cut.
    pub drain: Duration,
    /// How long all cleanups may take together.
    pub cleanup: Duration,
    /// How long tasks may take to end after the cleanups; also the whole budget of a process
    /// that is told to stop while it is still starting.
    pub last: Duration,
}

impl Default for Budgets {
    fn default() -> Self {
        Budgets {
            stop_accepting: Duration::from_secs(5),
            delay: Delay::default(),
            drain: Duration::from_secs(10),
            cleanup: Duration::from_secs(5),
            last: Duration::from_secs(2),
        }
    }
}

impl Budgets {
    /// The delay before draining.
    pub(crate) fn delay(&self, exposed: bool, at_terminal: bool) -> Duration {
        match self.delay {
            Delay::Always => self.stop_accepting,
            Delay::WhenExposed if exposed && !at_terminal => self.stop_accepting,
            Delay::WhenExposed => Duration::ZERO,
        }
    }

    /// All phases together, the full delay included: what a grace period outside must exceed.
    pub fn total(&self) -> Duration {
        self.stop_accepting + self.drain + self.cleanup + self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_is_for_load_balancers_only() {
        let auto = Budgets::default();
        let always = Budgets { delay: Delay::Always, ..auto };
        let five = Duration::from_secs(5);
        for (budgets, exposed, terminal, expected) in [
            (auto, true, false, five),
            (auto, true, true, Duration::ZERO),
            (auto, false, false, Duration::ZERO),
            (always, false, true, five),
        ] {
            assert_eq!(budgets.delay(exposed, terminal), expected, "{exposed} {terminal}");
        }
    }

    #[test]
    fn the_default_budget_fits_into_the_usual_grace_period_of_thirty_seconds() {
        assert!(Budgets::default().total() <= Duration::from_secs(25));
    }
}
