//! Layouts in the file: read when somebody needs them, deleted when nobody does.

use super::{SqliteStore, Writer, fault};
use crate::store::layouts::{Sets, decode};
use crate::store::{LayoutKey, StoreError};
use futures::TryStreamExt;
use sqlx::{SqliteConnection, SqliteExecutor};
use std::path::Path;

const READ: &str = "
SELECT key, define FROM layouts WHERE key IN (SELECT value FROM json_each(?1)) ORDER BY key";

/// Those of which there are no blocks.
const DELETE: &str = "
DELETE FROM layouts WHERE key IN (SELECT value FROM json_each(?1))
  AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.layout = layouts.key)
RETURNING key";

/// Reads these, where they are there.
pub(super) async fn read(
    path: &Path,
    executor: impl SqliteExecutor<'_>,
    keys: &[LayoutKey],
) -> Result<Sets, StoreError> {
    let mut rows = sqlx::query_as::<_, (u32, Vec<u8>)>(READ).bind(json(keys)).fetch(executor);
    let mut sets = Sets::default();
    while let Some((key, define)) = rows.try_next().await.map_err(|e| fault::judge(path, &e))? {
        let key = LayoutKey(key);
        let layout = decode(key, &define).map_err(|why| StoreError::Fatal(fault::damaged(path, &why)))?;
        sets.insert(key, layout);
    }
    Ok(sets)
}

/// Deletes these, but for those of which there are blocks; tells which are gone.
pub(super) async fn delete(
    connection: &mut SqliteConnection,
    keys: &[LayoutKey],
) -> Result<Vec<LayoutKey>, sqlx::Error> {
    let gone: Vec<u32> = sqlx::query_scalar(DELETE).bind(json(keys)).fetch_all(connection).await?;
    Ok(gone.into_iter().map(LayoutKey).collect())
}

fn json(keys: &[LayoutKey]) -> String {
    serde_json::Value::from_iter(keys.iter().map(|key| key.0)).to_string()
}

impl SqliteStore {
    /// Deletes the layouts that nobody uses any more and that nothing kept was made with.
    pub(super) async fn shorten_layouts(
        &self,
        writer: &mut Writer,
        oldest_row: i64,
    ) -> Result<(), sqlx::Error> {
        let unneeded = self.memory.catalog.read().needed_by_none(&writer.unused, oldest_row);
        if unneeded.is_empty() {
            return Ok(());
        }
        writer.begin().await?;
        let deleted = delete(&mut writer.connection, &unneeded).await;
        let gone = writer.end(deleted).await?;
        self.memory.catalog.write().remove_layouts(&gone, &mut writer.unused);
        Ok(())
    }
}
