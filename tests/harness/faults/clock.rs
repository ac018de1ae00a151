//! The monitor's wall clock is moved under it, by libfaketime: only the wall clock, as when somebody sets it.

use super::Scene;
use crate::oracle::Habits;
use crate::process;
use crate::victim::{Ground, Means, Victim};
use crate::wait::until;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
/// The file that libfaketime reads at each look at the clock.
const CLOCK: &str = "clock";

/// A monitor whose wall clock can be moved, and agents whose wall clocks lie.
///
/// # Errors
/// libfaketime is not installed, or the monitor does not start.
pub async fn scene(ground: Ground, seed: u64, habits: Habits) -> Result<Scene> {
    let victim = Victim::new(ground, "")?;
    let file = victim.folder().join(CLOCK);
    set(&file, 0)?;
    let variable = |name: &str, value: String| (name.to_owned(), value);
    let env = vec![
        variable("LD_PRELOAD", library()?.display().to_string()),
        variable("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        variable("FAKETIME_NO_CACHE", "1".into()),
        variable("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        variable("DONT_FAKE_MONOTONIC", "1".into()),
    ];
    let means = Means { env, ..Means::default() };
    let mut scene = Scene::with(victim, means, seed, habits).await?;
    scene.slack_ms = None;
    Ok(scene)
}

/// Debian's packages put it into a folder of the machine's kind.
fn library() -> Result<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib")?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    libraries.find(|path| path.exists()).context("libfaketime is not installed; run scripts/test-deps")
}

fn set(file: &Path, seconds: i64) -> Result<()> {
    // Replaced whole: a reader must not find half of it.
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{seconds:+}s\n"))?;
    Ok(std::fs::rename(new, file)?)
}

/// Moves the monitor's wall clock so that it is off by so many seconds, and waits until the monitor tells that time.
/// What was done.
///
/// # Errors
/// The clock does not move, an agent is told to be lost, or statuses are not shown any more.
pub async fn round(scene: &mut Scene, seconds: i64) -> Result<String> {
    let http = scene.victim.at().http;
    set(&scene.victim.folder().join(CLOCK), seconds)?;
    let moved = async || {
        let (_, body) = process::get(http, "/health").await.unwrap_or_default();
        let page: Value = serde_json::from_str(&body).unwrap_or_default();
        let told = page["timestamp"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let off = told.map(|told| told.as_second() - jiff::Timestamp::now().as_second());
        off.is_some_and(|off| off.abs_diff(seconds) <= 2)
    };
    until("the monitor's wall clock is moved", SOON, moved).await?;
    // Long enough for a tick, for upkeep, and for an agent to be stale if ages were measured on this clock.
    tokio::time::sleep(scene.dice.millis(1_500..2_500)).await;
    scene.oracle.acknowledged(1, SOON).await?;
    let (_, body) = process::get(http, "/api/v1/agents?limit=1000").await?;
    let page: Value = serde_json::from_str(&body)?;
    let items = page["items"].as_array().context("a list of agents")?;
    let here = items.iter().filter(|agent| agent["presence"] == "here").count();
    let all = scene.oracle.ledger().agents();
    ensure!(here == all, "{here} of {all} agents are here after the wall clock was moved by {seconds} s");
    Ok(format!("wall clock off by {seconds} s, {here} agents here"))
}
