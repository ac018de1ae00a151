//! Group commit: what the fleet brings about becomes one transaction every fifth of a second, at once for a status
//! change. Decides what is committed together, what waits while the store refuses, and what is dropped; where it is
//! kept is the store's business.

mod documents;
mod follower;
mod queue;
mod sealing;
mod trust;
mod writer;

pub use documents::Documents;
pub use follower::Follower;
pub use writer::Writer;

use crate::fleet::Effects;
use crate::recent::{self, Recent};
use crate::remembered::{AGENTS_AT_MOST, Remembered};
use crate::store::{AgentKey, Connections, Group, Layout, LayoutKey, ReportRecord, Restored, Store};
use farol_wire::Boot;
use follower::Progress;
use parking_lot::Mutex;
use queue::{Queue, REPORT_BYTES_AT_MOST};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It waits for its commit.
    Taken,
    /// It is committed, or waits already.
    Duplicate,
    /// The store refuses or the queue is full: it is dropped unacknowledged, and so is all that follows on its
    /// stream, until the agent connects anew.
    Dropped,
}

/// What became of a segment's reports, by their places in it: those before `taken` are duplicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// These wait for their commit.
    pub taken: Range<usize>,
    /// What comes after them was dropped.
    pub dropped: bool,
}

/// How the store does, for probes and metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreHealth {
    /// Since when and why the store refuses.
    pub refusing: Option<(i64, String)>,
    /// It will not take anything any more.
    pub failed: bool,
    /// The store is at one commit, or one step of its upkeep, since so long.
    pub busy: Option<Duration>,
    /// Reports were dropped since the last commit.
    pub dropping: bool,
    /// Reports committed since the start.
    pub committed_reports: u64,
    /// Groups committed since the start.
    pub committed_groups: u64,
    /// Reports dropped unacknowledged since the start.
    pub dropped_reports: u64,
    /// Status changes dropped because the store refused for too long.
    pub dropped_changes: u64,
    /// Words on documents dropped because the store refused for too long, or because their keys are too long.
    pub dropped_documents: u64,
    /// Reports that wait.
    pub queued_reports: usize,
    /// Documents that wait.
    pub queued_documents: usize,
    /// Time spent in commits, seconds.
    pub commit_seconds: f64,
    /// The last commit, unix milliseconds.
    pub last_commit_ms: Option<i64>,
    /// How long it took; `None` before the first since the start.
    pub last_commit_took: Option<Duration>,
    /// The store's connections.
    pub connections: Connections,
}

/// The way into the journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Shared>);

struct Shared {
    /// Asked for its connections, which it knows without asking anybody.
    store: Arc<dyn Store>,
    /// What was measured lately.
    recent: Recent,
    state: Mutex<State>,
    /// Wakes the writer: something waits.
    waiting: Notify,
    /// Wakes backlogs that wait: the queue was emptied.
    emptied: Notify,
    /// Rises when a store that refused takes again.
    recovered: watch::Sender<u64>,
    /// Told to those who wait until documents are committed.
    documents: watch::Sender<Documents>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct State {
    queue: Queue,
    /// Each boot's progress, oldest boot first: its mark, and who waits for it.
    progress: HashMap<AgentKey, BTreeMap<Boot, Arc<Progress>>>,
    /// Agents that are forgotten: their progress stays for a while, because they may come back.
    gone: Remembered<AgentKey, ()>,
    health: StoreHealth,
    /// The store was given something to do then, and has not answered: one that hangs never refuses.
    busy_since: Option<Instant>,
    /// A report was dropped since the last commit: streams that are broken by it must be told when it goes on.
    broke: bool,
}

/// Boots of one agent whose progress is kept; of more, the oldest that nobody follows is let go of.
const BOOTS_AT_MOST: usize = 128;

impl State {
    fn progress(&mut self, agent: AgentKey, boot: Boot) -> &Arc<Progress> {
        let boots = self.progress.entry(agent).or_default();
        if boots.len() >= BOOTS_AT_MOST && !boots.contains_key(&boot) {
            let unused = boots.iter().find(|(_, progress)| Arc::strong_count(progress) == 1);
            if let Some(oldest) = unused.map(|(boot, _)| *boot) {
                boots.remove(&oldest);
            }
        }
        boots.entry(boot).or_insert_with(|| Arc::new(Progress::at(0)))
    }

    /// Whether a stream, or somebody who waits, follows this boot.
    fn is_followed(&self, agent: AgentKey, boot: Boot) -> bool {
        let progress = self.progress.get(&agent).and_then(|boots| boots.get(&boot));
        progress.is_some_and(|progress| Arc::strong_count(progress) > 1)
    }

