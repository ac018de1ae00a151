//! Reads at open what the file holds. What it means is `store/load.rs`'s.

use super::{documents, fault, layouts};
use crate::store::StoreError;
use crate::store::load::{Loaded, Raw};
use crate::store::reading::DirectoryRow;
use crate::store::row::Directory;
use futures::TryStreamExt;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::path::Path;

/// One reading.
struct Loader<'a> {
    path: &'a Path,
    connection: &'a mut SqliteConnection,
}

pub(super) async fn load(path: &Path, connection: &mut SqliteConnection) -> Result<Loaded, StoreError> {
    Loader { path, connection }.load(true).await
}

/// The same while the store is in use.
pub(super) async fn reload(path: &Path, connection: &mut SqliteConnection) -> Result<Loaded, StoreError> {
    Loader { path, connection }.load(false).await
}

const STORE: &str = "SELECT id, last_commit_ms, last_agent, last_boot FROM store";

const AGENTS: &str = "
SELECT key, id, role, labels, version, interval_ms, last_seen_ms, boot_number, boot_nonce, forgotten_ms
FROM agents a WHERE forgotten_ms IS NULL OR EXISTS (SELECT 1 FROM boots b WHERE b.agent = a.key) ORDER BY key";

const COMPONENTS: &str = "
SELECT n.agent, n.service, n.component, c.required, c.readiness, c.ttl_ms, c.kind, c.hard, c.soft, c.reason, c.message,
  c.checked_ms, c.changed_ms, c.stale
FROM components c JOIN component_names n ON n.key = c.name ORDER BY c.name";

const TAIL: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM journal WHERE id > ?1 ORDER BY id";

const CUTS: &str = "SELECT raw_cut_ms, five_minutes_cut_ms, one_hour_cut_ms FROM store";

const LAYOUT_SIZES: &str = "
SELECT key, length(define), EXISTS (SELECT 1 FROM blocks b WHERE b.layout = layouts.key) FROM layouts ORDER BY key";

const BOOTS: &str = "SELECT key, agent, number, nonce, sealed_seq FROM boots ORDER BY key";

impl Loader<'_> {
    async fn load(&mut self, prune: bool) -> Result<Loaded, StoreError> {
        let store = self.all(STORE).await?.pop().ok_or_else(|| self.damaged("it has no id"))?;
        let marks: Option<(i64, Vec<u8>)> = self.all("SELECT journal, body FROM marks").await?.pop();
        let tail = self.tail(marks.as_ref().map_or(0, |(row, _)| *row)).await?;
        let oldest: Vec<(Option<i64>,)> = self.all("SELECT min(id) FROM journal").await?;
        let cuts = self.all(CUTS).await?.pop().unwrap_or_default();
        let documents = documents::until_deleted(self.connection).await;
        let documents = documents.map_err(|e| fault::judge(self.path, &e))?;
        let raw = Raw {
            store,
            cuts,
            marks,
            tail,
            oldest_row: oldest.first().and_then(|(row,)| *row),
            layouts: self.all(LAYOUT_SIZES).await?,
            boots: self.all(BOOTS).await?,
            agents: self.all(AGENTS).await?,
            components: self.all(COMPONENTS).await?,
            documents,
        };
        let mut loaded = Loaded::of(raw, prune).map_err(|why| self.damaged(&why))?;
        if !loaded.gone.is_empty() {
            let deleted = layouts::delete(self.connection, &loaded.gone).await;
            deleted.map_err(|e| fault::judge(self.path, &e))?;
        }
        loaded.take(layouts::read(self.path, &mut *self.connection, &loaded.wanted).await?);
        Ok(loaded)
    }

    fn damaged(&self, what: &str) -> StoreError {
        StoreError::Fatal(fault::damaged(self.path, what))
    }

    async fn all<T>(&mut self, sql: &'static str) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> sqlx::FromRow<'r, SqliteRow> + Send + Unpin,
    {
        let rows = sqlx::query_as(sql).fetch_all(&mut *self.connection).await;
        rows.map_err(|e| fault::judge(self.path, &e))
    }

    /// The directories of the rows since the marks were saved.
    async fn tail(&mut self, marked_row: i64) -> Result<Vec<(i64, Directory)>, StoreError> {
        let path = self.path;
        let mut rows = sqlx::query_as::<_, DirectoryRow>(TAIL).bind(marked_row).fetch(&mut *self.connection);
        let mut tail = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(|e| fault::judge(path, &e))? {
            let directory = Directory::of_row(&row);
            tail.push(directory.map_err(|why| StoreError::Fatal(fault::damaged(path, &why)))?);
        }
        Ok(tail)
    }
}
