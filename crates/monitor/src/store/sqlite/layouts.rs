//! Layouts in the file: read when somebody needs them, deleted when nobody does. Memory holds only their keys.

use super::{SqliteStore, Writer, fault};
use crate::store::{Layout, LayoutKey, StoreError};
use farol_wire::proto;
use foldhash::HashMap;
use futures::TryStreamExt;
use prost::Message;
use sqlx::{SqliteConnection, SqliteExecutor};
use std::path::Path;
use std::sync::Arc;

/// Bytes of layouts that are read at open, as the file has them; in memory they take up up to sixteen times as much.
const RESTORED_BYTES: usize = 16 << 20;

const SIZES: &str = "SELECT key, length(define) FROM layouts ORDER BY key";

const READ: &str = "
SELECT key, define FROM layouts WHERE key IN (SELECT value FROM json_each(?1)) ORDER BY key";

const DELETE: &str = "DELETE FROM layouts WHERE key IN (SELECT value FROM json_each(?1))";

/// A layout in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownLayout {
    /// The last journal row that used it: once that row is deleted, nothing kept needs it.
    pub(super) used_row: i64,
    /// The length of its bytes; 0 when the journal names it and the file does not have it.
    pub(super) bytes: u32,
}

/// Layouts by key.
pub(super) type Sets = HashMap<LayoutKey, Arc<Layout>>;

/// The keys and lengths of all.
pub(super) async fn sizes(
    path: &Path,
    connection: &mut SqliteConnection,
) -> Result<Vec<(LayoutKey, u32)>, StoreError> {
    let rows: Vec<(u32, u32)> =
        sqlx::query_as(SIZES).fetch_all(connection).await.map_err(|e| fault::judge(path, &e))?;
    Ok(rows.into_iter().map(|(key, bytes)| (LayoutKey(key), bytes)).collect())
}

/// Those used last, as many as a starting monitor takes in; and the others.
pub(super) fn used_last(known: &HashMap<LayoutKey, KnownLayout>) -> (Vec<LayoutKey>, Vec<LayoutKey>) {
    let mut all: Vec<_> = known.iter().filter(|(_, layout)| layout.bytes > 0).collect();
    all.sort_unstable_by_key(|(key, layout)| std::cmp::Reverse((layout.used_row, **key)));
    let mut bytes = 0;
    let mut fits = |layout: &KnownLayout| {
        bytes += layout.bytes as usize;
        bytes <= RESTORED_BYTES
    };
    let count = all.iter().take_while(|(_, layout)| fits(layout)).count();
    let keys = |some: &[(&LayoutKey, &KnownLayout)]| some.iter().map(|(key, _)| **key).collect();
    (keys(&all[..count]), keys(&all[count..]))
}

/// Reads these, where they are there.
pub(super) async fn read(
    path: &Path,
    executor: impl SqliteExecutor<'_>,
    keys: &[LayoutKey],
) -> Result<Sets, StoreError> {
    let mut rows = sqlx::query_as::<_, (u32, Vec<u8>)>(READ).bind(json(keys)).fetch(executor);
    let mut sets = Sets::default();
    while let Some((key, define)) = rows.try_next().await.map_err(|e| fault::judge(path, &e))? {
        let bad = |why: String| StoreError::Fatal(fault::damaged(path, &format!("layout {key}: {why}")));
        let define = proto::Define::decode(define.as_slice()).map_err(|e| bad(e.to_string()))?;
        let (set, refused) = farol_wire::define(define).map_err(|e| bad(e.to_string()))?;
        if !refused.is_empty() {
            return Err(bad(format!("{refused:?}")));
        }
        let key = LayoutKey(key);
        sets.insert(key, Arc::new(Layout { key, set }));
    }
    Ok(sets)
}

/// Deletes these.
pub(super) async fn delete(connection: &mut SqliteConnection, keys: &[LayoutKey]) -> Result<(), sqlx::Error> {
    sqlx::query(DELETE).bind(json(keys)).execute(connection).await.map(|_| ())
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
        let gone: Vec<LayoutKey> = {
            let catalog = self.catalog.read();
            let is_gone =
                |key: &&LayoutKey| catalog.layouts.get(key).is_none_or(|layout| layout.used_row < oldest_row);
            writer.unused.iter().filter(is_gone).copied().collect()
        };
        if gone.is_empty() {
            return Ok(());
        }
        writer.begin().await?;
        let deleted = delete(&mut writer.connection, &gone).await;
        writer.end(deleted).await?;
        let mut catalog = self.catalog.write();
        for key in &gone {
            catalog.layouts.remove(key);
        }
        writer.unused.retain(|key| catalog.layouts.contains_key(key));
        Ok(())
    }
}
