//! A group becomes one transaction. Decides the order of its parts, and that a group of reports costs one word to the
//! server; statuses have a file of their own.

use super::connect::{Link, no_link};
use super::{Doubt, Landing, PostgresStore, Run, Writer, blocks, documents, fault, lock, statuses};
use crate::store::database::Commits;
use crate::store::layouts::{self, KnownLayout};
use crate::store::pack::{Packed, pack};
use crate::store::seals::{self, Landed, NewBlock};
use crate::store::{AgentRecord, Group, LayoutKey, ReportRecord, StoreError};
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;
use std::collections::BTreeMap;

/// Everything but statuses in one statement, which is a transaction by itself. It gives a row if the store is still
/// ours, and writes nothing otherwise. No row of a table may stand in it twice.
const WRITE: &str = "
WITH ours AS (
  UPDATE farol.store SET last_commit_ms = $2, commits = $3,
    last_agent = greatest(last_agent, $4), last_boot = greatest(last_boot, $5)
  WHERE epoch = $1 RETURNING true),
entry AS (
  INSERT INTO farol.journal (id, committed_ms, first_ms, last_ms, boots, directory, body)
  SELECT $6, $2, $7, $8, $9, $10, $11 FROM ours WHERE $11 IS NOT NULL),
known AS (
  INSERT INTO farol.agents (key, id, role, labels, version, interval_ms, last_seen_ms, boot_number, boot_nonce)
  SELECT a.* FROM ours, unnest($12::bigint[], $13::text[], $14::text[], $15::bytea[], $16::bytea[], $17::bigint[],
    $18::bigint[], $19::bigint[], $20::bigint[]) AS a
  ON CONFLICT (key) DO UPDATE SET
    id = excluded.id, role = excluded.role, labels = excluded.labels, version = excluded.version,
    interval_ms = excluded.interval_ms, last_seen_ms = excluded.last_seen_ms,
    boot_number = excluded.boot_number, boot_nonce = excluded.boot_nonce, forgotten_ms = NULL),
starts AS (
  INSERT INTO farol.boots (key, agent, number, nonce)
  SELECT b.* FROM ours, unnest($21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[]) AS b),
sets AS (
  INSERT INTO farol.layouts (key, define)
  SELECT l.* FROM ours, unnest($25::bigint[], $26::bytea[]) AS l
  ON CONFLICT (key) DO UPDATE SET define = excluded.define),
unwatched AS (
  INSERT INTO farol.blind (from_ms, to_ms)
  SELECT t.* FROM ours, unnest($27::bigint[], $28::bigint[]) AS t
  ON CONFLICT (from_ms) DO UPDATE SET to_ms = greatest(farol.blind.to_ms, excluded.to_ms))
SELECT true FROM ours";

const FORGET: &str = "UPDATE farol.agents SET forgotten_ms = $2 WHERE key = ANY($1)";

/// The large parts of a journal row.
#[derive(Default)]
struct Bytes {
    boots: Vec<u8>,
    directory: Vec<u8>,
    body: Vec<u8>,
}

impl Commits for PostgresStore {
    async fn write(&self, group: &Group) -> Result<(), StoreError> {
        let mut guard = self.writer.lock().await;
        let writer = guard.as_mut().ok_or_else(|| self.memory.closed())?;
        let was_open = writer.link.is_some() && writer.doubt.is_none();
        self.ready(writer).await?;
        let mut wrote = self.write_once(writer, group).await;
        if was_open && wrote.as_ref().is_err_and(fault::is_broken) {
            // It broke since the last commit; that costs nobody anything when another can be had at once.
            self.ready(writer).await?;
            wrote = self.write_once(writer, group).await;
        }
        wrote.map_err(|e| lock::judge(&self.memory.place, &e))
    }
}

impl PostgresStore {
    async fn write_once(&self, writer: &mut Writer, group: &Group) -> Result<(), sqlx::Error> {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let number = writer.last_row + 1;
        let new = group.reports.iter().filter(|report| !writer.has(report));
        let mut packed = pack(&self.memory.catalog.read(), new, number, writer.last_boot);
        let (blocks, sealed) = seals::seals(&self.memory.catalog.read(), &packed, &group.sealed);
        let bytes = packed.row.as_mut().map(|row| Bytes {
            boots: std::mem::take(&mut row.boots),
            directory: std::mem::take(&mut row.directory),
            body: std::mem::take(&mut row.body),
        });
        let layouts: BTreeMap<LayoutKey, (Vec<u8>, KnownLayout)> =
            group.layouts.iter().map(|layout| (layout.key, layouts::encode(layout, number))).collect();
        let known = layouts.iter().map(|(key, (_, known))| (*key, *known)).collect();
        let defines = layouts.into_iter().map(|(key, (define, _))| (i64::from(key.0), define)).collect();
        let write = question(writer, group, &packed, bytes, defines, now_ms);
        let landing =
            Landing { packed, layouts: known, sealed: sealed.clone(), unused: group.unused.clone(), now_ms };
        writer.doubt = Some(Doubt::Group(Box::new(landing)));
        let Some(link) = &mut writer.link else { return Err(no_link()) };
        let wrote = send(link, write, group, (&blocks, &sealed), now_ms).await;
        let Some(Doubt::Group(landing)) = writer.ended(wrote).await? else { return Ok(()) };
        writer.met(&group.reports);
        self.land(writer, *landing);
        Ok(())
    }
}

impl Writer {
    /// Whether a report is committed already, although whoever hands it in does not know.
    fn has(&self, report: &ReportRecord) -> bool {
        self.landed.iter().any(|Run(agent, boot, first, last)| {
            (*agent, *boot) == (report.agent, report.boot) && (*first..=*last).contains(&report.seq)
        })
    }

