//! Components as they are, and what they were from when on. Decides how a time that is told late takes the place of
//! staleness.

use super::PostgresStore;
use super::connect::Link;
use crate::store::database::Statuses;
use crate::store::texts::{self, ChangeRow};
use crate::store::{
    CHANGES_AT_MOST, ComponentFilter, ComponentKey, ComponentRecord, Covered, Group, StatusChange, StoreError,
};
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;
use std::collections::{BTreeMap, BTreeSet};

const ADD_NAMES: &str = "
INSERT INTO farol.component_names (agent, service, component)
SELECT c.* FROM unnest($1::text[], $2::text[], $3::text[]) AS c (agent, service, component)
WHERE NOT EXISTS (SELECT FROM farol.component_names n
  WHERE n.agent = c.agent AND n.service = c.service AND n.component = c.component)";

/// The staleness that lasts over the end of a covered time goes on from there.
const RESUME_STALENESS: &str = "
INSERT INTO farol.status_changes (name, at_ms, status, maintenance, stale, reason, muted)
SELECT s.name, c.at_ms, s.status, s.maintenance, s.stale, s.reason, s.muted
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS c (agent, service, component, at_ms)
JOIN farol.component_names n USING (agent, service, component)
JOIN farol.status_changes s ON s.name = n.key
  AND s.at_ms = (SELECT max(l.at_ms) FROM farol.status_changes l WHERE l.name = n.key AND l.at_ms <= c.at_ms)
WHERE s.stale
ON CONFLICT DO NOTHING";

/// From the one up to, but not at, the other.
const DELETE_STALE: &str = "
DELETE FROM farol.status_changes s USING farol.component_names n
JOIN unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
  AS c (agent, service, component, from_ms, end_ms) USING (agent, service, component)
WHERE s.name = n.key AND s.stale AND s.at_ms >= c.from_ms AND s.at_ms < c.end_ms";

/// A covered time that begins in staleness begins with what was told last before it.
const RESTORE_TOLD: &str = "
INSERT INTO farol.status_changes (name, at_ms, status, maintenance, stale, reason, muted)
SELECT t.name, c.at_ms, t.status, t.maintenance, t.stale, t.reason, t.muted
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS c (agent, service, component, at_ms)
JOIN farol.component_names n USING (agent, service, component)
JOIN farol.status_changes s ON s.name = n.key
  AND s.at_ms = (SELECT max(l.at_ms) FROM farol.status_changes l WHERE l.name = n.key AND l.at_ms <= c.at_ms)
JOIN farol.status_changes t ON t.name = n.key AND t.at_ms = (
  SELECT max(l.at_ms) FROM farol.status_changes l WHERE l.name = n.key AND l.at_ms < s.at_ms AND NOT l.stale)
WHERE s.stale AND t.status IS NOT NULL
ON CONFLICT DO NOTHING";

const ADD_CHANGES: &str = "
INSERT INTO farol.status_changes (name, at_ms, status, maintenance, stale, reason, muted)
SELECT n.key, c.at_ms, c.status, c.maintenance, c.stale, c.reason, c.muted
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bool[], $7::bool[], $8::bytea[],
  $9::bool[]) AS c (agent, service, component, at_ms, status, maintenance, stale, reason, muted)
JOIN farol.component_names n USING (agent, service, component)
ON CONFLICT (name, at_ms) DO UPDATE SET
  status = excluded.status, maintenance = excluded.maintenance, stale = excluded.stale, reason = excluded.reason,
  muted = excluded.muted";

const REMOVE: &str = "
DELETE FROM farol.components p USING farol.component_names n
JOIN unnest($1::text[], $2::text[], $3::text[]) AS c (agent, service, component) USING (agent, service, component)
WHERE p.name = n.key";

const ADD_COMPONENTS: &str = "
INSERT INTO farol.components
  (name, required, readiness, ttl_ms, kind, hard, soft, reason, message, checked_ms, changed_ms, stale)
SELECT n.key, c.required, c.readiness, c.ttl_ms, c.kind, c.hard, c.soft, c.reason, c.message, c.checked_ms,
  c.changed_ms, c.stale
FROM unnest($1::text[], $2::text[], $3::text[], $4::bool[], $5::bool[], $6::bigint[], $7::bytea[], $8::bigint[],
  $9::bigint[], $10::bytea[], $11::bytea[], $12::bigint[], $13::bigint[], $14::bool[])
  AS c (agent, service, component, required, readiness, ttl_ms, kind, hard, soft, reason, message, checked_ms,
    changed_ms, stale)
