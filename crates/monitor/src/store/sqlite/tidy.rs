//! The upkeep, in small steps between commits: checkpoints, saved marks, retention. Decides what is due and how much
//! is done at once.

use super::{SqliteStore, Writer, check};
use crate::store::database::Tidies;
use crate::store::reading::DirectoryRow;
use crate::store::row::Directory;
use crate::store::shelf;
use crate::store::upkeep::ROWS_A_STEP;
use crate::store::{Piece, Retention, StoreError, Tidied};
use sqlx::{Connection, Executor};

const DELETE_ROWS: &str = "
DELETE FROM journal WHERE committed_ms < ?1 AND id < (SELECT min(id) FROM journal) + ?2";

const DELETE_BODIES: &str = "
DELETE FROM journal_bodies WHERE id < coalesce((SELECT min(id) FROM journal), 9223372036854775807)";

/// Rows that were not looked at, and are in the saved marks.
const NEXT_ROWS: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM journal
WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";

const THESE_ROWS: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM journal
WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id";

const DELETE_THESE: [&str; 2] = [
    "DELETE FROM journal_bodies WHERE id IN (SELECT value FROM json_each(?1))",
    "DELETE FROM journal WHERE id IN (SELECT value FROM json_each(?1))",
];

/// Boots of which the journal holds nothing any more, current ones left out, and those sealed lately.
const DELETE_BOOTS: &str = "
DELETE FROM boots WHERE key IN (SELECT value FROM json_each(?1)) AND sealed_ms < ?2 AND NOT EXISTS (
  SELECT 1 FROM agents a WHERE a.key = boots.agent AND a.forgotten_ms IS NULL
    AND a.boot_number = boots.number AND a.boot_nonce = boots.nonce)
RETURNING key";

const DELETE_AGENTS: &str = "
DELETE FROM agents WHERE forgotten_ms IS NOT NULL AND NOT EXISTS (SELECT 1 FROM boots b WHERE b.agent = agents.key)
  AND NOT EXISTS (SELECT 1 FROM blocks k WHERE k.agent = agents.key)";

