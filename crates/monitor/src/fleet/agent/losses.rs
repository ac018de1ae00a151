//! Which reports an agent announced as lost. It announces them again where it does not know whether it was heard:
//! decides what of an announcement is new.

use farol_wire::Boot;
use farol_wire::limits::LOSSES;
use std::collections::BTreeMap;

/// Ranges kept of all boots: more than are announced before the agent knows that they were heard. Over it the oldest
/// boot's lowest is forgotten, and would count again.
const RANGES: usize = 2 * LOSSES;

/// What was announced since the monitor started.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// By boot: first and last number, rising; none touches another.
    boots: BTreeMap<Boot, Vec<(u64, u64)>>,
}

impl Losses {
    /// Takes an announcement. Says how many of its reports were not announced before.
    pub(crate) fn take(&mut self, boot: Boot, first: u64, last: u64) -> u64 {
        let ranges = self.boots.entry(boot).or_default();
        let (mut new, mut from, mut to) = ((last - first).saturating_add(1), first, last);
        ranges.retain(|&(a, b)| {
            let is_apart = b.saturating_add(1) < first || a > last.saturating_add(1);
            if !is_apart {
                let known = b.min(last).checked_sub(a.max(first)).map_or(0, |n| n.saturating_add(1));
                (new, from, to) = (new.saturating_sub(known), from.min(a), to.max(b));
            }
            is_apart
        });
        ranges.insert(ranges.partition_point(|&(a, _)| a < from), (from, to));
        if self.boots.values().map(Vec::len).sum::<usize>() > RANGES {
            self.forget_oldest();
        }
        new
    }

    fn forget_oldest(&mut self) {
        let Some(mut oldest) = self.boots.first_entry() else { return };
        oldest.get_mut().remove(0);
        if oldest.get().is_empty() {
            oldest.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_was_announced_before_only_the_rest_counts() {
        let mut losses = Losses::default();
        let boot = |number| Boot { number, nonce: 1 };
        for (number, first, last, expected) in [
            (1, 1, 64, 64),
            (1, 1, 64, 0),
            (1, 65, 128, 64),
            (1, 1, 130, 2),
            (1, 200, 299, 100),
            (1, 150, 159, 10),
            (1, 120, 250, 131 - 11 - 10 - 51),
            (1, 1, 299, 0),
            (2, 1, 64, 64),
            (2, 10, 20, 0),
            (3, 1, u64::MAX, u64::MAX),
            (3, 1, u64::MAX, 0),
        ] {
            assert_eq!(losses.take(boot(number), first, last), expected, "{number}: {first} to {last}");
        }
    }

    #[test]
    fn what_an_agent_announces_at_once_is_known_when_it_comes_again() {
        for boots in [1, 30, 500] {
            let mut losses = Losses::default();
            for expected in [2, 0] {
                for n in 0..500 {
                    let boot = Boot { number: n % boots, nonce: 1 };
                    assert_eq!(losses.take(boot, n * 10 + 1, n * 10 + 2), expected, "{n} of {boots}");
                }
            }
        }
    }

    #[test]
    fn an_agent_that_announces_without_end_is_not_kept_without_end() {
        let mut losses = Losses::default();
        for n in 1..3_000 {
            losses.take(Boot { number: n % 100, nonce: 1 }, n * 10, n * 10);
            losses.take(Boot { number: n + 1_000, nonce: 1 }, n * 10, n * 10);
        }
        assert_eq!(losses.boots.values().map(Vec::len).sum::<usize>(), 1_000);
    }
}