JOIN farol.component_names n USING (agent, service, component)
ON CONFLICT (name) DO UPDATE SET
  required = excluded.required, readiness = excluded.readiness, ttl_ms = excluded.ttl_ms, kind = excluded.kind,
  hard = excluded.hard, soft = excluded.soft, reason = excluded.reason, message = excluded.message,
  checked_ms = excluded.checked_ms, changed_ms = excluded.changed_ms, stale = excluded.stale";

const CHANGES: &str = "
SELECT n.agent, n.service, n.component, s.at_ms, s.status, s.maintenance, s.stale, s.reason, s.muted
FROM farol.component_names n
JOIN farol.status_changes s ON s.name = n.key
WHERE ($1 IS NULL OR n.agent = $1) AND ($2 IS NULL OR n.service = $2) AND ($3 IS NULL OR n.component = $3)
  AND s.at_ms <= $5
  AND s.at_ms >= coalesce(
    (SELECT max(b.at_ms) FROM farol.status_changes b WHERE b.name = n.key AND b.at_ms < $4), $4)
ORDER BY s.at_ms, n.agent, n.service, n.component LIMIT $6";

const BLIND: &str =
    "SELECT from_ms, to_ms FROM farol.blind WHERE from_ms < $2 AND to_ms > $1 ORDER BY from_ms";

/// Rows of one statement: however many a group holds, each of its statements is far from the timeout.
const AT_ONCE: usize = 5_000;

/// Whether a group has anything to say about components.
pub(super) fn are_in(group: &Group) -> bool {
    !(group.components.is_empty()
        && group.removed.is_empty()
        && group.changes.is_empty()
        && group.covered.is_empty())
}

/// Writes a group's part that is about components.
pub(super) async fn write(link: &mut Link, group: &Group) -> Result<(), sqlx::Error> {
    let names: BTreeSet<&ComponentKey> =
        group.changes.iter().map(|c| &c.key).chain(group.components.iter().map(|c| &c.key)).collect();
    let names: Vec<&ComponentKey> = names.into_iter().collect();
    for names in names.chunks(AT_ONCE) {
        link.run(named(ADD_NAMES, names.iter().copied())).await?;
    }
    for covered in in_turns(&group.covered).iter().flat_map(|turn| turn.chunks(AT_ONCE)) {
        cover(link, covered).await?;
    }
    for changed in group.changes.chunks(AT_ONCE) {
        link.run(changes(changed)).await?;
    }
    for removed in group.removed.chunks(AT_ONCE) {
        link.run(named(REMOVE, removed.iter())).await?;
    }
    for known in group.components.chunks(AT_ONCE) {
        link.run(components(known)).await?;
    }
    Ok(())
}

/// Covered times, each component at most once in a turn and in its own order: the end of one may be the beginning of
/// its next.
fn in_turns(all: &[Covered]) -> Vec<Vec<&Covered>> {
    let mut turns: Vec<Vec<&Covered>> = Vec::new();
    let mut next: BTreeMap<&ComponentKey, usize> = BTreeMap::new();
    for covered in all.iter().filter(|c| c.to_ms > c.from_ms) {
        let turn = next.entry(&covered.key).or_default();
        if *turn == turns.len() {
            turns.push(Vec::new());
        }
        turns[*turn].push(covered);
        *turn += 1;
    }
    turns
}

async fn cover(link: &mut Link, all: &[&Covered]) -> Result<(), sqlx::Error> {
    let lasting: Vec<&Covered> = all.iter().copied().filter(|c| c.stale_after).collect();
    if !lasting.is_empty() {
        let ends: Vec<i64> = lasting.iter().map(|c| c.to_ms).collect();
        link.run(named(RESUME_STALENESS, lasting.iter().map(|c| &c.key)).bind(ends)).await?;
    }
    let begins: Vec<i64> = all.iter().map(|c| c.from_ms).collect();
    let end = |c: &&Covered| if c.stale_after { c.to_ms } else { c.to_ms.saturating_add(1) };
    let keys = || all.iter().map(|c| &c.key);
    let ends: Vec<i64> = all.iter().map(end).collect();
    link.run(named(DELETE_STALE, keys()).bind(begins.clone()).bind(ends)).await?;
    link.run(named(RESTORE_TOLD, keys()).bind(begins)).await.map(|_| ())
}

