//! Components as they are, and what they were from when on. Decides how a time that is told late takes the place of
//! staleness.

use super::SqliteStore;
use super::rows::PerRow;
use crate::store::database::Statuses;
use crate::store::texts::{self, ChangeRow};
use crate::store::{
    CHANGES_AT_MOST, ComponentFilter, ComponentKey, ComponentRecord, Group, StatusChange, StoreError,
};
use serde_json::{Value, json};
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqliteConnection};
use std::collections::BTreeSet;
use std::sync::Arc;

static ADD_NAMES: PerRow = PerRow::new(
    3,
    "
WITH c (agent, service, component) AS (VALUES {rows})
INSERT OR IGNORE INTO component_names (agent, service, component) SELECT agent, service, component FROM c",
);

/// The staleness that lasts over the end of a covered time goes on from there.
const RESUME_STALENESS: &str = "
INSERT OR IGNORE INTO status_changes (name, at_ms, status, maintenance, stale, reason, muted)
SELECT s.name, c.value ->> 4, s.status, s.maintenance, s.stale, s.reason, s.muted
FROM json_each(?1) c
CROSS JOIN component_names n
  ON n.agent = c.value ->> 0 AND n.service = c.value ->> 1 AND n.component = c.value ->> 2
CROSS JOIN status_changes s ON s.name = n.key
  AND s.at_ms = (SELECT max(l.at_ms) FROM status_changes l WHERE l.name = n.key AND l.at_ms <= c.value ->> 4)
WHERE s.stale AND c.value ->> 5";

const DELETE_STALE: &str = "
DELETE FROM status_changes WHERE stale AND (name, at_ms) IN (
  SELECT s.name, s.at_ms FROM json_each(?1) c
  CROSS JOIN component_names n
    ON n.agent = c.value ->> 0 AND n.service = c.value ->> 1 AND n.component = c.value ->> 2
  CROSS JOIN status_changes s
    ON s.name = n.key AND s.at_ms >= c.value ->> 3 AND s.at_ms < (c.value ->> 4) + 1 - (c.value ->> 5))";

/// A covered time that begins in staleness begins with what was told last before it.
const RESTORE_TOLD: &str = "
INSERT OR IGNORE INTO status_changes (name, at_ms, status, maintenance, stale, reason, muted)
SELECT t.name, c.value ->> 3, t.status, t.maintenance, t.stale, t.reason, t.muted
FROM json_each(?1) c
CROSS JOIN component_names n
  ON n.agent = c.value ->> 0 AND n.service = c.value ->> 1 AND n.component = c.value ->> 2
CROSS JOIN status_changes s ON s.name = n.key
  AND s.at_ms = (SELECT max(l.at_ms) FROM status_changes l WHERE l.name = n.key AND l.at_ms <= c.value ->> 3)
CROSS JOIN status_changes t ON t.name = n.key AND t.at_ms = (
  SELECT max(l.at_ms) FROM status_changes l WHERE l.name = n.key AND l.at_ms < s.at_ms AND NOT l.stale)
WHERE s.stale AND t.status IS NOT NULL";

static ADD_CHANGES: PerRow = PerRow::new(
    9,
    "
WITH c (agent, service, component, at_ms, status, maintenance, stale, reason, muted) AS (VALUES {rows})
INSERT OR REPLACE INTO status_changes (name, at_ms, status, maintenance, stale, reason, muted)
SELECT n.key, c.at_ms, c.status, c.maintenance, c.stale, c.reason, c.muted
FROM c CROSS JOIN component_names n
  ON n.agent = c.agent AND n.service = c.service AND n.component = c.component",
);

const REMOVE: &str = "
DELETE FROM components WHERE name IN (
  SELECT n.key FROM json_each(?1) c
  CROSS JOIN component_names n
    ON n.agent = c.value ->> 0 AND n.service = c.value ->> 1 AND n.component = c.value ->> 2)";

static ADD_COMPONENTS: PerRow = PerRow::new(
    14,
    "
WITH c (agent, service, component, required, readiness, ttl_ms, kind, hard, soft, reason, message, checked_ms, changed_ms,
  stale) AS (VALUES {rows})
INSERT OR REPLACE INTO components
  (name, required, readiness, ttl_ms, kind, hard, soft, reason, message, checked_ms, changed_ms, stale)
SELECT n.key, c.required, c.readiness, c.ttl_ms, c.kind, c.hard, c.soft, c.reason, c.message, c.checked_ms, c.changed_ms,
  c.stale
FROM c CROSS JOIN component_names n
  ON n.agent = c.agent AND n.service = c.service AND n.component = c.component",
);

