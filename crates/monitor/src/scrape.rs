//! The scrape pages: `/metrics`, Farol's own, and `/metrics/fleet`, the agents' series. Decides how much one scrape
//! may take.

use std::sync::atomic::{AtomicU64, Ordering};

/// How much a scrape may take, and what was left out.
#[derive(Debug)]
pub struct Scrapes {
    /// `scrape.max_series`: a scrape of more is refused.
    max_series: AtomicU64,
}

impl Scrapes {
    /// With this `scrape.max_series`.
    #[must_use]
    pub fn new(max_series: u64) -> Self {
        Self { max_series: AtomicU64::new(max_series) }
    }

    /// Takes over what a reload says.
    pub fn set_max_series(&self, max_series: u64) {
        self.max_series.store(max_series, Ordering::Relaxed);
    }
}
