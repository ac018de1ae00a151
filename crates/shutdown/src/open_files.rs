//! The process' limit of open files: raised to what the system allows, for each connection takes one. Decides nothing
//! about connections; the listeners have caps of their own.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Asked for where the system sets no limit at all, which it then refuses to take literally.
const ENOUGH: u64 = 1 << 20;

/// Descriptors that are no client's connection: databases, files, the runtime's own, connections of checks.
const OTHERS: u64 = 128;

/// Tells how many connections fit under the limit of open files, and warns where listeners may take more: `most` is
/// the sum of their caps. What does not fit is refused before it is accepted, whoever it comes from.
pub fn tell_room(most: usize) {
    let limit = getrlimit(Resource::Nofile).current;
    match room(limit) {
        Some(fit) if fit < most as u64 => tracing::warn!(
            fit,
            listeners_take = most,
            limit,
            "fewer connections fit under the limit of open files than the listeners may take; raise it (`ulimit -n`, \
             `LimitNOFILE=` of systemd)"
        ),
        fit => {
            tracing::info!(fit, listeners_take = most, "connections that fit under the limit of open files")
        }
    }
}

/// How many connections fit; `None` is any number.
fn room(limit: Option<u64>) -> Option<u64> {
    limit.map(|limit| limit.saturating_sub(OTHERS))
}

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
    fn what_is_open_anyhow_leaves_less_room_for_connections() {
        assert_eq!([Some(1_024), Some(10), None].map(room), [Some(896), Some(0), None]);
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