const CHANGES: &str = "
SELECT n.agent, n.service, n.component, s.at_ms, s.status, s.maintenance, s.stale, s.reason, s.muted
FROM component_names n
JOIN status_changes s ON s.name = n.key
WHERE (?1 IS NULL OR n.agent = ?1) AND (?2 IS NULL OR n.service = ?2) AND (?3 IS NULL OR n.component = ?3)
  AND s.at_ms <= ?5
  AND s.at_ms >= coalesce((SELECT max(b.at_ms) FROM status_changes b WHERE b.name = n.key AND b.at_ms < ?4), ?4)
ORDER BY s.at_ms, n.agent, n.service, n.component LIMIT ?6";

const BLIND: &str = "SELECT from_ms, to_ms FROM blind WHERE from_ms < ?2 AND to_ms > ?1 ORDER BY from_ms";

/// Writes a group's part that is about components.
pub(super) async fn write(connection: &mut SqliteConnection, group: &Group) -> Result<(), sqlx::Error> {
    let names: BTreeSet<&ComponentKey> =
        group.changes.iter().map(|c| &c.key).chain(group.components.iter().map(|c| &c.key)).collect();
    let covered = group.covered.iter().filter(|c| c.to_ms > c.from_ms).map(|c| {
        json!([c.key.agent, c.key.service, c.key.component, c.from_ms, c.to_ms, c.stale_after as u8])
    });
    let removed = group.removed.iter().map(|k| json!([k.agent, k.service, k.component]));
    ADD_NAMES.run(connection, &Vec::from_iter(names), |row, key| add_key(row, key)).await?;
    // One by one: the end of one covered time may be the beginning of the next.
    for covered in covered {
        run(connection, &[RESUME_STALENESS, DELETE_STALE, RESTORE_TOLD], json!([covered])).await?;
    }
    ADD_CHANGES.run(connection, &group.changes, add_change).await?;
    run(connection, &[REMOVE], Value::from_iter(removed)).await?;
    ADD_COMPONENTS.run(connection, &group.components, add_component).await
}

fn add_key(row: &mut SqliteArguments, key: &ComponentKey) -> Result<(), BoxDynError> {
    row.add(Arc::clone(&key.agent))?;
    row.add(Arc::clone(&key.service))?;
    row.add(Arc::clone(&key.component))
}

fn add_change(row: &mut SqliteArguments, change: &StatusChange) -> Result<(), BoxDynError> {
    add_key(row, &change.key)?;
    row.add(change.at_ms)?;
    row.add(change.status.map(|status| status as u8))?;
    row.add(change.maintenance)?;
    row.add(change.stale)?;
    row.add(Arc::clone(&change.reason))?;
    row.add(change.muted)
}

fn add_component(row: &mut SqliteArguments, component: &ComponentRecord) -> Result<(), BoxDynError> {
    add_key(row, &component.key)?;
    row.add(component.required)?;
    row.add(component.readiness)?;
    row.add(component.ttl_ms)?;
    row.add(Arc::clone(&component.kind))?;
    row.add(component.hard as u8)?;
    row.add(component.soft as u8)?;
    row.add(Arc::clone(&component.reason))?;
    row.add(Arc::clone(&component.message))?;
    row.add(component.checked_ms)?;
    row.add(component.changed_ms)?;
    row.add(component.stale)
}

async fn run(
    connection: &mut SqliteConnection,
    all: &[&'static str],
    rows: Value,
) -> Result<(), sqlx::Error> {
    if rows.as_array().is_none_or(Vec::is_empty) {
        return Ok(());
    }
    let rows: Arc<str> = rows.to_string().into();
    for sql in all {
        sqlx::query(*sql).bind(Arc::clone(&rows)).execute(&mut *connection).await?;
    }
    Ok(())
}

impl Statuses for SqliteStore {
    async fn read_changes(
        &self,
        filter: ComponentFilter,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<StatusChange>, StoreError> {
        let rows: Vec<ChangeRow> = sqlx::query_as(CHANGES)
            .bind(filter.agent)
            .bind(filter.service)
            .bind(filter.component)
            .bind(from_ms)
            .bind(to_ms)
            .bind(CHANGES_AT_MOST as i64 + 1)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.judge(&e))?;
        texts::changes(rows)
    }

    async fn read_blind(&self, from_ms: i64, to_ms: i64) -> Result<Vec<(i64, i64)>, StoreError> {
        let rows = sqlx::query_as(BLIND).bind(from_ms).bind(to_ms).fetch_all(&self.readers).await;
        rows.map_err(|e| self.judge(&e))
    }
}