/// Pages that are given back in a step.
const GIVE_BACK: &str = "PRAGMA incremental_vacuum(256)";
/// Fewer free pages than this stay for what comes next.
const FREE_PAGES: i64 = 2_048;

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
    async fn tidy_up(&self, now_ms: i64, retention: &Retention) -> Result<Tidied, StoreError> {
        let mut guard = self.writer.lock().await;
        let writer = guard.as_mut().ok_or_else(|| self.memory.closed())?;
        self.settle(writer).await?;
        let Some(piece) = writer.upkeep.due(now_ms, writer.last_row) else { return Ok(Tidied::default()) };
        let memory = &self.memory;
        let more = match piece {
            Piece::Checkpoint => writer.checkpoint("PRAGMA wal_checkpoint(PASSIVE)").await.map(|()| true),
            Piece::Marks => self.save_marks(writer).await.map(|()| true),
            Piece::Stamp => writer.stamp(now_ms).await.map(|()| true),
            Piece::Statuses => writer.shorten_statuses(now_ms, retention).await.map(|()| true),
            Piece::Documents => writer.shorten_documents(now_ms, retention).await,
            Piece::Journal => self.shorten_journal(writer, now_ms, retention).await,
            Piece::RollUps => shelf::roll_up(writer, memory, now_ms).await,
            Piece::Retention => shelf::retain(writer, memory, retention, now_ms).await,
            Piece::Budget => shelf::hold_budget(writer, memory, retention, now_ms).await,
            Piece::Pages => writer.give_back().await,
        };
        // What fails rests too: the others have their turn.
        let more = more.inspect_err(|_| writer.upkeep.rests(piece, now_ms)).map_err(|e| self.judge(&e))?;
        match piece {
            Piece::Budget if more => writer.upkeep.was_cut(),
            _ if !more => writer.upkeep.rests(piece, now_ms),
            _ => {}
        }
        Ok(Tidied { did: Some(piece), more: true })
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

    /// Deletes what is far too old, then what is sealed, and with the last of it the boots, agents and layouts that nothing
    /// speaks of any more. True when more is due.
    async fn shorten_journal(
        &self,
        writer: &mut Writer,
        now_ms: i64,
        retention: &Retention,
    ) -> Result<bool, sqlx::Error> {
        if writer.delete_old_rows(retention.oldest_row_ms(now_ms)).await? > 0 {
            return Ok(true);
        }
        if self.delete_sealed_rows(writer).await? {
            return Ok(true);
        }
        let oldest: Option<i64> =
            sqlx::query_scalar("SELECT min(id) FROM journal").fetch_one(&mut writer.connection).await?;
        let oldest = oldest.unwrap_or(i64::MAX);
        writer.waiting.begins_at(oldest);
        let silent = self.memory.catalog.read().silent_since(oldest);
        writer.begin().await?;
        let gone = async {
            let mut gone: Vec<u32> = Vec::new();
            for (boots, sealed_before_ms) in retention.boots_over(&silent, now_ms) {
                let boots = serde_json::json!(boots).to_string();
                let boots = sqlx::query_scalar(DELETE_BOOTS).bind(boots).bind(sealed_before_ms);
                let keys: Vec<u32> = boots.fetch_all(&mut writer.connection).await?;
                gone.extend(keys);
            }
            writer.connection.execute(DELETE_AGENTS).await?;
            Ok(gone)
        };
        let gone = gone.await;
        let gone = writer.end(gone).await?;
        {
            let mut catalog = self.memory.catalog.write();
            gone.into_iter().for_each(|key| catalog.remove_boot(key));
        }
        self.shorten_layouts(writer, oldest).await?;
        Ok(false)
    }

    /// Looks at some rows, and deletes those of which everything is sealed. False when there was none to look at.
    async fn delete_sealed_rows(&self, writer: &mut Writer) -> Result<bool, sqlx::Error> {
        let over = writer.waiting.over(&self.memory.catalog.read(), ROWS_A_STEP as usize);
        let rows: Vec<DirectoryRow> = if over.is_empty() {
            let next =
                sqlx::query_as(NEXT_ROWS).bind(writer.waiting.looked_at).bind(writer.upkeep.marked_row());
            next.bind(ROWS_A_STEP).fetch_all(&mut writer.connection).await?
        } else {
            let these = sqlx::query_as(THESE_ROWS).bind(serde_json::json!(over).to_string());
            these.fetch_all(&mut writer.connection).await?
        };
        if rows.is_empty() && over.is_empty() {
            return Ok(false);
        }
        writer.waiting.leave(&over);
        let read: Vec<_> = rows.iter().filter_map(|row| Directory::of_row(row).ok()).collect();
        writer.waiting.looked_at = rows.last().map_or(0, |row| row.0).max(writer.waiting.looked_at);
        let sealed = writer.waiting.look(&self.memory.catalog.read(), &read);
        if sealed.is_empty() {
            return Ok(true);
        }
        let looked_at = writer.waiting.until_deleted(&sealed);
        let ids = serde_json::json!(sealed).to_string();
        writer.begin().await?;
        let deleted = async {
            for sql in DELETE_THESE {
                sqlx::query(sql).bind(&ids).execute(&mut writer.connection).await?;
            }
            Ok(())
        };
        let deleted = deleted.await;
        writer.end(deleted).await?;
        writer.waiting.looked_at = looked_at;
        writer.upkeep.wrote(sealed.len() * 4_096);
        Ok(true)
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

    /// Deletes the rows that were committed before then; how many.
    async fn delete_old_rows(&mut self, before_ms: i64) -> Result<u64, sqlx::Error> {
        self.begin().await?;
        let rows = async {
            let rows = sqlx::query(DELETE_ROWS).bind(before_ms).bind(ROWS_A_STEP);
            let deleted = rows.execute(&mut self.connection).await?.rows_affected();
            if deleted > 0 {
                self.connection.execute(DELETE_BODIES).await?;
            }
            Ok(deleted)
        };
        let rows = rows.await;
        let deleted = self.end(rows).await?;
        self.upkeep.wrote(deleted as usize * 4_096);
        Ok(deleted)
    }

    /// Gives some free pages back to the disk. False when there are few.
    async fn give_back(&mut self) -> Result<bool, sqlx::Error> {
        let free = async |writer: &mut Self| -> Result<i64, sqlx::Error> {
            sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut writer.connection).await
        };
        let before = free(self).await?;
        if before <= FREE_PAGES {
            return Ok(false);
        }
        // One row for each page.
        sqlx::query(GIVE_BACK).fetch_all(&mut self.connection).await?;
        self.upkeep.wrote(0);
        // A file that was made without keeps them.
        Ok(free(self).await? < before)
    }

    async fn shorten_statuses(&mut self, now_ms: i64, retention: &Retention) -> Result<(), sqlx::Error> {
        let (after, until) = self.upkeep.components();
        let oldest_ms = now_ms - retention.statuses_ms;
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
