//! What a store keeps in memory: interned boots, how far each is committed, layouts. Decides nothing that is not in
//! the database too; it changes only after a commit.

use super::layouts::KnownLayout;
use super::marks::{Mark, Marks};
use super::row::Entry;
use super::seals::Landed;
use super::{AgentKey, Cuts, LayoutKey};
use farol_wire::Boot;
use foldhash::HashMap;
use std::collections::BTreeMap;

/// A boot with its mark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) agent: AgentKey,
    pub(crate) boot: Boot,
    pub(crate) mark: Mark,
    /// Reports up to this one stand in blocks.
    pub(crate) sealed: u64,
}

/// The mirror of the small tables.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// By the interned key: in its order marks are saved.
    pub(crate) starts: BTreeMap<u32, Start>,
    pub(crate) keys: HashMap<(AgentKey, Boot), u32>,
    /// Those that the journal names and that are gone included.
    pub(crate) layouts: HashMap<LayoutKey, KnownLayout>,
    /// Before which times what was kept is gone.
    pub(crate) cuts: Cuts,
}

impl Catalog {
    pub(crate) fn add_boot(&mut self, key: u32, agent: AgentKey, boot: Boot) {
        self.keys.insert((agent, boot), key);
        self.starts.insert(key, Start { agent, boot, mark: Mark::default(), sealed: 0 });
    }

    pub(crate) fn remove_boot(&mut self, key: u32) {
        if let Some(start) = self.starts.remove(&key) {
            self.keys.remove(&(start.agent, start.boot));
        }
    }

    /// Counts a run of the row `row` as committed.
    pub(crate) fn advance(&mut self, entry: &Entry, row: i64) {
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
            let new = KnownLayout { used_row: row, bytes: 0, sealed: false };
            let known = self.layouts.entry(layout).or_insert(new);
            known.used_row = known.used_row.max(row);
        }
    }

    /// Counts what was sealed.
    pub(crate) fn land(&mut self, landed: &Landed) {
        for (boot, seq) in &landed.marks {
            self.seal(*boot, *seq);
        }
        for layout in &landed.layouts {
            if let Some(known) = self.layouts.get_mut(layout) {
                known.sealed = true;
            }
        }
    }

    /// A boot's reports up to this one stand in blocks.
    pub(crate) fn seal(&mut self, boot: u32, seq: u64) {
        if let Some(start) = self.starts.get_mut(&boot) {
            start.sealed = start.sealed.max(seq);
            start.mark.seq = start.mark.seq.max(seq);
        }
    }

    /// Up to which report a boot is sealed.
    pub(crate) fn sealed(&self, boot: u32) -> u64 {
        self.starts.get(&boot).map_or(0, |start| start.sealed)
    }

    /// The boots of these agents, agent by agent, oldest first.
    pub(crate) fn boots_of(&self, agents: &[AgentKey]) -> Vec<(AgentKey, Boot, u32)> {
        let places: HashMap<AgentKey, usize> =
            agents.iter().enumerate().map(|(at, key)| (*key, at)).collect();
        let starts = self.starts.iter().filter(|(_, start)| places.contains_key(&start.agent));
        let mut all: Vec<_> = starts.map(|(key, start)| (start.agent, start.boot, *key)).collect();
        all.sort_unstable_by_key(|(agent, boot, _)| (places[agent], *boot));
        all
    }

    /// All marks, for saving.
    pub(crate) fn marks(&self) -> Marks {
        let mut layouts: Vec<_> = self.layouts.iter().map(|(key, known)| (*key, known.used_row)).collect();
        layouts.sort_unstable();
        Marks { boots: self.starts.iter().map(|(key, start)| (*key, start.mark)).collect(), layouts }
    }

    /// Boots of which no row from `oldest_row` on holds anything.
    pub(crate) fn silent_since(&self, oldest_row: i64) -> Vec<u32> {
        let silent = self.starts.iter().filter(|(_, start)| start.mark.row < oldest_row);
        silent.map(|(key, _)| *key).collect()
    }

    /// Those of these layouts that no row from `oldest_row` on was made with.
    pub(crate) fn needed_by_none(&self, unused: &[LayoutKey], oldest_row: i64) -> Vec<LayoutKey> {
        let is_gone =
            |key: &&LayoutKey| self.layouts.get(key).is_none_or(|layout| layout.used_row < oldest_row);
        unused.iter().filter(is_gone).copied().collect()
    }

    /// Lets go of layouts, and of all that are gone in `unused`.
    pub(crate) fn remove_layouts(&mut self, gone: &[LayoutKey], unused: &mut Vec<LayoutKey>) {
        for key in gone {
            self.layouts.remove(key);
        }
        unused.retain(|key| self.layouts.contains_key(key));
    }
}
