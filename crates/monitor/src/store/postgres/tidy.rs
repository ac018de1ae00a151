//! The upkeep, in small steps between commits: saved marks, retention. What is due is `store/upkeep.rs`'s; the server
//! looks after its own files.

use super::connect::{Link, no_link};
use super::{Doubt, PostgresStore, Writer, load, lock};
use crate::store::database::Tidies;
use crate::store::reading::DirectoryRow;
use crate::store::row::Directory;
use crate::store::shelf;
use crate::store::upkeep::ROWS_A_STEP;
use crate::store::{LayoutKey, Piece, Retention, StoreError, Tidied};
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::QueryAs;
use std::time::Duration;

/// The whole closing; what was acknowledged is committed anyway.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Gives a row if the store is still ours, and nobody takes it over before the transaction's end.
const OURS: &str = "SELECT FROM farol.store WHERE epoch = $1 FOR UPDATE";

const DELETE_ROWS: &str = "
DELETE FROM farol.journal WHERE committed_ms < $1 AND id < (SELECT min(id) FROM farol.journal) + $2";

const OLDEST: &str = "SELECT min(id) FROM farol.journal";

/// Rows that were not looked at, and are in the saved marks.
const NEXT_ROWS: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM farol.journal
WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3";

const THESE_ROWS: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM farol.journal WHERE id = ANY($1) ORDER BY id";

const DELETE_THESE: &str = "DELETE FROM farol.journal WHERE id = ANY($1)";

/// Boots of which the journal holds nothing any more, current ones left out, and those sealed lately.
const DELETE_BOOTS: &str = "
DELETE FROM farol.boots b WHERE b.key = ANY($1) AND b.sealed_ms < $2 AND NOT EXISTS (
  SELECT FROM farol.agents a WHERE a.key = b.agent AND a.forgotten_ms IS NULL
    AND a.boot_number = b.number AND a.boot_nonce = b.nonce)
RETURNING b.key";

const DELETE_AGENTS: &str = "
DELETE FROM farol.agents a
WHERE a.forgotten_ms IS NOT NULL AND NOT EXISTS (SELECT FROM farol.boots b WHERE b.agent = a.key)
  AND NOT EXISTS (SELECT FROM farol.blocks k WHERE k.agent = a.key)";

const SAVE_MARKS: &str = "
INSERT INTO farol.marks (journal, body) VALUES ($1, $2)
ON CONFLICT (one) DO UPDATE SET journal = excluded.journal, body = excluded.body";

const STAMP: &str = "UPDATE farol.store SET last_commit_ms = $1";

/// What is older than the last change before the limit says nothing any more, and that one neither when it is a
/// removal.
const DELETE_CHANGES: &str = "
DELETE FROM farol.status_changes WHERE (name, at_ms) IN (
  SELECT s.name, s.at_ms FROM farol.component_names n
  JOIN farol.status_changes s ON s.name = n.key AND s.at_ms < $3
  WHERE n.key > $1 AND n.key <= $2 AND (
    s.status IS NULL OR s.at_ms < (
      SELECT max(l.at_ms) FROM farol.status_changes l WHERE l.name = n.key AND l.at_ms <= $3)))";

const DELETE_NAMES: &str = "
DELETE FROM farol.component_names n WHERE n.key > $1 AND n.key <= $2
  AND NOT EXISTS (SELECT FROM farol.status_changes s WHERE s.name = n.key)
  AND NOT EXISTS (SELECT FROM farol.components c WHERE c.name = n.key)";

const DELETE_BLIND: &str = "DELETE FROM farol.blind WHERE to_ms < $1";

const LAST_NAME: &str = "SELECT max(key) FROM farol.component_names";

impl Tidies for PostgresStore {
    async fn tidy_up(&self, now_ms: i64, retention: &Retention) -> Result<Tidied, StoreError> {
        let mut guard = self.writer.lock().await;
        let writer = guard.as_mut().ok_or_else(|| self.memory.closed())?;
        // The server makes its checkpoints itself, and what is written is never counted.
        let Some(piece) = writer.upkeep.due(now_ms, writer.last_row) else { return Ok(Tidied::default()) };
        self.ready(writer).await?;
        let memory = &self.memory;
        let done = match piece {
            Piece::Marks => self.save_marks(writer).await.map(|()| true),
            Piece::Statuses => writer.shorten_statuses(now_ms, retention).await.map(|()| true),
            Piece::Documents => writer.shorten_documents(now_ms, retention).await,
            Piece::Journal => self.shorten_journal(writer, now_ms, retention).await,
            Piece::RollUps => shelf::roll_up(writer, memory, now_ms).await,
            Piece::Retention => shelf::retain(writer, memory, retention, now_ms).await,
            Piece::Budget => shelf::hold_budget(writer, memory, retention, now_ms).await,
            Piece::Checkpoint | Piece::Pages | Piece::Stamp => writer.stamp(now_ms).await.map(|()| true),
        };
        // What fails rests too: the others have their turn.
        let done = done.inspect_err(|_| writer.upkeep.rests(piece, now_ms));
        let more = done.map_err(|e| lock::judge(&self.memory.place, &e))?;
        match piece {
            Piece::Budget if more => writer.upkeep.was_cut(),
            _ if !more => writer.upkeep.rests(piece, now_ms),
            _ => {}
        }
        Ok(Tidied { did: Some(piece), more: true })
    }

