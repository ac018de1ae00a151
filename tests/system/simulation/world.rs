//! Runs one plan from its first moment until all is well again, and hands what was seen to the oracle.

use super::hosts::{AgentSeat, MonitorSeat};
use super::network::Epoch;
use super::oracle::{History, Seen, Trace};
use super::plan::{Fault, LATENCY_MS, Plan};
use super::watcher::{self, Notes};
use farol_health::Status;
use farol_monitor::store::StoreError;
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use turmoil::{Builder, Sim};

/// The hosts.
const MONITOR: &str = "monitor";
const WATCHER: &str = "watcher";
/// Hosts take turns of this length.
const TURN: Duration = Duration::from_millis(40);
/// After the last fault everything is well within: a dead connection seen (40 s), a wait (30 s), a store's recovery
/// spread over the agents (60 s).
const WELL_WITHIN_MS: u64 = 140_000;
/// An agent that is asked to end has its last report acknowledged and is gone within.
const ENDED_WITHIN_MS: u64 = 15_000;

/// What a run gives.
pub(crate) struct Outcome {
    /// What happened when.
    pub trace: Trace,
    /// How long it took, ms of the simulation.
    pub lasted_ms: u64,
}

/// Runs the plan; `Err` says what did not hold.
pub(crate) fn run(plan: &Plan) -> Result<Outcome, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let epoch = Epoch::next();
    let mut world = World::new(plan, epoch, folder.path().to_owned());
    world.until(plan.calm_ms)?;
    world.trace.note(world.now_ms(), || "calm".to_owned());
    let settled_ms = world.now_ms() + 3_000;
    world.until(settled_ms)?;
    let made: Vec<u64> = world.agents.iter().map(|seat| seat.counts().reports).collect();
    while let Some(what) = world.not_well(settled_ms, &made) {
        if world.now_ms() >= plan.calm_ms + WELL_WITHIN_MS {
            return Err(format!("{} ms after the last fault: {what}", world.now_ms() - plan.calm_ms));
        }
        world.until(world.now_ms() + 500)?;
    }
    world.end()?;
    let histories = world.histories()?;
    let lasted_ms = world.now_ms();
    let World { monitor, agents, notes, said, up_ms, mut trace, .. } = world;
    let looks = std::mem::take(&mut *notes.looks.lock());
    let store = Arc::clone(&monitor.store.lock());
    let seen =
        Seen { plan, agents: &agents, store: &store, looks: &looks, histories, said: &said, up_ms: &up_ms };
    seen.judge()?;
    seen.tell(&mut trace);
    Ok(Outcome { trace, lasted_ms })
}