/// A statement whose first three values are the columns of these components' names.
fn named<'k>(
    sql: &'static str,
    keys: impl Iterator<Item = &'k ComponentKey> + Clone,
) -> Query<'static, Postgres, PgArguments> {
    let column = |of: fn(&ComponentKey) -> &str| -> Vec<String> {
        keys.clone().map(|key| of(key).to_owned()).collect()
    };
    sqlx::query(sql).bind(column(|k| &k.agent)).bind(column(|k| &k.service)).bind(column(|k| &k.component))
}

/// The last word on each moment of a component.
fn changes(all: &[StatusChange]) -> Query<'static, Postgres, PgArguments> {
    let last: BTreeMap<(&ComponentKey, i64), &StatusChange> =
        all.iter().map(|change| ((&change.key, change.at_ms), change)).collect();
    let write = named(ADD_CHANGES, last.keys().map(|(key, _)| *key));
    let write = write.bind(last.keys().map(|(_, at_ms)| *at_ms).collect::<Vec<i64>>());
    let status = |c: &&StatusChange| c.status.map(|status| i64::from(status as u8));
    let write = write.bind(last.values().map(status).collect::<Vec<Option<i64>>>());
    let write = write.bind(last.values().map(|c| c.maintenance).collect::<Vec<bool>>());
    let write = write.bind(last.values().map(|c| c.stale).collect::<Vec<bool>>());
    let write = write.bind(last.values().map(|c| c.reason.as_bytes().to_vec()).collect::<Vec<Vec<u8>>>());
    write.bind(last.values().map(|c| c.muted).collect::<Vec<bool>>())
}

/// The last word on each component.
fn components(all: &[ComponentRecord]) -> Query<'static, Postgres, PgArguments> {
    let last: BTreeMap<&ComponentKey, &ComponentRecord> = all.iter().map(|c| (&c.key, c)).collect();
    let flags = |of: fn(&ComponentRecord) -> bool| -> Vec<bool> { last.values().map(|c| of(c)).collect() };
    let numbers = |of: fn(&ComponentRecord) -> i64| -> Vec<i64> { last.values().map(|c| of(c)).collect() };
    let words = |of: fn(&ComponentRecord) -> &str| -> Vec<Vec<u8>> {
        last.values().map(|c| of(c).as_bytes().to_vec()).collect()
    };
    let write = named(ADD_COMPONENTS, last.keys().copied());
    let write = write.bind(flags(|c| c.required)).bind(flags(|c| c.readiness));
    let write = write.bind(numbers(|c| i64::from(c.ttl_ms))).bind(words(|c| &c.kind));
    let write = write.bind(numbers(|c| i64::from(c.hard as u8))).bind(numbers(|c| i64::from(c.soft as u8)));
    let write = write.bind(words(|c| &c.reason)).bind(words(|c| &c.message));
    let write = write.bind(last.values().map(|c| c.checked_ms).collect::<Vec<Option<i64>>>());
    write.bind(numbers(|c| c.changed_ms)).bind(flags(|c| c.stale))
}

impl Statuses for PostgresStore {
    async fn read_changes(
        &self,
        filter: ComponentFilter,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<StatusChange>, StoreError> {
        let ComponentFilter { agent, service, component } = filter;
        let is_no_name = |name: &Option<String>| name.as_ref().is_some_and(|name| name.contains('\0'));
        if [&agent, &service, &component].into_iter().any(is_no_name) {
            return Ok(Vec::new());
        }
        let mut rows: Vec<ChangeRow> = Vec::new();
        let mut take = |row| {
            rows.push(row);
            Ok(())
        };
        let question = sqlx::query_as(CHANGES).bind(agent).bind(service).bind(component);
        let question = question.bind(from_ms).bind(to_ms).bind(CHANGES_AT_MOST as i64 + 1);
        self.each(question, &mut take).await?;
        texts::changes(rows)
    }

    async fn read_blind(&self, from_ms: i64, to_ms: i64) -> Result<Vec<(i64, i64)>, StoreError> {
        let mut rows = Vec::new();
        let mut take = |row| {
            rows.push(row);
            Ok(())
        };
        self.each(sqlx::query_as(BLIND).bind(from_ms).bind(to_ms), &mut take).await?;
        Ok(rows)
    }
}
