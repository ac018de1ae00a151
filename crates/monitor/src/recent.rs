//! What was measured lately, in memory: each committed report joins the run of its boot, and a run that is long enough
//! becomes a sealed block, which goes into the store and stays here until it is old. Decides what is held, and for how
//! long; where a run ends is `course`'s, what a block is `sealing`'s.
//!
//! Everything in it stands in the store too: what is missing here is asked for there. Over `max_bytes` the oldest
//! blocks leave first, and runs end earlier.

mod course;
mod run;
mod sealing;
mod shelf;
mod sweep;

pub(crate) use run::Run;
pub(crate) use sealing::FIVE_MINUTES_MS;
pub use sealing::Keep;
pub(crate) use shelf::Taken;

use crate::fleet::Compiled;
use crate::store::{AgentKey, Group, KnownAgent, Layout, LayoutKey, ReportRecord, Restored, SealedRecord};
use course::Course;
use farol_wire::Boot;
use parking_lot::Mutex;
use shelf::Shelf;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A run covers half an hour, more or less, so that not all are sealed at once; under pressure a fifth of it.
const RUN_MS: i64 = 30 * 60_000;
const SPREAD_MS: i64 = 10 * 60_000;
const PRESSED: i64 = 5;
/// Bytes of layouts that may stand unused before they are looked for.
const UNUSED_AT_MOST: usize = 2 << 20;
/// Reports, or names, that are taken under one lock, and agents whose replay ends under one: who reports and who asks
/// waits for it, a millisecond at most.
const REPORTS_AT_ONCE: usize = 256;
const REPLAYED_AT_ONCE: usize = 16;

/// How much is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Blocks stay in memory for so long.
    pub memory_ms: i64,
    /// And take up so much, runs included.
    pub max_bytes: usize,
    /// Series of which there are roll-ups.
    pub keep: Keep,
}

impl Default for Settings {
    fn default() -> Self {
        Self { memory_ms: 3_600_000, max_bytes: 4 << 30, keep: Keep::default() }
    }
}

/// What is held, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Bytes of runs and blocks.
    pub bytes: usize,
    /// Samples in blocks that are held.
    pub samples: u64,
    /// Reports in runs that are not sealed yet.
    pub reports: usize,
    /// Blocks sealed since the start.
    pub sealed_blocks: u64,
    /// Their bytes.
    pub sealed_bytes: u64,
    /// Boots of which the journal holds some reports alone, until they are replayed.
    pub in_journal: usize,
}

/// What was measured lately. Cheap to clone.
#[derive(Clone)]
pub struct Recent(Arc<Inner>);

struct Inner {
    settings: Settings,
    state: Mutex<State>,
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    /// By agent key.
    agents: Vec<Option<Box<Shelf>>>,
    layouts: HashMap<LayoutKey, Arc<Compiled>>,
    /// Layouts that nobody makes reports with any more: they go with the last run.
    unused: HashSet<LayoutKey>,
    /// What they take up, in bytes, since the last sweep.
    unused_weight: usize,
    /// Boots with a run that waits to be sealed, in the order in which they ended.
    waiting: VecDeque<(AgentKey, Boot)>,
    /// Agents by id, with all their keys; whole once the store was asked.
    names: HashMap<Arc<str>, Vec<AgentKey>>,
    names_are_whole: bool,
    /// Since when they are gathered, unix milliseconds: after a while anew, because the store forgets some.
    names_since_ms: i64,
    held: Held,
    /// There is more than there should be: runs end earlier.
    pressed: bool,
}

impl Recent {
    /// The memory of a store as it was restored. What its journal holds unsealed is to be replayed.
    #[must_use]
    pub fn new(settings: Settings, restored: &Restored) -> Self {
        let mut state = State::default();
        for layout in &restored.layouts {
            state.layouts.insert(layout.key, Arc::new(Compiled::new(Arc::clone(layout))));
        }
        let sealed: HashMap<(AgentKey, Boot), u64> =
            restored.sealed.iter().map(|(agent, boot, seq)| ((*agent, *boot), *seq)).collect();
        for (agent, boot, mark) in &restored.marks {
            let sealed = sealed.get(&(*agent, *boot)).copied().unwrap_or(0);
            if *mark > sealed {
                let mut course = Course::new(*boot, *mark, lasts_ms(*agent, true, false));
                course.replayed_to = Some(*mark);
                course.replayed.last_seq = sealed;
                state.shelf(*agent).courses.push(course);
                state.held.in_journal += 1;
            } else {
                state.shelf(*agent).has_ended(*boot, sealed);
            }
        }
        for agent in restored.agents.iter().chain(&restored.forgotten) {
            // All that is known of it so far stands in the store.
            state.shelf(agent.key).covers_from_ms = agent.last_seen_ms.saturating_add(1);
            state.add_name(&agent.id, agent.key);
        }
        for (agent, ..) in &restored.marks {
            let shelf = state.shelf(*agent);
            if shelf.covers_from_ms == i64::MIN {
                // A forgotten one.
                shelf.covers_from_ms = i64::MAX;
            }
        }
        Self(Arc::new(Inner { settings, state: Mutex::new(state) }))
    }

