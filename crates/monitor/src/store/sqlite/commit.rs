//! A group becomes one transaction. Decides the order of its parts; statuses have a file of their own.

use super::{SqliteStore, Writer, blocks, documents, load, statuses};
use crate::store::database::Commits;
use crate::store::documents::LastWords;
use crate::store::layouts::{self, KnownLayout};
use crate::store::pack::{Packed, pack};
use crate::store::row::Row;
use crate::store::seals::{self, Landed, NewBlock};
use crate::store::{AgentRecord, Group, LayoutKey, StoreError};
use serde_json::{Value, json};
use sqlx::{Executor, SqliteConnection};

const ADD_AGENTS: &str = "
INSERT INTO agents (key, id, role, labels, version, interval_ms, last_seen_ms, boot_number, boot_nonce)
SELECT value ->> 0, value ->> 1, value ->> 2, value -> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8
FROM json_each(?1) WHERE true
ON CONFLICT (key) DO UPDATE SET
  id = excluded.id, role = excluded.role, labels = excluded.labels, version = excluded.version,
  interval_ms = excluded.interval_ms, last_seen_ms = excluded.last_seen_ms,
  boot_number = excluded.boot_number, boot_nonce = excluded.boot_nonce, forgotten_ms = NULL";

const ADD_BOOTS: &str = "
INSERT INTO boots (key, agent, number, nonce)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1)";

const ADD_LAYOUT: &str = "INSERT OR REPLACE INTO layouts (key, define) VALUES (?1, ?2)";

/// A group of reports of boots that are known already, in one go: nearly all groups are such.
const REPORTS_ONLY: &str = "
BEGIN IMMEDIATE;
INSERT INTO journal (id, committed_ms, first_ms, last_ms, boots, directory) VALUES (?1, ?2, ?3, ?4, ?5, ?6);
INSERT INTO journal_bodies (id, body) VALUES (?1, ?7);
UPDATE store SET last_commit_ms = ?2;
COMMIT";

const ADD_ROW: &str = "
INSERT INTO journal (id, committed_ms, first_ms, last_ms, boots, directory) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

const ADD_BODY: &str = "INSERT INTO journal_bodies (id, body) VALUES (?1, ?2)";

const FORGET: &str = "
UPDATE agents SET forgotten_ms = ?2 WHERE key IN (SELECT value FROM json_each(?1))";

const ADD_BLIND: &str = "
INSERT INTO blind (from_ms, to_ms) SELECT value ->> 0, value ->> 1 FROM json_each(?1) WHERE true
ON CONFLICT (from_ms) DO UPDATE SET to_ms = max(to_ms, excluded.to_ms)";

const STAMP: &str = "
UPDATE store SET last_commit_ms = ?1, last_agent = max(last_agent, ?2), last_boot = max(last_boot, ?3)";

impl Commits for SqliteStore {
    async fn write(&self, group: &Group) -> Result<(), StoreError> {
        let mut guard = self.writer.lock().await;
        let writer = guard.as_mut().ok_or_else(|| self.memory.closed())?;
        self.settle(writer).await?;
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let number = writer.last_row + 1;
        let mut packed = pack(&self.memory.catalog.read(), &group.reports, number, writer.last_boot);
        let (blocks, landed) = seals::seals(&self.memory.catalog.read(), &packed, &group.sealed);
        let bytes = packed.row.as_ref().map_or(0, |row| row.body.len() + row.directory.len());
        let bytes = bytes + blocks.iter().map(|block| block.body.len() + 512).sum::<usize>();
        let bytes = bytes + LastWords::bytes(&group.documents);
        let wrote = match &mut packed.row {
            Some(row) if packed.new_boots.is_empty() && is_reports_only(group) => {
                writer.write_reports(row, number, now_ms).await.map(|()| Vec::new())
            }
            _ => {
                writer.begin().await.map_err(|e| self.judge(&e))?;
                let sealed = (blocks.as_slice(), &landed);
                let wrote = write_all(&mut writer.connection, group, &mut packed, sealed, now_ms).await;
                writer.end(wrote).await
            }
        };
        let layouts = wrote.map_err(|e| self.judge(&e))?;

        self.memory.count(&packed, layouts, &landed);
        writer.last_boot = writer.last_boot.max(packed.last_boot());
        writer.unused.extend(&group.unused);
        if packed.row.is_some() {
            writer.last_row = number;
        }
        writer.upkeep.wrote(bytes);
        writer.upkeep.stamped(now_ms);
        Ok(())
    }
}

impl SqliteStore {
    /// After a step that was given up half-way nobody knows whether it was committed: what is in memory is read anew.
    pub(super) async fn settle(&self, writer: &mut Writer) -> Result<(), StoreError> {
        if !writer.open {
            return Ok(());
        }
        writer.roll_back().await;
        let loaded = load::reload(&self.path, &mut writer.connection).await?;
        writer.open = false;
        (writer.last_row, writer.last_boot) = (loaded.last_row, loaded.last_boot);
        self.memory.replace(loaded.catalog);
        Ok(())
    }
}

