//! What came of a shutdown: why, how long each phase took, what was left, and the exit code that follows.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use crate::{Phase, exit};

/// Why the process stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// SIGTERM or SIGINT.
    Signal(i32),
    /// A part of the process asked for it.
    Requested(String),
    /// A long task ended, failed or panicked.
    Task {
        /// Its name.
        name: String,
        /// What became of it.
        why: String,
    },
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Reason::Requested(text.to_owned())
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Reason::Requested(text)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Signal(15) => f.write_str("SIGTERM"),
            Reason::Signal(2) => f.write_str("SIGINT"),
            Reason::Signal(number) => write!(f, "signal {number}"),
            Reason::Requested(text) => f.write_str(text),
            Reason::Task { name, why } => write!(f, "task {name}: {why}"),
        }
    }
}

/// How long a phase took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseTook {
    /// Which phase.
    pub phase: Phase,
    /// Its duration.
    pub took: Duration,
}

/// What came of a shutdown.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExitReport {
    /// The exit code: 0, or 75 when a task or cleanup failed or was cut. Cut clients are normal.
    pub code: u8,
    /// Why the process stopped.
    pub reason: Reason,
    /// The phases in order.
    pub phases: Vec<PhaseTook>,
    /// Tasks that had not ended when the last budget was over.
    pub stragglers: Vec<String>,
    /// Tasks and cleanups that failed or were cut, "name: why".
    pub failures: Vec<String>,
    /// Connections that were cut at the end of the drain budget.
    pub connections_cut: u64,
}

impl ExitReport {
    /// For `main` to return.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    pub(crate) fn code_for(stragglers: &[String], failures: &[String]) -> u8 {
        if stragglers.is_empty() && failures.is_empty() { exit::OK } else { exit::CUT }
    }
}
