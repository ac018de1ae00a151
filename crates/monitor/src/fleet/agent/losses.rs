//! Which reports an agent announced as lost. It announces them again where it does not know whether it was heard:
//! decides what of an announcement is new.

use farol_wire::Boot;
use farol_wire::limits::SPOOLED_BOOTS;
use std::collections::BTreeMap;

/// Ranges kept of a boot. Over it the lowest are forgotten, and would count again; so are the oldest boots.
const RANGES: usize = 64;

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
        if ranges.len() > RANGES {
            ranges.remove(0);
        }
        while self.boots.len() > SPOOLED_BOOTS {
            self.boots.pop_first();
        }
        new
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
    fn an_agent_that_announces_without_end_is_not_kept_without_end() {
        let mut losses = Losses::default();
        for n in 1..1_000 {
            losses.take(Boot { number: n % 100, nonce: 1 }, n * 10, n * 10);
            losses.take(Boot { number: 1_000, nonce: 1 }, n * 10, n * 10);
        }
        assert!(losses.boots.len() <= SPOOLED_BOOTS && losses.boots.values().all(|all| all.len() <= RANGES));
    }
}
