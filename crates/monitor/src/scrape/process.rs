//! This process's own use of the machine, under the names that every Prometheus dashboard knows.

use super::exposition::Kind;
use super::families::Families;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Appends the `process_…` families. What this system does not tell is left out. `started_ms` is unix milliseconds.
pub(super) fn write(families: &mut Families<'_>, started_ms: i64) {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "seconds and nanoseconds of a process's life")]
    let spent = spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9;
    families.one("process_cpu_seconds_total", Kind::Counter, "CPU time spent, in seconds.", spent);
    #[expect(clippy::cast_precision_loss, reason = "a time of this century")]
    let started = started_ms as f64 / 1e3;
    families.one(
        "process_start_time_seconds",
        Kind::Gauge,
        "When the process started, in unix seconds.",
        started,
    );
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One is the directory's own.
        families.count("process_open_fds", "File descriptors open.", open.count().saturating_sub(1));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        families.count(
            "process_max_fds",
            "File descriptors that may be open.",
            usize::try_from(most).unwrap_or(usize::MAX),
        );
    }
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return };
    for (key, name, help, unit) in [
        ("VmRSS:", "process_resident_memory_bytes", "Memory in use, in bytes.", 1_024),
        ("VmSize:", "process_virtual_memory_bytes", "Memory mapped, in bytes.", 1_024),
        ("Threads:", "process_threads", "Threads.", 1),
    ] {
        if let Some(value) = field(&status, key) {
            families.count(name, help, value.saturating_mul(unit));
        }
    }
}

fn field(status: &str, key: &str) -> Option<usize> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_key() {
        let status = "Name:\tfarol\nVmSize:\t  200 kB\nVmRSS:\t 123 kB\nThreads:\t7\n";
        assert_eq!(field(status, "VmRSS:"), Some(123));
        assert_eq!(field(status, "Threads:"), Some(7));
        assert_eq!(field(status, "VmSwap:"), None);
    }
}
