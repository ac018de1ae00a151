//! Blocks and roll-ups in the file: how they are written, found, merged and cut. What is done when is
//! `store/shelf.rs`'s.

use super::{SqliteStore, Writer};
use crate::store::reading::{BlockRow, Blocks, Take};
use crate::store::rollups::DayRow;
use crate::store::seals::{Landed, NewBlock};
use crate::store::shelf::{BLOCKS_A_STEP, Shelf, Totals};
use crate::store::{AgentKey, Level, StoreError};
use futures::TryStreamExt;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

const ADD_BLOCK: &str = "
INSERT INTO blocks (level, day, agent, boot, first_seq, last_seq, first_ms, last_ms, layout, samples, bytes, merged)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12);
INSERT INTO block_bodies (id, body) VALUES (last_insert_rowid(), ?13)";

const SEAL: &str = "
UPDATE boots SET sealed_seq = m.value ->> 1, sealed_ms = ?2 FROM json_each(?1) m WHERE boots.key = m.value ->> 0";

/// `?2`, `?3`, `?4`: the level and the time.
const FIND: &str = "
SELECT b.id, b.agent, b.first_ms, b.last_ms, b.layout, b.bytes
FROM json_each(?1) a CROSS JOIN blocks b
  ON b.agent = a.value AND b.level = ?2 AND b.last_ms >= ?3 AND b.first_ms <= ?4";

const BODIES: &str = "
SELECT b.id, b.body FROM json_each(?1) w CROSS JOIN block_bodies b ON b.id = w.value";

const DUE: &str = "
SELECT day, agent FROM blocks WHERE level = 1 AND merged = 0 AND day < ?1 ORDER BY day, agent LIMIT 1";

const OF_DAY: &str = "
SELECT b.id, b.layout, b.merged, b.first_ms, d.body
FROM blocks b JOIN block_bodies d ON d.id = b.id WHERE b.level = 1 AND b.day = ?1 AND b.agent = ?2 ORDER BY b.id";

const OLDEST: &str = "SELECT min(last_ms) FROM blocks WHERE level = ?1";

const SET_CUT: [&str; 3] = [
    "UPDATE store SET raw_cut_ms = ?1",
    "UPDATE store SET five_minutes_cut_ms = ?1",
    "UPDATE store SET one_hour_cut_ms = ?1",
];

/// A roll-up by 5 minutes goes once it is counted by the hour.
const CUT: &str = "
SELECT id FROM blocks WHERE level = ?1 AND last_ms < ?2 AND (level <> 1 OR merged = 1) ORDER BY last_ms LIMIT ?3";

const DELETE: [&str; 2] = [
    "DELETE FROM block_bodies WHERE id IN (SELECT value FROM json_each(?1))",
    "DELETE FROM blocks WHERE id IN (SELECT value FROM json_each(?1))",
];

const MEASURE: &str = "
SELECT raw_bytes, five_minutes_bytes, one_hour_bytes, document_bytes FROM store";

const MEASURE_JOURNAL: &str = "
SELECT coalesce((SELECT sum(length(body)) FROM journal_bodies), 0)
  + coalesce((SELECT sum(length(boots) + length(directory) + 64) FROM journal), 0)";

/// Writes blocks, and how far boots are sealed.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    new: &[NewBlock],
    landed: &Landed,
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    for block in new {
        let add = sqlx::query(ADD_BLOCK).bind(block.level.number()).bind(block.day);
        let add = add.bind(i64::from(block.agent)).bind(i64::from(block.boot));
        let add = add.bind(block.seqs.0 as i64).bind(block.seqs.1 as i64);
        let add = add.bind(block.first_ms).bind(block.last_ms).bind(i64::from(block.layout.0));
        let add = add.bind(block.samples as i64).bind(block.body.len() as i64).bind(block.merged);
        add.bind(block.body.to_vec()).execute(&mut *connection).await?;
    }
    if !landed.marks.is_empty() {
        let marks = Value::from_iter(landed.marks.iter().map(|(boot, seq)| json!([boot, *seq as i64])));
        sqlx::query(SEAL).bind(marks.to_string()).bind(now_ms).execute(connection).await?;
    }
    Ok(())
}