    /// Forgets what landed once its boot is past it.
    fn met(&mut self, reports: &[ReportRecord]) {
        self.landed.retain(|Run(agent, boot, _, last)| {
            let is_past = |r: &ReportRecord| (r.agent, r.boot) == (*agent, *boot) && r.seq >= *last;
            !reports.iter().any(is_past)
        });
    }

    /// What was begun has ended so: it gives what was in doubt. After an error nothing of it was written, unless the
    /// connection broke: then that is to be found out.
    pub(super) async fn ended(
        &mut self,
        ended: Result<(), sqlx::Error>,
    ) -> Result<Option<Doubt>, sqlx::Error> {
        let Err(error) = ended else { return Ok(self.doubt.take()) };
        if fault::is_lost(&error) {
            self.link = None;
            return Err(error);
        }
        self.doubt = None;
        if fault::is_of_the_session(&error) {
            self.link = None;
            return Err(error);
        }
        let rolled_back = match &mut self.link {
            Some(link) => link.say("ROLLBACK").await,
            None => Ok(()),
        };
        if rolled_back.is_err() {
            self.link = None;
        }
        Err(error)
    }
}

/// Says it to the server: reports alone are one word, statuses need a transaction of several.
async fn send(
    link: &mut Link,
    write: Query<'_, Postgres, PgArguments>,
    group: &Group,
    (blocks, sealed): (&[NewBlock], &Landed),
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    let is_more = !group.forgotten.is_empty()
        || !sealed.marks.is_empty()
        || !group.documents.is_empty()
        || statuses::are_in(group);
    if is_more {
        link.say("BEGIN").await?;
    }
    if link.run(write).await? != 1 {
        return Err(sqlx::Error::RowNotFound);
    }
    if is_more {
        blocks::write(link, blocks, sealed, now_ms).await?;
        statuses::write(link, group).await?;
        documents::write(link, &group.documents).await?;
        if !group.forgotten.is_empty() {
            let keys: Vec<i64> = group.forgotten.iter().map(|key| i64::from(key.0)).collect();
            link.run(sqlx::query(FORGET).bind(keys).bind(now_ms)).await?;
        }
        link.say("COMMIT").await?;
    }
    Ok(())
}

fn question(
    writer: &Writer,
    group: &Group,
    packed: &Packed,
    bytes: Option<Bytes>,
    defines: Vec<(i64, Vec<u8>)>,
    now_ms: i64,
) -> Query<'static, Postgres, PgArguments> {
    let last_agent = group.agents.iter().map(|agent| agent.key.0).max().unwrap_or(0);
    let times = packed.row.as_ref().map_or((0, 0), |row| (row.first_ms, row.last_ms));
    let (body, bytes) = match bytes {
        Some(mut bytes) => (Some(std::mem::take(&mut bytes.body)), bytes),
        None => (None, Bytes::default()),
    };
    let write = sqlx::query(WRITE).bind(writer.epoch).bind(now_ms).bind(writer.commits + 1);
    let write = write.bind(i64::from(last_agent)).bind(i64::from(packed.last_boot()));
    let write = write.bind(packed.number).bind(times.0).bind(times.1);
    let write = write.bind(bytes.boots).bind(bytes.directory).bind(body);
    let write = bind_agents(write, &group.agents);
    let new = &packed.new_boots;
    let numbers = |of: fn(&(u32, crate::store::AgentKey, farol_wire::Boot)) -> i64| -> Vec<i64> {
        new.iter().map(of).collect()
    };
    let write = write.bind(numbers(|(key, ..)| i64::from(*key)));
    let write = write.bind(numbers(|(_, agent, _)| i64::from(agent.0)));
    let write = write.bind(numbers(|(.., boot)| boot.number as i64));
    let write = write.bind(numbers(|(.., boot)| boot.nonce as i64));
    let (keys, defines): (Vec<i64>, Vec<Vec<u8>>) = defines.into_iter().unzip();
    let mut blind: BTreeMap<i64, i64> = BTreeMap::new();
    for (from_ms, to_ms) in &group.blind {
        let end = blind.entry(*from_ms).or_insert(*to_ms);
        *end = (*end).max(*to_ms);
    }
    let (from, to): (Vec<i64>, Vec<i64>) = blind.into_iter().unzip();
    write.bind(keys).bind(defines).bind(from).bind(to)
}

/// Nine columns; the last word on each agent.
fn bind_agents(
    write: Query<'static, Postgres, PgArguments>,
    records: &[AgentRecord],
) -> Query<'static, Postgres, PgArguments> {
    let agents: BTreeMap<u32, &AgentRecord> = records.iter().map(|agent| (agent.key.0, agent)).collect();
    let numbers = |of: fn(&AgentRecord) -> i64| -> Vec<i64> { agents.values().map(|a| of(a)).collect() };
    let texts =
        |of: fn(&AgentRecord) -> &str| -> Vec<String> { agents.values().map(|a| of(a).to_owned()).collect() };
    let words =
        |of: fn(&AgentRecord) -> Vec<u8>| -> Vec<Vec<u8>> { agents.values().map(|a| of(a)).collect() };
    let labels = |a: &AgentRecord| serde_json::json!(a.labels).to_string().into_bytes();
    let write =
        write.bind(numbers(|a| i64::from(a.key.0))).bind(texts(|a| &a.id)).bind(texts(|a| a.role.as_str()));
    let write = write.bind(words(labels)).bind(words(|a| a.version.as_bytes().to_vec()));
    let write = write.bind(numbers(|a| i64::from(a.interval_ms))).bind(numbers(|a| a.last_seen_ms));
    write.bind(numbers(|a| a.boot.number as i64)).bind(numbers(|a| a.boot.nonce as i64))
}
