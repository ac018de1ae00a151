//! Blocks and roll-ups in the database: how they are written, found, merged and cut. What is done when is
//! `store/shelf.rs`'s.

use super::connect::Link;
use super::{PostgresStore, Writer};
use crate::store::reading::{BlockRow, Blocks, Take};
use crate::store::rollups::DayRow;
use crate::store::seals::{Landed, NewBlock};
use crate::store::shelf::{BLOCKS_A_STEP, Shelf, Totals};
use crate::store::{AgentKey, Level, StoreError};

const ADD_BLOCKS: &str = "
INSERT INTO farol.blocks
  (level, day, agent, boot, first_seq, last_seq, first_ms, last_ms, layout, samples, bytes, merged, body)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
  $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::boolean[], $13::bytea[])";

const SEAL: &str = "
UPDATE farol.boots b SET sealed_seq = m.seq, sealed_ms = $3
FROM unnest($1::bigint[], $2::bigint[]) AS m (key, seq) WHERE b.key = m.key";

const FIND: &str = "
SELECT id, agent, first_ms, last_ms, layout, bytes FROM farol.blocks
WHERE agent = ANY($1) AND level = $2 AND last_ms >= $3 AND first_ms <= $4";

const BODIES: &str = "SELECT id, body FROM farol.blocks WHERE id = ANY($1)";

const DUE: &str = "
SELECT day, agent FROM farol.blocks WHERE level = 1 AND NOT merged AND day < $1 ORDER BY day, agent LIMIT 1";

const OF_DAY: &str = "
SELECT id, layout, merged, first_ms, body FROM farol.blocks
WHERE level = 1 AND day = $1 AND agent = $2 ORDER BY id";

const OLDEST: &str = "SELECT min(last_ms) FROM farol.blocks WHERE level = $1";

const SET_CUT: [&str; 3] = [
    "UPDATE farol.store SET raw_cut_ms = $1",
    "UPDATE farol.store SET five_minutes_cut_ms = $1",
    "UPDATE farol.store SET one_hour_cut_ms = $1",
];

/// A roll-up by 5 minutes goes once it is counted by the hour. An array, so that those found are looked up one by one: of a subquery's rows, whose number it does not know, the server
/// would make a join with the whole table.
const CUT: &str = "
DELETE FROM farol.blocks WHERE id = ANY(ARRAY(
  SELECT id FROM farol.blocks WHERE level = $1 AND last_ms < $2 AND (level <> 1 OR merged)
  ORDER BY last_ms LIMIT $3))";

const DELETE: &str = "DELETE FROM farol.blocks WHERE id = ANY($1)";

const MEASURE: &str = "
SELECT raw_bytes, five_minutes_bytes, one_hour_bytes, document_bytes FROM farol.store";

const MEASURE_JOURNAL: &str = "
SELECT sum(octet_length(body) + octet_length(boots) + octet_length(directory) + 64)::bigint FROM farol.journal";

/// Blocks in one statement: rows of a small table, column by column.
const AT_ONCE: usize = 256;

/// Writes blocks, and how far boots are sealed.
pub(super) async fn write(
    link: &mut Link,
    new: &[NewBlock],
    landed: &Landed,
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    for some in new.chunks(AT_ONCE) {
        let numbers = |of: fn(&NewBlock) -> i64| -> Vec<i64> { some.iter().map(of).collect() };
        let add = sqlx::query(ADD_BLOCKS).bind(numbers(|b| b.level.number())).bind(numbers(|b| b.day));
        let add = add.bind(numbers(|b| i64::from(b.agent))).bind(numbers(|b| i64::from(b.boot)));
        let add = add.bind(numbers(|b| b.seqs.0 as i64)).bind(numbers(|b| b.seqs.1 as i64));
        let add = add.bind(numbers(|b| b.first_ms)).bind(numbers(|b| b.last_ms));
        let add = add.bind(numbers(|b| i64::from(b.layout.0))).bind(numbers(|b| b.samples as i64));
        let add = add.bind(numbers(|b| b.body.len() as i64));
        let add = add.bind(some.iter().map(|b| b.merged).collect::<Vec<bool>>());
        link.run(add.bind(some.iter().map(|b| b.body.to_vec()).collect::<Vec<_>>())).await?;
    }
    if !landed.marks.is_empty() {
        let (boots, seqs): (Vec<i64>, Vec<i64>) =
            landed.marks.iter().map(|(boot, seq)| (i64::from(*boot), *seq as i64)).unzip();
        link.run(sqlx::query(SEAL).bind(boots).bind(seqs).bind(now_ms)).await?;
    }
    Ok(())
}

