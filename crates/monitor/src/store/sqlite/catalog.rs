//! What the store keeps in memory: interned boots, how far each is committed, layouts. Decides nothing that is not in
//! the database too; it changes only after a commit.

use crate::store::marks::{Mark, Marks};
use crate::store::row::Entry;
use crate::store::{AgentKey, Layout, LayoutKey};
use farol_wire::Boot;
use foldhash::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A boot with its mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) agent: AgentKey,
    pub(super) boot: Boot,
    pub(super) mark: Mark,
}

/// The mirror of the small tables.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    /// By the interned key: in its order marks are saved.
    pub(super) starts: BTreeMap<u32, Start>,
    pub(super) keys: HashMap<(AgentKey, Boot), u32>,
    pub(super) layouts: HashMap<LayoutKey, Arc<Layout>>,
    /// The last journal row that used each layout, one that is gone included: once that row is deleted, nothing needs
    /// it.
    pub(super) used: HashMap<LayoutKey, i64>,
}

impl Catalog {
    pub(super) fn add_boot(&mut self, key: u32, agent: AgentKey, boot: Boot) {
        self.keys.insert((agent, boot), key);
        self.starts.insert(key, Start { agent, boot, mark: Mark::default() });
    }

    pub(super) fn remove_boot(&mut self, key: u32) {
        if let Some(start) = self.starts.remove(&key) {
            self.keys.remove(&(start.agent, start.boot));
        }
    }

    pub(super) fn add_layout(&mut self, layout: &Arc<Layout>, used_row: i64) {
        self.layouts.insert(layout.key, Arc::clone(layout));
        self.used.insert(layout.key, used_row);
    }

    /// Counts a run of the row `row` as committed.
    pub(super) fn advance(&mut self, entry: &Entry, row: i64) {
        if let Some(start) = self.starts.get_mut(&entry.boot) {
            let mark = &mut start.mark;
            mark.seq = mark.seq.max(entry.last_seq);
            mark.last_ms = mark.last_ms.max(entry.last_ms);
            mark.row = row;
            if entry.holds_key {
                mark.key_row = Some(row);
            }
        }
        for layout in entry.layouts() {
            let used_row = self.used.entry(layout).or_insert(row);
            *used_row = (*used_row).max(row);
        }
    }

    /// The boots of these agents, agent by agent, oldest first.
    pub(super) fn boots_of(&self, agents: &[AgentKey]) -> Vec<(AgentKey, Boot, u32)> {
        let places: HashMap<AgentKey, usize> =
            agents.iter().enumerate().map(|(at, key)| (*key, at)).collect();
        let starts = self.starts.iter().filter(|(_, start)| places.contains_key(&start.agent));
        let mut all: Vec<_> = starts.map(|(key, start)| (start.agent, start.boot, *key)).collect();
        all.sort_unstable_by_key(|(agent, boot, _)| (places[agent], *boot));
        all
    }

    /// All marks, for saving.
    pub(super) fn marks(&self) -> Marks {
        let mut layouts: Vec<_> = self.used.iter().map(|(key, used_row)| (*key, *used_row)).collect();
        layouts.sort_unstable();
        Marks { boots: self.starts.iter().map(|(key, start)| (*key, start.mark)).collect(), layouts }
    }
}