    /// Takes what was committed.
    pub fn take(&self, group: &Group, now_ms: i64) {
        group.layouts.iter().for_each(|layout| self.add_layout(layout));
        for reports in group.reports.chunks(REPORTS_AT_ONCE) {
            let mut state = self.0.state.lock();
            reports.iter().for_each(|report| state.take(report, now_ms));
        }
        let mut guard = self.0.state.lock();
        let state = &mut *guard;
        for agent in &group.agents {
            state.add_name(&agent.id, agent.key);
        }
        for record in &group.sealed {
            if let Some(shelf) = state.known(record.agent) {
                shelf.is_stored(record);
            }
        }
        for key in &group.unused {
            state.unused_weight += state.layouts.get(key).map_or(0, |known| known.layout.weight());
            state.unused.insert(*key);
        }
        for agent in &group.forgotten {
            let ended = state.known(*agent).map(Shelf::end_all).unwrap_or_default();
            state.waiting.extend(ended.into_iter().map(|boot| (*agent, boot)));
        }
    }

    /// Whoever waits for the lock does not wait for what is made of a layout.
    fn add_layout(&self, layout: &Arc<Layout>) {
        if !self.0.state.lock().layouts.contains_key(&layout.key) {
            let compiled = Arc::new(Compiled::new(Arc::clone(layout)));
            self.0.state.lock().layouts.entry(layout.key).or_insert(compiled);
        }
    }

    /// Takes a report out of the journal, of before this start.
    pub fn replay(&self, report: &ReportRecord, layout: &Arc<Layout>) {
        self.add_layout(layout);
        let mut guard = self.0.state.lock();
        let state = &mut *guard;
        let Some(compiled) = state.layouts.get(&report.layout).cloned() else { return };
        let lasts_ms = lasts_ms(report.agent, false, state.pressed);
        let Some(shelf) = state.known(report.agent) else { return };
        if shelf.replay(report, &compiled, lasts_ms) {
            state.waiting.push_back((report.agent, report.boot));
        }
    }

    /// All of the journal was replayed.
    pub fn replay_is_over(&self) {
        self.each(REPLAYED_AT_ONCE, |state, agents| {
            let State { agents: all, waiting, .. } = state;
            for (place, shelf) in agents.clone().zip(&mut all[agents]) {
                for course in shelf.iter_mut().flat_map(|shelf| &mut shelf.courses) {
                    if course.replay_is_over().closed {
                        let one = (AgentKey(place as u32), course.boot);
                        waiting.extend(std::iter::repeat_n(one, course.closed.len()));
                    }
                }
            }
        });
    }

    /// Seals runs that have ended, for so long; the records are to be committed in this order.
    #[must_use]
    pub fn seal(&self, within: Duration, at_most_bytes: usize) -> Vec<SealedRecord> {
        let began = Instant::now();
        let mut records = Vec::new();
        let mut bytes = 0;
        while began.elapsed() < within && bytes < at_most_bytes {
            let Some((agent, boot, run, rolled_to_ms)) = self.0.state.lock().next_run() else { break };
            let sealed = sealing::seal(agent, &run, &self.0.settings.keep, rolled_to_ms);
            let mut state = self.0.state.lock();
            let Some((sealed, rolled_to_ms)) = sealed else {
                state.cannot_seal(agent, boot);
                continue;
            };
            bytes += sealed.iter().map(|record| record.bytes.len() + record.rollup.len()).sum::<usize>();
            state.sealed((agent, boot), &sealed, rolled_to_ms, &run.layout);
            records.extend(sealed);
        }
        records
    }

    /// Whether so many layouts are used no more that they should go before their time.
    #[must_use]
    pub fn wants_sweep(&self) -> bool {
        self.0.state.lock().unused_weight >= UNUSED_AT_MOST
    }

