//! Group commit: what the fleet brings about becomes one transaction every fifth of a second, at once for a status
//! change. Decides what is committed together, what waits while the store refuses, and what is dropped; where it is
//! kept is the store's business.

mod follower;
mod queue;
mod writer;

pub use follower::Follower;
pub use writer::Writer;

use crate::fleet::Effects;
use crate::store::{AgentKey, Layout, ReportRecord, Restored, Store};
use farol_wire::Boot;
use follower::Progress;
use parking_lot::Mutex;
use queue::Queue;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

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

/// How the store does, for probes and metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreHealth {
    /// Since when and why the store refuses.
    pub refusing: Option<(i64, String)>,
    /// It will not take anything any more.
    pub failed: bool,
    /// Reports committed since the start.
    pub committed_reports: u64,
    /// Groups committed since the start.
    pub committed_groups: u64,
    /// Reports dropped unacknowledged since the start.
    pub dropped_reports: u64,
    /// Status changes dropped because the store refused for too long.
    pub dropped_changes: u64,
    /// Reports that wait.
    pub queued_reports: usize,
    /// Time spent in commits, seconds.
    pub commit_seconds: f64,
    /// The last commit, unix milliseconds.
    pub last_commit_ms: Option<i64>,
}

/// The way into the journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the writer: something waits.
    waiting: Notify,
    /// Rises when a store that refused takes again.
    recovered: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    /// Each boot's progress: its mark, and who waits for it.
    progress: HashMap<(AgentKey, Boot), Arc<Progress>>,
    health: StoreHealth,
}

/// Opens the journal of a store. The writer must be run.
pub fn open(store: Arc<dyn Store>, restored: &Restored) -> (Journal, Writer) {
    let progress = restored
        .marks
        .iter()
        .map(|(agent, boot, seq)| ((*agent, *boot), Arc::new(Progress::at(*seq))))
        .collect();
    let state = State { queue: Queue::default(), progress, health: StoreHealth::default() };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        waiting: Notify::new(),
        recovered: watch::Sender::new(0),
    });
    (Journal(Arc::clone(&shared)), Writer::new(store, shared))
}

impl Journal {
    /// The last committed number of a boot; 0 for none.
    #[must_use]
    pub fn mark(&self, agent: AgentKey, boot: Boot) -> u64 {
        self.0.state.lock().progress.get(&(agent, boot)).map_or(0, |p| p.committed())
    }

    /// Follows a boot's commits, for a new stream: what was broken before is mended by it.
    #[must_use]
    pub fn follow(&self, agent: AgentKey, boot: Boot) -> Follower {
        let mut state = self.0.state.lock();
        let progress = state.progress.entry((agent, boot)).or_insert_with(|| Arc::new(Progress::at(0)));
        Follower::new(Arc::clone(progress))
    }

    /// Hands in a report. `urgent` closes the group at once.
    pub fn report(
        &self,
        follower: &Follower,
        record: ReportRecord,
        new_layout: Option<Arc<Layout>>,
        urgent: bool,
    ) -> Submitted {
        let mut state = self.0.state.lock();
        let seq = record.seq;
        if let Some(layout) = new_layout {
            state.queue.layouts.push(layout);
        }
        if follower.progress().is_queued(seq) {
            return Submitted::Duplicate;
        }
        let refuses = state.health.refusing.is_some() || state.health.failed;
        if follower.is_broken() || refuses || !state.queue.push(record, follower.progress()) {
            follower.progress().break_off();
            state.health.dropped_reports += 1;
            return Submitted::Dropped;
        }
        follower.progress().queue(seq);
        let wake = urgent || state.queue.is_large();
        state.queue.urgent |= wake;
        let first = state.queue.reports_len() == 1;
        drop(state);
        if wake || first {
            self.0.waiting.notify_one();
        }
        Submitted::Taken
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
        self.0.state.lock().queue.blind.push((from_ms, to_ms));
        self.0.waiting.notify_one();
    }

    /// How the store does.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        let state = self.0.state.lock();
        StoreHealth { queued_reports: state.queue.reports_len(), ..state.health.clone() }
    }

    /// Rises each time a store that refused takes again: agents then connect anew and send what was dropped.
    #[must_use]
    pub fn recovered(&self) -> watch::Receiver<u64> {
        self.0.recovered.subscribe()
    }
}
