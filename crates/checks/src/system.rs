//! Kind `system`: processor, memory and root disk of this machine as one component, for people who open
//! `/health/detailed`. Measures the machine, not a cgroup; alerts on it are the rules' work.

use crate::disk::bytes_of;
use crate::kind::{Kind, Read};
use crate::memory::machine;
use crate::room::Room;
use farol_health::{Check, Dependency, Figure, Outcome, Status, Unit};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

/// It has nothing to set.
pub(crate) const KIND: Kind = Kind {
    name: "system",
    host: true,
    dependency: Dependency::Other,
    read: |_| Some(Read::new(String::new(), System::new())),
};

/// Degraded from so many per hundred.
const CPU_DEGRADED_AT: f64 = 85.0;
const MEMORY_DEGRADED_AT: f64 = 90.0;
const DISK_DEGRADED_AT: f64 = 85.0;

/// The check.
#[derive(Debug)]
pub struct System {
    /// The processor's counters at the last run: usage is what happened since.
    last: Mutex<Option<Ticks>>,
}

impl System {
    /// The first usage is measured from here on.
    #[must_use]
    pub fn new() -> Self {
        Self { last: Mutex::new(ticks()) }
    }

    fn ask(&self) -> Outcome {
        let seen = Seen {
            cpu: self.cpu(),
            memory: machine(),
            disk: rustix::fs::statvfs("/").ok().map(|stat| bytes_of(&stat)),
        };
        seen.outcome()
    }

    fn cpu(&self) -> Option<f64> {
        let now = ticks()?;
        let before = self.last.lock().replace(now)?;
        now.usage_since(before)
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl Check for System {
    fn kind(&self) -> &'static str {
        "system"
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        // Root's file system is local; the kernel answers the rest from memory.
        async move { self.ask() }.boxed()
    }
}

/// The first line of `/proc/stat`, summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticks {
    busy: u64,
    all: u64,
}

impl Ticks {
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        // user nice system idle iowait irq softirq steal; guest time is within user time.
        let fields: Vec<u64> = line.split_ascii_whitespace().take(8).map_while(|n| n.parse().ok()).collect();
        let all = fields.iter().try_fold(0u64, |sum, n| sum.checked_add(*n))?;
        let waiting = fields.get(3)?.checked_add(fields.get(4).copied().unwrap_or(0))?;
        Some(Self { busy: all.checked_sub(waiting)?, all })
    }

    /// Busy per hundred since `before`; nothing when no time has passed.
    pub(crate) fn usage_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        // The kernel's idle counters may step back a little.
        let busy = self.busy.saturating_sub(before.busy).min(all);
        Some(busy as f64 / all as f64 * 100.0)
    }
}

/// The processor's counters now.
pub(crate) fn ticks() -> Option<Ticks> {
    Ticks::parse(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// What one run saw; what could not be read is left out.
#[derive(Clone, Copy, Debug)]
struct Seen {
    cpu: Option<f64>,
    memory: Option<Room>,
    disk: Option<Room>,
}

impl Seen {
    fn outcome(self) -> Outcome {
        let mut outcome = self.judge();
        let memory = self.memory.map(Room::used_percent);
        let disk = self.disk.map(Room::used_percent);
        for (name, shown_as, value) in [
            ("host_cpu_usage_percent", "cpu_usage", self.cpu),
            ("host_memory_usage_percent", "memory_usage", memory),
            ("host_disk_usage_percent", "disk_usage", disk),
        ] {
            if let Some(value) = value {
                outcome = outcome.with(Figure::gauge(name, value, Unit::Percent).shown_as(shown_as));
            }
        }
        outcome
    }

    fn judge(self) -> Outcome {
        if self.memory.is_none() && self.disk.is_none() {
            return Outcome::unknown("unreadable", "/proc and / cannot be read: mount them for this process");
        }
        let memory = self.memory.map(|room| room.judge(MEMORY_DEGRADED_AT));
        let disk = self.disk.map(|room| room.judge(DISK_DEGRADED_AT));
        let cpu = self.cpu.filter(|percent| *percent >= CPU_DEGRADED_AT).map(|_| Status::Degraded);
        let say = |wanted: Status| {
            let scarce = [("memory", memory), ("disk", disk), ("processor", cpu)];
            let names = scarce.iter().filter(|(_, status)| *status == Some(wanted)).map(|(name, _)| *name);
            names.collect::<Vec<_>>().join(", ")
        };
        let (out, scarce) = (say(Status::Unhealthy), say(Status::Degraded));
        if !out.is_empty() {
            Outcome::unhealthy("exhausted", format!("this machine has next to nothing left of: {out}"))
        } else if !scarce.is_empty() {
            Outcome::degraded("under_pressure", format!("this machine runs short of: {scarce}"))
        } else {
            Outcome::healthy()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_what_happened_between_two_looks() {
        let before = Ticks::parse("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1\n").unwrap();
        let after = Ticks::parse("cpu  150 0 125 850 75 0 0 0 0 0\n").unwrap();
        assert_eq!(after.usage_since(before), Some(37.5));
        assert_eq!(before.usage_since(before), None, "no time has passed");
        assert_eq!(before.usage_since(after), None, "the counters went back");
        assert_eq!(Ticks::parse("intr 1 2 3"), None);
        assert_eq!(Ticks::parse("cpu  1 2"), None);
    }

    #[test]
    fn what_runs_short_is_named_and_figures_stand_where_the_documents_show_them() {
        let full = Room { used: 90 << 30, available: 10 << 30 };
        let half = Room { used: 50 << 30, available: 50 << 30 };
        let out = Room { used: 100 << 30, available: 1 };
        let table = [
            (Some(25.0), half, half, Status::Healthy, ""),
            (Some(85.0), half, half, Status::Degraded, "processor"),
            (Some(99.0), full, full, Status::Degraded, "memory, disk, processor"),
            (Some(99.0), half, out, Status::Unhealthy, "disk"),
            (None, half, half, Status::Healthy, ""),
        ];
        for (cpu, memory, disk, status, named) in table {
            let outcome = Seen { cpu, memory: Some(memory), disk: Some(disk) }.outcome();
            assert_eq!(outcome.status, status);
            assert!(outcome.message.ends_with(named), "{}", outcome.message);
            let shown: Vec<_> = outcome.figures.iter().filter_map(|f| f.shown_as).collect();
            let expected: &[&str] = if cpu.is_some() {
                &["cpu_usage", "memory_usage", "disk_usage"]
            } else {
                &["memory_usage", "disk_usage"]
            };
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn a_machine_that_cannot_be_read_is_unknown() {
        let outcome = Seen { cpu: None, memory: None, disk: None }.outcome();
        assert_eq!(outcome.status, Status::Unknown);
        assert!(outcome.figures.is_empty());
    }
}