    /// Dates a report as history keeps it: the first one of a boot comes after those of the boot before.
    fn date(&self, record: &mut ReportRecord, progress: &Progress) {
        if !progress.is_dated() {
            let boots = self.progress.get(&record.agent).into_iter().flatten();
            let before = boots.take_while(|(boot, _)| **boot < record.boot).filter(|(_, p)| p.is_dated());
            if let Some((_, before)) = before.last() {
                progress.begin_after(before.dated_ms());
            }
        }
        progress.date(record);
    }

    fn submit(&mut self, follower: &Follower, mut record: ReportRecord, at_most: usize) -> Submitted {
        let (seq, progress) = (record.seq, follower.progress());
        if follower.is_broken() {
            self.health.dropped_reports += 1;
            return Submitted::Dropped;
        }
        if progress.is_queued(seq) {
            return Submitted::Duplicate;
        }
        let refuses = self.health.refusing.is_some() || self.health.failed;
        if !refuses {
            self.date(&mut record, progress);
        }
        if refuses || !self.queue.push(record, progress, at_most) {
            progress.break_off();
            self.broke = true;
            self.health.dropped_reports += 1;
            return Submitted::Dropped;
        }
        progress.queue(seq);
        Submitted::Taken
    }

    /// Closes the group at once when it is urgent or large. Whether the writer must hear of the `new` reports.
    fn close_if(&mut self, urgent: bool, new: usize) -> bool {
        let closes = urgent || self.queue.is_large();
        let wake = closes && !self.queue.urgent;
        self.queue.urgent |= closes;
        wake || self.queue.reports_len() == new
    }

    /// Notes which agents are there and which are forgotten; lets go of those that went first.
    fn note_agents(&mut self, group: &Group) {
        for agent in &group.agents {
            self.gone.remove(&agent.key);
        }
        for agent in &group.forgotten {
            if self.progress.contains_key(agent)
                && let Some(oldest) = self.gone.add(*agent, ())
            {
                self.progress.remove(&oldest);
            }
        }
    }
}

/// Opens the journal of a store. The writer must be run.
pub fn open(store: Arc<dyn Store>, restored: &Restored) -> (Journal, Writer) {
    open_with(store, restored, recent::Settings::default())
}

/// The same with settings for what is held in memory.
pub fn open_with(
    store: Arc<dyn Store>,
    restored: &Restored,
    settings: recent::Settings,
) -> (Journal, Writer) {
    let mut progress: HashMap<AgentKey, BTreeMap<Boot, Arc<Progress>>> = HashMap::new();
    for (agent, boot, seq) in &restored.marks {
        progress.entry(*agent).or_default().insert(*boot, Arc::new(Progress::at(*seq)));
    }
    let mut gone = Remembered::new(AGENTS_AT_MOST);
    for agent in &restored.forgotten {
        gone.add(agent.key, ());
    }
    for agent in restored.agents.iter().chain(&restored.forgotten) {
        if let Some(newest) = progress.get(&agent.key).and_then(|boots| boots.values().next_back()) {
            newest.begin_after(agent.last_seen_ms);
        }
    }
    let health = StoreHealth { last_commit_ms: restored.last_commit_ms, ..StoreHealth::default() };
    let state = State { queue: Queue::default(), progress, gone, health, busy_since: None, broke: false };
    let shared = Arc::new(Shared {
        store: Arc::clone(&store),
        recent: Recent::new(settings, restored),
        state: Mutex::new(state),
        waiting: Notify::new(),
        emptied: Notify::new(),
        recovered: watch::Sender::new(0),
        documents: watch::Sender::default(),
    });
    (Journal(Arc::clone(&shared)), Writer::new(store, shared))
}

impl Journal {
    /// The last committed number of a boot; 0 for none.
    #[must_use]
    pub fn mark(&self, agent: AgentKey, boot: Boot) -> u64 {
        let state = self.0.state.lock();
        state
            .progress
            .get(&agent)
            .and_then(|boots| boots.get(&boot))
            .map_or(0, |progress| progress.committed())
    }

    /// The last number of this boot that was handed in; what comes again up to it is a duplicate.
    #[must_use]
    pub fn queued(&self, follower: &Follower) -> u64 {
        // Under the lock under which it moves.
        let _state = self.0.state.lock();
        follower.progress().queued()
    }

    /// Follows a boot's commits, for a new stream: what was broken before is mended by it.
    #[must_use]
    pub fn follow(&self, agent: AgentKey, boot: Boot) -> Follower {
        Follower::new(Arc::clone(self.0.state.lock().progress(agent, boot)))
    }

