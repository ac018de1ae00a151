//! What the agent's own container may use and uses, from cgroup v2. Decides whether there is one: a cgroup of its
//! own at the root of the cgroup file system, or one with a limit. Elsewhere there are no such series.
//!
//! The names are those of cAdvisor behind `system_`, so that they mean the known things and clash with nothing.

use super::text::{Text, float, lines, percent, whole, words};
use super::{Collect, Config};
use crate::catalog::{Row, Series};
use farol_health::Unit;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Keys of `cpu.stat`.
const CPU_STAT: [&[u8]; 6] =
    [b"usage_usec", b"user_usec", b"system_usec", b"nr_periods", b"nr_throttled", b"throttled_usec"];

/// Measures processor, memory and processes of the agent's container.
pub(super) struct Container {
    /// `None` outside a container.
    cgroup: Option<Cgroup>,
}

/// An open cgroup.
struct Cgroup {
    cpu_stat: Text,
    cpu_max: Text,
    memory_current: Text,
    memory_max: Text,
    memory_stat: Text,
    memory_events: Text,
    pids_current: Text,
    /// Microseconds used and the boot clock's milliseconds at the last tick: usage is a difference.
    last: Option<(u64, u64)>,
    series: Names,
}

/// The series of a container.
struct Names {
    /// In the order of [`CPU_STAT`].
    cpu: [Arc<Series>; CPU_STAT.len()],
    cpu_limit: Arc<Series>,
    cpu_usage: Arc<Series>,
    memory_usage: Arc<Series>,
    memory_working_set: Arc<Series>,
    memory_limit: Arc<Series>,
    memory_share: Arc<Series>,
    oom_kills: Arc<Series>,
    processes: Arc<Series>,
}

impl Container {
    pub(super) fn new(config: &Config) -> Self {
        let own = std::fs::read(config.proc.join("self/cgroup")).unwrap_or_default();
        let folder = find(&config.sys.join("fs/cgroup"), &own);
        Self { cgroup: folder.map(|folder| Cgroup::new(&folder)) }
    }
}

impl Collect for Container {
    fn collect(&mut self, out: &mut Row) {
        if let Some(cgroup) = &mut self.cgroup {
            cgroup.cpu(farol_health::clock::boot_ms(), out);
            cgroup.memory(out);
            let processes = cgroup.pids_current.read().and_then(number);
            out.push_some(&cgroup.series.processes, processes.map(float));
        }
    }
}

/// The folder of the cgroup to tell of, given `/proc/self/cgroup`.
fn find(root: &Path, own: &[u8]) -> Option<PathBuf> {
    let path = lines(own).find_map(|line| line.strip_prefix(b"0::/"))?;
    let path = Path::new(std::str::from_utf8(path).ok()?);
    // `..` is how a cgroup above the namespace's root looks: it cannot be reached.
    let inside = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let folder = root.join(path);
    if inside && !path.as_os_str().is_empty() && is_limited(&folder) {
        return Some(folder);
    }
    // The root of all cgroups has no such file; the root that a container sees has.
    root.join("memory.current").exists().then(|| root.to_owned())
}

fn is_limited(folder: &Path) -> bool {
    ["memory.max", "cpu.max"].iter().any(|file| {
        std::fs::read(folder.join(file)).is_ok_and(|text| words(&text).next().and_then(whole_line).is_some())
    })
}

impl Cgroup {
    fn new(folder: &Path) -> Self {
        let text = |name: &str| Text::optional(folder.join(name));
        Self {
            cpu_stat: text("cpu.stat"),
            cpu_max: text("cpu.max"),
            memory_current: text("memory.current"),
            memory_max: text("memory.max"),
            memory_stat: text("memory.stat"),
            memory_events: text("memory.events"),
            pids_current: text("pids.current"),
            last: None,
            series: Names::new(),
        }
    }

