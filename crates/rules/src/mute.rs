//! What people hold back: silences, acknowledgements and maintenance windows. Decides whether one of them holds at a
//! moment, and when that may change; an alert that is held back lives on, and what was told of it is still ended.

mod acknowledgement;
mod checked;
mod force;
mod silence;
mod window;

pub use acknowledgement::{Acknowledged, Acknowledgement};
pub use checked::{author as check_author, read as read_matchers};
pub use force::{InForce, Muted, MutedBy, muted, next_mute_change};
pub use silence::{Silence, SilenceState};
pub use window::{Window, WindowMode};

use crate::{CalendarError, PatternError};

/// So many silences, and so many windows, are kept that are not over.
pub const MUTES_AT_MOST: usize = 1_000;

/// What is wrong with a silence, an acknowledgement or a window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MuteError {
    /// A text that has to be there is not.
    #[error("`{0}` is empty; say it in a few words")]
    Missing(&'static str),
    /// A text is too long.
    #[error("`{field}` has {chars} characters; {most} at most")]
    TooLong {
        /// Which.
        field: &'static str,
        /// So many it has.
        chars: usize,
        /// So many it may have.
        most: usize,
    },
    /// A text holds what cannot be shown.
    #[error("`{0}` holds control characters; leave them out")]
    Unshowable(&'static str),
    /// It would hold back everything.
    #[error(
        "it would match every alert, or nearly so; name at least one label other than `severity` by what it is, for instance \
         `service: payments` or `alertname: host_memory_low`"
    )]
    MatchesAll,
    /// Too many labels.
    #[error("{0} labels are matched; 32 at most")]
    TooManyMatchers(usize),
    /// No pattern.
    #[error("the pattern of label `{label}` cannot be read")]
    Pattern {
        /// Of which label.
        label: String,
        /// Why.
        #[source]
        source: PatternError,
    },
    /// It ends before it starts.
    #[error("it ends before it starts; the end must be later")]
    Backwards,
    /// It is over before it was made.
    #[error("its end is past; give one that is still to come")]
    Past,
    /// When it stands in the calendar.
    #[error("the schedule cannot be kept")]
    Schedule(#[source] CalendarError),
    /// A time that no calendar shows.
    #[error("one of the times cannot be shown")]
    Time(#[source] CalendarError),
    /// Too many of them.
    #[error("there are {MUTES_AT_MOST} already; let some of them end first")]
    TooMany,
}

/// Whether there is room for one more beside so many that are not over.
///
/// # Errors
/// There is none.
pub const fn room_for_mute(held: usize) -> Result<(), MuteError> {
    if held < MUTES_AT_MOST { Ok(()) } else { Err(MuteError::TooMany) }
}

#[cfg(test)]
mod tests;
