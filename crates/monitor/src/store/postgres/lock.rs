//! One writer per database: an advisory lock of the session that writes. Decides who is told to hold it, and that a
//! session which this monitor itself lost does not keep it from writing.

use super::connect::Link;
use super::fault;
use crate::store::StoreError;
use std::time::Duration;
use tokio::time::Instant;

/// "Faro" and "stor".
const TRY: &str = "SELECT pg_try_advisory_lock(1180792431, 1937010546)";

const HOLDER: &str = "
SELECT l.pid, coalesce(a.application_name, ''), coalesce(host(a.client_addr), 'a Unix socket')
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = 1180792431 AND l.objid = 1937010546
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// A monitor that has just ended lets go within this time.
const PATIENCE: Duration = Duration::from_secs(1);
/// And it is looked again so often.
const AGAIN: Duration = Duration::from_millis(20);

/// Takes the lock. `ours` is the name of this process's sessions, where it had one before: no other has it, and one that
/// still holds the lock is a connection that we lost, whether or not we heard that it got the lock.
pub(super) async fn take(
    link: &mut Link,
    place: &str,
    ours: Option<&str>,
    judge: fn(&str, &sqlx::Error) -> StoreError,
) -> Result<(), StoreError> {
    let began = Instant::now();
    let judged = |e: sqlx::Error| judge(place, &e);
    loop {
        let taken: Vec<(bool,)> = link.all(sqlx::query_as(TRY)).await.map_err(judged)?;
        if taken == [(true,)] {
            return Ok(());
        }
        let holder: Option<(i32, String, String)> =
            link.all(sqlx::query_as(HOLDER)).await.map_err(judged)?.pop();
        let lost = holder.as_ref().filter(|(_, name, _)| ours == Some(name.as_str()));
        if let Some((process, ..)) = lost {
            // The server has not seen that the connection broke. Once it is ended, nothing more comes from it.
            link.run(sqlx::query("SELECT pg_terminate_backend($1)").bind(process)).await.map_err(judged)?;
        } else if began.elapsed() >= PATIENCE {
            return Err(StoreError::Refused(held(place, holder)));
        }
        if began.elapsed() >= link.limit.max(PATIENCE) {
            return Err(StoreError::Refused(held(place, holder)));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn held(place: &str, holder: Option<(i32, String, String)>) -> String {
    let who = holder.map_or_else(
        || "one that has just gone".to_owned(),
        |(pid, name, address)| {
            format!("`{}`, from {address}, process {pid} of the server", name.escape_debug())
        },
    );
    format!(
        "{place} is written by another monitor: {who}; stop that one, or give this one a database of its own"
    )
}

/// Says that another monitor took over while this one had no connection.
pub(super) fn overtaken(place: &str) -> StoreError {
    StoreError::Fatal(format!(
        "another monitor has taken over the store in {place} while this one was cut off from it; what is not \
         acknowledged comes again to that one. Start this one again when the other has ended, or give it a database of \
         its own"
    ))
}

/// Says that the server no longer has what it confirmed. What stands in this process's memory rests on it: only a new
/// start reads what is really there.
pub(super) fn forgotten(place: &str, commits: i64) -> StoreError {
    StoreError::Fatal(format!(
        "{place} has lost the last {commits} commits that it had confirmed: it crashed with `durability: normal`, or a \
         replica that was behind took its place. Start Farol again: it goes on from what is there"
    ))
}

/// The store's row with our epoch is not there any more.
pub(super) fn judge(place: &str, error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::RowNotFound => overtaken(place),
        error => fault::judge(place, error),
    }
}
