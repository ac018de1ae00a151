//! The process' limit of open files: raised to what the system allows, for each connection takes one. Decides nothing
//! about connections; the listeners have caps of their own.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Asked for where the system sets no limit at all, which it then refuses to take literally.
const ENOUGH: u64 = 1 << 20;

/// What became of the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenFiles {
    /// As it was; `None` is unlimited.
    pub(crate) before: Option<u64>,
    /// As it is.
    pub(crate) now: Option<u64>,
}

/// Raises the soft limit to the hard one. What cannot be raised stays as it is.
pub(crate) fn raise() -> OpenFiles {
    let before = getrlimit(Resource::Nofile);
    for wanted in [before.maximum, Some(ENOUGH)] {
        let limit = Rlimit { current: wanted, maximum: before.maximum };
        if is_lower(before.current, wanted) && setrlimit(Resource::Nofile, limit).is_ok() {
            break;
        }
    }
    OpenFiles { before: before.current, now: getrlimit(Resource::Nofile).current }
}

impl OpenFiles {
    /// Tells the operator; after the log is there.
    pub(crate) fn log(self) {
        let word = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
        tracing::info!(limit = word(self.now), before = word(self.before), "limit of open files");
    }
}

fn is_lower(limit: Option<u64>, than: Option<u64>) -> bool {
    match (limit, than) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(limit), Some(than)) => limit < than,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_the_hard_one_and_never_lowered() {
        let hard = getrlimit(Resource::Nofile).maximum;
        let low = Rlimit { current: Some(200), maximum: hard };
        setrlimit(Resource::Nofile, low).unwrap();
        let raised = raise();
        assert_eq!(raised.before, Some(200));
        assert!(raised.now == hard || raised.now == Some(ENOUGH), "{raised:?} of {hard:?}");
        assert_eq!(raise(), OpenFiles { before: raised.now, now: raised.now });
    }

    #[test]
    fn no_limit_is_the_highest() {
        for (limit, than, lower) in [
            (Some(1), Some(2), true),
            (Some(2), Some(2), false),
            (Some(2), None, true),
            (None, Some(2), false),
        ] {
            assert_eq!(is_lower(limit, than), lower, "{limit:?} {than:?}");
        }
    }
}
