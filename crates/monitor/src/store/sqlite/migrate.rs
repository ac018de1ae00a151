//! Brings a file to the tables this program knows: whole, in one transaction, or not at all. Only ever adds.

use super::fault;
use crate::store::StoreError;
use sqlx::{Executor, SqliteConnection};
use std::path::Path;

/// In order; a file's `user_version` says how many of them it has. One that is released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/sqlite/0001_init.sql"),
    include_str!("../../../migrations/sqlite/0002_sealed.sql"),
    include_str!("../../../migrations/sqlite/0003_totals.sql"),
    include_str!("../../../migrations/sqlite/0004_documents.sql"),
    include_str!("../../../migrations/sqlite/0005_muted.sql"),
];

/// "Faro": tells a store of Farol from another program's file.
const APPLICATION: i64 = 0x4661_726f;

pub(super) async fn migrate(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    apply(path, connection, MIGRATIONS).await
}

/// Says what is wrong with a file whose tables this program does not know; changes nothing.
pub(super) async fn recognise(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut number = async |sql: &'static str| {
        sqlx::query_scalar::<_, i64>(sql)
            .fetch_one(&mut *connection)
            .await
            .map_err(|e| fault::judge(path, &e))
    };
    let (version, known) = (number("PRAGMA user_version").await?, MIGRATIONS.len() as i64);
    if number("PRAGMA application_id").await? != APPLICATION || version < 1 {
        return Err(StoreError::Fatal(format!("{} is no store of Farol", path.display())));
    }
    if version > known { Err(newer(path, version, known)) } else { Ok(()) }
}

/// Says what is wrong with a file that has not exactly the tables this program knows; changes nothing.
pub(super) async fn is_current(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    recognise(path, connection).await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await
        .map_err(|e| fault::judge(path, &e))?;
    let known = MIGRATIONS.len() as i64;
    if version == known {
        return Ok(());
    }
    Err(StoreError::Fatal(format!(
        "the store {} has version {version}, and this program reads version {known}; let a monitor of this version \
         open it first",
        path.display()
    )))
}

fn newer(path: &Path, version: i64, known: i64) -> StoreError {
    StoreError::Fatal(format!(
        "the store {} has version {version} and this program knows versions up to {known}; run the newer Farol, or \
         give this one another path",
        path.display()
    ))
}

async fn apply(
    path: &Path,
    connection: &mut SqliteConnection,
    all: &[&'static str],
) -> Result<(), StoreError> {
    let judged = |e: sqlx::Error| fault::judge(path, &e);
    connection.execute("BEGIN IMMEDIATE").await.map_err(judged)?;
    let result = pending(path, connection, all).await;
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.execute(end).await;
    result?;
    ended.map_err(judged)?;
    Ok(())
}

async fn pending(
    path: &Path,
    connection: &mut SqliteConnection,
    all: &[&'static str],
) -> Result<(), StoreError> {
    let judged = |e: sqlx::Error| fault::judge(path, &e);
    let mut number = async |sql: &'static str| {
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *connection).await.map_err(judged)
    };
    let version = number("PRAGMA user_version").await?;
    let application = number("PRAGMA application_id").await?;
    let tables = number("SELECT count(*) FROM sqlite_schema").await?;
    if tables > 0 && application != APPLICATION {
        return Err(StoreError::Fatal(format!(
            "{} is a database of another program; give Farol a path of its own",
            path.display()
        )));
    }
    let known = all.len() as i64;
    if version > known {
        return Err(newer(path, version, known));
    }
    for migration in all.iter().skip(usize::try_from(version).unwrap_or(0)) {
        connection.execute(*migration).await.map_err(judged)?;
    }
    if version < known {
        let stamps = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {known}");
        connection.execute(sqlx::AssertSqlSafe(stamps)).await.map_err(judged)?;
    }
    if version == 0 {
        let id = uuid::Uuid::new_v4().to_string();
        tracing::info!(path = %path.display(), store.id = id, "there was no store, a new one is begun");
        sqlx::query("INSERT INTO store (one, id, created_ms) VALUES (1, ?, ?)")
            .bind(id)
            .bind(jiff::Timestamp::now().as_millisecond())
            .execute(&mut *connection)
            .await
            .map_err(judged)?;
    }
    Ok(())
}
