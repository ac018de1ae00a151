//! Processor time and what else stands in `/proc/stat`. Decides what counts as busy: everything but idle and
//! waiting for a disk; time stolen by a hypervisor is busy, for it is not ours to use.

use super::text::{Text, float, lines, percent, whole, words};
use super::{Collect, Config};
use crate::catalog::{Row, Series};
use farol_health::Unit;
use std::sync::Arc;

/// The columns of a `cpu` line, in the kernel's order. Guest time is not among them: `user` holds it already.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const IDLE: usize = 3;
const IOWAIT: usize = 4;
/// So many cores are told one by one; the rest only in the sum.
const MOST_CORES: usize = 256;

/// Ticks spent in each mode; an old kernel may not have them all.
type Ticks = [Option<u64>; MODES.len()];

/// Measures processors, interrupts, forks and the run queue.
#[derive(Debug)]
pub(super) struct Cpu {
    stat: Text,
    /// Ticks the kernel counts in a second.
    hertz: u64,
    /// Busy and total ticks at the last tick: usage is a difference.
    last: Option<(u64, u64)>,
    usage: Arc<Series>,
    count: Arc<Series>,
    modes: [Arc<Series>; MODES.len()],
    /// Series of each core; stays empty unless cores are told one by one.
    cores: Vec<[Arc<Series>; MODES.len()]>,
    /// Whether cores are told one by one.
    per_core: bool,
    /// The single counters, in the order of [`Stat::single`].
    single: [Arc<Series>; 6],
}

impl Cpu {
    pub(super) fn new(config: &Config) -> Self {
        let counter = |name| Arc::new(Series::counter(name, Unit::None));
        let gauge = |name| Arc::new(Series::gauge(name, Unit::None));
        Self {
            stat: Text::new(config.proc.join("stat")),
            hertz: rustix::param::clock_ticks_per_second().max(1),
            last: None,
            usage: Arc::new(Series::gauge("system_cpu_usage_percent", Unit::Percent).digits(2)),
            count: gauge("system_cpus"),
            modes: MODES.map(|mode| Arc::new(seconds("system_cpu_seconds_total").label("mode", mode))),
            cores: Vec::new(),
            per_core: config.per_core,
            single: [
                counter("system_interrupts_total"),
                counter("system_context_switches_total"),
                counter("system_forks_total"),
                Arc::new(Series::gauge("system_boot_time_seconds", Unit::Seconds)),
                gauge("system_processes_running"),
                gauge("system_processes_blocked"),
            ],
        }
    }
}

impl Collect for Cpu {
    fn collect(&mut self, out: &mut Row) {
        let Some(text) = self.stat.read() else {
            self.last = None;
            return;
        };
        let (hertz, cores, per_core) = (self.hertz, &mut self.cores, self.per_core);
        let stat = Stat::parse(text, |core, ticks| {
            if per_core && core < MOST_CORES {
                push_ticks(core_series(cores, core), &ticks, hertz, out);
            }
        });
        if stat.cores > 0 {
            out.push(&self.count, float(stat.cores));
        }
        if let Some(ticks) = &stat.all {
            push_ticks(&self.modes, ticks, hertz, out);
            let now = busy_and_total(ticks);
            let usage = self.last.and_then(|before| usage(before, now));
            self.last = Some(now);
            out.push_some(&self.usage, usage);
        }
        for (series, value) in self.single.iter().zip(stat.single) {
            out.push_some(series, value.map(float));
        }
    }
}

fn seconds(name: &'static str) -> Series {
    Series::counter(name, Unit::Seconds).digits(2)
}

fn core_series(cores: &mut Vec<[Arc<Series>; MODES.len()]>, core: usize) -> &[Arc<Series>; MODES.len()] {
    while cores.len() <= core {
        let number = cores.len().to_string();
        cores.push(MODES.map(|mode| {
            let series = seconds("system_cpu_core_seconds_total").label("cpu", number.as_str());
            Arc::new(series.label("mode", mode))
        }));
    }
    &cores[core]
}

fn push_ticks(series: &[Arc<Series>; MODES.len()], ticks: &Ticks, hertz: u64, out: &mut Row) {
    for (series, ticks) in series.iter().zip(ticks) {
        let seconds = ticks.map(|ticks| {
            let hundredths = u128::from(ticks) * 100 / u128::from(hertz);
            float(u64::try_from(hundredths).unwrap_or(u64::MAX)) / 100.0
        });
        out.push_some(series, seconds);
    }
}

fn busy_and_total(ticks: &Ticks) -> (u64, u64) {
    let total = ticks.iter().flatten().fold(0_u64, |sum, ticks| sum.saturating_add(*ticks));
    let rest = ticks[IDLE].unwrap_or(0).saturating_add(ticks[IOWAIT].unwrap_or(0));
    (total.saturating_sub(rest), total)
}

/// The share of busy time between two readings. `None` when no time passed, or a counter went back.
fn usage(before: (u64, u64), now: (u64, u64)) -> Option<f64> {
    let total = now.1.checked_sub(before.1)?;
    // Idle time may go back a little while processors wake; busy time then seems to exceed the total.
    let busy = now.0.saturating_sub(before.0).min(total);
    percent(busy, total)
}

