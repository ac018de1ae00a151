//! Half-open connections: the network between an agent and its monitor swallows everything and tells nobody. The agent
//! must find out by itself and go to its other monitor.

use super::chance::Chance;
use super::hosts::{AgentSeat, MonitorSeat};
use super::network::Epoch;
use super::watcher::{self, Notes};
use std::sync::Arc;
use std::time::Duration;
use turmoil::{Builder, Sim};

const MONITORS: [&str; 2] = ["monitor-a", "monitor-b"];
const TURN: Duration = Duration::from_millis(20);
/// HTTP/2's ping after 30 s of silence, 10 s for its answer, a first wait of at most a second, and a new stream.
const ELSEWHERE_WITHIN_MS: u64 = 30_000 + 10_000 + 1_000 + 1_500;

/// One agent, two monitors, each with a store and a watcher of its own.
struct World {
    sim: Sim<'static>,
    agent: Arc<AgentSeat>,
    notes: [Arc<Notes>; 2],
}

/// The way to the monitor that has the agent is swallowed some time after the start.
pub(crate) fn run(seed: u64) -> Result<(), String> {
    let mut chance = Chance::of(seed);
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let mut world = World::new(seed, folders.each_ref().map(|folder| folder.path().to_owned()));
    world.until(5_000 + chance.within(0..10_000))?;
    let at = (0..2).find(|n| world.shows(*n)).ok_or("no monitor has the agent")?;
    let cut_ms = world.now_ms();
    world.sim.partition(world.agent.name(), MONITORS[at]);
    while !world.shows(1 - at) {
        let passed_ms = world.now_ms() - cut_ms;
        if passed_ms > ELSEWHERE_WITHIN_MS {
            return Err(format!("{passed_ms} ms after the cut the other monitor knows nothing of the agent"));
        }
        world.until(world.now_ms() + 100)?;
    }
    if world.shows(at) {
        return Err("the monitor that is cut off still shows it".to_owned());
    }
    // Nothing is lost by the move: what the first did not acknowledge came to the second.
    world.agent.end();
    let end_ms = world.now_ms() + 15_000;
    while world.sim.is_host_running(world.agent.name()) && world.now_ms() < end_ms {
        world.until(world.now_ms() + 100)?;
    }
    let counts = world.agent.counts();
    if counts.acked != counts.reports { Err(format!("{counts:?}")) } else { Ok(()) }
}

impl World {
    fn new(seed: u64, folders: [std::path::PathBuf; 2]) -> Self {
        let mut sim = Builder::new()
            .rng_seed(seed)
            .tick_duration(TURN)
            .simulation_duration(Duration::from_secs(600))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(20))
            .tcp_capacity(4_096)
            .build();
        let epoch = Epoch::next();
        let agent = AgentSeat::new(0, epoch, &MONITORS, folders[0].clone());
        let notes = [(); 2].map(|()| Arc::<Notes>::default());
        for ((name, folder), notes) in MONITORS.into_iter().zip(folders).zip(&notes) {
            let seat = MonitorSeat::new(epoch, folder);
            sim.host(name, move || Arc::clone(&seat).run());
            sim.client(format!("watcher-{name}"), watcher::watch(name.to_owned(), epoch, Arc::clone(notes)));
        }
        let of_host = Arc::clone(&agent);
        sim.host(agent.name(), move || Arc::clone(&of_host).run());
        Self { sim, agent, notes }
    }

    fn now_ms(&self) -> u64 {
        self.sim.elapsed().as_millis() as u64
    }

    fn until(&mut self, end_ms: u64) -> Result<(), String> {
        while self.now_ms() < end_ms {
            self.sim.step().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Whether this monitor shows the agent's checks as healthy, now.
    fn shows(&self, monitor: usize) -> bool {
        let looks = self.notes[monitor].looks.lock();
        let healthy = |look: &watcher::Look| look.components.iter().any(|c| c["status"] == "healthy");
        looks.last().is_some_and(healthy)
    }
}
