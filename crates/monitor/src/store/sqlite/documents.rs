//! Documents in the file: how they are written, found and deleted for their age.

use super::rows::PerRow;
use super::{SqliteStore, Writer, fault};
use crate::store::database::DocumentRows;
use crate::store::documents::{self, DOCUMENTS_A_STEP, DocumentRow, LastWords};
use crate::store::{Document, DocumentChange, DocumentKind, DocumentPage, Retention, StoreError};
use serde_json::json;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqliteConnection};

static PUT: PerRow = PerRow::new(
    4,
    "
INSERT INTO documents (kind, key, at_ms, body) VALUES {rows}
ON CONFLICT (kind, key) DO UPDATE SET at_ms = excluded.at_ms, body = excluded.body",
);

static DELETE: PerRow = PerRow::new(
    2,
    "
WITH d (kind, key) AS (VALUES {rows})
DELETE FROM documents WHERE rowid IN (
  SELECT t.rowid FROM d CROSS JOIN documents t ON t.kind = d.kind AND t.key = d.key)",
);

const BY_TIME: &str = "
SELECT kind, key, at_ms, body FROM documents
WHERE kind = ?1 AND at_ms >= ?2 AND (at_ms, key) < (?3, ?4) ORDER BY at_ms DESC, key DESC LIMIT ?5";

/// The few whose keys begin so are looked for among keys, not among all times.
const BY_KEY: &str = "
SELECT kind, key, at_ms, body FROM documents
WHERE kind = ?1 AND key >= ?6 AND key < ?7 AND +at_ms >= ?2 AND (+at_ms, +key) < (?3, ?4)
ORDER BY +at_ms DESC, +key DESC LIMIT ?5";

const DELETE_OLD: &str = "
DELETE FROM documents WHERE rowid IN (
  SELECT rowid FROM documents WHERE kind = ?1 AND at_ms < ?2 ORDER BY at_ms LIMIT ?3)";

const UNTIL_DELETED: &str = "
SELECT kind, key, at_ms, body FROM documents
WHERE kind IN (SELECT value FROM json_each(?1)) ORDER BY kind, key";

/// Those of which a start is given all.
pub(super) async fn until_deleted(
    connection: &mut SqliteConnection,
) -> Result<Vec<DocumentRow>, sqlx::Error> {
    let kinds: Vec<i16> = DocumentKind::until_deleted().map(DocumentKind::number).collect();
    sqlx::query_as(UNTIL_DELETED).bind(json!(kinds).to_string()).fetch_all(connection).await
}

/// Writes a group's documents.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    changes: &[DocumentChange],
) -> Result<(), sqlx::Error> {
    let words = LastWords::of(changes);
    DELETE.run(connection, &words.deleted, add_place).await?;
    PUT.run(connection, &words.put, |row, document| add(row, document)).await
}

fn add_place(row: &mut SqliteArguments, (kind, key): &(DocumentKind, &str)) -> Result<(), BoxDynError> {
    row.add(kind.number())?;
    row.add(key.as_bytes().to_vec())
}

fn add(row: &mut SqliteArguments, document: &Document) -> Result<(), BoxDynError> {
    add_place(row, &(document.kind, &document.key))?;
    row.add(document.at_ms)?;
    row.add(document.body.to_vec())
}

impl DocumentRows for SqliteStore {
    async fn read_documents(
        &self,
        kind: DocumentKind,
        page: DocumentPage,
    ) -> Result<Vec<Document>, StoreError> {
        let (before_ms, before) = page.before();
        let keys = page.keys();
        let question = sqlx::query_as(if keys.is_some() { BY_KEY } else { BY_TIME });
        let question = question.bind(kind.number()).bind(page.from_ms).bind(before_ms).bind(before);
        let mut question = question.bind(page.rows());
        if let Some((first, end)) = keys {
            question = question.bind(first).bind(end);
        }
        let rows: Vec<DocumentRow> = question.fetch_all(&self.readers).await.map_err(|e| self.judge(&e))?;
        documents::read(rows).map_err(|why| StoreError::Fatal(fault::damaged(&self.path, &why)))
    }
}

impl Writer {
    /// Deletes some of the documents that are too old. False when there are none.
    pub(super) async fn shorten_documents(
        &mut self,
        now_ms: i64,
        retention: &Retention,
    ) -> Result<bool, sqlx::Error> {
        for (kind, before_ms) in DocumentKind::too_old(retention, now_ms) {
            self.begin().await?;
            let delete = sqlx::query(DELETE_OLD).bind(kind.number()).bind(before_ms).bind(DOCUMENTS_A_STEP);
            let deleted = delete.execute(&mut self.connection).await;
            let deleted = self.end(deleted).await?.rows_affected();
            self.upkeep.wrote(deleted as usize * 512);
            if deleted > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
