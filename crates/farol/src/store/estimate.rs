//! The arithmetic of `farol store estimate`. Pure. Decides what a fleet takes, and what the budget cuts: the oldest samples
//! go first, then roll-ups of 5 minutes, then those of an hour, as the monitor does it.

use crate::cli::EstimateArgs;
use farol_monitor::store::Retention;
use farol_monitor::store::measure::Measured;
use std::time::Duration;

/// Bytes of a sealed sample: recorded samples of a machine, one each 10 s, sealed by half an hour.
const SAMPLE: f64 = 0.93;
/// Bytes of a sample in the journal, before it is sealed.
const WIRE: f64 = 1.85;
/// Bytes of a series in 5 minutes and in an hour, of the same samples.
const FIVE_MINUTES: f64 = 4.9;
const ONE_HOUR: f64 = 7.7;
/// Journal rows wait for so long until all of their runs are sealed.
const UNSEALED: Duration = Duration::from_secs(45 * 60);
/// Bytes of a status change with its key, and how many a component has in a day.
const CHANGE: f64 = 70.0;
const CHANGES_A_DAY: f64 = 10.0;
/// What a database takes for pages that are not full, and keys.
const PAGES: f64 = 1.1;
/// Memory of an agent's connection and state, and of a series' name and last value (names are shared by agents).
const AGENT_MEMORY: f64 = 40_000.0;
const SERIES_MEMORY: f64 = 24.0;
const DAY: f64 = 86_400.0;

/// What a fleet takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) agents: u64,
    pub(super) samples_per_second: f64,
    pub(super) bytes_per_sample: f64,
    /// The bytes were found in a store.
    pub(super) measured: bool,
    /// How large that is now.
    pub(super) store_bytes: Option<u64>,
    /// What the disk holds after each has been kept for its time.
    pub(super) parts: Vec<Part>,
    pub(super) disk_bytes: f64,
    pub(super) memory_bytes: f64,
    pub(super) budget_bytes: u64,
    /// What the budget shortens.
    pub(super) cut: Vec<Cut>,
}

/// A part of the store.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) kept: Duration,
    pub(super) bytes: f64,
}

/// A part that is kept for a shorter time than it should be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cut {
    pub(super) name: &'static str,
    pub(super) kept: Duration,
}

/// What a monitor's file says; the arguments win over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) retention: Retention,
    /// Samples of so long are in memory.
    pub(super) memory_ms: i64,
}

pub(super) fn estimate(args: &EstimateArgs, told: &Told, measured: Option<&Measured>) -> Estimate {
    let kept_for = |given: Option<Duration>, told_ms: i64| {
        given.unwrap_or_else(|| Duration::from_millis(u64::try_from(told_ms).unwrap_or(0)))
    };
    let retention = &told.retention;
    let budget = args.budget.unwrap_or(retention.budget);
    let found = measured.and_then(Measured::bytes_per_sample);
    let sample = found.unwrap_or(SAMPLE);
    let (agents, series) = (args.agents as f64, args.series as f64);
    let kept = args.kept.unwrap_or(args.series).min(args.series) as f64;
    let per_second = agents * series / args.interval.as_secs_f64();
    let rolled = |every: f64, bytes: f64| PAGES * agents * kept * bytes / every;
    let changes = PAGES * agents * args.components as f64 * CHANGES_A_DAY * CHANGE / DAY;
    let parts = [
        ("journal", UNSEALED, PAGES * per_second * WIRE),
        ("samples", kept_for(args.raw, retention.raw_ms), PAGES * per_second * sample),
        ("5 minutes", kept_for(args.five_minutes, retention.five_minutes_ms), rolled(300.0, FIVE_MINUTES)),
        ("1 hour", kept_for(args.one_hour, retention.one_hour_ms), rolled(3_600.0, ONE_HOUR)),
        ("statuses", kept_for(args.statuses, retention.statuses_ms), changes),
    ];
    let parts = parts.map(|(name, kept, rate)| Part { name, kept, bytes: rate * kept.as_secs_f64() });
    let disk_bytes = parts.iter().map(|part| part.bytes).sum();
    // Blocks of the memory's time, and the wire's bytes of what is not sealed yet.
    let history = per_second
        * (kept_for(args.memory, told.memory_ms).as_secs_f64() * sample + UNSEALED.as_secs_f64() * WIRE);
    let memory_bytes = agents * (AGENT_MEMORY + series * SERIES_MEMORY) + history;
    Estimate {
        agents: args.agents,
        samples_per_second: per_second,
        bytes_per_sample: sample,
        measured: found.is_some(),
        store_bytes: measured.map(|measured| measured.store_bytes),
        cut: cut(&parts, disk_bytes - budget as f64),
        parts: parts.to_vec(),
        disk_bytes,
        memory_bytes,
        budget_bytes: budget,
    }
}

