//! Memory is swept: what is old leaves, and the runs of boots that are over end. Decides what leaves first, and how much
//! is looked at under one lock: who reports and who asks waits for it.

use super::shelf::MINUTE_MS;
use super::{Held, Recent, State};
use crate::fleet::Compiled;
use crate::history::MARGIN_MS;
use crate::store::AgentKey;
use farol_wire::Boot;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Agents that are looked at under one lock, which takes some microseconds each.
const AGENTS_AT_ONCE: usize = 256;
/// Names are asked anew after so long.
const NAMES_MS: u64 = 3_600_000;

/// What a look at all agents found.
#[derive(Default)]
struct Seen {
    held: Held,
    /// Boots of which nothing was heard for long, and whether they are over whoever follows them.
    silent: Vec<(AgentKey, Boot, bool)>,
    /// Bytes of the blocks that may leave, by the minute in which they end.
    by_minute: BTreeMap<i64, usize>,
}

impl Recent {
    /// Lets go of what is old, and ends the runs of boots that are over. `is_followed`: a stream may still bring reports
    /// of this boot that do not begin anew. It is asked without any lock of this memory.
    pub fn sweep(&self, now_ms: i64, is_followed: impl Fn(AgentKey, Boot) -> bool) {
        // Dropped at the end, without the lock.
        let _names = self.0.state.lock().let_go_of_names(now_ms);
        self.0.state.lock().unused_weight = 0;
        let max_bytes = self.0.settings.max_bytes;
        // A question leans on what lies a little before its time.
        let kept_ms = self.0.settings.memory_ms.saturating_add(MARGIN_MS);
        let mut seen = self.look(now_ms, now_ms.saturating_sub(kept_ms));
        if let Some(over) = seen.held.bytes.checked_sub(max_bytes).filter(|over| *over > 0) {
            seen = self.look(now_ms, seen.frees(over));
        }
        for (agent, boot, is_over) in seen.silent {
            if is_over || !is_followed(agent, boot) {
                self.0.state.lock().end_silent(agent, boot, now_ms);
            }
        }
        let mut state = self.0.state.lock();
        seen.held.sealed_blocks = state.held.sealed_blocks;
        seen.held.sealed_bytes = state.held.sealed_bytes;
        state.pressed = seen.held.bytes > max_bytes / 10 * 9;
        state.held = seen.held;
        let idle = state.idle_layouts();
        drop(state);
        drop(idle);
    }

    /// Goes through all agents, so many at a time.
    pub(super) fn each(&self, at_once: usize, mut visit: impl FnMut(&mut State, Range<usize>)) {
        let mut first = 0;
        loop {
            let mut state = self.0.state.lock();
            let end = state.agents.len().min(first + at_once);
            if first == end {
                return;
            }
            visit(&mut state, first..end);
            first = end;
        }
    }

    /// Lets go of blocks that are older, and counts what stays.
    fn look(&self, now_ms: i64, oldest_ms: i64) -> Seen {
        let mut seen = Seen::default();
        self.each(AGENTS_AT_ONCE, |state, agents| {
            let State { agents: all, unused, .. } = state;
            for (place, shelf) in agents.clone().zip(&mut all[agents]) {
                let Some(shelf) = shelf else { continue };
                let agent = AgentKey(place as u32);
                seen.silent.extend(shelf.silent(now_ms).into_iter().map(|(boot, over)| (agent, boot, over)));
                shelf.let_go(oldest_ms, |layout| unused.contains(&layout));
                shelf.count(&mut seen.held, &mut seen.by_minute);
            }
        });
        seen
    }
}

impl Seen {
    /// Before which time blocks must leave so that so many bytes are free.
    fn frees(&self, mut bytes: usize) -> i64 {
        for (minute, of_minute) in &self.by_minute {
            bytes = bytes.saturating_sub(*of_minute);
            if bytes == 0 {
                return (minute + 1) * MINUTE_MS;
            }
        }
        i64::MAX
    }
}

impl State {
    /// Names are gathered anew after a while, because the store forgets some.
    fn let_go_of_names(&mut self, now_ms: i64) -> impl Sized + use<> {
        let is_due = now_ms.abs_diff(self.names_since_ms) >= NAMES_MS;
        is_due.then(|| {
            (self.names_since_ms, self.names_are_whole) = (now_ms, false);
            std::mem::take(&mut self.names)
        })
    }

    fn end_silent(&mut self, agent: AgentKey, boot: Boot, now_ms: i64) {
        if self.known(agent).is_some_and(|shelf| shelf.end_silent(boot, now_ms)) {
            self.waiting.push_back((agent, boot));
        }
    }

    /// Takes out the layouts that are used no more and of which nothing is here.
    fn idle_layouts(&mut self) -> Vec<Arc<Compiled>> {
        let Self { unused, layouts, .. } = self;
        let is_idle = |key: &_| layouts.get(key).is_none_or(|layout| Arc::strong_count(layout) == 1);
        let idle: Vec<_> = unused.extract_if(|key| is_idle(key)).collect();
        idle.iter().filter_map(|key| layouts.remove(key)).collect()
    }
}