    /// Whether runs wait to be sealed.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        !self.0.state.lock().waiting.is_empty()
    }

    /// What is held.
    #[must_use]
    pub fn held(&self) -> Held {
        self.0.state.lock().held
    }

    /// What memory has of an agent that belongs to this time, of layouts that are wanted.
    pub(crate) fn of(
        &self,
        agent: AgentKey,
        from_ms: i64,
        to_ms: i64,
        wants: impl FnMut(&Compiled) -> bool,
    ) -> Taken {
        let mut state = self.0.state.lock();
        // One that was never heard of: the store has nothing of it either.
        state.known(agent).map(|shelf| shelf.take(from_ms, to_ms, wants)).unwrap_or_default()
    }

    /// The keys of an agent's id; `None` when the store must be asked.
    pub(crate) fn named(&self, id: &str) -> Option<Vec<KnownAgent>> {
        let state = self.0.state.lock();
        let known = |(id, keys): (&Arc<str>, &Vec<AgentKey>)| -> Vec<KnownAgent> {
            keys.iter().map(|key| KnownAgent { key: *key, id: Arc::clone(id) }).collect()
        };
        state.names_are_whole.then(|| state.names.get_key_value(id).map(known).unwrap_or_default())
    }

    /// All agents with all their keys; `None` when the store must be asked.
    pub(crate) fn everyone(&self) -> Option<Vec<KnownAgent>> {
        let state = self.0.state.lock();
        let keys = state.names.iter().flat_map(|(id, keys)| keys.iter().map(move |key| (id, *key)));
        let all = || keys.map(|(id, key)| KnownAgent { key, id: Arc::clone(id) }).collect();
        state.names_are_whole.then(all)
    }

    /// Which names are known: to be asked before the store is.
    pub(crate) fn names_round(&self) -> i64 {
        self.0.state.lock().names_since_ms
    }

    /// Takes in what the store said of all agents.
    pub(crate) fn learn_names(&self, all: &[KnownAgent], round: i64) {
        for some in all.chunks(REPORTS_AT_ONCE) {
            let mut state = self.0.state.lock();
            some.iter().for_each(|agent| state.add_name(&agent.id, agent.key));
        }
        let mut state = self.0.state.lock();
        state.names_are_whole = round == state.names_since_ms;
    }
}

impl State {
    fn shelf(&mut self, agent: AgentKey) -> &mut Shelf {
        let at = agent.0 as usize;
        if self.agents.len() <= at {
            self.agents.resize_with(at + 1, || None);
        }
        self.agents[at].get_or_insert_default()
    }

    fn known(&mut self, agent: AgentKey) -> Option<&mut Shelf> {
        self.agents.get_mut(agent.0 as usize)?.as_deref_mut()
    }

    fn add_name(&mut self, id: &Arc<str>, key: AgentKey) {
        let keys = self.names.entry(Arc::clone(id)).or_default();
        if !keys.contains(&key) {
            keys.push(key);
            keys.sort_unstable();
        }
    }

    fn take(&mut self, report: &ReportRecord, now_ms: i64) {
        self.shelf(report.agent);
        let Self { agents, layouts, pressed, .. } = self;
        let Some(Some(shelf)) = agents.get_mut(report.agent.0 as usize) else { return };
        let took = shelf.push(report, |key| layouts.get(&key).cloned(), now_ms, *pressed);
        if took.closed {
            self.waiting.push_back((report.agent, report.boot));
        }
    }

    /// The next run to be sealed, and up to when its boot is rolled up.
    fn next_run(&mut self) -> Option<(AgentKey, Boot, Arc<run::Run>, i64)> {
        while let Some((agent, boot)) = self.waiting.pop_front() {
            let Some(course) = self.known(agent).and_then(|shelf| shelf.course(boot)) else { continue };
            if let Some(run) = course.next() {
                return Some((agent, boot, Arc::clone(run), course.rolled_to_ms));
            }
        }
        None
    }

    fn sealed(
        &mut self,
        (agent, boot): (AgentKey, Boot),
        records: &[SealedRecord],
        rolled_to_ms: i64,
        layout: &Arc<Compiled>,
    ) {
        self.held.sealed_blocks += records.len() as u64;
        self.held.sealed_bytes += records.iter().map(|record| record.bytes.len() as u64).sum::<u64>();
        if let Some(shelf) = self.known(agent) {
            shelf.sealed(boot, records, rolled_to_ms, layout);
        }
    }

    fn cannot_seal(&mut self, agent: AgentKey, boot: Boot) {
        if let Some(course) = self.known(agent).and_then(|shelf| shelf.course(boot)) {
            course.give_up();
        }
    }
}

/// How much time a run of this agent covers.
fn lasts_ms(agent: AgentKey, is_first: bool, pressed: bool) -> i64 {
    let hash = foldhash::fast::FixedState::default().hash_one(agent);
    let share = |of: i64| (hash % of.unsigned_abs()) as i64;
    let lasts_ms = if is_first { 60_000 + share(RUN_MS) } else { RUN_MS - SPREAD_MS / 2 + share(SPREAD_MS) };
    if pressed { lasts_ms / PRESSED } else { lasts_ms }
}

#[cfg(test)]
mod tests;
