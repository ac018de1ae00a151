//! A double: a store in memory, for tests of what stands above a store. Keeps every promise of the trait but one: it
//! does not outlive the process. The same suite runs on it and on the real ones.

mod documents;
mod shelf;

use documents::Documents;
use farol_monitor::store::{
    AgentKey, AgentRecord, CHANGES_AT_MOST, ComponentFilter, ComponentKey, ComponentRecord, Covered, Cuts,
    Document, DocumentKind, DocumentPage, Group, KnownAgent, Layout, LayoutKey, Level, Piece, ReportRecord,
    Restored, Retention, Sizes, StatusChange, Store, StoreError, StoredReport, Tidied, Visit, VisitBlocks,
};
use farol_wire::Boot;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use shelf::Shelf;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// A store in memory. What is opened anew from [`MemoryStore::reopened`] finds what was committed.
#[derive(Debug)]
pub struct MemoryStore {
    id: Arc<str>,
    kept: Arc<Mutex<Kept>>,
    /// Closed, or refusing because a test says so.
    refuses: Mutex<Option<StoreError>>,
    /// Blocks are read within.
    reads_within: Mutex<Duration>,
}

#[derive(Debug, Default)]
struct Kept {
    agents: BTreeMap<AgentKey, (AgentRecord, bool)>,
    last_agent_key: u32,
    layouts: BTreeMap<LayoutKey, Arc<Layout>>,
    /// Layouts that nobody uses any more.
    unused: BTreeSet<LayoutKey>,
    /// In the order of agent, boot, seq; with when each was committed, and after how many others.
    reports: BTreeMap<(AgentKey, Boot, u64), (i64, i64, ReportRecord)>,
    committed: i64,
    /// The newest report of each agent.
    heard: BTreeMap<AgentKey, i64>,
    /// Up to which report each boot is sealed, and when that last rose.
    sealed: BTreeMap<(AgentKey, Boot), (u64, i64)>,
    shelf: Shelf,
    components: BTreeMap<ComponentKey, ComponentRecord>,
    changes: BTreeMap<ComponentKey, BTreeMap<i64, StatusChange>>,
    blind: BTreeMap<i64, i64>,
    documents: Documents,
    last_commit_ms: Option<i64>,
    /// Each report as often as it was handed over, in that order.
    handed: Vec<(AgentKey, Boot, u64)>,
    /// Each report as it was handed over first, also when it is sealed.
    first: BTreeMap<(AgentKey, Boot, u64), ReportRecord>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            id: "memory".into(),
            kept: Arc::default(),
            refuses: Mutex::default(),
            reads_within: Mutex::default(),
        }
    }
}

impl MemoryStore {
    /// The same content under a new handle, as after a restart.
    #[must_use]
    pub fn reopened(&self) -> Self {
        Self { id: Arc::clone(&self.id), kept: Arc::clone(&self.kept), ..Self::default() }
    }

    /// From now on blocks are read so slowly.
    pub fn read_within(&self, time: Duration) {
        *self.reads_within.lock() = time;
    }

    /// From now on every commit fails so; `None` ends it.
    pub fn refuse(&self, with: Option<StoreError>) {
        *self.refuses.lock() = with;
    }

    /// Every report as often as it was committed, in that order; also those that were there already.
    #[must_use]
    pub fn handed(&self) -> Vec<(AgentKey, Boot, u64)> {
        self.kept.lock().handed.clone()
    }

    /// Every report that was ever committed, in the order of agent, boot and number, whether it is sealed or not.
    #[must_use]
    pub fn committed(&self) -> Vec<ReportRecord> {
        self.kept.lock().first.values().cloned().collect()
    }

    /// All documents of a kind, the newest first.
    #[must_use]
    pub fn documents_of(&self, kind: DocumentKind) -> Vec<Document> {
        let all = DocumentPage::default();
        self.kept.lock().documents.page(kind, &all)
    }

    fn takes(&self) -> Result<(), StoreError> {
        self.refuses.lock().clone().map_or(Ok(()), Err)
    }
}

impl Store for MemoryStore {
    fn id(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    fn restore(&self) -> BoxFuture<'_, Result<Restored, StoreError>> {
        async { Ok(self.kept.lock().restored()) }.boxed()
    }

    fn commit<'a>(&'a self, group: &'a Group) -> BoxFuture<'a, Result<(), StoreError>> {
        async {
            self.takes()?;
            self.kept.lock().commit(group);
            Ok(())
        }
        .boxed()
    }

