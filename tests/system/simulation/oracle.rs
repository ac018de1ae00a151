//! What must hold of a simulation that is over, whatever went wrong in it.

use super::hosts::{AgentSeat, Start};
use super::plan::{LATENCY_MS, Plan};
use super::watcher::Look;
use farol_health::Status;
use farol_monitor::store::{AgentKey, Store};
use farol_tests::memory_store::MemoryStore;
use farol_wire::Boot;
use futures::FutureExt;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

/// Report interval of the agents, and interval of their checks.
const INTERVAL_MS: u64 = 1_000;
/// An agent is lost after.
const LOST_MS: u64 = 3 * INTERVAL_MS;
/// From then until it must be shown: the monitor's own tick, and turns of hosts.
const LATE_MS: u64 = 800;
/// What a check says is shown after: its interval, the way, turns.
const TOLD_MS: u64 = INTERVAL_MS + 1_600;
/// What was restored may be shown for so long after a restart.
const RESTORED_MS: u64 = 60_000;

/// All that was seen.
pub(crate) struct Seen<'a> {
    pub plan: &'a Plan,
    pub agents: &'a [Arc<AgentSeat>],
    pub store: &'a MemoryStore,
    pub looks: &'a [Look],
    pub histories: Vec<History>,
    pub said: &'a [Vec<(u64, Status)>],
    pub up_ms: &'a [u64],
}

/// What history has of an agent's samples.
#[derive(Debug)]
pub(crate) struct History {
    /// The last one of each second that has one.
    pub values: Vec<u64>,
    /// How many there are, and their sum.
    pub count: u64,
    pub sum: u64,
}

/// What happened, line by line.
#[derive(Debug, Default)]
pub(crate) struct Trace(Vec<String>);

impl Trace {
    pub(crate) fn note(&mut self, at_ms: u64, what: impl FnOnce() -> String) {
        self.0.push(format!("{at_ms:>7} {}", what()));
    }

    pub(crate) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.iter().for_each(|line| hasher.write(line.as_bytes()));
        hasher.finish()
    }

    pub(crate) fn lines(&self) -> &[String] {
        &self.0
    }
}

type Committed = BTreeMap<(AgentKey, Boot), Vec<u64>>;

