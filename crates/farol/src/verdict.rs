//! What a command found, and why it found nothing. Decides which failures are the configuration's; which exit
//! code stands for what is `main`'s.

use farol_config::Problems;
use farol_health::aggregate::Aggregate;
use std::io;

/// A command could not do its work. Each text says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong: every problem, a line each.
    #[error("{0}")]
    Config(#[from] Problems),
    /// What was asked for on the command line does not fit.
    #[error("{0}")]
    Usage(String),
    /// It could not be done.
    #[error("{0}")]
    Failed(String),
    /// It is done, but a restart now would undo it.
    #[error("{why}")]
    Unkept {
        /// What was made.
        id: Option<String>,
        /// Why.
        why: String,
    },
    /// It could not be done, and the log says why: nothing is left to say.
    #[error("")]
    Logged,
    /// What was found could not be printed.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// Whether trying again without changing anything would be in vain.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Usage(_))
    }
}

/// What a command that looks at health found.
pub type Verdict = Result<Aggregate, Error>;

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It looked, and this is how things stand.
    Status(Aggregate),
    /// It looked at one address, and that is healthy; or there was nothing to look at, and it is done.
    Fine,
    /// It looked at one address, and that is not healthy.
    NotHealthy,
    /// It tried something, and that is not as it should be.
    NotAsExpected,
}
