//! Waiting for a condition with a deadline, the only kind of waiting that tests do.

use anyhow::{Result, bail, ensure};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `condition` holds.
///
/// # Errors
/// It did not within `limit`; the message names `what` was waited for.
pub async fn until(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> bool) -> Result<()> {
    let end = Instant::now() + limit;
    while !condition().await {
        if Instant::now() >= end {
            bail!("waited {limit:?} in vain for: {what}");
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Looks at `condition` again and again for as long as `duration`: it must hold each time.
///
/// # Errors
/// It does not; the message says when.
pub async fn holds(what: &str, duration: Duration, mut condition: impl AsyncFnMut() -> bool) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < duration {
        ensure!(condition().await, "no longer so after {:?}: {what}", began.elapsed());
        sleep(5 * PAUSE).await;
    }
    Ok(())
}
