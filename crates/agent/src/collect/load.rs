//! The load averages and how many threads there are, from `/proc/loadavg`.

use super::text::{Text, float, hundredths, whole, words};
use super::{Collect, Config};
use crate::catalog::{Row, Series};
use farol_health::Unit;
use std::sync::Arc;

/// Measures the load averages over 1, 5 and 15 minutes and counts threads.
#[derive(Debug)]
pub(super) struct Load {
    loadavg: Text,
    averages: [Arc<Series>; 3],
    threads: Arc<Series>,
}

impl Load {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            loadavg: Text::new(config.proc.join("loadavg")),
            averages: ["system_load1", "system_load5", "system_load15"]
                .map(|name| Arc::new(Series::gauge(name, Unit::None).digits(2))),
            threads: Arc::new(Series::gauge("system_threads", Unit::None)),
        }
    }
}

impl Collect for Load {
    fn collect(&mut self, out: &mut Row) {
        let Some(text) = self.loadavg.read() else { return };
        let (averages, threads) = parse(text);
        for (series, average) in self.averages.iter().zip(averages) {
            out.push_some(series, average.map(|hundredths| float(hundredths) / 100.0));
        }
        out.push_some(&self.threads, threads.map(float));
    }
}

/// The three averages in hundredths, and the number of threads.
fn parse(text: &[u8]) -> ([Option<u64>; 3], Option<u64>) {
    let mut words = words(text);
    let averages = std::array::from_fn(|_| words.next().and_then(hundredths));
    let threads = words.next().and_then(|word| word.splitn(2, |byte| *byte == b'/').nth(1)).and_then(whole);
    (averages, threads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_averages_are_read_and_half_a_line_gives_what_it_holds() {
        type Expected = ([Option<u64>; 3], Option<u64>);
        let cases: [(&[u8], Expected); 4] = [
            (b"0.87 0.59 0.38 3/125 13643\n", ([Some(87), Some(59), Some(38)], Some(125))),
            (b"1024.00 99.99 0.00 900/40000 1\n", ([Some(102_400), Some(9_999), Some(0)], Some(40_000))),
            (b"0.10 0.20", ([Some(10), Some(20), None], None)),
            (b"a b c d", ([None, None, None], None)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }
}
