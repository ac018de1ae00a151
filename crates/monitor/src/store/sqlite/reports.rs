//! How the file's journal is asked for reports. What is made of the answers is `reading`'s.

use super::{SqliteStore, layouts};
use crate::store::layouts::Sets;
use crate::store::memory::Memory;
use crate::store::reading::{DirectoryRow, FEW_BOOTS, ROWS_AT_ONCE, Rows, Span, Take, WholeRow};
use crate::store::{AgentKey, KnownAgent, LayoutKey, StoreError};
use futures::TryStreamExt;
use serde_json::{Value, json};

/// `?3`: look at every row; else `?4` to `?7` are boots to look for. A boot may seem to stand across two
/// others: the directory tells.
const FIND: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM journal
WHERE last_ms >= ?1 AND first_ms <= ?2 AND (?3
  OR instr(boots, ?4) OR instr(boots, ?5) OR instr(boots, ?6) OR instr(boots, ?7))
ORDER BY id";

/// The rows of one boot between its key report's and the first one found.
const FIND_BEFORE: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM journal
WHERE id >= ?2 AND id < ?3 AND instr(boots, ?1) ORDER BY id";

/// Of each row so many bytes from there.
const BODIES: &str = "
SELECT b.id, substr(b.body, (w.value ->> 1) + 1, w.value ->> 2)
FROM json_each(?1) w CROSS JOIN journal_bodies b ON b.id = w.value ->> 0";

/// Whole rows, some megabytes at most.
const AFTER: &str = "
SELECT j.id, j.first_ms, j.last_ms, j.boots, j.directory, b.body
FROM journal j JOIN journal_bodies b ON b.id = j.id WHERE j.id > ?1 ORDER BY j.id LIMIT ?2";

const KNOWN_AGENTS: &str = "SELECT key, id FROM agents ORDER BY key";

impl Rows for SqliteStore {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    async fn find(
        &self,
        (from_ms, to_ms): (i64, i64),
        few: Option<[Option<[u8; 4]>; FEW_BOOTS]>,
        take: Take<'_, DirectoryRow>,
    ) -> Result<(), StoreError> {
        let question = sqlx::query_as::<_, DirectoryRow>(FIND).bind(from_ms).bind(to_ms).bind(few.is_none());
        let boots = few.unwrap_or_default().map(|boot| boot.map(|boot| boot.to_vec()));
        let question = boots.into_iter().fold(question, |question, boot| question.bind(boot));
        let mut rows = question.fetch(&self.readers);
        while let Some(row) = rows.try_next().await.map_err(|e| self.judge(&e))? {
            take(row)?;
        }
        Ok(())
    }

    async fn find_before(
        &self,
        boot: [u8; 4],
        first: i64,
        end: i64,
    ) -> Result<Vec<DirectoryRow>, StoreError> {
        let rows = sqlx::query_as(FIND_BEFORE).bind(boot.to_vec()).bind(first).bind(end);
        rows.fetch_all(&self.readers).await.map_err(|e| self.judge(&e))
    }

    async fn bodies(&self, spans: Vec<Span>, take: Take<'_, (i64, Vec<u8>)>) -> Result<(), StoreError> {
        let question = spans.iter().map(|(row, start, length)| json!([row, start, length]));
        let question = Value::from_iter(question).to_string();
        let mut rows = sqlx::query_as(BODIES).bind(question).fetch(&self.readers);
        while let Some(part) = rows.try_next().await.map_err(|e| self.judge(&e))? {
            take(part)?;
        }
        Ok(())
    }

    async fn rows_after(&self, row: i64) -> Result<Vec<(DirectoryRow, Vec<u8>)>, StoreError> {
        let rows: Vec<WholeRow> = sqlx::query_as(AFTER)
            .bind(row)
            .bind(ROWS_AT_ONCE)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.judge(&e))?;
        let parts = |(id, first_ms, last_ms, boots, directory, body)| {
            ((id, first_ms, last_ms, boots, directory), body)
        };
        Ok(rows.into_iter().map(parts).collect())
    }

    async fn known_agents(&self) -> Result<Vec<KnownAgent>, StoreError> {
        let rows: Vec<(u32, String)> =
            sqlx::query_as(KNOWN_AGENTS).fetch_all(&self.readers).await.map_err(|e| self.judge(&e))?;
        Ok(rows.into_iter().map(|(key, id)| KnownAgent { key: AgentKey(key), id: id.into() }).collect())
    }

    async fn sets(&self, keys: &[LayoutKey]) -> Result<Sets, StoreError> {
        layouts::read(&self.path, &self.readers, keys).await
    }
}