    fn tidy<'a>(
        &'a self,
        now_ms: i64,
        retention: &'a Retention,
    ) -> BoxFuture<'a, Result<Tidied, StoreError>> {
        async move {
            self.takes()?;
            let mut kept = self.kept.lock();
            kept.tidy(now_ms, retention);
            kept.last_commit_ms = Some(now_ms);
            // All of it is one piece here.
            Ok(Tidied { did: Some(Piece::Retention), more: false })
        }
        .boxed()
    }

    fn agents(&self) -> BoxFuture<'_, Result<Vec<KnownAgent>, StoreError>> {
        async {
            let kept = self.kept.lock();
            let known = |(record, _): &(AgentRecord, bool)| KnownAgent {
                key: record.key,
                id: Arc::clone(&record.id),
            };
            Ok(kept.agents.values().map(known).collect())
        }
        .boxed()
    }

    fn reports<'a>(
        &'a self,
        agents: &'a [AgentKey],
        from_ms: i64,
        to_ms: i64,
        visit: Visit<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let found = self.kept.lock().reports(agents, from_ms, to_ms);
            let _ended = found.into_iter().try_for_each(visit);
            Ok(())
        }
        .boxed()
    }

    fn blocks<'a>(
        &'a self,
        agents: &'a [AgentKey],
        from_ms: i64,
        to_ms: i64,
        level: Level,
        visit: VisitBlocks<'a>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let time = *self.reads_within.lock();
            tokio::time::sleep(time).await;
            let kept = self.kept.lock();
            let found = kept.shelf.find(agents, (from_ms, to_ms), level, &kept.layouts);
            drop(kept);
            let _ended = found.into_iter().try_for_each(|block| {
                if visit.wants(&block.layout) { visit.take(block) } else { ControlFlow::Continue(()) }
            });
            Ok(())
        }
        .boxed()
    }

    fn unsealed<'a>(
        &'a self,
        after: i64,
        visit: Visit<'a>,
    ) -> BoxFuture<'a, Result<Option<i64>, StoreError>> {
        async move {
            let (found, next) = self.kept.lock().unsealed(after);
            let _ended = found.into_iter().try_for_each(visit);
            Ok(next)
        }
        .boxed()
    }

    fn cuts(&self) -> Cuts {
        self.kept.lock().shelf.cuts
    }

    fn sizes(&self) -> Sizes {
        self.kept.lock().shelf.sizes
    }

    fn status_changes(
        &self,
        filter: ComponentFilter,
        from_ms: i64,
        to_ms: i64,
    ) -> BoxFuture<'_, Result<Vec<StatusChange>, StoreError>> {
        async move {
            let mut found = self.kept.lock().status_changes(&filter, from_ms, to_ms);
            if found.len() > CHANGES_AT_MOST {
                return Err(StoreError::TooMuch("too many status changes; narrow the question".to_owned()));
            }
            found.sort_by(|a, b| (a.at_ms, &a.key).cmp(&(b.at_ms, &b.key)));
            Ok(found)
        }
        .boxed()
    }

    fn blind(&self, from_ms: i64, to_ms: i64) -> BoxFuture<'_, Result<Vec<(i64, i64)>, StoreError>> {
        async move {
            let kept = self.kept.lock();
            let all = kept.blind.iter().map(|(from, to)| (*from, *to));
            Ok(all.filter(|(from, to)| *from < to_ms && *to > from_ms).collect())
        }
        .boxed()
    }

    fn documents(
        &self,
        kind: DocumentKind,
        page: DocumentPage,
    ) -> BoxFuture<'_, Result<Vec<Document>, StoreError>> {
        async move { Ok(self.kept.lock().documents.page(kind, &page)) }.boxed()
    }

    fn undecodable(&self) -> u64 {
        0
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async {
            self.refuse(Some(StoreError::Refused("the store is closed".to_owned())));
            self.kept.lock().last_commit_ms = Some(farol_health::clock::wall_ms());
            Ok(())
        }
        .boxed()
    }
}

