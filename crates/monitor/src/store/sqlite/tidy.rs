//! The upkeep, in small steps between commits: checkpoints, saved marks, retention. Decides what is due and how much
//! is done at once.

use super::{SqliteStore, Writer, check};
use crate::store::database::Tidies;
use crate::store::upkeep::{ROWS_A_STEP, Step};
use crate::store::{JOURNAL_KEPT_MS, STATUS_KEPT_MS, StoreError};
use sqlx::{Connection, Executor};

const DELETE_ROWS: &str = "
DELETE FROM journal WHERE committed_ms < ?1 AND id < (SELECT min(id) FROM journal) + ?2";

const DELETE_BODIES: &str = "
DELETE FROM journal_bodies WHERE id < coalesce((SELECT min(id) FROM journal), 9223372036854775807)";

/// Boots of which the journal holds nothing any more, current ones left out.
const DELETE_BOOTS: &str = "
DELETE FROM boots WHERE key IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (
  SELECT 1 FROM agents a WHERE a.key = boots.agent AND a.forgotten_ms IS NULL
    AND a.boot_number = boots.number AND a.boot_nonce = boots.nonce)
RETURNING key";

const DELETE_AGENTS: &str = "
DELETE FROM agents WHERE forgotten_ms IS NOT NULL AND NOT EXISTS (SELECT 1 FROM boots b WHERE b.agent = agents.key)";

const SAVE_MARKS: &str = "INSERT OR REPLACE INTO marks (one, journal, body) VALUES (1, ?1, ?2)";

/// What is older than the last change before the limit says nothing any more, and that one neither when it is a
/// removal.
const DELETE_CHANGES: &str = "
DELETE FROM status_changes WHERE (name, at_ms) IN (
  SELECT s.name, s.at_ms FROM component_names n
  CROSS JOIN status_changes s ON s.name = n.key AND s.at_ms < ?3
  WHERE n.key > ?1 AND n.key <= ?2 AND (
    s.status IS NULL
    OR s.at_ms < (SELECT max(l.at_ms) FROM status_changes l WHERE l.name = n.key AND l.at_ms <= ?3)))";

const DELETE_NAMES: &str = "
DELETE FROM component_names WHERE key > ?1 AND key <= ?2
  AND NOT EXISTS (SELECT 1 FROM status_changes s WHERE s.name = component_names.key)
  AND NOT EXISTS (SELECT 1 FROM components c WHERE c.name = component_names.key)";

impl Tidies for SqliteStore {
    async fn tidy_up(&self, now_ms: i64) -> Result<bool, StoreError> {
        let mut guard = self.writer.lock().await;
        let writer = guard.as_mut().ok_or_else(|| self.memory.closed())?;
        self.settle(writer).await?;
        let step = match writer.upkeep.due(now_ms, writer.last_row) {
            None => return Ok(false),
            Some(Step::Checkpoint) => writer.checkpoint("PRAGMA wal_checkpoint(PASSIVE)").await,
            Some(Step::Marks) => self.save_marks(writer).await,
            Some(Step::Stamp) => writer.stamp(now_ms).await,
            Some(Step::Journal) => self.shorten_journal(writer, now_ms).await,
            Some(Step::Statuses) => writer.shorten_statuses(now_ms).await,
        };
        step.map_err(|e| self.judge(&e))?;
        Ok(true)
    }

    /// Saves the marks, brings everything to its last place, and closes the connections.
    async fn let_go(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        let Some(mut writer) = self.writer.lock().await.take() else { return Ok(()) };
        self.settle(&mut writer).await?;
        let result = async {
            self.save_marks(&mut writer).await?;
            writer.stamp(jiff::Timestamp::now().as_millisecond()).await?;
            check::note_closed(&mut writer.connection).await?;
            writer.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)").await?;
            Ok(())
        };
        let result: Result<(), sqlx::Error> = result.await;
        let closed = writer.connection.close().await;
        result.and(closed).map_err(|e| self.judge(&e))
    }
}

