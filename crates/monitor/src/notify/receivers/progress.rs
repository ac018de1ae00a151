//! What of a notice was taken already, where one notice goes out in several parts: a second try sends only the rest.
//! Kept in memory; after a restart parts may be sent once more, which their own keys make harmless.

use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};

/// So many unfinished notices are remembered; the oldest is forgotten, and would be sent as a whole again.
const NOTICES: usize = 1_024;

/// Parts of notices that were taken.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The oldest first.
    unfinished: Mutex<VecDeque<(String, HashSet<String>)>>,
}

impl Progress {
    /// Whether a part is done.
    pub(super) fn is_done(&self, notice: &str, part: &str) -> bool {
        let unfinished = self.unfinished.lock();
        unfinished.iter().any(|(known, parts)| known == notice && parts.contains(part))
    }

    /// A part was taken.
    pub(super) fn done(&self, notice: &str, part: &str) {
        let mut unfinished = self.unfinished.lock();
        if let Some((_, parts)) = unfinished.iter_mut().find(|(known, _)| known == notice) {
            parts.insert(part.to_owned());
            return;
        }
        if unfinished.len() == NOTICES {
            unfinished.pop_front();
        }
        unfinished.push_back((notice.to_owned(), HashSet::from([part.to_owned()])));
    }

    /// The notice as a whole is over.
    pub(super) fn finish(&self, notice: &str) {
        self.unfinished.lock().retain(|(known, _)| known != notice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_remembered_until_the_notice_is_over_or_too_many_came_after() {
        let progress = Progress::default();
        progress.done("n", "a");
        assert!(progress.is_done("n", "a") && !progress.is_done("n", "b") && !progress.is_done("m", "a"));
        progress.finish("n");
        assert!(!progress.is_done("n", "a"));
        for i in 0..=NOTICES {
            progress.done(&i.to_string(), "a");
        }
        assert!(!progress.is_done("0", "a") && progress.is_done("1", "a"));
    }
}