    /// Hands in a new layout: before every report that is made with it, and before anybody else may make one. False
    /// when there is no room for it: then none may be made.
    #[must_use]
    pub fn layout(&self, layout: &Arc<Layout>) -> bool {
        let mut state = self.0.state.lock();
        let taken = state.queue.push_layout(Arc::clone(layout));
        state.queue.urgent |= state.queue.is_large();
        drop(state);
        self.0.waiting.notify_one();
        taken
    }

    /// Nobody uses these layouts any more: all reports made with them were handed in.
    pub fn let_go(&self, layouts: Vec<LayoutKey>) {
        if !layouts.is_empty() {
            self.0.state.lock().queue.unused.extend(layouts);
        }
    }

    /// A report of this stream cannot be handed in: nothing later on it may be committed, until it comes again.
    pub fn give_up(&self, follower: &Follower) {
        let mut state = self.0.state.lock();
        follower.progress().break_off();
        state.broke = true;
        state.health.dropped_reports += 1;
    }

    /// Hands in a report. `urgent` closes the group at once.
    pub fn report(&self, follower: &Follower, record: ReportRecord, urgent: bool) -> Submitted {
        let mut state = self.0.state.lock();
        let submitted = state.submit(follower, record, REPORT_BYTES_AT_MOST);
        let wake = submitted == Submitted::Taken && state.close_if(urgent, 1);
        drop(state);
        if wake {
            self.0.waiting.notify_one();
        }
        submitted
    }

    /// Whether a backlog may be handed in at once, or had better wait for [`Self::room`].
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.0.state.lock().queue.is_crowded()
    }

    /// Waits until a backlog may be handed in: what is of now goes first.
    pub fn room(&self) -> impl Future<Output = ()> + Send + 'static {
        let journal = self.clone();
        async move {
            loop {
                let mut emptied = std::pin::pin!(journal.0.emptied.notified());
                emptied.as_mut().enable();
                if journal.has_room() {
                    return;
                }
                emptied.await;
            }
        }
    }

    /// Hands in a backlog's reports of one boot, in order and without holes, together with what those of them that are
    /// taken bring about: no group has the ones without the other. `effects` is told which are taken.
    pub fn segment(
        &self,
        follower: &Follower,
        records: Vec<ReportRecord>,
        urgent: bool,
        effects: impl FnOnce(Range<usize>) -> Effects,
    ) -> Handed {
        let mut handed = Handed { taken: 0..0, dropped: false };
        let mut state = self.0.state.lock();
        let at_most = state.queue.room_for_backlog();
        for record in records {
            match state.submit(follower, record, at_most) {
                Submitted::Taken => handed.taken.end += 1,
                Submitted::Duplicate => handed.taken = handed.taken.end + 1..handed.taken.end + 1,
                Submitted::Dropped => {
                    handed.dropped = true;
                    break;
                }
            }
        }
        let dropped = state.queue.add(&effects(handed.taken.clone()));
        state.health.dropped_changes += dropped;
        state.close_if(urgent && !handed.taken.is_empty(), handed.taken.len());
        drop(state);
        self.0.waiting.notify_one();
        handed
    }

    /// Hands in what the fleet brought about. Never waits; over its bound the oldest status changes are dropped and
    /// counted, while the last word on each component and agent is kept.
    pub fn effects(&self, effects: &Effects) {
        if effects.changes.is_empty()
            && effects.components.is_empty()
            && effects.removed.is_empty()
            && effects.agents.is_empty()
            && effects.forgotten.is_empty()
            && effects.covered.is_empty()
        {
            return;
        }
        let mut state = self.0.state.lock();
        let dropped = state.queue.add(effects);
        state.health.dropped_changes += dropped;
        drop(state);
        self.0.waiting.notify_one();
    }

    /// No monitor watched in this time (unix milliseconds).
    pub fn blind(&self, from_ms: i64, to_ms: i64) {
        self.0.state.lock().queue.add_blind(from_ms, to_ms);
        self.0.waiting.notify_one();
    }

    /// What was measured lately.
    #[must_use]
    pub fn recent(&self) -> &Recent {
        &self.0.recent
    }

    /// How the store does.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        let connections = self.0.store.connections();
        let state = self.0.state.lock();
        StoreHealth {
            connections,
            queued_reports: state.queue.reports_len(),
            queued_documents: state.queue.documents.len(),
            busy: state.busy_since.map(|since| since.elapsed()),
            dropping: state.broke,
            ..state.health.clone()
        }
    }

    /// Rises each time a store that refused takes again: agents then connect anew and send what was dropped.
    #[must_use]
    pub fn recovered(&self) -> watch::Receiver<u64> {
        self.0.recovered.subscribe()
    }
}

#[cfg(test)]
mod tests;
