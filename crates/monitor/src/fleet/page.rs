//! The fleet page by page, for readers who list it. Decides only the order.

use super::{Agent, Fleet};
use std::ops::Bound;
use std::sync::Arc;

impl Fleet {
    /// At most `most` agents in the order of their ids: those after this id, or from it on where `and_itself`.
    #[must_use]
    pub fn agents_after(&self, id: Option<&str>, and_itself: bool, most: usize) -> Vec<Arc<Agent>> {
        let start = match id {
            None => Bound::Unbounded,
            Some(id) if and_itself => Bound::Included(id),
            Some(id) => Bound::Excluded(id),
        };
        let agents = self.agents.read();
        agents
            .range::<str, _>((start, Bound::Unbounded))
            .map(|(_, agent)| Arc::clone(agent))
            .take(most)
            .collect()
    }
}
