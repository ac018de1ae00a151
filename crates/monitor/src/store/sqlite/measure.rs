//! What the file takes.

use super::{fault, migrate};
use crate::store::measure::Measured;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use std::time::Duration;

const BUSY: Duration = Duration::from_secs(10);

const SIZE: &str = "
SELECT page_count * page_size, (SELECT count(*) FROM agents WHERE forgotten_ms IS NULL),
  (SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'blocks')
FROM pragma_page_count, pragma_page_size";

const SAMPLES: &str = "SELECT coalesce(sum(samples), 0), coalesce(sum(bytes), 0) FROM blocks WHERE level = 0";

pub(in crate::store) async fn measure(path: &Path) -> anyhow::Result<Measured> {
    let judged = |e: sqlx::Error| fault::judge(path, &e);
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY);
    let mut store = options.disable_statement_logging().connect().await.map_err(judged)?;
    migrate::recognise(path, &mut store).await?;
    let (bytes, agents, sealed): (i64, i64, bool) =
        sqlx::query_as(SIZE).fetch_one(&mut store).await.map_err(judged)?;
    let (samples, sample_bytes): (i64, i64) = match sealed {
        true => sqlx::query_as(SAMPLES).fetch_one(&mut store).await.map_err(judged)?,
        false => (0, 0),
    };
    // It only read.
    drop(store.close().await);
    let [store_bytes, agents, samples, sample_bytes] =
        [bytes, agents, samples, sample_bytes].map(|number| u64::try_from(number).unwrap_or(0));
    Ok(Measured { store_bytes, agents, samples, sample_bytes })
}
