//! A monitor under steady load for a long time, seen from outside: whether its memory, open files and tasks stand
//! still, and whether its journal and its log are bounded. The load itself is somebody else's.

use crate::clock::{now_ns, sleep_until};
use crate::http::{Client, metric};
use crate::process;
use crate::round;
use anyhow::Context;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const MIB: f64 = 1_048_576.0;

/// Which monitor, and for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The monitor's process id.
    #[arg(long)]
    pid: u32,
    /// Its HTTP port.
    #[arg(long)]
    http_addr: SocketAddr,
    /// Its data directory.
    #[arg(long)]
    store: PathBuf,
    /// Minutes to watch.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 15.0)]
    every: f64,
}

/// One look.
struct Look {
    minutes: f64,
    cpu_seconds: f64,
    resident: f64,
    /// Bytes of history in memory, as the monitor tells.
    history: f64,
    fds: f64,
    tasks: f64,
    threads: f64,
    /// Reports taken and committed since its start.
    committed: f64,
    /// Reports that are in the journal alone.
    unsealed: f64,
    store: f64,
    log: f64,
    /// What is left of the journal, as last measured by the monitor.
    journal: f64,
}

/// Watches and tells each minute on stderr; one line of JSON at the end.
pub(crate) fn run(options: &Options) -> anyhow::Result<Value> {
    anyhow::ensure!(options.minutes > 0.0 && options.every > 0.0, "minutes and an interval are needed");
    let mut client = Client::new(options.http_addr);
    let (began, first) = (now_ns(), process::read(options.pid)?);
    let looks = (options.minutes * 60.0 / options.every).floor() as u64;
    let each_minute = (60.0 / options.every).ceil() as u64;
    let mut all: Vec<Look> = Vec::new();
    for number in 0..=looks {
        sleep_until(began + (number as f64 * options.every * 1e9) as u64);
        let look = look(options, &mut client, &first, began)?;
        if number.is_multiple_of(each_minute) {
            tell(&look);
        }
        all.push(look);
    }
    Ok(to_json(&all))
}

fn look(
    options: &Options,
    client: &mut Client,
    first: &process::Reading,
    began: u64,
) -> anyhow::Result<Look> {
    let page = client.text("/metrics")?;
    let of = |name: &str| metric(&page, name).with_context(|| format!("the monitor does not tell {name}"));
    let now = process::read(options.pid)?;
    Ok(Look {
        minutes: (now_ns() - began) as f64 / 60e9,
        cpu_seconds: now.cpu_since(first),
        resident: now.resident_bytes,
        history: of("farol_history_memory_bytes")?,
        fds: entries(&format!("/proc/{}/fd", options.pid))?,
        threads: entries(&format!("/proc/{}/task", options.pid))?,
        tasks: of("farol_tasks")?,
        committed: of("farol_journal_committed_reports_total")?,
        unsealed: of("farol_history_unsealed_reports")?,
        store: file_bytes(&options.store, "farol.db"),
        log: file_bytes(&options.store, "farol.db-wal"),
        journal: of("farol_store_bytes{part=\"journal\"}")?,
    })
}

fn entries(folder: &str) -> anyhow::Result<f64> {
    Ok(std::fs::read_dir(folder).with_context(|| folder.to_owned())?.count() as f64)
}

/// 0 for a file that is not there.
fn file_bytes(folder: &Path, name: &str) -> f64 {
    folder.join(name).metadata().map_or(0.0, |about| about.len() as f64)
}

#[allow(clippy::print_stderr, reason = "the progress of a command")]
fn tell(look: &Look) {
    eprintln!(
        "soak: {:5.1} min  {:.0} MiB resident ({:.0} of history)  {} fds  {} tasks  {} threads  {:.0} committed  \
         {:.0} unsealed  store {:.0} MiB  log {:.0} MiB  journal {:.0} MiB  {:.1} s CPU",
        look.minutes,
        look.resident / MIB,
        look.history / MIB,
        look.fds,
        look.tasks,
        look.threads,
        look.committed,
        look.unsealed,
        look.store / MIB,
        look.log / MIB,
        look.journal / MIB,
        look.cpu_seconds,
    );
}

