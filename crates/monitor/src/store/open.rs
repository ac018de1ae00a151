//! Opens the store that the configuration names. Decides how long a database that is away is waited for.

mod backoff;

use super::{PostgresSettings, PostgresStore, Settings, SqliteStore, Store, StoreError};
use crate::config;
use anyhow::Context;
use backoff::delay;
use std::path::Path;
use std::sync::Arc;

/// A file cannot be opened with less than this free on its disk: its pages, log and shared memory.
const LEAST_ROOM: u64 = 128 * 1_024;

/// Opens the store, and makes it when there is none. A database that is away is tried again; who no longer wants to
/// wait drops the future.
pub async fn open(settings: &config::Store, data_dir: &Path) -> anyhow::Result<Arc<dyn Store>> {
    match settings {
        config::Store::Sqlite { path, durability } => {
            let settings = Settings { path: data_dir.join(path), durability: *durability };
            Ok(Arc::new(Box::pin(open_file(settings)).await?))
        }
        config::Store::Postgres(settings) => Ok(Arc::new(Box::pin(wait_for(settings)).await?)),
    }
}

/// Opens a store that is there, to read in it: changes nothing, makes none, tries once. A monitor may go on meanwhile.
///
/// # Errors
/// There is none, or it cannot be read.
pub async fn read(settings: &config::Store, data_dir: &Path) -> anyhow::Result<Arc<dyn Store>> {
    match settings {
        config::Store::Sqlite { path, .. } => {
            let path = data_dir.join(path);
            anyhow::ensure!(
                path.exists(),
                "there is no store at {}; name the monitor's directory with `--data-dir`",
                path.display()
            );
            Ok(Arc::new(Box::pin(SqliteStore::read(path)).await?))
        }
        config::Store::Postgres(settings) => {
            Ok(Arc::new(Box::pin(PostgresStore::read((**settings).clone())).await?))
        }
    }
}

async fn open_file(settings: Settings) -> anyhow::Result<SqliteStore> {
    let path = settings.path.clone();
    let store = match SqliteStore::open(settings).await {
        // The store itself says so where SQLite has told it.
        Err(error) if disk_is_full(&path) && !error.to_string().contains("is full") => {
            Err(anyhow::Error::new(error).context("its disk is full; free some space"))
        }
        opened => opened.map_err(anyhow::Error::new),
    };
    store.with_context(|| format!("store {}", path.display()))
}

/// Whether nothing can be written beside this file: SQLite names the failed call then, not the reason.
fn disk_is_full(path: &Path) -> bool {
    let disk = path.parent().and_then(|directory| rustix::fs::statvfs(directory).ok());
    disk.is_some_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST_ROOM)
}

/// Tries until it opens, as often as the settings allow. A database that does not exist is waited for too: whoever
/// started the server may be about to make it. A wrong password is not: it is as wrong the next time, and some servers
/// lock out who tries often.
async fn wait_for(settings: &PostgresSettings) -> anyhow::Result<PostgresStore> {
    let of = settings.max_retries.saturating_add(1);
    let mut attempt = 1;
    loop {
        let why = match PostgresStore::open(settings.clone()).await {
            Ok(store) => return Ok(store),
            Err(error @ StoreError::Refused(_)) if attempt < of => error.to_string(),
            Err(error @ StoreError::Refused(_)) => {
                return Err(anyhow::Error::new(error)).with_context(|| {
                    format!("the store did not open in {of} attempts; see to it, or raise `max_retries`")
                });
            }
            Err(error) => return Err(anyhow::Error::new(error)).context("store"),
        };
        let next_in = delay(attempt, settings.retry_delay, random_share());
        let next_in_ms = next_in.as_millis() as u64;
        tracing::warn!(attempt, of, next_in_ms, %why, "the store cannot be opened yet; it is tried again");
        tokio::time::sleep(next_in).await;
        attempt += 1;
    }
}

/// From 0 up to, but not at, 1.
fn random_share() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    // The upper 32 bits are all random.
    f64::from((high >> 32) as u32) / (f64::from(u32::MAX) + 1.0)
}
