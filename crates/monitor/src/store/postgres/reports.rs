//! How the database's journal is asked for reports. What is made of the answers is `reading`'s.

use super::{PostgresStore, load};
use crate::store::layouts::Sets;
use crate::store::memory::Memory;
use crate::store::reading::{DirectoryRow, FEW_BOOTS, ROWS_AT_ONCE, Rows, Span, Take, WholeRow};
use crate::store::{AgentKey, KnownAgent, LayoutKey, StoreError};
use futures::TryStreamExt;
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::QueryAs;

/// `$3`: look at every row; else `$4` to `$7` are boots to look for. A boot may seem to stand across two
/// others: the directory tells.
const FIND: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM farol.journal
WHERE last_ms >= $1 AND first_ms <= $2 AND ($3
  OR position($4 IN boots) > 0 OR position($5 IN boots) > 0
  OR position($6 IN boots) > 0 OR position($7 IN boots) > 0)
ORDER BY id";

/// The rows of one boot between its key report's and the first one found.
const FIND_BEFORE: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM farol.journal
WHERE id >= $2 AND id < $3 AND position($1 IN boots) > 0 ORDER BY id";

/// Of each row so many bytes from there.
const BODIES: &str = "
SELECT j.id, substr(j.body, w.start + 1, w.length)
FROM unnest($1::bigint[], $2::int[], $3::int[]) AS w (id, start, length) JOIN farol.journal j ON j.id = w.id";

/// Whole rows, some megabytes at most.
const AFTER: &str = "
SELECT id, first_ms, last_ms, boots, directory, body FROM farol.journal WHERE id > $1 ORDER BY id LIMIT $2";

const KNOWN_AGENTS: &str = "SELECT key, id FROM farol.agents ORDER BY key";

impl PostgresStore {
    /// Takes the rows of an answer one after another. None may keep us waiting for longer than the timeout.
    pub(super) async fn each<T>(
        &self,
        query: QueryAs<'_, Postgres, T, PgArguments>,
        take: Take<'_, T>,
    ) -> Result<(), StoreError>
    where
        T: for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin,
    {
        let judged = |e: sqlx::Error| self.judge(&e);
        let limit = self.settings.timeout;
        let mut reader = super::connect::within(limit * 2, self.readers.acquire()).await.map_err(judged)?;
        let mut rows = query.fetch(&mut *reader);
        while let Some(row) = super::connect::within(limit, rows.try_next()).await.map_err(judged)? {
            take(row)?;
        }
        Ok(())
    }
}

impl Rows for PostgresStore {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    async fn find(
        &self,
        (from_ms, to_ms): (i64, i64),
        few: Option<[Option<[u8; 4]>; FEW_BOOTS]>,
        take: Take<'_, DirectoryRow>,
    ) -> Result<(), StoreError> {
        let question = sqlx::query_as(FIND).bind(from_ms).bind(to_ms).bind(few.is_none());
        let boots = few.unwrap_or_default().map(|boot| boot.map(|boot| boot.to_vec()));
        self.each(boots.into_iter().fold(question, |question, boot| question.bind(boot)), take).await
    }

    async fn find_before(
        &self,
        boot: [u8; 4],
        first: i64,
        end: i64,
    ) -> Result<Vec<DirectoryRow>, StoreError> {
        let mut found = Vec::new();
        let mut take = |row| {
            found.push(row);
            Ok(())
        };
        let question = sqlx::query_as(FIND_BEFORE).bind(boot.to_vec()).bind(first).bind(end);
        self.each(question, &mut take).await?;
        Ok(found)
    }

    async fn bodies(&self, spans: Vec<Span>, take: Take<'_, (i64, Vec<u8>)>) -> Result<(), StoreError> {
        // A row has at most a gigabyte.
        let small = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        let rows: Vec<i64> = spans.iter().map(|(row, ..)| *row).collect();
        let starts: Vec<i32> = spans.iter().map(|(_, start, _)| small(*start)).collect();
        let lengths: Vec<i32> = spans.iter().map(|(.., length)| small(*length)).collect();
        self.each(sqlx::query_as(BODIES).bind(rows).bind(starts).bind(lengths), take).await
    }

    async fn rows_after(&self, row: i64) -> Result<Vec<(DirectoryRow, Vec<u8>)>, StoreError> {
        let mut rows = Vec::new();
        let mut take = |(id, first_ms, last_ms, boots, directory, body): WholeRow| {
            rows.push(((id, first_ms, last_ms, boots, directory), body));
            Ok(())
        };
        self.each(sqlx::query_as(AFTER).bind(row).bind(ROWS_AT_ONCE), &mut take).await?;
        Ok(rows)
    }

    async fn known_agents(&self) -> Result<Vec<KnownAgent>, StoreError> {
        let mut known = Vec::new();
        let mut take = |(key, id): (i64, String)| {
            let key = u32::try_from(key).unwrap_or(u32::MAX);
            known.push(KnownAgent { key: AgentKey(key), id: id.into() });
            Ok(())
        };
        self.each(sqlx::query_as(KNOWN_AGENTS), &mut take).await?;
        Ok(known)
    }

    async fn sets(&self, keys: &[LayoutKey]) -> Result<Sets, StoreError> {
        let mut rows = Vec::new();
        let mut take = |row: (i64, Vec<u8>)| {
            rows.push(row);
            Ok(())
        };
        self.each(sqlx::query_as(load::LAYOUTS).bind(load::keys(keys)), &mut take).await?;
        load::sets(&self.memory.place, rows)
    }
}
