//! Pressure stall information: how long work waited for processor, memory or disk, from `/proc/pressure`.
//! Kernels without it give no series.

use super::text::{Text, float, hundredths, lines, whole, words};
use super::{Collect, Config};
use crate::catalog::{Row, Series};
use farol_health::Unit;
use std::sync::Arc;

/// A resource's file and the series of its lines. `full` has no meaning for the processor of a whole machine.
struct Resource {
    text: Text,
    /// Share of the last 10 s in which some work waited.
    share: Arc<Series>,
    /// Time in which some work waited.
    waiting: Arc<Series>,
    /// Time in which all work stood still.
    stalled: Option<Arc<Series>>,
}

/// Measures the pressure on processor, memory and disks.
pub(super) struct Pressure {
    resources: [Resource; 3],
}

impl Pressure {
    pub(super) fn new(config: &Config) -> Self {
        let folder = config.proc.join("pressure");
        let seconds = |name| Arc::new(Series::counter(name, Unit::Seconds).digits(3));
        let percent = |name| Arc::new(Series::gauge(name, Unit::Percent).digits(2));
        Self {
            resources: [
                Resource {
                    text: Text::optional(folder.join("cpu")),
                    share: percent("system_pressure_cpu_percent"),
                    waiting: seconds("system_pressure_cpu_waiting_seconds_total"),
                    stalled: None,
                },
                Resource {
                    text: Text::optional(folder.join("memory")),
                    share: percent("system_pressure_memory_percent"),
                    waiting: seconds("system_pressure_memory_waiting_seconds_total"),
                    stalled: Some(seconds("system_pressure_memory_stalled_seconds_total")),
                },
                Resource {
                    text: Text::optional(folder.join("io")),
                    share: percent("system_pressure_io_percent"),
                    waiting: seconds("system_pressure_io_waiting_seconds_total"),
                    stalled: Some(seconds("system_pressure_io_stalled_seconds_total")),
                },
            ],
        }
    }
}

impl Collect for Pressure {
    fn collect(&mut self, out: &mut Row) {
        for resource in &mut self.resources {
            let Some(text) = resource.text.read() else { continue };
            let stalls = Stalls::parse(text);
            let seconds = |micros: u64| float((micros + 500) / 1_000) / 1_000.0;
            out.push_some(&resource.share, stalls.share.map(|hundredths| float(hundredths) / 100.0));
            out.push_some(&resource.waiting, stalls.some.map(seconds));
            if let Some(series) = &resource.stalled {
                out.push_some(series, stalls.full.map(seconds));
            }
        }
    }
}

/// What one file says.
#[derive(Debug, Default, PartialEq)]
struct Stalls {
    /// `avg10` of the line `some`, in hundredths of a percent.
    share: Option<u64>,
    /// Microseconds in all.
    some: Option<u64>,
    full: Option<u64>,
}

impl Stalls {
    fn parse(text: &[u8]) -> Self {
        let mut stalls = Self::default();
        for line in lines(text) {
            let mut words = words(line);
            let which = words.next();
            for word in words {
                let total =
                    || word.strip_prefix(b"total=").and_then(whole).filter(|total| *total < u64::MAX - 500);
                match which {
                    Some(b"some") => {
                        stalls.share = stalls.share.or(word.strip_prefix(b"avg10=").and_then(hundredths));
                        stalls.some = stalls.some.or_else(total);
                    }
                    Some(b"full") => stalls.full = stalls.full.or_else(total),
                    _ => {}
                }
            }
        }
        stalls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines_are_read_and_one_may_be_missing() {
        let cases: [(&[u8], Stalls); 4] = [
            (
                b"some avg10=10.64 avg60=2.72 avg300=0.72 total=4434402\nfull avg10=6.54 avg60=1.91 avg300=0.51 total=3385791\n",
                Stalls { share: Some(1_064), some: Some(4_434_402), full: Some(3_385_791) },
            ),
            (
                b"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
                Stalls { share: Some(0), some: Some(0), full: None },
            ),
            (b"", Stalls::default()),
            (b"some avg10=x total=18446744073709551615\n", Stalls::default()),
        ];
        for (text, expected) in cases {
            assert_eq!(Stalls::parse(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }
}
