//! What happens in a simulation: which faults come when, and what the checks say. Made of the seed alone.

use super::chance::Chance;
use farol_health::Status;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing passes between this agent and the monitor, and what was sent is gone.
    Partition(usize),
    /// The same in one direction.
    ToMonitor(usize),
    FromMonitor(usize),
    /// All that is sent waits.
    Hold(usize),
    /// Any message may be the last of its connection for a while.
    Loss(usize),
    /// Messages take so many ms at most.
    Slow(usize, u64),
    /// The host dies and starts anew.
    CrashAgent(usize),
    CrashMonitor,
    /// The store takes nothing.
    StoreRefuses,
}

impl Fault {
    /// Whose link or host it strikes.
    pub(crate) fn agent(self) -> Option<usize> {
        match self {
            Self::Partition(n)
            | Self::ToMonitor(n)
            | Self::FromMonitor(n)
            | Self::Hold(n)
            | Self::Loss(n)
            | Self::Slow(n, _)
            | Self::CrashAgent(n) => Some(n),
            Self::CrashMonitor | Self::StoreRefuses => None,
        }
    }

    /// Nothing that the agent says arrives.
    pub(crate) fn silences(self, agent: usize) -> bool {
        let silent =
            matches!(self, Self::Partition(_) | Self::ToMonitor(_) | Self::Hold(_) | Self::CrashAgent(_));
        silent && self.agent() == Some(agent)
    }
}

/// A fault and its time, ms of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strike {
    pub fault: Fault,
    pub from_ms: u64,
    pub to_ms: u64,
}

/// A whole simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub seed: u64,
    /// The first one is never struck: it must be shown as it is all the time.
    pub agents: usize,
    /// In the order of their beginnings; no two of one agent at a time, and none beside each other of the monitor's.
    pub strikes: Vec<Strike>,
    /// From when on which agent's checks say what.
    pub words: Vec<(u64, usize, Status)>,
    /// From here on all is well.
    pub calm_ms: u64,
}

/// Messages take so long where nothing is slow.
pub(crate) const LATENCY_MS: (u64, u64) = (1, 30);
const FIRST_STRIKE_MS: u64 = 6_000;

/// Which faults a plan draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Of the network alone.
    Links,
    /// Hosts that die.
    Crashes,
    /// A store that refuses, among others.
    Store,
    /// Anything.
    Mixed,
}

/// So many seeds in a row have the same theme.
pub(crate) const SEEDS_OF_THEME: u64 = 50;

impl Theme {
    fn of(seed: u64) -> Self {
        [Self::Links, Self::Crashes, Self::Store, Self::Mixed][(seed / SEEDS_OF_THEME) as usize % 4]
    }

    fn draw(self, chance: &mut Chance, agents: u64) -> Fault {
        let agent = chance.within(1..agents) as usize;
        let slow_ms = chance.one_of(&[300, 1_000, 2_000]);
        let link = [
            Fault::Partition(agent),
            Fault::Partition(agent),
            Fault::ToMonitor(agent),
            Fault::FromMonitor(agent),
            Fault::Hold(agent),
            Fault::Hold(agent),
            Fault::Loss(agent),
            Fault::Slow(agent, slow_ms),
        ];
        let crash = [Fault::CrashAgent(agent), Fault::CrashMonitor, Fault::CrashMonitor];
        let weights = match self {
            Self::Links => [1, 0, 0],
            Self::Crashes => [1, 3, 0],
            Self::Store => [1, 1, 2],
            Self::Mixed => [6, 3, 1],
        };
        match chance.within(0..weights.iter().sum()) {
            n if n < weights[0] => chance.one_of(&link),
            n if n < weights[0] + weights[1] => chance.one_of(&crash),
            _ => Fault::StoreRefuses,
        }
    }
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut chance = Chance::of(seed);
        let agents = chance.within(2..5) as usize;
        let mut strikes: Vec<Strike> = Vec::new();
        let theme = Theme::of(seed);
        for _ in 0..chance.within(2..6) {
            let fault = theme.draw(&mut chance, agents as u64);
            let free_ms = |strike: &Strike| match strike.fault.agent() {
                of if of == fault.agent() => Some(strike.to_ms + 200),
                _ => None,
            };
            let from_ms = strikes.iter().filter_map(free_ms).max().unwrap_or(0);
            let from_ms = from_ms.max(FIRST_STRIKE_MS) + chance.within(0..7_000);
            let length = match fault {
                Fault::CrashAgent(_) | Fault::CrashMonitor => 200..8_000,
                Fault::StoreRefuses => 500..8_000,
                _ if chance.within(0..2) == 0 => 200..3_000,
                _ => 3_000..25_000,
            };
            strikes.push(Strike { fault, from_ms, to_ms: from_ms + chance.within(length) });
        }
        strikes.sort_by_key(|strike| strike.from_ms);
        let calm_ms = strikes.iter().map(|strike| strike.to_ms).max().unwrap_or(0) + 100;
        let mut words = Vec::new();
        for agent in 0..agents {
            let mut at_ms = chance.within(4_000..12_000);
            while at_ms < calm_ms {
                let statuses = [Status::Healthy, Status::Healthy, Status::Degraded, Status::Unhealthy];
                words.push((at_ms, agent, chance.one_of(&statuses)));
                at_ms += chance.within(2_000..15_000);
            }
        }
        words.sort_by_key(|(at_ms, agent, _)| (*at_ms, *agent));
        Self { seed, agents, strikes, words, calm_ms }
    }
}