struct World<'a> {
    plan: &'a Plan,
    sim: Sim<'static>,
    monitor: Arc<MonitorSeat>,
    agents: Vec<Arc<AgentSeat>>,
    notes: Arc<Notes>,
    /// What each agent's checks said from when on.
    said: Vec<Vec<(u64, Status)>>,
    /// The monitor's starts.
    up_ms: Vec<u64>,
    trace: Trace,
    /// How much of the plan has happened.
    begun: usize,
    ended: Vec<bool>,
    spoken: usize,
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan, epoch: Epoch, folder: std::path::PathBuf) -> Self {
        let (least, most) = LATENCY_MS;
        let mut sim = Builder::new()
            .rng_seed(plan.seed)
            .tick_duration(TURN)
            .simulation_duration(Duration::from_secs(3_600))
            .min_message_latency(Duration::from_millis(least))
            .max_message_latency(Duration::from_millis(most))
            .tcp_capacity(4_096)
            .build();
        let monitor = MonitorSeat::new(epoch, folder.clone());
        let seat = Arc::clone(&monitor);
        sim.host(MONITOR, move || Arc::clone(&seat).run());
        let seats = (0..plan.agents).map(|number| AgentSeat::new(number, epoch, &[MONITOR], folder.clone()));
        let agents: Vec<_> = seats.collect();
        for seat in &agents {
            let of_host = Arc::clone(seat);
            sim.host(seat.name(), move || Arc::clone(&of_host).run());
        }
        let notes = Arc::new(Notes::default());
        sim.client(WATCHER, watcher::watch(MONITOR.to_owned(), epoch, Arc::clone(&notes)));
        Self {
            plan,
            sim,
            monitor,
            notes,
            said: vec![vec![(0, Status::Healthy)]; plan.agents],
            up_ms: vec![0],
            trace: Trace::default(),
            begun: 0,
            ended: vec![false; plan.strikes.len()],
            spoken: 0,
            agents,
        }
    }

    fn now_ms(&self) -> u64 {
        self.sim.elapsed().as_millis() as u64
    }

    /// Goes on until this moment, as the plan says.
    fn until(&mut self, end_ms: u64) -> Result<(), String> {
        while self.now_ms() < end_ms {
            let now_ms = self.now_ms();
            for n in 0..self.begun {
                if !self.ended[n] && self.plan.strikes[n].to_ms <= now_ms {
                    self.ended[n] = true;
                    self.mend(self.plan.strikes[n].fault);
                }
            }
            while let Some(strike) = self.plan.strikes.get(self.begun).filter(|s| s.from_ms <= now_ms) {
                self.begun += 1;
                self.strike(strike.fault);
            }
            while let Some((_, agent, status)) = self.plan.words.get(self.spoken).filter(|w| w.0 <= now_ms) {
                self.spoken += 1;
                self.agents[*agent].say(*status);
                self.said[*agent].push((now_ms, *status));
            }
            self.sim.step().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn strike(&mut self, fault: Fault) {
        self.trace.note(self.now_ms(), || format!("{fault:?}"));
        let host = fault.agent().map_or_else(|| MONITOR.to_owned(), |n| self.agents[n].name());
        let host = host.as_str();
        match fault {
            Fault::Partition(_) => self.sim.partition(host, MONITOR),
            Fault::ToMonitor(_) => self.sim.partition_oneway(host, MONITOR),
            Fault::FromMonitor(_) => self.sim.partition_oneway(MONITOR, host),
            Fault::Hold(_) => self.sim.hold(host, MONITOR),
            Fault::Loss(_) => self.sim.set_link_fail_rate(host, MONITOR, 0.05),
            Fault::Slow(_, ms) => {
                self.sim.set_link_max_message_latency(host, MONITOR, Duration::from_millis(ms));
            }
            Fault::CrashAgent(_) | Fault::CrashMonitor => self.sim.crash(host),
            Fault::StoreRefuses => {
                self.monitor.store.lock().refuse(Some(StoreError::Refused("no space left".to_owned())));
            }
        }
    }

    fn mend(&mut self, fault: Fault) {
        self.trace.note(self.now_ms(), || format!("{fault:?} ends"));
        let host = fault.agent().map_or_else(|| MONITOR.to_owned(), |n| self.agents[n].name());
        let host = host.as_str();
        match fault {
            Fault::Partition(_) => self.sim.repair(host, MONITOR),
            Fault::ToMonitor(_) => self.sim.repair_oneway(host, MONITOR),
            Fault::FromMonitor(_) => self.sim.repair_oneway(MONITOR, host),
            Fault::Hold(_) => self.sim.release(host, MONITOR),
            Fault::Loss(_) => {
                self.sim.set_link_fail_rate(host, MONITOR, 0.0);
                self.sim.repair(host, MONITOR);
            }
            Fault::Slow(..) => {
                let most = Duration::from_millis(LATENCY_MS.1);
                self.sim.set_link_max_message_latency(host, MONITOR, most);
            }
            Fault::CrashAgent(_) => self.sim.bounce(host),
            Fault::CrashMonitor => {
                self.up_ms.push(self.now_ms());
                self.sim.bounce(host);
            }
            Fault::StoreRefuses => self.monitor.store.lock().refuse(None),
        }
    }

    /// What is not yet well, in a look since `since_ms`. The reports `made` until then must have been acknowledged: what
    /// a store did not take comes again on new streams, spread over a minute; and a lost segment never comes again
    /// here, so that a connection may be dead in one direction for as long as nobody has found that out.
    fn not_well(&self, since_ms: u64, made: &[u64]) -> Option<String> {
        let waiting = self.agents.iter().zip(made).find(|(seat, made)| seat.counts().acked < **made);
        if let Some((seat, made)) = waiting {
            return Some(format!("{} made {made}, and {:?}", seat.name(), seat.counts()));
        }
        let looks = self.notes.looks.lock();
        let Some(look) = looks.last().filter(|look| look.asked_ms > since_ms) else {
            return Some("the monitor answers nothing".to_owned());
        };
        let expected = 2 * self.agents.len();
        if look.components.len() != expected {
            return Some(format!("{} components of {expected} are there", look.components.len()));
        }
        let wrong = look.components.iter().find(|component| {
            let agent = self.agents.iter().find(|seat| component["agent"] == seat.name().as_str());
            let truth = agent.and_then(|seat| self.said[seat.number].last()).map(|(_, said)| said.as_str());
            let live = component["stale"] == false && component["restored"] == false;
            !live || component["status"].as_str() != truth
        });
        wrong.map(|component| format!("shown is {component}, and said {:?}", self.said))
    }

    /// Ends every agent; what it ever reported is acknowledged then.
    fn end(&mut self) -> Result<(), String> {
        self.agents.iter().for_each(|seat| seat.end());
        let end_ms = self.now_ms() + ENDED_WITHIN_MS;
        while let Some(seat) = self.agents.iter().find(|seat| self.sim.is_host_running(seat.name())) {
            if self.now_ms() > end_ms {
                return Err(format!("{} does not end", seat.name()));
            }
            self.until(self.now_ms() + 100)?;
        }
        for seat in &self.agents {
            let counts = seat.counts();
            if counts.acked != counts.reports {
                return Err(format!("{} ended, and {counts:?}", seat.name()));
            }
        }
        Ok(())
    }

    /// What history has of each agent's samples.
    fn histories(&mut self) -> Result<Vec<History>, String> {
        let mut all = Vec::new();
        let to = self.notes.begun_wall_ms() + self.now_ms() as i64;
        let [from, to] = [to - 480_000, to].map(|ms| Timestamp::from_millisecond(ms).expect("a time"));
        let range = format!("from={from}&to={to}");
        for agent in 0..self.agents.len() {
            let whole = |values: Vec<f64>| values.first().copied().unwrap_or(0.0) as u64;
            all.push(History {
                values: self
                    .history(agent, &range, "last", "1s")?
                    .into_iter()
                    .map(|value| value as u64)
                    .collect(),
                count: whole(self.history(agent, &range, "count", "8m")?),
                sum: whole(self.history(agent, &range, "sum", "8m")?),
            });
        }
        Ok(all)
    }

    fn history(&mut self, agent: usize, range: &str, reduce: &str, step: &str) -> Result<Vec<f64>, String> {
        let metric = super::hosts::METRIC;
        self.notes.ask(format!(
            "/api/v1/history?metric={metric}&agent=agent-{agent}&{range}&step={step}&reduce={reduce}"
        ));
        let end_ms = self.now_ms() + 10_000;
        let answer = loop {
            self.until(self.now_ms() + 100)?;
            if let Some(answer) = self.notes.answer() {
                break answer;
            }
            if self.now_ms() > end_ms {
                return Err(format!("no answer about the history of agent-{agent}"));
            }
        };
        let items = answer["items"].as_array().ok_or_else(|| format!("history: {answer}"))?;
        if items.len() > 1 {
            return Err(format!("{} series where there is one", items.len()));
        }
        let values = items.iter().filter_map(|item| item["values"].as_array());
        Ok(values.flatten().filter_map(Value::as_f64).collect())
    }
}
