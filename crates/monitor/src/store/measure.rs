//! What a store takes, read from outside while a monitor may write to it. Decides nothing: an estimate is made of it.

use super::{postgres, sqlite};
use crate::config;
use anyhow::ensure;
use std::path::Path;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Bytes on the disk in all.
    pub store_bytes: u64,
    /// Agents that are not forgotten.
    pub agents: u64,
    /// Samples in sealed blocks; 0 while nothing was sealed.
    pub samples: u64,
    /// Bytes of those blocks.
    pub sample_bytes: u64,
}

impl Measured {
    /// Bytes that a sealed sample takes, once there are some.
    #[must_use]
    pub fn bytes_per_sample(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.sample_bytes as f64 / self.samples as f64)
    }
}

/// Looks at the store; writes nothing, and makes none.
///
/// # Errors
/// There is none, or it cannot be read.
pub async fn measure(settings: &config::Store, data_dir: &Path) -> anyhow::Result<Measured> {
    match settings {
        config::Store::Sqlite { path, .. } => {
            let path = data_dir.join(path);
            ensure!(path.exists(), "there is no store at {}", path.display());
            sqlite::measure::measure(&path).await
        }
        config::Store::Postgres(settings) => postgres::measure::measure(settings).await,
    }
}
