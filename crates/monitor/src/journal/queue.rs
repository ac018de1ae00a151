//! What waits for the next commit, within bounds.

use super::documents::Words;
use super::follower::Progress;
use crate::fleet::Effects;
use crate::store::{
    AgentKey, AgentRecord, ComponentKey, ComponentRecord, Covered, DocumentChange, Group, Layout, LayoutKey,
    ReportRecord, SealedRecord, StatusChange,
};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio::time::Instant;

/// Bytes of reports and layouts that may wait; over it reports are dropped unacknowledged, and no layout is taken.
pub(super) const REPORT_BYTES_AT_MOST: usize = 64 << 20;
/// Of these a backlog takes a half at most: with more it is dropped as if there were no room, and with a quarter of
/// anything it had better wait. The rest is left to what is of now.
pub(super) const BACKLOG_BYTES_AT_MOST: usize = REPORT_BYTES_AT_MOST / 2;
const CROWDED: usize = 4;
/// Bytes of reports and layouts that close a group at once.
const LARGE_GROUP_BYTES: usize = 1 << 20;
/// Bytes of status changes that may wait, and as many of covered times; over it the oldest are dropped and counted. A
/// million at once is what an outage of 100 000 agents with ten components each brings about.
const CHANGE_BYTES_AT_MOST: usize = 128 << 20;
/// What a change or a covered time takes up. Names are the components' own; reasons are short codes.
const CHANGE_BYTES: usize = size_of::<StatusChange>() + 32;
pub(super) const CHANGES_AT_MOST: usize = CHANGE_BYTES_AT_MOST / CHANGE_BYTES;
/// Blind times that may wait; over it two neighbours become one.
const BLIND_AT_MOST: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Queue {
    reports: Vec<ReportRecord>,
    /// Who waits for the reports, one for each, in their order: told when they are committed or dropped.
    waiters: Vec<(Arc<Progress>, u64)>,
    /// Of reports and layouts.
    report_bytes: usize,
    /// Layouts stay until they are committed: reports of other streams may use them.
    layouts: Vec<Arc<Layout>>,
    /// Layouts that nobody uses any more; they go with the next group, whenever that comes.
    pub(super) unused: Vec<LayoutKey>,
    /// Sealed records, each boot's in order; whoever seals looks at how many bytes wait. They stay until they are
    /// committed.
    sealed: Vec<SealedRecord>,
    changes: VecDeque<StatusChange>,
    covered: VecDeque<Covered>,
    components: HashMap<ComponentKey, ComponentRecord>,
    removed: HashSet<ComponentKey>,
    agents: HashMap<AgentKey, AgentRecord>,
    forgotten: HashSet<AgentKey>,
    blind: Vec<(i64, i64)>,
    /// Alerting's; its count of hand-ins goes on over groups.
    pub(super) documents: Words,
    /// The group closes at once.
    pub(super) urgent: bool,
    /// When the first part came.
    pub(super) since: Option<Instant>,
}

/// What was dropped because the store refuses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) reports: u64,
    pub(super) changes: u64,
    pub(super) documents: u64,
}

/// A group on its way, with those who wait for it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) group: Group,
    pub(super) waiters: Vec<(Arc<Progress>, u64)>,
    /// It has the documents of all hand-ins up to this number that were not committed before.
    pub(super) handed: u64,
}

impl Queue {
    /// Adds a report; false when there is no room below this bound.
    pub(super) fn push(&mut self, record: ReportRecord, progress: &Arc<Progress>, at_most: usize) -> bool {
        let bytes = 64 + record.blocks.iter().map(|b| b.data.len() + 16).sum::<usize>();
        if self.report_bytes + bytes > at_most {
            return false;
        }
        self.since.get_or_insert_with(Instant::now);
        self.report_bytes += bytes;
        self.waiters.push((Arc::clone(progress), record.seq));
        self.reports.push(record);
        true
    }

    /// Adds a sealed record.
    pub(super) fn push_sealed(&mut self, record: SealedRecord) {
        self.since.get_or_insert_with(Instant::now);
        self.sealed.push(record);
    }

    /// Bytes of sealed records that wait.
    pub(super) fn sealed_bytes(&self) -> usize {
        self.sealed.iter().map(|record| record.bytes.len() + record.rollup.len()).sum()
    }

    /// Adds what the fleet brought about; tells how many status changes and covered times were dropped for it.
    pub(super) fn add(&mut self, effects: &Effects) -> u64 {
        self.since.get_or_insert_with(Instant::now);
        self.urgent |= !effects.changes.is_empty();
        self.changes.extend(effects.changes.iter().cloned());
        let over = self.changes.len().saturating_sub(CHANGES_AT_MOST);
        self.changes.drain(..over);
        self.covered.extend(effects.covered.iter().cloned());
        let covered_over = self.covered.len().saturating_sub(CHANGES_AT_MOST);
        self.covered.drain(..covered_over);
        for key in &effects.removed {
            self.components.remove(key);
            self.removed.insert(key.clone());
        }
        for record in &effects.components {
            self.removed.remove(&record.key);
            self.components.insert(record.key.clone(), record.clone());
        }
        for record in &effects.agents {
            self.forgotten.remove(&record.key);
            self.agents.insert(record.key, record.clone());
        }
        for key in &effects.forgotten {
            self.agents.remove(key);
            self.forgotten.insert(*key);
        }
        (over + covered_over) as u64
    }

