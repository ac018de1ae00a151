//! How often an agent started lately. Decides when that is too often.

use farol_wire::Boot;
use std::collections::VecDeque;

/// So many starts within the window are too many.
const MANY: usize = 3;
/// The window.
const WITHIN_MS: u64 = 10 * 60_000;

/// The last starts of an agent.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    /// The start that connected last: one that connects again has not started again.
    last: Option<Boot>,
    /// When the last few came, on the running clock.
    at_ms: VecDeque<u64>,
}

impl Starts {
    /// Takes a Hello. True when it is a start, and the one too many.
    pub(crate) fn note(&mut self, boot: Boot, run_ms: u64) -> bool {
        if self.last.replace(boot) == Some(boot) {
            return false;
        }
        self.at_ms.push_back(run_ms);
        if self.at_ms.len() > MANY {
            self.at_ms.pop_front();
        }
        self.at_ms.len() == MANY && run_ms.saturating_sub(self.at_ms[0]) <= WITHIN_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(number: u64) -> Boot {
        Boot { number, nonce: 7 }
    }

    #[test]
    fn three_starts_in_ten_minutes_are_too_many_and_connecting_again_is_no_start() {
        let mut starts = Starts::default();
        assert!(!starts.note(boot(1), 0));
        assert!(!starts.note(boot(1), 1_000));
        assert!(!starts.note(boot(2), 300_000));
        assert!(starts.note(boot(3), 600_000));
        assert!(!starts.note(boot(3), 600_001));
        assert!(starts.note(boot(4), 900_000), "the first of them is gone, three are left");
        assert!(!starts.note(boot(5), 1_600_000));
    }
}
