//! The store on this machine: one SQLite file in WAL mode. One connection writes, a few read. Decides how a commit
//! becomes durable and what an error means; what is committed together is the journal's business.
//!
//! Durability: `normal` (the default) survives `kill -9` and every crash of the process; a power loss may take the
//! last moments, and never damages what is older. `full` syncs at each commit, so that an acknowledged report
//! survives a power loss too.

mod blocks;
mod check;
mod commit;
pub(super) mod copy;
mod documents;
mod fault;
mod layouts;
mod load;
mod log;
pub(super) mod measure;
mod migrate;
mod open;
mod reports;
mod rows;
mod statuses;
mod tidy;

use super::database::Database;
use super::memory::Memory;
use super::shorten::Waiting;
use super::upkeep::Upkeep;
use super::{Connections, Durability, LayoutKey, Restored, StoreError};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePool;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Where the store is and what it promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file.
    pub path: PathBuf,
    /// What a commit survives.
    pub durability: Durability,
}

/// The store on this machine.
#[derive(Debug)]
pub struct SqliteStore {
    id: Arc<str>,
    path: PathBuf,
    /// The one that writes; `None` once closed.
    writer: Mutex<Option<Writer>>,
    readers: SqlitePool,
    memory: Memory,
}

/// The connection that writes, and what belongs to it.
#[derive(Debug)]
struct Writer {
    connection: SqliteConnection,
    /// A transaction was begun and not seen to end: whether it was committed must be found out before the next.
    open: bool,
    /// The last journal row's number.
    last_row: i64,
    /// The last number given to a boot.
    last_boot: u32,
    /// Layouts that nobody uses any more: they go with the last row that was made with them.
    unused: Vec<LayoutKey>,
    /// Journal rows that wait until they are sealed.
    waiting: Waiting,
    upkeep: Upkeep,
}

impl SqliteStore {
    /// Opens the store, and makes it when there is none.
    ///
    /// # Errors
    /// `Fatal` when the file is not a store, is damaged, is newer than this program, or cannot be made; `Refused` when
    /// the disk is full or the file is locked.
    pub async fn open(settings: Settings) -> Result<Self, StoreError> {
        open::open(settings).await
    }

    /// Opens a store that is there, to read in it: nothing is changed, and a monitor may go on writing to it.
    ///
    /// # Errors
    /// The file is no store, has another version than this program writes, is damaged or cannot be read.
    pub async fn read(path: PathBuf) -> Result<Self, StoreError> {
        open::read(path).await
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What an error means. After one that is fatal nothing is tried any more, least of all a second sync.
    fn judge(&self, error: &sqlx::Error) -> StoreError {
        fault::judge(&self.path, error)
    }
}

impl Database for SqliteStore {
    fn store_id(&self) -> &Arc<str> {
        &self.id
    }

    async fn read_anew(&self) -> Result<Restored, StoreError> {
        let mut guard = self.writer.lock().await;
        let writer = guard.as_mut().ok_or_else(|| self.memory.closed())?;
        self.settle(writer).await?;
        Ok(load::reload(&self.path, &mut writer.connection).await?.restored)
    }

    /// The connection is left to the end of the process: closing it would sync once more, and a second sync may
    /// succeed although the first one lost something.
    async fn give_up(&self) {
        let writer = self.writer.lock().await.take();
        writer.into_iter().for_each(|writer| std::mem::forget(writer.connection));
    }

    fn open_connections(&self) -> Connections {
        Connections::of(&self.readers, self.writer.try_lock().ok().map(|writer| writer.is_some()))
    }
}

#[cfg(test)]
mod tests;