    /// Saves the marks and closes the connections. Where the server is away that is left out: what was acknowledged is
    /// committed, and the marks are rebuilt at the next start.
    async fn let_go(&self) -> Result<(), StoreError> {
        let Some(mut writer) = self.writer.lock().await.take() else { return Ok(()) };
        let closing = async {
            self.ready(&mut writer).await?;
            let saved = async {
                self.save_marks(&mut writer).await?;
                writer.stamp(jiff::Timestamp::now().as_millisecond()).await
            };
            saved.await.map_err(|e| lock::judge(&self.memory.place, &e))?;
            match writer.link.take() {
                Some(link) => link.close().await.map_err(|e| self.judge(&e)),
                None => Ok(()),
            }
        };
        let closed = tokio::time::timeout(CLOSE_WITHIN, closing).await;
        // Those of questions that are still open; nobody waits for their answers.
        drop(tokio::time::timeout(CLOSE_WITHIN / 2, self.readers.close()).await);
        let why = match closed {
            Ok(Err(StoreError::Refused(why))) => why,
            Ok(closed) => return closed,
            Err(_) => format!("{} does not answer", self.memory.place),
        };
        tracing::warn!(%why, "the store was left as it is; the next start takes a moment longer");
        Ok(())
    }
}

impl PostgresStore {
    async fn save_marks(&self, writer: &mut Writer) -> Result<(), sqlx::Error> {
        let (row, body) = (writer.last_row, self.memory.catalog.read().marks().write());
        let link = writer.begin().await?;
        let saved = link.run(sqlx::query(SAVE_MARKS).bind(row).bind(body)).await;
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
        let link = writer.begin().await?;
        let rows = sqlx::query(DELETE_ROWS).bind(retention.oldest_row_ms(now_ms)).bind(ROWS_A_STEP);
        let deleted = link.run(rows).await;
        if writer.end(deleted).await? > 0 || self.delete_sealed_rows(writer).await? {
            return Ok(true);
        }
        let link = writer.begin().await?;
        let oldest = number(link, OLDEST).await;
        let oldest = writer.end(oldest).await?.unwrap_or(i64::MAX);
        writer.waiting.begins_at(oldest);
        let silent = self.memory.catalog.read().silent_since(oldest);
        let layouts = self.memory.catalog.read().needed_by_none(&writer.unused, oldest);
        let link = writer.begin().await?;
        let boots = retention.boots_over(&silent, now_ms);
        let gone = delete_unused(link, boots, load::keys(&layouts)).await;
        let (boots, layouts) = writer.end(gone).await?;
        let mut catalog = self.memory.catalog.write();
        boots.into_iter().filter_map(|key| u32::try_from(key).ok()).for_each(|key| catalog.remove_boot(key));
        catalog.remove_layouts(&layouts, &mut writer.unused);
        Ok(false)
    }

    /// Looks at some rows, and deletes those of which everything is sealed. False when there was none to look at.
    async fn delete_sealed_rows(&self, writer: &mut Writer) -> Result<bool, sqlx::Error> {
        let over = writer.waiting.over(&self.memory.catalog.read(), ROWS_A_STEP as usize);
        let (looked_at, marked) = (writer.waiting.looked_at, writer.upkeep.marked_row());
        let question = if over.is_empty() {
            sqlx::query_as(NEXT_ROWS).bind(looked_at).bind(marked).bind(ROWS_A_STEP)
        } else {
            sqlx::query_as(THESE_ROWS).bind(over.clone())
        };
        let rows: Vec<DirectoryRow> = writer.ask(question).await?;
        if rows.is_empty() && over.is_empty() {
            return Ok(false);
        }
        writer.waiting.leave(&over);
        let read: Vec<_> = rows.iter().filter_map(|row| Directory::of_row(row).ok()).collect();
        writer.waiting.looked_at = rows.last().map_or(0, |row| row.0).max(looked_at);
        let sealed = writer.waiting.look(&self.memory.catalog.read(), &read);
        if !sealed.is_empty() {
            let looked_at = writer.waiting.until_deleted(&sealed);
            let link = writer.begin().await?;
            let deleted = link.run(sqlx::query(DELETE_THESE).bind(sealed)).await;
            writer.end(deleted).await?;
            writer.waiting.looked_at = looked_at;
        }
        Ok(true)
    }
}