impl Kept {
    fn commit(&mut self, group: &Group) {
        let now_ms = farol_health::clock::wall_ms();
        self.last_commit_ms = Some(now_ms);
        for record in &group.agents {
            self.last_agent_key = self.last_agent_key.max(record.key.0);
            self.agents.insert(record.key, (record.clone(), false));
        }
        self.layouts.extend(group.layouts.iter().map(|layout| (layout.key, Arc::clone(layout))));
        self.unused.extend(&group.unused);
        for report in &group.reports {
            let key = (report.agent, report.boot, report.seq);
            self.handed.push(key);
            self.first.entry(key).or_insert_with(|| report.clone());
            self.committed += 1;
            let newest = self.heard.entry(report.agent).or_insert(report.at_ms);
            *newest = (*newest).max(report.at_ms);
            let order = self.committed;
            self.reports.entry(key).or_insert_with(|| (now_ms, order, report.clone()));
        }
        for record in &group.sealed {
            let mark = self.sealed.entry((record.agent, record.boot)).or_default();
            if record.last_seq > mark.0 {
                *mark = (record.last_seq, now_ms);
                self.shelf.add(record);
            }
        }
        group.covered.iter().for_each(|covered| self.cover(covered));
        for change in &group.changes {
            self.changes.entry(change.key.clone()).or_default().insert(change.at_ms, change.clone());
        }
        for key in &group.removed {
            self.components.remove(key);
        }
        for record in &group.components {
            self.components.insert(record.key.clone(), record.clone());
        }
        for key in &group.forgotten {
            if let Some((_, forgotten)) = self.agents.get_mut(key) {
                *forgotten = true;
            }
        }
        group.documents.iter().for_each(|change| self.documents.change(change));
        for (from_ms, to_ms) in &group.blind {
            let end = self.blind.entry(*from_ms).or_insert(*to_ms);
            *end = (*end).max(*to_ms);
        }
    }

    /// Staleness gives way in a time that was told later, and goes on after it.
    fn cover(&mut self, covered: &Covered) {
        let Some(all) = self.changes.get_mut(&covered.key).filter(|_| covered.to_ms > covered.from_ms) else {
            return;
        };
        let at_end = all.range(..=covered.to_ms).next_back().map(|(_, change)| change.clone());
        let end_ms = covered.to_ms + i64::from(!covered.stale_after);
        all.retain(|at_ms, change| !(change.stale && (covered.from_ms..end_ms).contains(at_ms)));
        if let Some(stale) = at_end.filter(|change| change.stale && covered.stale_after) {
            all.entry(covered.to_ms).or_insert(StatusChange { at_ms: covered.to_ms, ..stale });
        }
        let at_start = all.range(..=covered.from_ms).next_back();
        if let Some((stale_ms, _)) = at_start.filter(|(_, change)| change.stale) {
            let told =
                all.range(..*stale_ms).rfind(|(_, change)| !change.stale).map(|(_, change)| change.clone());
            if let Some(told) = told.filter(|change| change.status.is_some()) {
                all.entry(covered.from_ms).or_insert(StatusChange { at_ms: covered.from_ms, ..told });
            }
        }
    }

    fn restored(&self) -> Restored {
        let mut marks: BTreeMap<(AgentKey, Boot), u64> = BTreeMap::new();
        for ((agent, boot), (seq, _)) in &self.sealed {
            marks.insert((*agent, *boot), *seq);
        }
        for (agent, boot, seq) in self.reports.keys() {
            let mark = marks.entry((*agent, *boot)).or_default();
            *mark = (*mark).max(*seq);
        }
        let (mut agents, mut forgotten) = (Vec::new(), Vec::new());
        let speaking: BTreeSet<AgentKey> = marks.keys().map(|(agent, _)| *agent).collect();
        for (record, is_forgotten) in self.agents.values() {
            let heard_ms = self.heard.get(&record.key).copied().unwrap_or(record.last_seen_ms);
            let record = AgentRecord { last_seen_ms: record.last_seen_ms.max(heard_ms), ..record.clone() };
            if !is_forgotten {
                agents.push(record);
            } else if speaking.contains(&record.key) {
                forgotten.push(record);
            }
        }
        Restored {
            agents,
            forgotten,
            components: self.components.values().cloned().collect(),
            marks: marks.into_iter().map(|((agent, boot), seq)| (agent, boot, seq)).collect(),
            sealed: self.sealed.iter().map(|((agent, boot), (seq, _))| (*agent, *boot, *seq)).collect(),
            layouts: self.layouts.values().cloned().collect(),
            last_commit_ms: self.last_commit_ms,
            last_agent_key: self.last_agent_key,
            last_layout_key: self.layouts.keys().next_back().map_or(0, |key| key.0),
            documents: self.documents.until_deleted(),
        }
    }

    fn reports(&self, agents: &[AgentKey], from_ms: i64, to_ms: i64) -> Vec<StoredReport> {
        let mut found = Vec::new();
        for agent in agents {
            let all: Vec<&ReportRecord> = self.open_reports().filter(|r| r.agent == *agent).collect();
            for of_boot in all.chunk_by(|a, b| a.boot == b.boot) {
                let Some(first) = of_boot.iter().position(|r| (from_ms..=to_ms).contains(&r.at_ms)) else {
                    continue;
                };
                let key = of_boot[..=first].iter().rposition(|r| r.key);
                let start = key.or_else(|| of_boot.iter().position(|r| r.key)).unwrap_or(of_boot.len());
                for report in of_boot[start..].iter().filter(|r| r.at_ms <= to_ms) {
                    let Some(layout) = self.layouts.get(&report.layout) else { continue };
                    found.push(StoredReport { report: (*report).clone(), layout: Arc::clone(layout) });
                }
            }
        }
        found
    }

