//! Memory and swap, from `/proc/meminfo` and `/proc/vmstat`. Decides what counts as used: everything that is
//! not available, as `free` does, so that the page cache does not look like a shortage.

use super::text::{Text, float, lines, percent, whole, words};
use super::{Collect, Config};
use crate::catalog::{Row, Series};
use farol_health::Unit;
use std::sync::Arc;

/// Keys of `/proc/meminfo` (in KiB), each with the series that shows it.
const SHOWN: [(&[u8], &str); 13] = [
    (b"MemTotal:", "system_memory_total_bytes"),
    (b"MemAvailable:", "system_memory_available_bytes"),
    (b"MemFree:", "system_memory_free_bytes"),
    (b"Buffers:", "system_memory_buffers_bytes"),
    (b"Cached:", "system_memory_cached_bytes"),
    (b"Shmem:", "system_memory_shared_bytes"),
    (b"Slab:", "system_memory_slab_bytes"),
    (b"Dirty:", "system_memory_dirty_bytes"),
    (b"Writeback:", "system_memory_writeback_bytes"),
    (b"AnonPages:", "system_memory_anonymous_bytes"),
    (b"Committed_AS:", "system_memory_committed_bytes"),
    (b"SwapTotal:", "system_swap_total_bytes"),
    (b"SwapFree:", "system_swap_free_bytes"),
];
const TOTAL: usize = 0;
const AVAILABLE: usize = 1;
const SWAP_TOTAL: usize = 11;
const SWAP_FREE: usize = 12;

/// Keys of `/proc/vmstat`, each with its series; the first two count pages.
const EVENTS: [(&[u8], &str); 5] = [
    (b"pswpin", "system_swap_in_bytes_total"),
    (b"pswpout", "system_swap_out_bytes_total"),
    (b"pgfault", "system_memory_page_faults_total"),
    (b"pgmajfault", "system_memory_major_page_faults_total"),
    (b"oom_kill", "system_memory_oom_kills_total"),
];

/// Measures memory and swap.
#[derive(Debug)]
pub(super) struct Memory {
    meminfo: Text,
    vmstat: Text,
    page_size: u64,
    shown: [Arc<Series>; SHOWN.len()],
    used: Arc<Series>,
    usage: Arc<Series>,
    swap_used: Arc<Series>,
    swap_usage: Arc<Series>,
    events: [Arc<Series>; EVENTS.len()],
}

impl Memory {
    pub(super) fn new(config: &Config) -> Self {
        let bytes = |name| Arc::new(Series::gauge(name, Unit::Bytes));
        let percent = |name| Arc::new(Series::gauge(name, Unit::Percent).digits(2));
        Self {
            meminfo: Text::new(config.proc.join("meminfo")),
            vmstat: Text::of_records(config.proc.join("vmstat")),
            page_size: rustix::param::page_size() as u64,
            shown: SHOWN.map(|(_, name)| bytes(name)),
            used: bytes("system_memory_used_bytes"),
            usage: percent("system_memory_usage_percent"),
            swap_used: bytes("system_swap_used_bytes"),
            swap_usage: percent("system_swap_usage_percent"),
            events: EVENTS.map(|(_, name)| {
                let unit = if name.contains("_bytes_") { Unit::Bytes } else { Unit::None };
                Arc::new(Series::counter(name, unit))
            }),
        }
    }
}

impl Collect for Memory {
    fn collect(&mut self, out: &mut Row) {
        if let Some(text) = self.meminfo.read() {
            let values = table(text, &SHOWN).map(|kib| kib.and_then(|kib| kib.checked_mul(1_024)));
            for (series, value) in self.shown.iter().zip(values) {
                out.push_some(series, value.map(float));
            }
            push_use(values[TOTAL], values[AVAILABLE], &self.used, &self.usage, out);
            push_use(values[SWAP_TOTAL], values[SWAP_FREE], &self.swap_used, &self.swap_usage, out);
        }
        if let Some(text) = self.vmstat.read() {
            let mut values = table(text, &EVENTS);
            for pages in &mut values[..2] {
                *pages = pages.map(|pages| pages.saturating_mul(self.page_size));
            }
            for (series, value) in self.events.iter().zip(values) {
                out.push_some(series, value.map(float));
            }
        }
    }
}

/// What is used, and its share: absent where there is none at all (no swap).
fn push_use(
    total: Option<u64>,
    free: Option<u64>,
    used_series: &Arc<Series>,
    usage: &Arc<Series>,
    out: &mut Row,
) {
    let (Some(total), Some(free)) = (total, free) else { return };
    let used = total.saturating_sub(free);
    out.push(used_series, float(used));
    out.push_some(usage, percent(used, total));
}

/// The numbers behind the given keys; `None` for a key that the text does not have.
fn table<const N: usize>(text: &[u8], keys: &[(&[u8], &str); N]) -> [Option<u64>; N] {
    let mut values = [None; N];
    let mut missing = N;
    for line in lines(text) {
        let mut words = words(line);
        let Some(key) = words.next() else { continue };
        if let Some(at) = keys.iter().position(|(wanted, _)| *wanted == key) {
            values[at] = words.next().and_then(whole);
            missing -= 1;
            if missing == 0 {
                break;
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(meminfo: &str, vmstat: &str) -> Vec<(String, f64)> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("meminfo"), meminfo).unwrap();
        std::fs::write(folder.path().join("vmstat"), vmstat).unwrap();
        let config = Config { proc: folder.path().into(), ..Config::default() };
        let mut row = Row::new();
        Memory::new(&config).collect(&mut row);
        row.samples().iter().map(|s| (s.series.name().to_owned(), s.value)).collect()
    }

    fn value(samples: &[(String, f64)], name: &str) -> Option<f64> {
        samples.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    #[test]
    fn used_is_what_is_not_available_and_the_cache_is_not_used() {
        let samples = collected(
            "MemTotal:       1000 kB\nMemFree:  100 kB\nMemAvailable:   750 kB\nBuffers: 5 kB\nCached: 600 kB\n\
             SwapCached: 9 kB\nSwapTotal: 200 kB\nSwapFree: 150 kB\nDirty: 0 kB\nShmem: 1 kB\nSlab: 2 kB\n",
            "pswpin 3\npswpout 4\npgmajfault 5\noom_kill 6\n",
        );
        let page = f64::from(u32::try_from(rustix::param::page_size()).unwrap());
        let expected = [
            ("system_memory_total_bytes", 1_024_000.0),
            ("system_memory_used_bytes", 256_000.0),
            ("system_memory_usage_percent", 25.0),
            ("system_memory_cached_bytes", 614_400.0),
            ("system_memory_dirty_bytes", 0.0),
            ("system_swap_used_bytes", 51_200.0),
            ("system_swap_usage_percent", 25.0),
            ("system_swap_in_bytes_total", 3.0 * page),
            ("system_swap_out_bytes_total", 4.0 * page),
            ("system_memory_major_page_faults_total", 5.0),
            ("system_memory_oom_kills_total", 6.0),
        ];
        for (name, wanted) in expected {
            assert_eq!(value(&samples, name), Some(wanted), "{name}");
        }
    }

    #[test]
    fn without_swap_its_share_is_absent_and_without_a_key_its_series_is() {
        let samples = collected("MemTotal: 1000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n", "nr_free_pages 1\n");
        assert_eq!(value(&samples, "system_swap_used_bytes"), Some(0.0));
        for absent in
            ["system_swap_usage_percent", "system_memory_used_bytes", "system_memory_oom_kills_total"]
        {
            assert_eq!(value(&samples, absent), None, "{absent}");
        }
    }
}