async fn delete(connection: &mut SqliteConnection, ids: &[i64]) -> Result<(), sqlx::Error> {
    let ids = json!(ids).to_string();
    for sql in DELETE {
        sqlx::query(sql).bind(&ids).execute(&mut *connection).await?;
    }
    Ok(())
}

impl Shelf for Writer {
    async fn due(&mut self, before_day: i64) -> Result<Option<(i64, i64)>, sqlx::Error> {
        sqlx::query_as(DUE).bind(before_day).fetch_optional(&mut self.connection).await
    }

    async fn of_day(&mut self, day: i64, agent: i64) -> Result<Vec<DayRow>, sqlx::Error> {
        let rows: Vec<(i64, i64, bool, i64, Vec<u8>)> =
            sqlx::query_as(OF_DAY).bind(day).bind(agent).fetch_all(&mut self.connection).await?;
        let row = |(id, layout, merged, first_ms, body)| DayRow { id, layout, merged, first_ms, body };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn replace(&mut self, gone: &[i64], new: &[NewBlock]) -> Result<(), sqlx::Error> {
        self.begin().await?;
        let replaced = async {
            delete(&mut self.connection, gone).await?;
            write(&mut self.connection, new, &Landed::default(), 0).await
        };
        let replaced = replaced.await;
        self.end(replaced).await?;
        self.upkeep.wrote(new.iter().map(|block| block.body.len() * 2).sum());
        Ok(())
    }

    async fn oldest(&mut self, level: Level) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar(OLDEST).bind(level.number()).fetch_one(&mut self.connection).await
    }

    async fn cut(&mut self, level: Level, before_ms: i64) -> Result<u64, sqlx::Error> {
        self.begin().await?;
        let deleted = async {
            let set = SET_CUT[level as usize];
            sqlx::query(set).bind(before_ms).execute(&mut self.connection).await?;
            let cut = sqlx::query_scalar(CUT).bind(level.number()).bind(before_ms).bind(BLOCKS_A_STEP);
            let ids: Vec<i64> = cut.fetch_all(&mut self.connection).await?;
            delete(&mut self.connection, &ids).await?;
            Ok(ids.len() as u64)
        };
        let deleted = deleted.await;
        let deleted = self.end(deleted).await?;
        self.upkeep.wrote(deleted as usize * 4_096);
        Ok(deleted)
    }

    async fn measure(&mut self) -> Result<(Totals, i64), sqlx::Error> {
        let levels = sqlx::query_as(MEASURE).fetch_one(&mut self.connection).await?;
        let journal = sqlx::query_scalar(MEASURE_JOURNAL).fetch_one(&mut self.connection).await?;
        Ok((levels, journal))
    }
}

impl Blocks for SqliteStore {
    async fn find_blocks(
        &self,
        agents: &[AgentKey],
        (from_ms, to_ms): (i64, i64),
        level: Level,
    ) -> Result<Vec<BlockRow>, StoreError> {
        let agents = json!(agents.iter().map(|key| key.0).collect::<Vec<_>>()).to_string();
        let find = sqlx::query_as(FIND).bind(agents).bind(level.number()).bind(from_ms).bind(to_ms);
        find.fetch_all(&self.readers).await.map_err(|e| self.judge(&e))
    }

    async fn block_bodies(&self, ids: &[i64], take: Take<'_, (i64, Vec<u8>)>) -> Result<(), StoreError> {
        let mut rows = sqlx::query_as(BODIES).bind(json!(ids).to_string()).fetch(&self.readers);
        while let Some(body) = rows.try_next().await.map_err(|e| self.judge(&e))? {
            take(body)?;
        }
        Ok(())
    }
}