    /// Those that are not sealed.
    fn open_reports(&self) -> impl Iterator<Item = &ReportRecord> {
        let is_open =
            |r: &&ReportRecord| self.sealed.get(&(r.agent, r.boot)).is_none_or(|(sealed, _)| r.seq > *sealed);
        self.reports.values().map(|(.., report)| report).filter(is_open)
    }

    fn unsealed(&self, after: i64) -> (Vec<StoredReport>, Option<i64>) {
        let mut all: Vec<(i64, &ReportRecord)> = self.reports.values().map(|(_, at, r)| (*at, r)).collect();
        all.retain(|(at, _)| *at > after);
        all.sort_by_key(|(at, _)| *at);
        all.truncate(64);
        let open: BTreeSet<_> = self.open_reports().map(|r| (r.agent, r.boot, r.seq)).collect();
        let shown =
            all.iter().filter(|(_, r)| open.contains(&(r.agent, r.boot, r.seq))).filter_map(|(_, r)| {
                let layout = Arc::clone(self.layouts.get(&r.layout)?);
                Some(StoredReport { report: (*r).clone(), layout })
            });
        (shown.collect(), all.last().map(|(at, _)| *at))
    }

    fn status_changes(&self, filter: &ComponentFilter, from_ms: i64, to_ms: i64) -> Vec<StatusChange> {
        let fits =
            |wanted: &Option<String>, is: &Arc<str>| wanted.as_ref().is_none_or(|wanted| **wanted == **is);
        let matching = self.changes.iter().filter(|(key, _)| {
            fits(&filter.agent, &key.agent)
                && fits(&filter.service, &key.service)
                && fits(&filter.component, &key.component)
        });
        matching
            .flat_map(|(_, all)| {
                let start = all.range(..from_ms).next_back().map_or(from_ms, |(at_ms, _)| *at_ms);
                all.range(start..).map(|(_, change)| change).filter(|change| change.at_ms <= to_ms).cloned()
            })
            .collect()
    }

    fn tidy(&mut self, now_ms: i64, retention: &Retention) {
        let sealed = &self.sealed;
        self.reports.retain(|(agent, boot, seq), (committed_ms, ..)| {
            let is_open = sealed.get(&(*agent, *boot)).is_none_or(|(sealed, _)| seq > sealed);
            is_open && *committed_ms >= now_ms.saturating_sub(retention.raw_ms) - 12 * 3_600_000
        });
        let speaking: BTreeSet<(AgentKey, Boot)> = self.reports.keys().map(|(a, b, _)| (*a, *b)).collect();
        let current: BTreeSet<(AgentKey, Boot)> = self
            .agents
            .values()
            .filter(|(_, gone)| !gone)
            .map(|(record, _)| (record.key, record.boot))
            .collect();
        self.sealed.retain(|of, (_, at_ms)| {
            *at_ms >= now_ms - 48 * 3_600_000 || speaking.contains(of) || current.contains(of)
        });
        self.shelf.tidy(now_ms, retention);
        self.documents.tidy(now_ms, retention);
        self.shelf.sizes.documents = self.documents.bytes();
        let oldest_ms = now_ms - retention.statuses_ms;
        for all in self.changes.values_mut() {
            let last = all.range(..=oldest_ms).next_back().map(|(at_ms, _)| *at_ms);
            all.retain(|at_ms, change| {
                *at_ms >= oldest_ms || (Some(*at_ms) == last && change.status.is_some())
            });
        }
        self.changes.retain(|_, all| !all.is_empty());
        self.blind.retain(|_, to_ms| *to_ms >= oldest_ms);
        let mut used: BTreeSet<LayoutKey> = self.reports.values().map(|(.., report)| report.layout).collect();
        used.extend(self.shelf.layouts());
        self.layouts.retain(|key, _| used.contains(key) || !self.unused.contains(key));
        let mut speaking: BTreeSet<AgentKey> = self.reports.keys().map(|(agent, ..)| *agent).collect();
        speaking.extend(self.sealed.keys().map(|(agent, _)| *agent).chain(self.shelf.agents()));
        self.agents.retain(|key, (_, forgotten)| !*forgotten || speaking.contains(key));
    }
}