impl Seen<'_> {
    pub(crate) fn judge(&self) -> Result<(), String> {
        let names = self.names()?;
        self.every_commit_goes_on()?;
        self.acknowledged_is_kept_and_kept_was_issued(&names)?;
        self.history_is_what_was_measured()?;
        self.shown_is_what_is_known()
    }

    fn names(&self) -> Result<HashMap<AgentKey, usize>, String> {
        let known = self.store.agents().now_or_never().expect("in memory").map_err(|e| e.to_string())?;
        let number = |id: &str| self.agents.iter().position(|seat| seat.name() == id);
        known.iter().map(|a| Ok((a.key, number(&a.id).ok_or(format!("who is {}?", a.id))?))).collect()
    }

    /// At each commit what is kept of a start is everything from its first report to the last one kept.
    fn every_commit_goes_on(&self) -> Result<(), String> {
        let mut last: HashMap<(AgentKey, Boot), u64> = HashMap::new();
        for (agent, boot, seq) in self.store.handed() {
            let last = last.entry((agent, boot)).or_default();
            if seq > *last + 1 {
                return Err(format!("{agent:?} {boot:?}: {seq} was committed after {last}"));
            }
            *last = (*last).max(seq);
        }
        Ok(())
    }

    fn committed(&self) -> Committed {
        let mut all = Committed::new();
        for report in self.store.committed() {
            all.entry((report.agent, report.boot)).or_default().push(report.seq);
        }
        all
    }

    /// Acknowledged ⇒ committed, once; committed ⇒ issued.
    fn acknowledged_is_kept_and_kept_was_issued(
        &self,
        names: &HashMap<AgentKey, usize>,
    ) -> Result<(), String> {
        let committed = self.committed();
        let mut kept: HashMap<(usize, usize), u64> = HashMap::new();
        for ((agent, boot), numbers) in &committed {
            let seat = &self.agents[names[agent]];
            let starts = seat.starts.lock();
            let of_boot = starts.iter().position(|start| start.boots.contains(&boot.number));
            let of_boot = of_boot.ok_or_else(|| format!("{} never had the boot {boot:?}", seat.name()))?;
            if numbers.iter().zip(1..).any(|(seq, expected)| *seq != expected) {
                return Err(format!(
                    "{} start {of_boot}: not each once and in order: {numbers:?}",
                    seat.name()
                ));
            }
            let counts = starts[of_boot].running.counts();
            if numbers.len() as u64 > counts.reports {
                return Err(format!("{} start {of_boot}: {} kept, {counts:?}", seat.name(), numbers.len()));
            }
            kept.insert((seat.number, of_boot), numbers.len() as u64);
        }
        for seat in self.agents {
            for (n, start) in seat.starts.lock().iter().enumerate() {
                let counts = start.running.counts();
                let kept = kept.get(&(seat.number, n)).copied().unwrap_or(0);
                if counts.acked > kept || counts.lost > 0 {
                    return Err(format!("{} start {n}: kept are {kept}, and {counts:?}", seat.name()));
                }
            }
        }
        Ok(())
    }

    /// Of each start history holds what it measured from its first sample on, in order, each once; and of the last
    /// one, which ended in order, everything.
    fn history_is_what_was_measured(&self) -> Result<(), String> {
        for (seat, history) in self.agents.iter().zip(&self.histories) {
            let mut rest = history.values.as_slice();
            let (mut count, mut sum) = (0, 0);
            let starts: Vec<Start> = seat.starts.lock().clone();
            for (n, start) in starts.iter().enumerate() {
                let issued = start.issued.lock();
                let of_start = rest.iter().take_while(|value| issued.contains(value)).count();
                let (values, others) = rest.split_at(of_start);
                rest = others;
                if !values.is_sorted_by(|a, b| a < b) {
                    return Err(format!("{} start {n}: out of order: {values:?}", seat.name()));
                }
                let kept = values.last().map_or(0, |last| issued.iter().take_while(|v| *v <= last).count());
                count += kept as u64;
                sum += issued[..kept].iter().sum::<u64>();
                if n + 1 == starts.len() && kept < issued.len() {
                    return Err(format!("{}: {kept} of {} samples are there", seat.name(), issued.len()));
                }
            }
            if !rest.is_empty() || (history.count, history.sum) != (count, sum) {
                return Err(format!(
                    "{}: not {count} samples of the sum {sum}: {history:?}, {rest:?}",
                    seat.name()
                ));
            }
        }
        Ok(())
    }

    fn shown_is_what_is_known(&self) -> Result<(), String> {
        for look in self.looks {
            for component in &look.components {
                let seat = self.agents.iter().find(|seat| component["agent"] == seat.name().as_str());
                let seat = seat.ok_or_else(|| format!("whose is {component}?"))?;
                self.component_is_right(look, seat.number, component)
                    .map_err(|why| format!("at {} ms {why}: {component}", look.at_ms))?;
            }
            for service in &look.services {
                service_is_right(service).map_err(|why| format!("at {} ms {why}: {service}", look.at_ms))?;
            }
        }
        Ok(())
    }

    fn component_is_right(&self, look: &Look, agent: usize, shown: &serde_json::Value) -> Result<(), String> {
        let (stale, restored) = (shown["stale"] == true, shown["restored"] == true);
        let status = shown["status"].as_str().unwrap_or_default();
        if stale && status != "unknown" {
            return Err("stale, and yet it has a status".to_owned());
        }
        if stale && agent == 0 {
            return Err("stale, and yet its agent spoke all the time".to_owned());
        }
        let up_ms = self.up_ms.iter().rfind(|up_ms| **up_ms <= look.at_ms).copied().unwrap_or(0);
        if restored && look.asked_ms > up_ms + RESTORED_MS + LATE_MS {
            return Err("restored for too long".to_owned());
        }
        if stale || restored || status == "unknown" {
            return Ok(());
        }
        if let Some(since_ms) = self.silent_since(agent, look) {
            return Err(format!("its agent has not been heard since {since_ms} ms, and it has a status"));
        }
        if !self.was_true_lately(agent, look, status, up_ms) {
            return Err("its check has not said so lately".to_owned());
        }
        Ok(())
    }

    /// The silence, where it has lasted so long that it must be seen.
    fn silent_since(&self, agent: usize, look: &Look) -> Option<u64> {
        let strikes = self.plan.strikes.iter().filter(|strike| strike.fault.silences(agent));
        let last = LOST_MS + LATE_MS + LATENCY_MS.1;
        let long = strikes.filter(|s| s.from_ms + last < look.asked_ms && look.at_ms < s.to_ms);
        long.map(|strike| strike.from_ms).next()
    }

    /// Whether the checks said so not longer ago than it may take to be told, or until it is seen that nothing is
    /// told any more.
    fn was_true_lately(&self, agent: usize, look: &Look, status: &str, up_ms: u64) -> bool {
        let untouched = agent == 0 && look.asked_ms > up_ms + 2 * TOLD_MS && self.up_ms.len() == 1;
        // The others may be slow, or silent and not yet lost.
        let late_ms = if untouched { TOLD_MS } else { TOLD_MS + 2 * LOST_MS + 2_000 };
        let said = &self.said[agent];
        let until = |n: usize| said.get(n + 1).map_or(u64::MAX, |(at_ms, _)| *at_ms);
        let lately = said.iter().enumerate().filter(|(n, (from_ms, _))| {
            *from_ms <= look.at_ms && until(*n).saturating_add(late_ms) >= look.asked_ms
        });
        let mut lately = lately.map(|(_, (_, status))| status.as_str());
        lately.any(|said| said == status) || status == "starting"
    }

    /// What was seen, for comparing two runs.
    pub(crate) fn tell(&self, trace: &mut Trace) {
        let mut before: BTreeMap<String, String> = BTreeMap::new();
        for look in self.looks {
            for shown in &look.components {
                let who = format!("{}/{}", shown["agent"], shown["component"]);
                let how =
                    format!("{} stale {} restored {}", shown["status"], shown["stale"], shown["restored"]);
                if before.get(&who) != Some(&how) {
                    trace.note(look.at_ms, || format!("{who} {how}"));
                    before.insert(who, how);
                }
            }
        }
        for (seat, history) in self.agents.iter().zip(&self.histories) {
            for start in seat.starts.lock().iter() {
                let counts = start.running.counts();
                trace.note(0, || format!("{} {} {}", seat.name(), counts.reports, counts.acked));
            }
            trace.note(0, || format!("{} {} samples", seat.name(), history.count));
        }
    }
}

/// A service is never better than what is known of its instances.
fn service_is_right(service: &serde_json::Value) -> Result<(), &'static str> {
    let instances = service["instances"].as_array().ok_or("no instances")?;
    let has = |status: &str| instances.iter().any(|instance| instance["status"] == status);
    let healthy = service["status"] == "healthy";
    if healthy && (has("unknown") || has("unhealthy")) {
        return Err("healthy, and yet one of its instances is not known to be");
    }
    if healthy && !has("healthy") {
        return Err("healthy without anybody who is");
    }
    Ok(())
}