    fn cpu(&mut self, now_ms: u64, out: &mut Row) {
        let Some(text) = self.cpu_stat.read() else {
            self.last = None;
            return;
        };
        let values = CPU_STAT.map(|key| value_of(text, key));
        for (index, (series, value)) in self.series.cpu.iter().zip(values).enumerate() {
            let is_time = !(3..5).contains(&index);
            out.push_some(series, value.map(|v| if is_time { float(v / 1_000) / 1_000.0 } else { float(v) }));
        }
        let limit = self.cpu_max.read().and_then(millicores);
        out.push_some(&self.series.cpu_limit, limit.map(|limit| float(limit) / 1_000.0));
        let Some(used) = values[0] else { return };
        let before = self.last.replace((used, now_ms));
        let usage = before.zip(limit).and_then(|(before, limit)| usage(before, (used, now_ms), limit));
        out.push_some(&self.series.cpu_usage, usage);
    }

    fn memory(&mut self, out: &mut Row) {
        let Some(current) = self.memory_current.read().and_then(number) else { return };
        out.push(&self.series.memory_usage, float(current));
        let inactive = self.memory_stat.read().and_then(|text| value_of(text, b"inactive_file"));
        let working_set = inactive.map(|inactive| current.saturating_sub(inactive));
        out.push_some(&self.series.memory_working_set, working_set.map(float));
        let limit = self.memory_max.read().and_then(number);
        out.push_some(&self.series.memory_limit, limit.map(float));
        // Of the working set: the file cache gives way before anything is killed.
        let share = working_set.zip(limit).and_then(|(set, limit)| percent(set, limit));
        out.push_some(&self.series.memory_share, share);
        let kills = self.memory_events.read().and_then(|text| value_of(text, b"oom_kill"));
        out.push_some(&self.series.oom_kills, kills.map(float));
    }
}

impl Names {
    fn new() -> Self {
        let seconds = |name| Arc::new(Series::counter(name, Unit::Seconds).digits(3));
        let counter = |name| Arc::new(Series::counter(name, Unit::None));
        let bytes = |name| Arc::new(Series::gauge(name, Unit::Bytes));
        let percent = |name| Arc::new(Series::gauge(name, Unit::Percent).digits(2));
        Self {
            cpu: [
                seconds("system_container_cpu_usage_seconds_total"),
                seconds("system_container_cpu_user_seconds_total"),
                seconds("system_container_cpu_system_seconds_total"),
                counter("system_container_cpu_cfs_periods_total"),
                counter("system_container_cpu_cfs_throttled_periods_total"),
                seconds("system_container_cpu_cfs_throttled_seconds_total"),
            ],
            cpu_limit: Arc::new(Series::gauge("system_container_cpu_limit_cores", Unit::None).digits(3)),
            cpu_usage: percent("system_container_cpu_usage_percent"),
            memory_usage: bytes("system_container_memory_usage_bytes"),
            memory_working_set: bytes("system_container_memory_working_set_bytes"),
            memory_limit: bytes("system_container_memory_limit_bytes"),
            memory_share: percent("system_container_memory_usage_percent"),
            oom_kills: counter("system_container_memory_oom_kills_total"),
            processes: Arc::new(Series::gauge("system_container_processes", Unit::None)),
        }
    }
}

/// A file that holds one number. `max` is none.
fn number(text: &[u8]) -> Option<u64> {
    whole_line(text.trim_ascii())
}

fn whole_line(word: &[u8]) -> Option<u64> {
    whole(word.trim_ascii())
}

/// The number behind a key.
fn value_of(text: &[u8], key: &[u8]) -> Option<u64> {
    lines(text).find_map(|line| {
        let mut words = words(line);
        (words.next() == Some(key)).then(|| words.next().and_then(whole)).flatten()
    })
}

/// `cpu.max` (`quota period`, both in microseconds) in thousandths of a core.
fn millicores(text: &[u8]) -> Option<u64> {
    let mut words = words(text.trim_ascii()).map(whole);
    let (quota, period) = words.next().flatten().zip(words.next().flatten())?;
    quota.checked_mul(1_000)?.checked_div(period)
}

/// The share of the allowed time that was used between two readings of (microseconds used, milliseconds of clock).
fn usage(before: (u64, u64), now: (u64, u64), millicores: u64) -> Option<f64> {
    let used = now.0.checked_sub(before.0)?;
    let allowed = now.1.checked_sub(before.1)?.checked_mul(millicores)?;
    percent(used, allowed)
}

#[cfg(test)]
mod tests;
