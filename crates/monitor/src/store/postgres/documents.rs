//! Documents in the database: how they are written, found and deleted for their age.

use super::connect::Link;
use super::{PostgresStore, Writer, fault};
use crate::store::database::DocumentRows;
use crate::store::documents::{self, DOCUMENT_OVERHEAD, DOCUMENTS_A_STEP, DocumentRow, LastWords};
use crate::store::{Document, DocumentChange, DocumentKind, DocumentPage, Retention, StoreError};

const PUT: &str = "
INSERT INTO farol.documents (kind, key, at_ms, body)
SELECT d.* FROM unnest($1::smallint[], $2::bytea[], $3::bigint[], $4::bytea[]) AS d
ON CONFLICT (kind, key) DO UPDATE SET at_ms = excluded.at_ms, body = excluded.body";

const DELETE: &str = "
DELETE FROM farol.documents d USING unnest($1::smallint[], $2::bytea[]) AS g (kind, key)
WHERE d.kind = g.kind AND d.key = g.key";

const BY_TIME: &str = "
SELECT kind::bigint, key, at_ms, body FROM farol.documents
WHERE kind = $1 AND at_ms >= $2 AND (at_ms, key) < ($3, $4) ORDER BY at_ms DESC, key DESC LIMIT $5";

/// The few whose keys begin so are looked for among keys, not among all times.
const BY_KEY: &str = "
WITH found AS MATERIALIZED (
  SELECT kind, key, at_ms, body FROM farol.documents
  WHERE kind = $1 AND key >= $6 AND key < $7 AND at_ms + 0 >= $2 AND (at_ms + 0, key) < ($3, $4))
SELECT kind::bigint, key, at_ms, body FROM found ORDER BY at_ms DESC, key DESC LIMIT $5";

const DELETE_OLD: &str = "
DELETE FROM farol.documents WHERE kind = $1 AND key IN (
  SELECT key FROM farol.documents WHERE kind = $1 AND at_ms < $2 ORDER BY at_ms LIMIT $3)";

const UNTIL_DELETED: &str = "
SELECT kind::bigint, key, at_ms, body FROM farol.documents WHERE kind = ANY($1) ORDER BY kind, key";

/// Documents of one statement, and their bytes: however many a group holds, each of its statements is far from the
/// timeout.
const AT_ONCE: usize = 2_000;
const BYTES_AT_ONCE: usize = 4 << 20;

/// Those of which a start is given all.
pub(super) async fn until_deleted(link: &mut Link) -> Result<Vec<DocumentRow>, sqlx::Error> {
    let kinds: Vec<i16> = DocumentKind::until_deleted().map(DocumentKind::number).collect();
    link.all(sqlx::query_as(UNTIL_DELETED).bind(kinds)).await
}

/// Writes a group's documents.
pub(super) async fn write(link: &mut Link, changes: &[DocumentChange]) -> Result<(), sqlx::Error> {
    let words = LastWords::of(changes);
    for gone in words.deleted.chunks(AT_ONCE) {
        let kinds: Vec<i16> = gone.iter().map(|(kind, _)| kind.number()).collect();
        let keys: Vec<&[u8]> = gone.iter().map(|(_, key)| key.as_bytes()).collect();
        link.run(sqlx::query(DELETE).bind(kinds).bind(keys)).await?;
    }
    let mut rest = words.put.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(how_many(rest));
        rest = later;
        let kinds: Vec<i16> = now.iter().map(|document| document.kind.number()).collect();
        let keys: Vec<&[u8]> = now.iter().map(|document| document.key.as_bytes()).collect();
        let times: Vec<i64> = now.iter().map(|document| document.at_ms).collect();
        let bodies: Vec<&[u8]> = now.iter().map(|document| &*document.body).collect();
        link.run(sqlx::query(PUT).bind(kinds).bind(keys).bind(times).bind(bodies)).await?;
    }
    Ok(())
}

/// How many of these go into a statement: one at least.
fn how_many(documents: &[&Document]) -> usize {
    let mut bytes = 0;
    let fits = |document: &&&Document| {
        bytes += document.key.len() + document.body.len() + DOCUMENT_OVERHEAD;
        bytes <= BYTES_AT_ONCE
    };
    documents.iter().take(AT_ONCE).take_while(fits).count().max(1)
}

impl DocumentRows for PostgresStore {
    async fn read_documents(
        &self,
        kind: DocumentKind,
        page: DocumentPage,
    ) -> Result<Vec<Document>, StoreError> {
        let mut rows: Vec<DocumentRow> = Vec::new();
        let mut take = |row| {
            rows.push(row);
            Ok(())
        };
        let (before_ms, before) = page.before();
        let keys = page.keys();
        let question = sqlx::query_as(if keys.is_some() { BY_KEY } else { BY_TIME });
        let question = question.bind(kind.number()).bind(page.from_ms).bind(before_ms).bind(before);
        let mut question = question.bind(page.rows());
        if let Some((first, end)) = keys {
            question = question.bind(first).bind(end);
        }
        self.each(question, &mut take).await?;
        documents::read(rows).map_err(|why| StoreError::Fatal(fault::damaged(&self.memory.place, &why)))
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
            let delete = sqlx::query(DELETE_OLD).bind(kind.number()).bind(before_ms).bind(DOCUMENTS_A_STEP);
            let link = self.begin().await?;
            let deleted = link.run(delete).await;
            if self.end(deleted).await? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
