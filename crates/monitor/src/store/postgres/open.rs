//! Opens the store, and finds out after a broken connection what became of what was begun. Decides who may write.

use super::connect::{self, Link, no_link};
use super::{Doubt, Landing, PostgresSettings, PostgresStore, Run, Writer, fault, load, lock, migrate};
use crate::store::memory::Memory;
use crate::store::row::Entry;
use crate::store::shorten::Waiting;
use crate::store::upkeep::Upkeep;
use crate::store::{Restored, StoreError};
use tokio::sync::Mutex;

/// The new one writes from here on.
const TAKE_OVER: &str = "UPDATE farol.store SET epoch = epoch + 1 RETURNING epoch, commits";

const STATE: &str = "SELECT epoch, commits FROM farol.store";

pub(super) async fn open(settings: PostgresSettings) -> Result<PostgresStore, StoreError> {
    let place = settings.server.place();
    // In the server's list of sessions it stands among others'.
    let id = uuid::Uuid::new_v4().simple().to_string();
    let session = format!("farol-monitor {}", &id[..16]);
    let judged = |e: sqlx::Error| fault::judge_opening(&place, &e);
    let mut link = Link::open(&settings, &session).await.map_err(judged)?;
    lock::take(&mut link, &place, None, fault::judge_opening).await?;
    migrate::migrate(&place, &mut link).await?;
    // Whatever a commit survives here: that another one writes must not be forgotten.
    link.say("BEGIN; SET LOCAL synchronous_commit = on").await.map_err(judged)?;
    let state: Vec<(i64, i64)> = link.all(sqlx::query_as(TAKE_OVER)).await.map_err(judged)?;
    link.say("COMMIT").await.map_err(judged)?;
    let Some((epoch, commits)) = state.first().copied() else {
        return Err(StoreError::Fatal(fault::damaged(&place, "it has no id")));
    };
    let loaded = load::load(&place, &mut link, true).await?;
    let writer = Writer {
        link: Some(link),
        doubt: None,
        landed: Vec::new(),
        epoch,
        commits,
        last_row: loaded.last_row,
        last_boot: loaded.last_boot,
        unused: loaded.unused,
        waiting: Waiting::default(),
        upkeep: Upkeep::new(loaded.marked_row),
    };
    let readers = connect::readers(&settings, &session);
    let memory = Memory::new(place, loaded.catalog, loaded.restored);
    let writer = Mutex::new(Some(writer));
    Ok(PostgresStore { id: loaded.id, settings, session, writer, readers, memory })
}

/// Opens a store to read in it while a monitor may write to it: makes and changes nothing, and what would write is
/// refused.
pub(super) async fn read(settings: PostgresSettings) -> Result<PostgresStore, StoreError> {
    let place = settings.server.place();
    let session = "farol history".to_owned();
    let judged = |e: sqlx::Error| fault::judge_opening(&place, &e);
    let mut link = Link::open(&settings, &session).await.map_err(judged)?;
    migrate::is_current(&place, &mut link).await?;
    // One moment for all that is read at once.
    link.say("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(judged)?;
    let loaded = load::load(&place, &mut link, false).await?;
    link.say("COMMIT").await.map_err(judged)?;
    // It only read.
    drop(link.close().await);
    let readers = connect::readers(&settings, &session);
    let memory = Memory::new(place, loaded.catalog, loaded.restored);
    Ok(PostgresStore { id: loaded.id, settings, session, writer: Mutex::new(None), readers, memory })
}

impl PostgresStore {
    /// Sees to it that the writer has a connection, and that nothing is in doubt.
    pub(super) async fn ready(&self, writer: &mut Writer) -> Result<(), StoreError> {
        if writer.doubt.is_some() {
            // What was given up half-way may still have an answer on its way: nothing more is said over it.
            writer.link = None;
        }
        if writer.link.is_some() {
            return Ok(());
        }
        let place = &self.memory.place;
        let judged = |e: sqlx::Error| fault::judge(place, &e);
        let mut link = Link::open(&self.settings, &self.session).await.map_err(judged)?;
        lock::take(&mut link, place, Some(&self.session), fault::judge).await?;
        // The one who has the lock is alone: what the session before it began has ended one way or the other.
        let state: Vec<(i64, i64)> = link.all(sqlx::query_as(STATE)).await.map_err(judged)?;
        let ahead = match state.first() {
            Some((epoch, commits)) if *epoch == writer.epoch => commits - writer.commits,
            _ => return Err(lock::overtaken(place)),
        };
        match (ahead, &writer.doubt) {
            (0 | 1, Some(Doubt::Group(_))) | (0, None) => {}
            (0, Some(Doubt::Upkeep)) => {
                let loaded = load::load(place, &mut link, false).await?;
                (writer.last_row, writer.last_boot) = (loaded.last_row, loaded.last_boot);
                self.memory.replace(loaded.catalog);
            }
            (..0, _) => return Err(lock::forgotten(place, -ahead)),
            _ => return Err(lock::overtaken(place)),
        }
        if let (1, Some(Doubt::Group(landing))) = (ahead, writer.doubt.take()) {
            tracing::info!(store.place = %place, "a commit whose answer was lost had been made");
            writer.landed = self.runs(&landing);
            self.land(writer, *landing);
        }
        writer.link = Some(link);
        tracing::info!(store.place = %place, "the store's connection is there again");
        Ok(())
    }

    /// Counts what is committed.
    pub(super) fn land(&self, writer: &mut Writer, landing: Landing) {
        self.memory.count(&landing.packed, landing.layouts, &landing.sealed);
        writer.commits += 1;
        writer.last_boot = writer.last_boot.max(landing.packed.last_boot());
        writer.unused.extend(landing.unused);
        if landing.packed.row.is_some() {
            writer.last_row = landing.packed.number;
        }
        writer.upkeep.stamped(landing.now_ms);
    }

    /// Which reports a group holds.
    fn runs(&self, landing: &Landing) -> Vec<Run> {
        let catalog = self.memory.catalog.read();
        let entries = landing.packed.row.iter().flat_map(|row| &row.entries);
        let run = |entry: &Entry| {
            let new = landing.packed.new_boots.iter().find(|(key, ..)| *key == entry.boot);
            let known = catalog.starts.get(&entry.boot).map(|start| (start.agent, start.boot));
            let (agent, boot) = new.map(|(_, agent, boot)| (*agent, *boot)).or(known)?;
            Some(Run(agent, boot, entry.first_seq, entry.last_seq))
        };
        entries.filter_map(run).collect()
    }

    /// Reads what a starting monitor must know.
    pub(super) async fn read_again(&self) -> Result<Restored, StoreError> {
        let mut guard = self.writer.lock().await;
        let writer = guard.as_mut().ok_or_else(|| self.memory.closed())?;
        let was_open = writer.link.is_some() && writer.doubt.is_none();
        match self.read_over(writer).await {
            // It broke since the last commit.
            Err(StoreError::Refused(_)) if was_open => self.read_over(writer).await,
            read => read,
        }
    }

    async fn read_over(&self, writer: &mut Writer) -> Result<Restored, StoreError> {
        self.ready(writer).await?;
        let place = &self.memory.place;
        let Some(link) = &mut writer.link else { return Err(fault::judge(place, &no_link())) };
        let loaded = load::load(place, link, false).await;
        if loaded.is_err() {
            writer.link = None;
        }
        Ok(loaded?.restored)
    }
}
