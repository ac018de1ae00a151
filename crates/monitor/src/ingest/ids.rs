//! A set of ids that a stranger chooses: dense ones cost an eighth of a byte each, scattered ones are bounded.

use std::collections::BTreeMap;

/// Words of 64 ids that a set holds at most: four million ids that stand close together, and about 1 MiB.
const WORDS_AT_MOST: usize = 1 << 16;

/// A bounded set of ids.
#[derive(Debug, Default)]
pub(super) struct IdSet {
    /// By id / 64. No word is 0.
    words: BTreeMap<u32, u64>,
}

/// The ids lie too far apart to be remembered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooScattered;

impl IdSet {
    /// Adds an id.
    pub(super) fn insert(&mut self, id: u32) -> Result<(), TooScattered> {
        if self.words.len() >= WORDS_AT_MOST && !self.words.contains_key(&(id / 64)) {
            return Err(TooScattered);
        }
        *self.words.entry(id / 64).or_default() |= 1 << (id % 64);
        Ok(())
    }

    /// Takes an id out.
    pub(super) fn remove(&mut self, id: u32) {
        if let Some(word) = self.words.get_mut(&(id / 64)) {
            *word &= !(1 << (id % 64));
            if *word == 0 {
                self.words.remove(&(id / 64));
            }
        }
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        self.words.get(&(id / 64)).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_in_until_it_is_taken_out() {
        let mut set = IdSet::default();
        for id in [1, 63, 64, 65, u32::MAX] {
            set.insert(id).unwrap();
        }
        assert!(set.contains(63) && set.contains(64) && set.contains(u32::MAX));
        assert!(!set.contains(0) && !set.contains(2) && !set.contains(u32::MAX - 1));
        for id in [1, 63, 64, 65, u32::MAX, 7] {
            set.remove(id);
        }
        assert!(set.is_empty());
    }

    #[test]
    fn a_million_ids_in_a_row_fit_and_scattered_ones_end_somewhere() {
        let mut dense = IdSet::default();
        assert!((1..=1_000_000).all(|id| dense.insert(id).is_ok()));
        let mut scattered = IdSet::default();
        let taken = (0..u32::MAX).step_by(64).take_while(|id| scattered.insert(*id).is_ok()).count();
        assert_eq!(taken, WORDS_AT_MOST);
        assert_eq!(scattered.insert(1), Ok(()), "a word that is there takes more");
    }
}
