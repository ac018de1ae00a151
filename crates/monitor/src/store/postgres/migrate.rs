//! Brings a database to the tables this program knows: all that is missing in one transaction, or nothing. Only ever
//! adds. Who migrates at the same time waits.

use super::connect::{Link, within};
use super::fault;
use crate::store::StoreError;
use sqlx::{Executor, PgConnection};
use std::time::Duration;

/// In order; `farol.migrations` says which of them a database has. One that is released is never changed.
const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_init", include_str!("../../../migrations/postgres/0001_init.sql")),
    ("0002_sealed", include_str!("../../../migrations/postgres/0002_sealed.sql")),
    ("0003_totals", include_str!("../../../migrations/postgres/0003_totals.sql")),
    ("0004_documents", include_str!("../../../migrations/postgres/0004_documents.sql")),
    ("0005_muted", include_str!("../../../migrations/postgres/0005_muted.sql")),
];

/// Held while migrating: "Faro" and "migr".
const LOCK: &str = "SELECT pg_advisory_xact_lock(1180792431, 1835624306)";

/// Whether the schema is there, whether it has tables, and whether one of them is that of the migrations.
const SCHEMA: &str = "
SELECT to_regnamespace('farol') IS NOT NULL,
  EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('farol') AND relkind IN ('r', 'p')),
  to_regclass('farol.migrations') IS NOT NULL";

const MAKE_LIST: &str = "
CREATE TABLE farol.migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_ms BIGINT NOT NULL)";

const ADD_TO_LIST: &str = "INSERT INTO farol.migrations (number, name, applied_ms) VALUES ($1, $2, $3)";

const ADD_STORE: &str = "INSERT INTO farol.store (id, created_ms) VALUES ($1, $2)";

/// A migration of a large store takes its time; at start nothing else waits for it.
const LIMIT: Duration = Duration::from_secs(600);
const NO_LIMIT: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";

pub(super) async fn migrate(place: &str, link: &mut Link) -> Result<(), StoreError> {
    let judged = |e: sqlx::Error| fault::judge_opening(place, &e);
    link.say("BEGIN").await.map_err(judged)?;
    link.say(NO_LIMIT).await.map_err(judged)?;
    let result = within(LIMIT, async { Ok(pending(place, &mut link.connection).await) }).await;
    result.map_err(judged)??;
    // Without it the connection is given up, and what was begun with it.
    link.say("COMMIT").await.map_err(judged)
}

/// Says what is wrong with a schema that has not exactly the tables this program knows; changes nothing.
pub(super) async fn is_current(place: &str, link: &mut Link) -> Result<(), StoreError> {
    let judged = |e: sqlx::Error| fault::judge_opening(place, &e);
    let found: Vec<(bool, bool, bool)> = link.all(sqlx::query_as(SCHEMA)).await.map_err(judged)?;
    if !found.first().is_some_and(|(_, _, is_ours)| *is_ours) {
        return Err(StoreError::Fatal(format!("there is no store in {place}")));
    }
    let newest = sqlx::query_as("SELECT coalesce(max(number), 0) FROM farol.migrations");
    let newest: Vec<(i64,)> = link.all(newest).await.map_err(judged)?;
    let (version, known) = (newest.first().map_or(0, |(number,)| *number), MIGRATIONS.len() as i64);
    if version == known {
        return Ok(());
    }
    Err(StoreError::Fatal(format!(
        "the store in {place} has version {version}, and this program reads version {known}; let a monitor of this \
         version open it first"
    )))
}

async fn pending(place: &str, connection: &mut PgConnection) -> Result<(), StoreError> {
    let judged = |e: sqlx::Error| fault::judge_opening(place, &e);
    connection.execute(LOCK).await.map_err(judged)?;
    let (there, has_tables, is_ours): (bool, bool, bool) =
        sqlx::query_as(SCHEMA).fetch_one(&mut *connection).await.map_err(judged)?;
    if has_tables && !is_ours {
        return Err(StoreError::Fatal(format!(
            "the schema `farol` in {place} is another program's; give Farol a database of its own"
        )));
    }
    let mut version = 0;
    if is_ours {
        let newest = sqlx::query_scalar("SELECT coalesce(max(number), 0) FROM farol.migrations");
        version = newest.fetch_one(&mut *connection).await.map_err(judged)?;
    }
    let known = MIGRATIONS.len() as i64;
    if version > known {
        return Err(StoreError::Fatal(format!(
            "the store in {place} has version {version} and this program knows versions up to {known}; run the newer \
             Farol, or give this one another database"
        )));
    }
    if !there {
        connection.execute("CREATE SCHEMA farol").await.map_err(judged)?;
    }
    if !is_ours {
        connection.execute(MAKE_LIST).await.map_err(judged)?;
    }
    let all = (1_i64..).zip(MIGRATIONS).skip_while(|(number, _)| *number <= version);
    for (number, (name, sql)) in all {
        let applied = apply(connection, number, name, sql).await;
        applied.map_err(|e| fault::of_migration(place, name, &e))?;
    }
    Ok(())
}

async fn apply(
    connection: &mut PgConnection,
    number: i64,
    name: &'static str,
    sql: &'static str,
) -> Result<(), sqlx::Error> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    connection.execute(sqlx::raw_sql(sql)).await?;
    if number == 1 {
        let id = uuid::Uuid::new_v4().to_string();
        tracing::info!(store.id = id, "there was no store, a new one is begun");
        sqlx::query(ADD_STORE).bind(id).bind(now_ms).execute(&mut *connection).await?;
    }
    sqlx::query(ADD_TO_LIST).bind(number).bind(name).bind(now_ms).execute(connection).await?;
    tracing::info!(migration.number = number, migration.name = name, "the store was migrated");
    Ok(())
}
