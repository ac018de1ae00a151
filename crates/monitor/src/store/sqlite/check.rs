//! Looks for damage at open. What is small is checked each time; the whole file when the machine went down while the
//! store was open, because only then may the disk have lost something. Each run of reports has a checksum of its own.

use super::fault;
use super::log::Damage;
use crate::store::StoreError;
use sqlx::{Executor, SqliteConnection};
use std::path::Path;
use tokio::time::Instant;

/// Checked at each open; the journal and the status changes can be large.
const SMALL: &[&str] =
    &["store", "agents", "boots", "layouts", "marks", "component_names", "components", "blind"];

pub(super) async fn check(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let judged = |e: sqlx::Error| fault::judge(path, &e);
    let (machine, closed): (String, bool) = sqlx::query_as("SELECT machine, closed FROM store")
        .fetch_one(&mut *connection)
        .await
        .map_err(judged)?;
    let here = machine_start();
    if !closed && machine != here {
        let began = Instant::now();
        quick_check(path, connection, "PRAGMA quick_check(1)".to_owned()).await?;
        let took_ms = began.elapsed().as_millis() as u64;
        tracing::info!(took_ms, "the machine went down while the store was open; the whole store is sound");
    } else {
        for table in SMALL {
            quick_check(path, connection, format!("PRAGMA quick_check({table})")).await?;
        }
    }
    sqlx::query("UPDATE store SET machine = ?, closed = 0")
        .bind(here)
        .execute(connection)
        .await
        .map_err(judged)?;
    Ok(())
}

/// A damaged log is what a power loss may leave of the last moments, where commits are not synced; otherwise it was
/// whole, and something else damaged it.
pub(super) async fn judge_log(
    path: &Path,
    connection: &mut SqliteConnection,
    damage: Damage,
) -> Result<(), StoreError> {
    let machine: Result<String, _> =
        sqlx::query_scalar("SELECT machine FROM store").fetch_one(connection).await;
    let what = match damage {
        Damage::Header => "its header".to_owned(),
        Damage::Frame(frame) => format!("frame {frame}"),
    };
    if machine.is_ok_and(|machine| !machine.is_empty() && machine != machine_start()) {
        tracing::warn!(
            store.place = %path.display(), damage = what,
            "the machine went down while the store was open; its log is not whole, and its last commits may be lost"
        );
        return Ok(());
    }
    let what = format!("the log beside it (-wal) is not what was written, from {what} on");
    Err(StoreError::Fatal(fault::damaged(path, &what)))
}

async fn quick_check(
    path: &Path,
    connection: &mut SqliteConnection,
    pragma: String,
) -> Result<(), StoreError> {
    let answer: String = sqlx::query_scalar(sqlx::AssertSqlSafe(pragma))
        .fetch_one(connection)
        .await
        .map_err(|e| fault::judge(path, &e))?;
    if answer == "ok" { Ok(()) } else { Err(StoreError::Fatal(fault::damaged(path, &answer))) }
}

/// Notes that the store was closed in good order.
pub(super) async fn note_closed(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    connection.execute("UPDATE store SET closed = 1").await.map(|_| ())
}

/// Another text after each start of the machine.
fn machine_start() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