impl SqliteStore {
    async fn save_marks(&self, writer: &mut Writer) -> Result<(), sqlx::Error> {
        let (row, body) = (writer.last_row, self.memory.catalog.read().marks().write());
        writer.begin().await?;
        let saved = sqlx::query(SAVE_MARKS).bind(row).bind(body).execute(&mut writer.connection).await;
        writer.end(saved).await?;
        writer.upkeep.marked(row);
        Ok(())
    }

    /// Deletes the oldest rows, and with the last of them the boots, agents and layouts that nothing speaks of any more.
    async fn shorten_journal(&self, writer: &mut Writer, now_ms: i64) -> Result<(), sqlx::Error> {
        writer.begin().await?;
        let rows = async {
            let rows = sqlx::query(DELETE_ROWS).bind(now_ms - JOURNAL_KEPT_MS).bind(ROWS_A_STEP);
            let deleted = rows.execute(&mut writer.connection).await?.rows_affected();
            writer.connection.execute(DELETE_BODIES).await?;
            Ok(deleted)
        };
        let rows = rows.await;
        let deleted = writer.end(rows).await?;
        writer.upkeep.wrote(deleted as usize * 4_096);
        if deleted > 0 {
            return Ok(());
        }
        writer.upkeep.journal_is_short(now_ms);
        let oldest: Option<i64> =
            sqlx::query_scalar("SELECT min(id) FROM journal").fetch_one(&mut writer.connection).await?;
        let oldest = oldest.unwrap_or(i64::MAX);
        let unused = self.memory.catalog.read().silent_since(oldest);
        writer.begin().await?;
        let unused = serde_json::json!(unused).to_string();
        let gone = async {
            let gone: Vec<u32> =
                sqlx::query_scalar(DELETE_BOOTS).bind(unused).fetch_all(&mut writer.connection).await?;
            writer.connection.execute(DELETE_AGENTS).await?;
            Ok(gone)
        };
        let gone = gone.await;
        let gone = writer.end(gone).await?;
        {
            let mut catalog = self.memory.catalog.write();
            gone.into_iter().for_each(|key| catalog.remove_boot(key));
        }
        self.shorten_layouts(writer, oldest).await
    }
}

impl Writer {
    async fn checkpoint(&mut self, pragma: &'static str) -> Result<(), sqlx::Error> {
        self.connection.execute(pragma).await?;
        self.upkeep.checkpointed();
        Ok(())
    }

    async fn stamp(&mut self, now_ms: i64) -> Result<(), sqlx::Error> {
        let stamp = sqlx::query("UPDATE store SET last_commit_ms = ?1").bind(now_ms);
        stamp.execute(&mut self.connection).await?;
        self.upkeep.wrote(0);
        self.upkeep.stamped(now_ms);
        Ok(())
    }

    async fn shorten_statuses(&mut self, now_ms: i64) -> Result<(), sqlx::Error> {
        let (after, until) = self.upkeep.components();
        let oldest_ms = now_ms - STATUS_KEPT_MS;
        self.begin().await?;
        let result = async {
            let changes = sqlx::query(DELETE_CHANGES).bind(after).bind(until).bind(oldest_ms);
            let changed = changes.execute(&mut self.connection).await?.rows_affected();
            let names =
                sqlx::query(DELETE_NAMES).bind(after).bind(until).execute(&mut self.connection).await?;
            let blind = sqlx::query("DELETE FROM blind WHERE to_ms < ?1").bind(oldest_ms);
            blind.execute(&mut self.connection).await?;
            let last: Option<i64> = sqlx::query_scalar("SELECT max(key) FROM component_names")
                .fetch_one(&mut self.connection)
                .await?;
            Ok((changed + names.rows_affected(), last))
        };
        let result = result.await;
        let (deleted, last) = self.end(result).await?;
        self.upkeep.wrote(deleted as usize * 64);
        self.upkeep.looked_at(until, last, now_ms);
        Ok(())
    }
}
