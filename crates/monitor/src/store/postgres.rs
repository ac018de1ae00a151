//! The store in PostgreSQL, in the schema `farol` of one database. One connection writes, a pool of others reads.
//! Decides what a lost connection and an error mean for a commit; what is committed together is the journal's business.
//!
//! One monitor writes: it holds an advisory lock of its session (`lock.rs`), and a number in the store that rises with
//! each that takes over (`Writer::epoch`), which every write asks for. The connection must therefore be a session of
//! its own: a pooler between must not share it out by transactions.
//!
//! Durability: `full` (the default) waits until a commit is on the server's disk; `normal` does not, and a crash of the
//! server's machine may then take the last moments, without damage to what is older.

mod blocks;
mod commit;
mod connect;
pub(super) mod copy;
mod documents;
mod fault;
mod load;
mod lock;
pub(super) mod measure;
mod migrate;
mod open;
mod reports;
mod settings;
mod statuses;
mod tidy;

pub use settings::{PostgresServer, PostgresSettings, PostgresTls, TlsMode};

use super::database::Database;
use super::memory::Memory;
use super::pack::Packed;
use super::seals::Landed;
use super::shorten::Waiting;
use super::upkeep::Upkeep;
use super::{AgentKey, Connections, LayoutKey, Restored, StoreError};
use crate::store::layouts::KnownLayout;
use connect::Link;
use farol_wire::Boot;
use sqlx::postgres::PgPool;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The store in PostgreSQL.
#[derive(Debug)]
pub struct PostgresStore {
    id: Arc<str>,
    settings: PostgresSettings,
    /// The name of this monitor's sessions: one that is lost is told from other monitors' by it.
    session: String,
    /// The one that writes; `None` once closed.
    writer: Mutex<Option<Writer>>,
    readers: PgPool,
    memory: Memory,
}

/// What writes, over the connections it has one after another.
#[derive(Debug)]
struct Writer {
    /// `None` after it broke, until the next step needs one.
    link: Option<Link>,
    /// Something was begun and not seen to end: what became of it is found out before the next.
    doubt: Option<Doubt>,
    /// Reports of a group whose commit was found made only afterwards: the group comes again, they are left out of it.
    landed: Vec<Run>,
    /// Ours while the store has the same.
    epoch: i64,
    /// Groups that were ever committed.
    commits: i64,
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

/// What was begun.
#[derive(Debug)]
enum Doubt {
    /// A group's commit: if it was made, it counts.
    Group(Box<Landing>),
    /// A step of the upkeep: whatever became of it, memory is read anew.
    Upkeep,
}

/// What a group changes in memory once it is committed.
#[derive(Debug)]
struct Landing {
    packed: Packed,
    layouts: Vec<(LayoutKey, KnownLayout)>,
    sealed: Landed,
    unused: Vec<LayoutKey>,
    now_ms: i64,
}

/// Reports of one boot: whose, and the first and last number.
#[derive(Debug)]
struct Run(AgentKey, Boot, u64, u64);

impl PostgresStore {
    /// Opens the store, and makes it when there is none. Tries once.
    ///
    /// # Errors
    /// `Refused` when that may work later: the server is away, another monitor writes. `Fatal` when it will not: a
    /// wrong password, a right that is missing, a store that is damaged or newer than this program.
    pub async fn open(settings: PostgresSettings) -> Result<Self, StoreError> {
        open::open(settings).await
    }

    /// Opens a store that is there, to read in it: nothing is changed, and a monitor may go on writing to it.
    ///
    /// # Errors
    /// As for [`open`](Self::open); and there is no store, or it has another version than this program writes.
    pub async fn read(settings: PostgresSettings) -> Result<Self, StoreError> {
        open::read(settings).await
    }

    fn judge(&self, error: &sqlx::Error) -> StoreError {
        fault::judge(&self.memory.place, error)
    }
}

impl Database for PostgresStore {
    fn store_id(&self) -> &Arc<str> {
        &self.id
    }

    async fn read_anew(&self) -> Result<Restored, StoreError> {
        self.read_again().await
    }

    async fn give_up(&self) {
        drop(self.writer.lock().await.take());
    }

    fn open_connections(&self) -> Connections {
        let has_link = |writer: &Option<Writer>| writer.as_ref().is_some_and(|w| w.link.is_some());
        Connections::of(&self.readers, self.writer.try_lock().ok().map(|writer| has_link(&writer)))
    }
}
