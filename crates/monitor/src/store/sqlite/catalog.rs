//! What the store keeps in memory: interned boots, how far each is committed, layouts. Decides nothing that is not in
//! the database too; it changes only after a commit.

use super::layouts::KnownLayout;
use crate::store::marks::{Mark, Marks};
use crate::store::row::Entry;
use crate::store::{AgentKey, LayoutKey};
use farol_wire::Boot;
use foldhash::HashMap;
use std::collections::BTreeMap;

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
    /// Those that the journal names and that are gone included.
    pub(super) layouts: HashMap<LayoutKey, KnownLayout>,
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
            let known = self.layouts.entry(layout).or_insert(KnownLayout { used_row: row, bytes: 0 });
            known.used_row = known.used_row.max(row);
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
        let mut layouts: Vec<_> = self.layouts.iter().map(|(key, known)| (*key, known.used_row)).collect();
        layouts.sort_unstable();
        Marks { boots: self.starts.iter().map(|(key, start)| (*key, start.mark)).collect(), layouts }
    }
}
