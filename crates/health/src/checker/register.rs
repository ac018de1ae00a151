//! Which checks may be taken in together. What is done with them is decided on the board.

use crate::Registration;
use crate::check::is_name;
use std::collections::HashSet;

/// A check that cannot be taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// Two checks have one name.
    #[error("two checks are named `{0}`; a name stands for one check of this process, rename one")]
    DuplicateName(String),
    /// The check's name is not a name.
    #[error("`{0}` cannot name a check; use 1 to 128 of the characters A-Z a-z 0-9 . _ -")]
    BadName(String),
    /// The service's name is not a name.
    #[error("`{service}` cannot name the service of check `{name}`; use 1 to 128 of A-Z a-z 0-9 . _ -")]
    BadService {
        /// The check.
        name: String,
        /// What it gave as its service.
        service: String,
    },
    /// It would run without a pause.
    #[error("check `{0}` has an interval of nought; give it one of at least a millisecond")]
    NoInterval(String),
    /// It would never have time to answer.
    #[error("check `{0}` has a deadline of nought; give it one of at least a millisecond")]
    NoDeadline(String),
}

/// What a [`replace`](crate::Checker::replace) did, by the checks' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New ones.
    pub added: Vec<String>,
    /// Those no longer there.
    pub removed: Vec<String>,
    /// Those that went on undisturbed.
    pub kept: Vec<String>,
    /// Those that differ; they keep their status until their next result.
    pub changed: Vec<String>,
}

impl Changes {
    /// Whether all went on undisturbed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Whether these may stand together.
pub(super) fn verify<'a>(
    registrations: impl IntoIterator<Item = &'a Registration>,
) -> Result<(), RegisterError> {
    let mut names = HashSet::new();
    for Registration { spec, .. } in registrations {
        let name = || spec.name.clone();
        if !is_name(&spec.name) {
            return Err(RegisterError::BadName(name()));
        }
        if !is_name(&spec.service) {
            return Err(RegisterError::BadService { name: name(), service: spec.service.clone() });
        }
        if spec.interval.as_millis() == 0 {
            return Err(RegisterError::NoInterval(name()));
        }
        if spec.deadline.as_millis() == 0 {
            return Err(RegisterError::NoDeadline(name()));
        }
        if !names.insert(spec.name.as_str()) {
            return Err(RegisterError::DuplicateName(name()));
        }
    }
    Ok(())
}