/// What is read from `/proc/stat`.
#[derive(Debug, Default, PartialEq)]
struct Stat {
    /// The whole machine.
    all: Option<Ticks>,
    /// Processors online.
    cores: u64,
    /// Interrupts, context switches, forks, boot time, processes running, processes blocked.
    single: [Option<u64>; 6],
}

impl Stat {
    fn parse(text: &[u8], mut core: impl FnMut(usize, Ticks)) -> Self {
        let mut stat = Self::default();
        for line in lines(text) {
            let mut words = words(line);
            let Some(key) = words.next() else { continue };
            let at = match key {
                b"cpu" => {
                    stat.all = Some(std::array::from_fn(|_| words.next().and_then(whole)));
                    continue;
                }
                b"intr" => 0,
                b"ctxt" => 1,
                b"processes" => 2,
                b"btime" => 3,
                b"procs_running" => 4,
                b"procs_blocked" => 5,
                _ => {
                    if let Some(number) = key.strip_prefix(b"cpu").and_then(whole) {
                        stat.cores += 1;
                        let ticks = std::array::from_fn(|_| words.next().and_then(whole));
                        core(usize::try_from(number).unwrap_or(usize::MAX), ticks);
                    }
                    continue;
                }
            };
            stat.single[at] = words.next().and_then(whole);
        }
        stat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODERN: &[u8] = b"cpu  35201 1 7899 284626 1008 2 208 1238 7 0\n\
        cpu0 9364 0 1733 70796 306 0 77 339 0 0\n\
        cpu2 8790 0 2231 70946 210 0 41 212 0 0\n\
        intr 398255 0 0 0 0\nctxt 467795\nbtime 1795296026\nprocesses 13642\n\
        procs_running 3\nprocs_blocked 1\nsoftirq 216343 0 24162 4\n";

    #[test]
    fn every_line_that_matters_is_read() {
        let mut cores = Vec::new();
        let stat = Stat::parse(MODERN, |core, ticks| cores.push((core, ticks[0])));
        assert_eq!(stat.all, Some([35_201, 1, 7_899, 284_626, 1_008, 2, 208, 1_238].map(Some)));
        assert_eq!(stat.cores, 2);
        assert_eq!(cores, [(0, Some(9_364)), (2, Some(8_790))]);
        assert_eq!(stat.single, [398_255, 467_795, 13_642, 1_795_296_026, 3, 1].map(Some));
    }

    #[test]
    fn what_a_text_does_not_say_is_none() {
        let cases: [(&[u8], Stat); 4] = [
            (b"", Stat::default()),
            (b"\0\xff garbage\ncpux 1\n\n", Stat::default()),
            (
                b"cpu 1 2 3 4\n",
                Stat {
                    all: Some([Some(1), Some(2), Some(3), Some(4), None, None, None, None]),
                    ..Stat::default()
                },
            ),
            (
                b"ctxt nonsense\nbtime 7",
                Stat { single: [None, None, None, Some(7), None, None], ..Stat::default() },
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(Stat::parse(text, |_, _| ()), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn usage_is_the_busy_share_of_what_passed() {
        let cases = [
            ((0, 0), (50, 200), Some(25.0)),
            ((10, 100), (10, 200), Some(0.0)),
            ((10, 100), (110, 200), Some(100.0)),
            ((10, 100), (130, 200), Some(100.0)),
            ((30, 100), (10, 400), Some(0.0)),
            ((10, 100), (10, 100), None),
            ((10, 100), (1, 50), None),
            ((0, 0), (1, 3), Some(33.33)),
        ];
        for (before, now, expected) in cases {
            assert_eq!(usage(before, now), expected, "{before:?} -> {now:?}");
        }
    }

    #[test]
    fn usage_needs_two_ticks_and_cores_come_only_when_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("stat"), MODERN).unwrap();
        let mut config = Config { proc: folder.path().into(), ..Config::default() };
        let mut row = Row::new();
        Cpu::new(&config).collect(&mut row);
        assert!(!row.samples().iter().any(|s| s.series.name() == "system_cpu_usage_percent"));
        assert!(!row.samples().iter().any(|s| s.series.name() == "system_cpu_core_seconds_total"));
        config.per_core = true;
        row.clear();
        let mut cpu = Cpu::new(&config);
        cpu.collect(&mut row);
        let cores = row.samples().iter().filter(|s| s.series.name() == "system_cpu_core_seconds_total");
        assert_eq!(cores.count(), 16);
        std::fs::write(folder.path().join("stat"), b"cpu  35301 1 7899 284926 1008 2 208 1238\n").unwrap();
        row.clear();
        cpu.collect(&mut row);
        let usage = row.samples().iter().find(|s| s.series.name() == "system_cpu_usage_percent").unwrap();
        assert_eq!(usage.value.to_bits(), 25.0_f64.to_bits());
    }
}
