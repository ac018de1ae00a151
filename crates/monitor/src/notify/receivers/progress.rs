//! What of a notice was taken already, or refused for good, where one notice goes out in several parts: a second try sends only the rest.
//! Kept in memory; after a restart parts may be sent once more, which their own keys make harmless.

use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};

/// So many unfinished notices are remembered; the oldest is forgotten, and would be sent as a whole again.
const NOTICES: usize = 1_024;

/// Parts of notices that were answered.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The oldest first.
    unfinished: Mutex<VecDeque<(String, Answered)>>,
}

/// What of one notice was answered.
#[derive(Debug, Default)]
struct Answered {
    parts: HashSet<String>,
    /// How many of them were refused, and why the first one was.
    refused: Option<(usize, String)>,
}

impl Progress {
    /// Whether a part is done: nothing of it is sent again.
    pub(super) fn is_done(&self, notice: &str, part: &str) -> bool {
        let unfinished = self.unfinished.lock();
        unfinished.iter().any(|(known, answered)| known == notice && answered.parts.contains(part))
    }

    /// A part was taken.
    pub(super) fn done(&self, notice: &str, part: &str) {
        self.answered(notice, part, None);
    }

    /// A part will never be taken.
    pub(super) fn refused(&self, notice: &str, part: &str, why: String) {
        self.answered(notice, part, Some(why));
    }

    fn answered(&self, notice: &str, part: &str, refused: Option<String>) {
        let mut unfinished = self.unfinished.lock();
        let known = unfinished.iter().position(|(known, _)| known == notice);
        let at = known.unwrap_or_else(|| {
            if unfinished.len() == NOTICES {
                unfinished.pop_front();
            }
            unfinished.push_back((notice.to_owned(), Answered::default()));
            unfinished.len() - 1
        });
        let answered = &mut unfinished[at].1;
        answered.parts.insert(part.to_owned());
        if let Some(why) = refused {
            answered.refused.get_or_insert((0, why)).0 += 1;
        }
    }

    /// The notice as a whole is over: how many parts were refused, and why the first one was.
    pub(super) fn finish(&self, notice: &str) -> Option<(usize, String)> {
        let mut unfinished = self.unfinished.lock();
        let at = unfinished.iter().position(|(known, _)| known == notice)?;
        unfinished.remove(at)?.1.refused
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
        progress.refused("n", "b", "400".into());
        progress.refused("n", "c", "413".into());
        assert!(progress.is_done("n", "c"));
        assert_eq!(progress.finish("n"), Some((2, "400".into())));
        assert!(!progress.is_done("n", "a") && progress.finish("n").is_none());
        for i in 0..=NOTICES {
            progress.done(&i.to_string(), "a");
        }
        assert!(!progress.is_done("0", "a") && progress.is_done("1", "a"));
    }
}