fn to_json(all: &[Look]) -> Value {
    let (first, last) = (&all[0], &all[all.len() - 1]);
    let half = &all[all.len() / 2..];
    let most = |of: fn(&Look) -> f64| all.iter().map(of).fold(0.0, f64::max);
    let span = |of: fn(&Look) -> f64| {
        let least = half.iter().map(of).fold(f64::INFINITY, f64::min);
        json!([least, half.iter().map(of).fold(0.0, f64::max)])
    };
    let mib_an_hour = |looks: &[Look], of: fn(&Look) -> f64| round(slope(looks, of) * 60.0 / MIB);
    let committed = last.committed - first.committed;
    json!({
        "bench": "soak",
        "minutes": round(last.minutes - first.minutes),
        "looks": all.len(),
        "committed_per_second": round(committed / ((last.minutes - first.minutes) * 60.0)),
        "monitor_cpu_us_per_report": round((last.cpu_seconds - first.cpu_seconds) * 1e6 / committed),
        "resident_mib": [round(first.resident / MIB), round(last.resident / MIB)],
        "history_mib": [round(first.history / MIB), round(last.history / MIB)],
        // Of the second half: what a start brings with it is over.
        "resident_slope_mib_per_hour": mib_an_hour(half, |look| look.resident),
        "resident_slope_without_history_mib_per_hour": mib_an_hour(half, |look| look.resident - look.history),
        "history_slope_mib_per_hour": mib_an_hour(half, |look| look.history),
        "fds_in_second_half": span(|look| look.fds),
        "tasks_in_second_half": span(|look| look.tasks),
        "threads_in_second_half": span(|look| look.threads),
        "unsealed_reports_most": most(|look| look.unsealed),
        "unsealed_reports_last": last.unsealed,
        "journal_mib_most": round(most(|look| look.journal) / MIB),
        "journal_mib_last": round(last.journal / MIB),
        "store_mib_last": round(last.store / MIB),
        "store_slope_mib_per_hour": mib_an_hour(half, |look| look.store),
        "log_mib_most": round(most(|look| look.log) / MIB),
        "log_mib_last": round(last.log / MIB),
    })
}

/// By least squares, a minute.
fn slope(looks: &[Look], of: fn(&Look) -> f64) -> f64 {
    let count = looks.len() as f64;
    let mean = |of: &dyn Fn(&Look) -> f64| looks.iter().map(of).sum::<f64>() / count;
    let (at, value) = (mean(&|look| look.minutes), mean(&of));
    let sum = |of: &dyn Fn(&Look) -> f64| looks.iter().map(of).sum::<f64>();
    let over = sum(&|look| (look.minutes - at).powi(2));
    if over == 0.0 { 0.0 } else { sum(&|look| (look.minutes - at) * (of(look) - value)) / over }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(minutes: f64, resident: f64) -> Look {
        Look {
            minutes,
            cpu_seconds: minutes,
            resident,
            history: 0.0,
            fds: 7.0,
            tasks: 3.0,
            threads: 2.0,
            committed: minutes * 60.0,
            unsealed: 0.0,
            store: 0.0,
            log: 0.0,
            journal: 0.0,
        }
    }

    #[test]
    fn a_slope_is_that_of_the_second_half() {
        let grows = |minute: usize| if minute < 10 { 100.0 * MIB } else { (100.0 + minute as f64) * MIB };
        let all: Vec<_> = (0..20).map(|minute| look(minute as f64, grows(minute))).collect();
        let line = to_json(&all);
        assert_eq!(line["resident_slope_mib_per_hour"], 60.0, "{line}");
        assert_eq!(line["committed_per_second"], 1.0, "{line}");
        assert_eq!(line["fds_in_second_half"], json!([7.0, 7.0]), "{line}");
    }
}
