//! What the kernel says of one process. Decides which fields are read and what a process that is only waiting to be
//! reaped counts as: it runs no more.

use rustix::param::{clock_ticks_per_second, page_size};
use std::path::{Path, PathBuf};

/// A machine's processes.
pub(crate) struct Machine<'p> {
    proc: &'p Path,
    /// When it was started, in seconds since 1970; unknown in some sandboxes.
    booted_at: Option<f64>,
}

/// One process that runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) pid: u32,
    /// Since the machine's start; with `pid` it names a process for ever.
    pub(crate) started_ticks: u64,
    /// In seconds since 1970.
    pub(crate) started_at: Option<f64>,
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) threads: u64,
    /// `None` where this user may not look.
    pub(crate) open_fds: Option<u64>,
    /// Its soft limit; `None` where this user may not look or there is none.
    pub(crate) max_fds: Option<u64>,
}

impl<'p> Machine<'p> {
    /// `None` where there is no such file system.
    pub(crate) fn read(proc: &'p Path) -> Option<Self> {
        let stat = std::fs::read_to_string(proc.join("stat")).ok()?;
        let booted = stat.lines().find_map(|line| line.strip_prefix("btime "));
        Some(Self { proc, booted_at: booted.and_then(|text| text.trim().parse().ok()) })
    }

    pub(crate) fn file(&self, pid: u32, name: &str) -> PathBuf {
        self.proc.join(pid.to_string()).join(name)
    }

    /// The process of this number, if it runs.
    pub(crate) fn see(&self, pid: u32) -> Option<Seen> {
        let stat = std::fs::read_to_string(self.file(pid, "stat")).ok()?;
        let fds = std::fs::read_dir(self.file(pid, "fd")).ok();
        let limits = std::fs::read_to_string(self.file(pid, "limits")).unwrap_or_default();
        Some(Seen {
            pid,
            open_fds: fds.map(|fds| fds.count() as u64),
            max_fds: max_open_files(&limits),
            ..parse(&stat, self.booted_at)?
        })
    }
}

/// `/proc/<pid>/stat` of a process that runs.
fn parse(stat: &str, booted_at: Option<f64>) -> Option<Seen> {
    // The name in parentheses may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X" | "x") {
        return None;
    }
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = clock_ticks_per_second() as f64;
    let started_ticks = number(19)?;
    Some(Seen {
        pid: 0,
        started_ticks,
        started_at: booted_at.map(|booted| booted + started_ticks as f64 / ticks),
        cpu_seconds: number(11)?.checked_add(number(12)?)? as f64 / ticks,
        threads: number(17)?,
        resident_bytes: number(21)?.checked_mul(page_size() as u64)?,
        open_fds: None,
        max_fds: None,
    })
}

/// `Max open files  1024  524288  files`: the first number is the one that counts.
fn max_open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_holds() {
        let fields =
            "S 1 2 2 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 7 0 5000 100000 300 18446744073709551615";
        let ticks = clock_ticks_per_second() as f64;
        for name in ["(x)", "(a) Z 1 (b)", "(sp ace)"] {
            let seen = parse(&format!("42 {name} {fields}"), Some(1_000.0)).unwrap();
            assert_eq!((seen.started_ticks, seen.threads), (5_000, 7), "{name}");
            assert_eq!(seen.resident_bytes, 300 * page_size() as u64);
            assert_eq!((seen.cpu_seconds, seen.started_at), (400.0 / ticks, Some(1_000.0 + 5_000.0 / ticks)));
        }
        assert_eq!(parse(&format!("42 (x) {}", fields.replacen('S', "Z", 1)), None), None, "a zombie");
        for broken in ["", "42 (x", "42 (x)", "42 (x) S 1 2"] {
            assert_eq!(parse(broken, None), None, "{broken}");
        }
    }

    #[test]
    fn the_soft_limit_counts() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(max_open_files(limits), Some(1_024));
        assert_eq!(max_open_files("Max open files   unlimited  unlimited files"), None);
        assert_eq!(max_open_files(""), None);
    }
}
