//! Opens the file: its modes, its connections, the floor of the library's version. Decides nothing about the tables.

use super::{Settings, SqliteStore, Writer, check, fault, load, log, migrate};
use crate::store::memory::Memory;
use crate::store::shorten::Waiting;
use crate::store::upkeep::Upkeep;
use crate::store::{Durability, StoreError};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Executor};
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Older ones may damage a file in WAL mode when a checkpoint meets a write.
const OLDEST_LIBRARY: (u32, u32, u32) = (3, 51, 3);
/// A lock of another process is waited for so long.
const BUSY: Duration = Duration::from_secs(2);
/// Who only reads is in less of a hurry.
const READING_BUSY: Duration = Duration::from_secs(10);
/// Connections that read.
const READERS: u32 = 4;

pub(super) async fn open(settings: Settings) -> Result<SqliteStore, StoreError> {
    let path = settings.path.as_path();
    let is_new = make_file(path)?;
    let log = log::damage(path).map_err(|e| fault::unreadable_log(path, &e))?;
    let mut options = options(&settings);
    if is_new {
        // Free pages can be given back; a file that was made without keeps them, and uses them again.
        options = options.auto_vacuum(SqliteAutoVacuum::Incremental);
    }
    // What is read at open is many small rows.
    let mut connection =
        options.clone().row_buffer_size(4_096).connect().await.map_err(|e| fault::judge(path, &e))?;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(&mut connection)
        .await
        .map_err(|e| fault::judge(path, &e))?;
    library_is_new_enough(&version)?;
    if let Some(damage) = log
        && let Err(refused) = check::judge_log(path, &mut connection, damage).await
    {
        // Closing it would take the log away, and with it what could still be saved.
        std::mem::forget(connection);
        return Err(refused);
    }
    migrate::migrate(path, &mut connection).await?;
    check::check(path, &mut connection).await?;
    let loaded = load::load(path, &mut connection).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(Duration::from_secs(60))
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(options.pragma("query_only", "ON"));
    let writer = Writer {
        connection,
        open: false,
        last_row: loaded.last_row,
        last_boot: loaded.last_boot,
        unused: loaded.unused,
        waiting: Waiting::default(),
        upkeep: Upkeep::of_file(loaded.marked_row),
    };
    let memory = Memory::new(settings.path.display().to_string(), loaded.catalog, loaded.restored);
    let writer = tokio::sync::Mutex::new(Some(writer));
    Ok(SqliteStore { id: loaded.id, path: settings.path, writer, readers, memory })
}

/// Opens a file to read in it while a monitor may write to it: makes and changes nothing, and what would write is refused.
/// What is committed afterwards may be seen or not.
pub(super) async fn read(path: PathBuf) -> Result<SqliteStore, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .read_only(true)
        .busy_timeout(READING_BUSY)
        .pragma("temp_store", "MEMORY")
        .thread_name(|n| format!("farol-history-{n}"))
        .disable_statement_logging();
    let judged = |e: sqlx::Error| fault::judge(&path, &e);
    let mut connection = options.clone().row_buffer_size(4_096).connect().await.map_err(judged)?;
    migrate::is_current(&path, &mut connection).await?;
    // One moment for all that is read at once.
    connection.execute("BEGIN").await.map_err(judged)?;
    let loaded = load::reload(&path, &mut connection).await?;
    connection.execute("COMMIT").await.map_err(judged)?;
    drop(connection.close().await);
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(options.row_buffer_size(128));
    let memory = Memory::new(path.display().to_string(), loaded.catalog, loaded.restored);
    Ok(SqliteStore { id: loaded.id, path, writer: tokio::sync::Mutex::new(None), readers, memory })
}

/// Checkpoints are ours: SQLite's own would swallow a failed sync.
fn options(settings: &Settings) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&settings.path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(match settings.durability {
            Durability::Normal => SqliteSynchronous::Normal,
            Durability::Full => SqliteSynchronous::Full,
        })
        .busy_timeout(BUSY)
        .foreign_keys(false)
        .pragma("wal_autocheckpoint", "0")
        .pragma("journal_size_limit", "67108864")
        .pragma("temp_store", "MEMORY")
        .pragma("mmap_size", "0")
        .row_buffer_size(128)
        .thread_name(|n| format!("farol-store-{n}"))
        .disable_statement_logging()
}

/// The directory is for its owner alone when it is made here; the file is so always, and SQLite gives those beside
/// it the same mode. Whether the file is new, or empty.
fn make_file(path: &Path) -> Result<bool, StoreError> {
    let failed = |what: &str, path: &Path, e: &std::io::Error| {
        StoreError::Fatal(format!(
            "cannot {what} {}: {e}; look at its owner, its mode and the disk",
            path.display()
        ))
    };
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|e| failed("make the directory", directory, &e))?;
    }
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(|e| failed("open the store", path, &e))?;
    let found = file.metadata().map_err(|e| failed("look at the store", path, &e))?;
    let mode = found.permissions().mode();
    if mode & 0o077 != 0 {
        let narrowed = file.set_permissions(Permissions::from_mode(0o600));
        narrowed.map_err(|e| failed("set the mode of the store", path, &e))?;
    }
    Ok(found.len() == 0)
}

fn library_is_new_enough(version: &str) -> Result<(), StoreError> {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    if (part(), part(), part()) >= OLDEST_LIBRARY {
        return Ok(());
    }
    let (a, b, c) = OLDEST_LIBRARY;
    Err(StoreError::Fatal(format!(
        "SQLite {version} may damage the store; build Farol with {a}.{b}.{c} or newer (the bundled one is)"
    )))
}

#[cfg(test)]
mod tests {
    use super::library_is_new_enough;

    #[test]
    fn a_library_below_the_floor_is_refused() {
        for good in ["3.51.3", "3.51.10", "3.54.1", "4.0.0"] {
            library_is_new_enough(good).unwrap();
        }
        for bad in ["3.51.2", "3.50.9", "3.46.0", "2.99.99", "", "x"] {
            library_is_new_enough(bad).unwrap_err();
        }
    }
}