    /// Adds a time in which no monitor watched.
    pub(super) fn add_blind(&mut self, from_ms: i64, to_ms: i64) {
        self.since.get_or_insert_with(Instant::now);
        let full = self.blind.len() >= BLIND_AT_MOST;
        match self.blind.last_mut() {
            Some(last) if full => last.1 = to_ms,
            _ => self.blind.push((from_ms, to_ms)),
        }
    }

    /// Adds documents that are to be committed together; the number of this hand-in, and how many were dropped.
    pub(super) fn hand_in(&mut self, changes: Vec<DocumentChange>) -> (u64, u64) {
        self.since.get_or_insert_with(Instant::now);
        self.urgent = true;
        self.documents.handed += 1;
        let dropped = changes.into_iter().map(|change| self.documents.add(change)).sum();
        (self.documents.handed, dropped)
    }

    /// Adds a layout that reports of this or of other streams use; false when there is no room.
    pub(super) fn push_layout(&mut self, layout: Arc<Layout>) -> bool {
        let has_room = self.report_bytes + layout.weight() <= REPORT_BYTES_AT_MOST;
        if has_room {
            self.add_layout(layout);
        }
        has_room
    }

    fn add_layout(&mut self, layout: Arc<Layout>) {
        self.since.get_or_insert_with(Instant::now);
        self.report_bytes += layout.weight();
        self.layouts.push(layout);
    }

    pub(super) fn reports_len(&self) -> usize {
        self.reports.len()
    }

    /// So much waits that a backlog had better wait, too.
    pub(super) fn is_crowded(&self) -> bool {
        self.report_bytes > REPORT_BYTES_AT_MOST / CROWDED || self.most_changes() > CHANGES_AT_MOST / CROWDED
    }

    /// How large a queue a backlog finds room in: in none, where what it changed would push out what changes now.
    pub(super) fn room_for_backlog(&self) -> usize {
        if self.most_changes() > CHANGES_AT_MOST / 2 { 0 } else { BACKLOG_BYTES_AT_MOST }
    }

    fn most_changes(&self) -> usize {
        self.changes.len().max(self.covered.len())
    }

    pub(super) fn is_large(&self) -> bool {
        self.report_bytes >= LARGE_GROUP_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reports.is_empty()
            && self.layouts.is_empty()
            && self.sealed.is_empty()
            && self.changes.is_empty()
            && self.components.is_empty()
            && self.removed.is_empty()
            && self.agents.is_empty()
            && self.forgotten.is_empty()
            && self.blind.is_empty()
            && self.covered.is_empty()
            && self.documents.is_empty()
    }

    /// Takes all that waits.
    pub(super) fn take(&mut self) -> Batch {
        let documents = self.documents.take();
        let emptied = Self { documents: std::mem::take(&mut self.documents), ..Self::default() };
        let mut taken = std::mem::replace(self, emptied);
        give_way(&mut taken.changes, &taken.covered);
        let group = Group {
            agents: taken.agents.into_values().collect(),
            layouts: taken.layouts,
            unused: taken.unused,
            reports: taken.reports,
            sealed: taken.sealed,
            components: taken.components.into_values().collect(),
            removed: taken.removed.into_iter().collect(),
            forgotten: taken.forgotten.into_iter().collect(),
            changes: taken.changes.into(),
            covered: taken.covered.into(),
            blind: taken.blind,
            documents,
        };
        Batch { group, waiters: taken.waiters, handed: self.documents.handed }
    }

    /// Puts a refused group back without its reports, before what has come since, whose reports are dropped too.
    pub(super) fn put_back(&mut self, batch: Batch) -> Lost {
        let Batch { group: newer, waiters, .. } = self.take();
        for (progress, _) in batch.waiters.iter().chain(&waiters) {
            progress.roll_back();
        }
        let mut lost =
            Lost { reports: (batch.group.reports.len() + newer.reports.len()) as u64, ..Lost::default() };
        for group in [batch.group, newer] {
            group.layouts.into_iter().for_each(|layout| self.add_layout(layout));
            self.unused.extend(group.unused);
            group.sealed.into_iter().for_each(|record| self.push_sealed(record));
            group.blind.into_iter().for_each(|(from_ms, to_ms)| self.add_blind(from_ms, to_ms));
            lost.documents += group.documents.into_iter().map(|word| self.documents.add(word)).sum::<u64>();
            lost.changes += self.add(&Effects {
                changes: group.changes,
                covered: group.covered,
                components: group.components,
                removed: group.removed,
                agents: group.agents,
                forgotten: group.forgotten,
                ..Effects::default()
            });
        }
        lost
    }
}

/// What was told of a time takes the place of staleness in it. In a store it does so before the changes are written; the
/// staleness that goes with the same group was there first, too.
fn give_way(changes: &mut VecDeque<StatusChange>, covered: &VecDeque<Covered>) {
    if covered.is_empty() || !changes.iter().any(|change| change.stale) {
        return;
    }
    let mut by_key: HashMap<&ComponentKey, Vec<&Covered>> = HashMap::new();
    for one in covered.iter().filter(|one| one.to_ms > one.from_ms) {
        by_key.entry(&one.key).or_default().push(one);
    }
    changes.retain_mut(|change| {
        for one in by_key.get(&change.key).into_iter().flatten().filter(|_| change.stale) {
            let end_ms = one.to_ms + i64::from(!one.stale_after);
            if (one.from_ms..end_ms).contains(&change.at_ms) {
                if !one.stale_after {
                    return false;
                }
                change.at_ms = one.to_ms;
            }
        }
        true
    });
}
