//! What is remembered of what is gone, within a bound: who went first is let go of first. Decides nothing about who is
//! gone.

use foldhash::{HashMap, HashMapExt};
use std::collections::BTreeMap;
use std::hash::Hash;

/// Agents that are out of the fleet and may come back with what they still have to say.
pub(crate) const AGENTS_AT_MOST: usize = 100_000;

/// A bounded map of which the oldest entries go first.
#[derive(Debug)]
pub(crate) struct Remembered<K, V> {
    at_most: usize,
    /// Each with its place in `order`.
    entries: HashMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
    last: u64,
}

impl<K: Clone + Eq + Hash, V> Remembered<K, V> {
    pub(crate) fn new(at_most: usize) -> Self {
        Self { at_most, entries: HashMap::new(), order: BTreeMap::new(), last: 0 }
    }

    /// Remembers it as the newest; gives what had to go for it.
    pub(crate) fn add(&mut self, key: K, value: V) -> Option<K> {
        self.remove(&key);
        self.last += 1;
        self.order.insert(self.last, key.clone());
        self.entries.insert(key, (self.last, value));
        if self.entries.len() <= self.at_most {
            return None;
        }
        let (_, oldest) = self.order.pop_first()?;
        self.entries.remove(&oldest);
        Some(oldest)
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some((place, _)) = self.entries.remove(key) {
            self.order.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Remembered;

    #[test]
    fn the_one_that_went_first_is_let_go_of_first() {
        let mut gone = Remembered::new(2);
        assert_eq!((gone.add("a", 1), gone.add("b", 2), gone.add("a", 3)), (None, None, None));
        assert_eq!(gone.add("c", 4), Some("b"), "`a` went again since");
        gone.remove(&"c");
        assert_eq!((gone.get("a"), gone.get("b"), gone.get("c")), (Some(&3), None, None));
        assert_eq!((gone.entries.len(), gone.order.len()), (1, 1));
    }
}
