//! The breakers' states in Redis, for programs that read them there: `farol:breaker:<name>`, a JSON object that is gone
//! when it is not written again in time. Decisions never wait for it, and what it holds is never read back.

use super::breakers::{BreakerView, Breakers};
use farol_config::Url;
use farol_rules::Moment;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// For connecting and for each answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// The first pause after a failure; doubled up to the time to live's third.
const PAUSE: Duration = Duration::from_millis(250);

/// Where the states are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// `redis://…` or `rediss://…`.
    pub redis: Url,
    /// What is not written again for so long is gone; written each third of it.
    pub ttl: Duration,
}

/// Writes the states on each change and every third of the time to live, until it is stopped.
pub(super) async fn run(
    mirror: Mirror,
    breakers: Arc<Breakers>,
    now: impl Fn() -> Moment,
    stopping: CancellationToken,
) {
    let mut changes = breakers.changes();
    let mut told_down = false;
    let (mut connection, mut pause) = (None, PAUSE);
    loop {
        changes.mark_unchanged();
        let views = breakers.all(now());
        let write = write(&mirror, &mut connection, &views);
        let written = tokio::select! {
            () = stopping.cancelled() => return,
            written = write => written,
        };
        let wait = match written {
            Ok(()) => {
                if told_down {
                    tracing::info!("the breakers' states are written to Redis again");
                }
                (told_down, pause) = (false, PAUSE);
                mirror.ttl / 3
            }
            Err(error) => {
                connection = None;
                if !told_down {
                    let redis = mirror.redis.redacted();
                    tracing::warn!(redis, %error, "the breakers' states cannot be written to Redis");
                }
                told_down = true;
                pause = (pause * 2).min(mirror.ttl / 3);
                pause
            }
        };
        // After a failure a change does not shorten the pause.
        let sleep = tokio::time::sleep(wait);
        tokio::select! {
            () = stopping.cancelled() => return,
            () = sleep => {}
            changed = changes.changed(), if !told_down => if changed.is_err() { return },
        }
    }
}

async fn write(
    mirror: &Mirror,
    kept: &mut Option<MultiplexedConnection>,
    views: &[BreakerView],
) -> Result<(), RedisError> {
    let connection = match kept {
        Some(connection) => connection,
        None => {
            let client = Client::open(mirror.redis.expose())?;
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(DEADLINE))
                .set_response_timeout(Some(DEADLINE));
            kept.insert(client.get_multiplexed_async_connection_with_config(&config).await?)
        }
    };
    let mut pipeline = redis::pipe();
    let ttl = u64::try_from(mirror.ttl.as_millis()).unwrap_or(u64::MAX);
    for view in views {
        let body = serde_json::to_string(view).unwrap_or_default();
        pipeline.cmd("SET").arg(format!("farol:breaker:{}", view.name)).arg(body).arg("PX").arg(ttl).ignore();
    }
    if views.is_empty() {
        return Ok(());
    }
    pipeline.query_async(connection).await
}
