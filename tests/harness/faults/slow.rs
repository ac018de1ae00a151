//! A store that takes its time: what waits is bounded, memory is flat, and nothing is lost.

use super::Scene;
use crate::oracle::Habits;
use crate::process;
use crate::victim::{Ground, Means, Victim};
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// By so much the monitor may grow while its store is slow: what waits for a commit, and the allocator's slack.
const GROWTH_AT_MOST: u64 = 24 << 20;

/// A monitor each of whose commits takes so much longer, and agents.
///
/// # Errors
/// The monitor does not start.
pub async fn scene(ground: Ground, seed: u64, habits: Habits, by: Duration) -> Result<Scene> {
    let means = Means::sabotaged(&["--slow-ms", &by.as_millis().to_string()]);
    Scene::with(Victim::new(ground, "")?, means, seed, habits).await
}

/// Goes on for `long`. What was seen.
///
/// # Errors
/// Memory grows, a probe is not answered at once, or an invariant does not hold.
pub async fn round(scene: &mut Scene, long: Duration) -> Result<String> {
    let (http, began) = (scene.victim.at().http, Instant::now());
    // The first commits are behind it.
    scene.oracle.acknowledged(1, Duration::from_secs(30)).await?;
    let first = resident(scene.victim.process()?.pid())?;
    let (mut most, mut slowest) = (first, Duration::ZERO);
    while began.elapsed() < long {
        let asked = Instant::now();
        let (status, _) = process::get(http, "/health/live").await?;
        ensure!(status == 200, "liveness is {status} while the store is slow");
        slowest = slowest.max(asked.elapsed());
        most = most.max(resident(scene.victim.process()?.pid())?);
        sleep(Duration::from_millis(50)).await;
    }
    let queued = scene.victim.metric("farol_journal_queued_reports").await;
    let grown = most.saturating_sub(first);
    ensure!(grown <= GROWTH_AT_MOST, "the monitor grew by {} KiB in {long:?}", grown >> 10);
    let settled = scene.check().await?;
    Ok(format!(
        "{long:?}: grew by {} KiB at most, probe at most {slowest:?}, {queued:?} reports waited at the end, all \
         acknowledged after {settled:?}",
        grown >> 10
    ))
}

/// Resident bytes of a process.
///
/// # Errors
/// It is not there.
pub fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}
