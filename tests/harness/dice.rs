//! Chance from a seed: the same seed throws the same numbers, so that what broke can be run again.

use std::ops::Range;
use std::time::Duration;

/// A row of numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The row of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A row of its own for `of`, whatever else is thrown.
    #[must_use]
    pub fn apart(seed: u64, of: u64) -> Self {
        let mut dice = Self(seed ^ of.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(dice.throw())
    }

    /// The next number.
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of this range.
    ///
    /// # Panics
    /// The range is empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        assert!(!range.is_empty(), "there is no number in {range:?}");
        range.start + self.throw() % (range.end - range.start)
    }

    /// True once in `n` throws, nearly.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.within(0..n.max(1)) == 0
    }

    /// A time of this range, in milliseconds.
    pub fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// One of these.
    ///
    /// # Panics
    /// There are none.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.within(0..all.len() as u64) as usize]
    }
}

/// The seed that the environment gives (`FAROL_SEED`), or one of this moment. It is printed, so that it can be given.
#[must_use]
pub fn seed() -> u64 {
    let given = std::env::var("FAROL_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let moment = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
        Dice::new(moment as u64 ^ u64::from(std::process::id()) << 32).throw() >> 16
    });
    #[allow(clippy::print_stderr, reason = "a test that fails must be able to be run again")]
    {
        eprintln!("FAROL_SEED={seed}");
    }
    seed
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_same_seed_throws_the_same_and_rows_apart_differ() {
        let row = |mut dice: Dice| (0..100).map(|_| dice.within(10..20)).collect::<Vec<_>>();
        assert_eq!(row(Dice::new(7)), row(Dice::new(7)));
        assert_ne!(row(Dice::apart(7, 1)), row(Dice::apart(7, 2)));
        assert!((10..20).all(|n| row(Dice::new(7)).contains(&n)));
        let mut dice = Dice::new(1);
        let hits = (0..10_000).filter(|_| dice.once_in(10)).count();
        assert!((800..1_200).contains(&hits), "{hits}");
    }
}
