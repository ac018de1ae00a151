//! What this process itself takes: memory, processor time, open file descriptors. Always the real one, whichever
//! machine is measured.

use super::Collect;
use super::text::{Text, float, whole, words};
use crate::catalog::{Row, Series};
use farol_health::Unit;
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::sync::Arc;

/// Each open file descriptor is an entry of this folder.
const DESCRIPTORS: &str = "/proc/self/fd";

/// Measures the agent.
pub(super) struct Own {
    statm: Text,
    page_size: u64,
    resident: Arc<Series>,
    cpu: Arc<Series>,
    descriptors: Arc<Series>,
    /// Whether a failure to count descriptors has been logged.
    told: bool,
}

impl Own {
    pub(super) fn new() -> Self {
        Self {
            statm: Text::new("/proc/self/statm"),
            page_size: rustix::param::page_size() as u64,
            resident: Arc::new(Series::gauge("farol_agent_resident_bytes", Unit::Bytes)),
            cpu: Arc::new(Series::counter("farol_agent_cpu_seconds_total", Unit::Seconds).digits(3)),
            descriptors: Arc::new(Series::gauge("farol_agent_open_file_descriptors", Unit::None)),
            told: false,
        }
    }
}

impl Collect for Own {
    fn collect(&mut self, out: &mut Row) {
        let pages = self.statm.read().and_then(|text| words(text).nth(1).and_then(whole));
        out.push_some(&self.resident, pages.map(|pages| float(pages.saturating_mul(self.page_size))));
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let millis = u64::try_from(time.tv_sec * 1_000 + time.tv_nsec / 1_000_000).ok();
        out.push_some(&self.cpu, millis.map(|millis| float(millis) / 1_000.0));
        match descriptors() {
            Ok(count) => out.push(&self.descriptors, float(count)),
            Err(error) if !std::mem::replace(&mut self.told, true) => {
                tracing::warn!(path = DESCRIPTORS, %error, "own descriptors cannot be counted; their series is left out");
            }
            Err(_) => {}
        }
    }
}

/// Kernels from 6.2 on give the count as the folder's size; older ones say 0 and want a listing, which opens one
/// descriptor more.
fn descriptors() -> io::Result<u64> {
    match std::fs::metadata(DESCRIPTORS)?.len() {
        0 => Ok((std::fs::read_dir(DESCRIPTORS)?.count() as u64).saturating_sub(1)),
        count => Ok(count),
    }
}