impl Shelf for Writer {
    async fn due(&mut self, before_day: i64) -> Result<Option<(i64, i64)>, sqlx::Error> {
        Ok(self.ask(sqlx::query_as(DUE).bind(before_day)).await?.pop())
    }

    async fn of_day(&mut self, day: i64, agent: i64) -> Result<Vec<DayRow>, sqlx::Error> {
        let rows: Vec<(i64, i64, bool, i64, Vec<u8>)> =
            self.ask(sqlx::query_as(OF_DAY).bind(day).bind(agent)).await?;
        let row = |(id, layout, merged, first_ms, body)| DayRow { id, layout, merged, first_ms, body };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn replace(&mut self, gone: &[i64], new: &[NewBlock]) -> Result<(), sqlx::Error> {
        let link = self.begin().await?;
        let replaced = async {
            link.run(sqlx::query(DELETE).bind(gone.to_vec())).await?;
            write(link, new, &Landed::default(), 0).await
        };
        let replaced = replaced.await;
        self.end(replaced).await
    }

    async fn oldest(&mut self, level: Level) -> Result<Option<i64>, sqlx::Error> {
        let rows: Vec<(Option<i64>,)> = self.ask(sqlx::query_as(OLDEST).bind(level.number())).await?;
        Ok(rows.first().and_then(|(oldest,)| *oldest))
    }

    async fn cut(&mut self, level: Level, before_ms: i64) -> Result<u64, sqlx::Error> {
        let link = self.begin().await?;
        let cut = async {
            link.run(sqlx::query(SET_CUT[level as usize]).bind(before_ms)).await?;
            link.run(sqlx::query(CUT).bind(level.number()).bind(before_ms).bind(BLOCKS_A_STEP)).await
        };
        let cut = cut.await;
        self.end(cut).await
    }

    async fn measure(&mut self) -> Result<(Totals, i64), sqlx::Error> {
        let levels = self.ask(sqlx::query_as(MEASURE)).await?.pop().unwrap_or_default();
        let journal: Vec<(Option<i64>,)> = self.ask(sqlx::query_as(MEASURE_JOURNAL)).await?;
        Ok((levels, journal.first().and_then(|(bytes,)| *bytes).unwrap_or(0)))
    }
}

impl Blocks for PostgresStore {
    async fn find_blocks(
        &self,
        agents: &[AgentKey],
        (from_ms, to_ms): (i64, i64),
        level: Level,
    ) -> Result<Vec<BlockRow>, StoreError> {
        let mut found = Vec::new();
        let mut take = |row| {
            found.push(row);
            Ok(())
        };
        let agents: Vec<i64> = agents.iter().map(|key| i64::from(key.0)).collect();
        let find = sqlx::query_as(FIND).bind(agents).bind(level.number()).bind(from_ms).bind(to_ms);
        self.each(find, &mut take).await?;
        Ok(found)
    }

    async fn block_bodies(&self, ids: &[i64], take: Take<'_, (i64, Vec<u8>)>) -> Result<(), StoreError> {
        self.each(sqlx::query_as(BODIES).bind(ids.to_vec()), take).await
    }
}