/// Takes what is too much from the parts that give way, one after the other.
fn cut(parts: &[Part], mut over: f64) -> Vec<Cut> {
    let mut cut = Vec::new();
    for part in parts.iter().filter(|part| !matches!(part.name, "journal" | "statuses")) {
        if over <= 0.0 || part.bytes <= 0.0 {
            continue;
        }
        let taken = over.min(part.bytes);
        over -= taken;
        cut.push(Cut { name: part.name, kept: part.kept.mul_f64(1.0 - taken / part.bytes) });
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command, StoreCommand};
    use clap::Parser;

    fn args(line: &str) -> EstimateArgs {
        let cli =
            Cli::try_parse_from(format!("farol store estimate {line}").split_ascii_whitespace()).unwrap();
        let Some(Command::Store(StoreCommand::Estimate(args))) = cli.command else { panic!("{line}") };
        args
    }

    fn told() -> Told {
        Told { memory_ms: 3_600_000, ..Told::default() }
    }

    fn estimate(args: &EstimateArgs, measured: Option<&Measured>) -> Estimate {
        super::estimate(args, &told(), measured)
    }

    #[test]
    fn a_file_says_how_long_what_is_kept_and_arguments_win_over_it() {
        let retention = Retention { raw_ms: 2 * 86_400_000, budget: 5_000_000, ..Retention::default() };
        let told = Told { retention, ..told() };
        let days = |line: &str| {
            let estimate = super::estimate(&args(line), &told, None);
            (estimate.parts[1].kept.as_secs() / 86_400, estimate.budget_bytes)
        };
        assert_eq!(days(""), (2, 5_000_000));
        assert_eq!(days("--raw 3d --budget 1GB"), (3, 1_000_000_000));
    }

    #[test]
    fn what_a_fleet_takes_grows_with_all_that_it_is_made_of() {
        let base = estimate(&args(""), None);
        assert_eq!((base.samples_per_second, base.measured, base.cut.len()), (1_000.0, false, 0));
        let samples = base.parts.iter().find(|part| part.name == "samples").unwrap();
        // 1 000 a second for a day.
        assert!((samples.bytes - 1_000.0 * DAY * SAMPLE * PAGES).abs() < 1.0, "{samples:?}");
        for more in [
            "--agents 200",
            "--series 200",
            "--interval 5s",
            "--raw 2d",
            "--one-hour 800d",
            "--components 20",
        ] {
            assert!(estimate(&args(more), None).disk_bytes > base.disk_bytes, "{more}");
        }
        for less in ["--kept 10", "--five-minutes 1d"] {
            assert!(estimate(&args(less), None).disk_bytes < base.disk_bytes, "{less}");
        }
        assert!(estimate(&args("--memory 2h"), None).memory_bytes > base.memory_bytes);
    }

    #[test]
    fn the_budget_takes_samples_first_then_roll_ups_and_never_statuses() {
        let whole = estimate(&args("--agents 1000"), None);
        let part = |name: &str| whole.parts.iter().find(|part| part.name == name).unwrap().clone();
        let cut = |over: f64| super::cut(&whole.parts, over);
        let half = &cut(part("samples").bytes / 2.0)[..];
        assert_eq!(half.len(), 1);
        assert!(half[0].kept.abs_diff(Duration::from_secs(12 * 3_600)) < Duration::from_secs(1), "{half:?}");
        let more = cut(part("samples").bytes + part("5 minutes").bytes / 2.0);
        assert_eq!(more[0], Cut { name: "samples", kept: Duration::ZERO });
        assert_eq!(more[1].name, "5 minutes");
        let names: Vec<_> = cut(whole.disk_bytes).iter().map(|cut| cut.name).collect();
        assert_eq!(names, ["samples", "5 minutes", "1 hour"]);
        assert_eq!(cut(0.0), []);
    }

    #[test]
    fn a_store_that_has_sealed_something_says_what_a_sample_takes() {
        let mut measured = Measured { store_bytes: 5, ..Measured::default() };
        let empty = estimate(&args(""), Some(&measured));
        assert_eq!((empty.measured, empty.bytes_per_sample, empty.store_bytes), (false, SAMPLE, Some(5)));
        (measured.samples, measured.sample_bytes) = (1_000, 2_000);
        let known = estimate(&args(""), Some(&measured));
        assert_eq!((known.measured, known.bytes_per_sample), (true, 2.0));
    }
}
