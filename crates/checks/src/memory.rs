//! Kind `memory`: is there memory left? Inside a cgroup (version 2) with a limit, of that limit; else of the
//! machine, by `MemAvailable`. Where the limit stands is found in `cgroup.rs`.

mod cgroup;

use crate::kind::{Kind, Read};
use crate::room::Room;
use farol_config::Map;
use farol_health::{Check, Dependency, Figure, Outcome, Status, Unit};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::path::Path;

pub(crate) const KIND: Kind = Kind { name: "memory", host: true, dependency: Dependency::Other, read };

fn read(m: &mut Map<'_>) -> Option<Read> {
    let default = Settings::default();
    let settings = Settings {
        of: m.one_of("of", &[("auto", Of::Auto), ("machine", Of::Machine)]).or(default.of),
        degraded_at: m.percent("degraded_at").within(1.0..=100.0).or(default.degraded_at),
    };
    Some(Read::new(format!("{settings:?}"), Memory::new(settings)))
}

/// Whose memory is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Of {
    /// The cgroup's when it has a limit, else the machine's.
    #[default]
    Auto,
    /// The machine's, even where this process itself is limited (an agent that watches its node).
    Machine,
}

/// What a `memory` check asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whose memory.
    pub of: Of,
    /// Degraded from so many per hundred used.
    pub degraded_at: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { of: Of::Auto, degraded_at: 90.0 }
    }
}

/// The check.
#[derive(Debug)]
pub struct Memory {
    settings: Settings,
}

impl Memory {
    /// A check of this process's machine or cgroup.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    fn ask(&self) -> Outcome {
        let limited = match self.settings.of {
            Of::Auto => cgroup::limit(Path::new("/sys/fs/cgroup"), Path::new("/proc/self/cgroup")),
            Of::Machine => None,
        };
        match tightest(limited, machine()) {
            Some((room, of)) => judge(room, self.settings.degraded_at).with_fact("of", of),
            None => {
                Outcome::unknown("unreadable", "/proc/meminfo cannot be read: mount /proc for this process")
            }
        }
    }
}

impl Check for Memory {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        // The kernel answers these files from memory: nothing to wait for.
        async move { self.ask() }.boxed()
    }
}

/// What runs out first: a limit may be larger than what the machine has left.
fn tightest(cgroup: Option<Room>, machine: Option<Room>) -> Option<(Room, &'static str)> {
    let cgroup = cgroup.map(|room| (room, "cgroup"));
    cgroup.into_iter().chain(machine.map(|room| (room, "machine"))).min_by_key(|(room, _)| room.available)
}

/// The machine's memory.
pub(crate) fn machine() -> Option<Room> {
    machine_of(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn machine_of(meminfo: &str) -> Option<Room> {
    let total = kib(meminfo, "MemTotal:")?;
    let available = kib(meminfo, "MemAvailable:")?;
    Some(Room { used: total.saturating_sub(available), available })
}

fn kib(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn judge(room: Room, degraded_at: f64) -> Outcome {
    let outcome = match room.judge(degraded_at) {
        Status::Unhealthy => {
            Outcome::unhealthy("memory_full", "next to no memory is left: stop something, or add memory")
        }
        Status::Degraded => {
            let message =
                format!("at least {degraded_at} % of the memory is used: find what grows, or add memory");
            Outcome::degraded("memory_filling", message)
        }
        _ => Outcome::healthy(),
    };
    outcome
        .with(
            Figure::gauge("memory_used_percent", room.used_percent(), Unit::Percent).shown_as("memory_usage"),
        )
        .with(Figure::gauge("memory_available_bytes", room.available as f64, Unit::Bytes))
        .with(Figure::gauge("memory_limit_bytes", room.size() as f64, Unit::Bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_can_give_back_counts_as_available() {
        let meminfo = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    700 kB\n";
        let room = machine_of(meminfo).unwrap();
        assert_eq!(room, Room { used: 300 * 1024, available: 700 * 1024 });
        assert_eq!(machine_of("MemTotal: 1000 kB\n"), None);
        assert_eq!(machine_of("MemTotal: lots kB\nMemAvailable: 1 kB"), None);
    }

    #[test]
    fn little_memory_degrades_and_none_is_unhealthy() {
        let gib = |n: u64| n << 30;
        let table = [
            (Room { used: gib(8), available: gib(8) }, Status::Healthy, "ok"),
            (Room { used: gib(15), available: gib(1) }, Status::Degraded, "memory_filling"),
            (Room { used: gib(16), available: 1 << 20 }, Status::Unhealthy, "memory_full"),
        ];
        for (room, status, reason) in table {
            let outcome = judge(room, 90.0);
            assert_eq!((outcome.status, outcome.reason.as_ref()), (status, reason));
        }
    }

    #[test]
    fn what_runs_out_first_decides() {
        let room = |available| Some(Room { used: 1, available });
        assert_eq!(tightest(room(1), room(2)), room(1).map(|room| (room, "cgroup")));
        assert_eq!(tightest(room(2), room(1)), room(1).map(|room| (room, "machine")));
        assert_eq!(tightest(None, room(1)), room(1).map(|room| (room, "machine")));
        assert_eq!(tightest(None, None), None);
    }

    #[tokio::test]
    async fn this_machine_has_real_figures() {
        let outcome = Memory::new(Settings::default()).run().await;
        let used = outcome.figures.iter().find(|f| f.shown_as == Some("memory_usage")).unwrap();
        assert!(used.value > 0.0 && used.value <= 100.0, "{}", used.value);
    }
}