fn is_reports_only(group: &Group) -> bool {
    // That layouts are unused is not written: a start finds it out by itself.
    let Group {
        agents,
        layouts,
        unused: _,
        reports: _,
        sealed,
        components,
        removed,
        forgotten,
        changes,
        covered,
        blind,
        documents,
    } = group;
    agents.is_empty()
        && layouts.is_empty()
        && sealed.is_empty()
        && components.is_empty()
        && removed.is_empty()
        && forgotten.is_empty()
        && changes.is_empty()
        && covered.is_empty()
        && blind.is_empty()
        && documents.is_empty()
}

/// Writes all parts; gives the layouts as they are known from then on.
async fn write_all(
    connection: &mut SqliteConnection,
    group: &Group,
    packed: &mut Packed,
    (blocks, landed): (&[NewBlock], &Landed),
    now_ms: i64,
) -> Result<Vec<(LayoutKey, KnownLayout)>, sqlx::Error> {
    let number = packed.number;
    if !group.agents.is_empty() {
        sqlx::query(ADD_AGENTS).bind(agents(&group.agents)).execute(&mut *connection).await?;
    }
    let mut known_layouts = Vec::with_capacity(group.layouts.len());
    for layout in &group.layouts {
        let (define, known) = layouts::encode(layout, number);
        known_layouts.push((layout.key, known));
        let add = sqlx::query(ADD_LAYOUT).bind(i64::from(layout.key.0)).bind(define);
        add.execute(&mut *connection).await?;
    }
    if !packed.new_boots.is_empty() {
        let boots: Vec<Value> = packed
            .new_boots
            .iter()
            .map(|(key, agent, boot)| json!([key, agent.0, boot.number as i64, boot.nonce as i64]))
            .collect();
        sqlx::query(ADD_BOOTS).bind(Value::from(boots).to_string()).execute(&mut *connection).await?;
    }
    if let Some(row) = &mut packed.row {
        let add = sqlx::query(ADD_ROW).bind(number).bind(now_ms).bind(row.first_ms).bind(row.last_ms);
        let add = add.bind(std::mem::take(&mut row.boots)).bind(std::mem::take(&mut row.directory));
        add.execute(&mut *connection).await?;
        let add = sqlx::query(ADD_BODY).bind(number).bind(std::mem::take(&mut row.body));
        add.execute(&mut *connection).await?;
    }
    blocks::write(connection, blocks, landed, now_ms).await?;
    statuses::write(connection, group).await?;
    documents::write(connection, &group.documents).await?;
    if !group.forgotten.is_empty() {
        let keys = json!(group.forgotten.iter().map(|key| key.0).collect::<Vec<_>>()).to_string();
        sqlx::query(FORGET).bind(keys).bind(now_ms).execute(&mut *connection).await?;
    }
    if !group.blind.is_empty() {
        let blind = json!(group.blind).to_string();
        sqlx::query(ADD_BLIND).bind(blind).execute(&mut *connection).await?;
    }
    let last_agent = group.agents.iter().map(|agent| agent.key.0).max().unwrap_or(0);
    sqlx::query(STAMP)
        .bind(now_ms)
        .bind(i64::from(last_agent))
        .bind(i64::from(packed.last_boot()))
        .execute(connection)
        .await?;
    Ok(known_layouts)
}

fn agents(records: &[AgentRecord]) -> String {
    let all = records.iter().map(|a| {
        let (number, nonce) = (a.boot.number as i64, a.boot.nonce as i64);
        let role = a.role.as_str();
        json!([a.key.0, a.id, role, a.labels, a.version, a.interval_ms, a.last_seen_ms, number, nonce])
    });
    Value::from_iter(all).to_string()
}

impl Writer {
    /// Begins a transaction. Not sqlx's own: its count of transactions goes wrong when SQLite rolls back by itself, as
    /// it may when the disk is full.
    pub(super) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        self.open = true;
        self.connection.execute("BEGIN IMMEDIATE").await.map(|_| ()).inspect_err(|_| self.open = false)
    }

    /// The whole transaction of a group that is nothing but reports.
    async fn write_reports(&mut self, row: &mut Row, number: i64, now_ms: i64) -> Result<(), sqlx::Error> {
        self.open = true;
        let write = sqlx::query(REPORTS_ONLY).bind(number).bind(now_ms).bind(row.first_ms).bind(row.last_ms);
        let write = write.bind(std::mem::take(&mut row.boots)).bind(std::mem::take(&mut row.directory));
        let wrote = write.bind(std::mem::take(&mut row.body)).execute(&mut self.connection).await;
        if wrote.is_err() {
            self.roll_back().await;
        }
        self.open = false;
        wrote.map(|_| ())
    }

    /// Commits, or rolls back after an error.
    pub(super) async fn end<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let result = match result {
            Ok(value) => self.connection.execute("COMMIT").await.map(|_| value),
            Err(error) => Err(error),
        };
        if result.is_err() {
            self.roll_back().await;
        }
        self.open = false;
        result
    }

    /// Fails when SQLite has rolled back already: then nothing is left to do.
    async fn roll_back(&mut self) {
        if let Err(error) = self.connection.execute("ROLLBACK").await {
            tracing::debug!(%error, "the transaction was rolled back already");
        }
    }
}
