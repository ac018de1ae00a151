//! CPU and memory of processes as the kernel counts them. Of the monitor only that process is read; what the load
//! itself costs is told apart.

use anyhow::Context;
use std::collections::BTreeMap;
use std::path::Path;

/// A process's CPU time is counted twice by the kernel: in steps of 10 ms for the process, in nanoseconds per thread.
pub(crate) struct Reading {
    /// Nanoseconds on a CPU by thread; those of a thread that has ended are lost.
    threads: BTreeMap<String, u64>,
    /// User and system time of the whole process, ended threads included, in whole steps.
    coarse_seconds: f64,
    step_seconds: f64,
    /// Resident memory, exact.
    pub(crate) resident_bytes: f64,
}

/// The CPU time of all processes of the machine.
pub(crate) struct Machine {
    busy_seconds: f64,
}

/// Reads a process.
pub(crate) fn read(pid: u32) -> anyhow::Result<Reading> {
    let folder = format!("/proc/{pid}");
    let stat = std::fs::read_to_string(format!("{folder}/stat"))
        .with_context(|| format!("process {pid} is not there"))?;
    let after_name = stat.rsplit_once(')').context("an unexpected /proc/PID/stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let number =
        |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).context("a short /proc/PID/stat");
    let step_seconds = 1.0 / rustix::param::clock_ticks_per_second() as f64;
    Ok(Reading {
        threads: threads(Path::new(&folder)).with_context(|| format!("{folder}/task"))?,
        coarse_seconds: (number(11)? + number(12)?) * step_seconds,
        step_seconds,
        resident_bytes: resident(Path::new(&folder))?,
    })
}

fn threads(folder: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut threads = BTreeMap::new();
    for entry in std::fs::read_dir(folder.join("task"))? {
        let entry = entry?;
        // A thread that has ended meanwhile is no error.
        let Ok(text) = std::fs::read_to_string(entry.path().join("schedstat")) else { continue };
        let on_cpu = text.split_whitespace().next().and_then(|n| n.parse().ok()).context("schedstat")?;
        threads.insert(entry.file_name().to_string_lossy().into_owned(), on_cpu);
    }
    Ok(threads)
}

/// `statm` and `status` lag behind by some pages per thread; this walks the page tables.
fn resident(folder: &Path) -> anyhow::Result<f64> {
    let path = folder.join("smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("smaps_rollup without Rss")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().context("smaps_rollup's Rss")?;
    Ok(kib * 1024.0)
}

impl Reading {
    /// CPU seconds from an earlier reading to this one.
    pub(crate) fn cpu_since(&self, earlier: &Self) -> f64 {
        let before = |thread: &str| earlier.threads.get(thread).copied().unwrap_or(0);
        let fine: u64 = self.threads.iter().map(|(thread, now)| now.saturating_sub(before(thread))).sum();
        // User and system time are each cut to whole steps, at both ends.
        let at_least = self.coarse_seconds - earlier.coarse_seconds - 2.0 * self.step_seconds;
        (fine as f64 / 1e9).max(at_least)
    }
}

impl Machine {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let text = std::fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("/proc/stat")?;
        let ticks: Vec<f64> = line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guests are part of user.
        let busy = [0, 1, 2, 5, 6].iter().filter_map(|i| ticks.get(*i)).sum::<f64>();
        Ok(Self { busy_seconds: busy / rustix::param::clock_ticks_per_second() as f64 })
    }

    pub(crate) fn busy_since(&self, earlier: &Self) -> f64 {
        self.busy_seconds - earlier.busy_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(threads: &[(&str, u64)], coarse_seconds: f64) -> Reading {
        let threads = threads.iter().map(|(name, ns)| ((*name).to_owned(), *ns)).collect();
        Reading { threads, coarse_seconds, step_seconds: 0.01, resident_bytes: 0.0 }
    }

    #[test]
    fn cpu_is_counted_in_nanoseconds_where_every_thread_lives() {
        let (from, to) =
            (reading(&[("1", 5), ("2", 7)], 0.0), reading(&[("1", 1_000_005), ("2", 7), ("3", 500)], 0.0));
        assert!((to.cpu_since(&from) - 0.001_000_5).abs() < 1e-12);
    }

    #[test]
    fn what_an_ended_thread_used_is_not_lost_beyond_two_steps() {
        let (from, to) = (reading(&[("1", 0), ("2", 0)], 1.0), reading(&[("1", 1_000_000)], 3.0));
        assert!((to.cpu_since(&from) - 1.98).abs() < 1e-9);
    }

    #[test]
    fn this_process_can_be_read_and_its_work_is_seen() {
        let (me, machine) = (read(std::process::id()).unwrap(), Machine::read().unwrap());
        assert!(me.resident_bytes > 100_000.0, "{}", me.resident_bytes);
        let mut sum = 0_u64;
        let worked = || read(std::process::id()).unwrap().cpu_since(&me) > 0.002;
        while !worked() {
            sum = (0..1_000_000).fold(sum, |sum, n| std::hint::black_box(sum ^ n));
        }
        assert!(Machine::read().unwrap().busy_since(&machine) >= 0.0);
    }

    #[test]
    fn a_process_that_is_not_there_is_told() {
        assert!(read(u32::MAX).err().unwrap().to_string().contains("not there"));
    }
}