/// Deletes these boots and layouts, and agents without boots; gives the boots and layouts that went.
async fn delete_unused(
    link: &mut Link,
    boots: [(&[u32], i64); 2],
    layouts: Vec<i64>,
) -> Result<(Vec<i64>, Vec<LayoutKey>), sqlx::Error> {
    let mut gone: Vec<(i64,)> = Vec::new();
    for (boots, sealed_before_ms) in boots {
        let boots: Vec<i64> = boots.iter().map(|key| i64::from(*key)).collect();
        let rows: Vec<(i64,)> =
            link.all(sqlx::query_as(DELETE_BOOTS).bind(boots).bind(sealed_before_ms)).await?;
        gone.extend(rows);
    }
    link.run(sqlx::query(DELETE_AGENTS)).await?;
    let mut freed: Vec<(i64,)> = Vec::new();
    if !layouts.is_empty() {
        freed = link.all(sqlx::query_as(load::DELETE_LAYOUTS).bind(layouts)).await?;
    }
    let freed = freed.into_iter().filter_map(|(key,)| u32::try_from(key).ok()).map(LayoutKey);
    Ok((gone.into_iter().map(|(key,)| key).collect(), freed.collect()))
}

async fn number(link: &mut Link, sql: &'static str) -> Result<Option<i64>, sqlx::Error> {
    let rows: Vec<(Option<i64>,)> = link.all(sqlx::query_as(sql)).await?;
    Ok(rows.first().and_then(|(number,)| *number))
}

impl Writer {
    /// Asks outside a step. What is given up half-way is in doubt as a step is: the answer may still be on its way.
    pub(super) async fn ask<T>(
        &mut self,
        question: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin,
    {
        self.doubt = Some(Doubt::Upkeep);
        let (rows, ended) = match &mut self.link {
            Some(link) => match link.all(question).await {
                Ok(rows) => (rows, Ok(())),
                Err(error) => (Vec::new(), Err(error)),
            },
            None => (Vec::new(), Err(no_link())),
        };
        self.ended(ended).await.map(|_| rows)
    }

    /// Begins a step of the upkeep.
    pub(super) async fn begin(&mut self) -> Result<&mut Link, sqlx::Error> {
        self.doubt = Some(Doubt::Upkeep);
        let epoch = self.epoch;
        let begun = match &mut self.link {
            Some(link) => begin(link, epoch).await,
            None => Err(no_link()),
        };
        if begun.is_err() {
            self.ended(begun).await?;
        }
        self.link.as_mut().ok_or_else(no_link)
    }

    /// Commits, or rolls back after an error.
    pub(super) async fn end<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let (value, ended) = match (result, &mut self.link) {
            (Ok(value), Some(link)) => (Some(value), link.say("COMMIT").await),
            (Ok(_), None) => (None, Err(no_link())),
            (Err(error), _) => (None, Err(error)),
        };
        self.ended(ended).await?;
        value.ok_or_else(no_link)
    }

    async fn stamp(&mut self, now_ms: i64) -> Result<(), sqlx::Error> {
        let link = self.begin().await?;
        let stamped = link.run(sqlx::query(STAMP).bind(now_ms)).await;
        self.end(stamped).await?;
        self.upkeep.stamped(now_ms);
        Ok(())
    }

    async fn shorten_statuses(&mut self, now_ms: i64, retention: &Retention) -> Result<(), sqlx::Error> {
        let (after, until) = self.upkeep.components();
        let oldest_ms = now_ms - retention.statuses_ms;
        let link = self.begin().await?;
        let deleted = async {
            link.run(sqlx::query(DELETE_CHANGES).bind(after).bind(until).bind(oldest_ms)).await?;
            link.run(sqlx::query(DELETE_NAMES).bind(after).bind(until)).await?;
            link.run(sqlx::query(DELETE_BLIND).bind(oldest_ms)).await?;
            number(link, LAST_NAME).await
        };
        let last = deleted.await;
        let last = self.end(last).await?;
        self.upkeep.looked_at(until, last, now_ms);
        Ok(())
    }
}

async fn begin(link: &mut Link, epoch: i64) -> Result<(), sqlx::Error> {
    link.say("BEGIN").await?;
    match link.run(sqlx::query(OURS).bind(epoch)).await? {
        1 => Ok(()),
        _ => Err(sqlx::Error::RowNotFound),
    }
}
