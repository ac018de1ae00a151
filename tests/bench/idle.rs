//! What a running process costs while nobody asks it anything: CPU and memory.

use crate::clock::{now_ns, sleep_until};
use crate::process;
use serde_json::{Value, json};

/// Which process, and for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Process id, what it is called in the result, and the samples a second that it takes: `PID,NAME,RATE`.
    #[arg(long = "process", required = true, value_parser = watched)]
    processes: Vec<Watched>,
    /// Seconds to measure.
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
}

#[derive(Clone, Debug, PartialEq)]
struct Watched {
    pid: u32,
    what: String,
    samples_per_second: f64,
}

fn watched(text: &str) -> Result<Watched, String> {
    let wrong = || format!("`{text}` is not PID,NAME,RATE; write for instance `4711,farol-agent,98.5`");
    let mut parts = text.splitn(3, ',');
    let mut next = || parts.next().ok_or_else(wrong);
    let (pid, what, rate) = (next()?, next()?, next()?);
    let samples_per_second = rate.parse().ok().filter(|rate| *rate > 0.0).ok_or_else(wrong)?;
    Ok(Watched { pid: pid.parse().map_err(|_| wrong())?, what: what.to_owned(), samples_per_second })
}

/// Watches all of them over the same time.
pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Value>> {
    let (from, before) = (now_ns(), readings(options)?);
    sleep_until(from + (options.seconds * 1e9) as u64);
    let (after, seconds) = (readings(options)?, (now_ns() - from) as f64 / 1e9);
    let lines = options.processes.iter().zip(before.iter().zip(&after)).map(|(watched, (before, after))| {
        let cpu = after.cpu_since(before);
        json!({
            "bench": "idle",
            "what": watched.what,
            "seconds": seconds.round(),
            "samples_per_second": watched.samples_per_second,
            "cpu_us_per_sample": round(cpu * 1e6 / (watched.samples_per_second * seconds)),
            "cpu_ms_per_second": round(cpu * 1e3 / seconds),
            "resident_mib": round(after.resident_bytes / 1_048_576.0),
        })
    });
    Ok(lines.collect())
}

fn readings(options: &Options) -> anyhow::Result<Vec<process::Reading>> {
    options.processes.iter().map(|watched| process::read(watched.pid)).collect()
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_named_by_id_name_and_rate() {
        let good = Watched { pid: 12, what: "farol-agent at 1 s".into(), samples_per_second: 2.5 };
        assert_eq!(watched("12,farol-agent at 1 s,2.5"), Ok(good));
        for wrong in ["12,farol-agent", "12,x,0", "12,x,y", "x,x,1", ""] {
            assert!(watched(wrong).unwrap_err().contains("PID,NAME,RATE"), "{wrong}");
        }
    }

    #[test]
    fn a_process_can_be_watched() {
        let me = Watched { pid: std::process::id(), what: "me".into(), samples_per_second: 10.0 };
        let lines = run(&Options { processes: vec![me], seconds: 0.01 }).unwrap();
        assert!(lines[0]["resident_mib"].as_f64().unwrap() > 0.0, "{lines:?}");
        assert!(lines[0]["cpu_us_per_sample"].as_f64().unwrap() >= 0.0, "{lines:?}");
    }
}
