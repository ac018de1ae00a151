//! The monitor's wall clock is moved under it, and every report must be there all the same.

use super::Scene;
use crate::oracle::Habits;
use crate::process;
use crate::victim::{Ground, Means, Victim};
use crate::wait::until;
use crate::wall::WallClock;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

/// A monitor whose wall clock can be moved, and agents whose wall clocks lie.
///
/// # Errors
/// libfaketime is not installed, or the monitor does not start.
pub async fn scene(ground: Ground, seed: u64, habits: Habits) -> Result<Scene> {
    let victim = Victim::new(ground, "")?;
    let wall = WallClock::new(victim.folder())?;
    let env = wall.env()?.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let means = Means { env, ..Means::default() };
    let mut scene = Scene::with(victim, means, seed, habits).await?;
    scene.slack_ms = None;
    Ok(scene)
}

/// Moves the monitor's wall clock so that it is off by so many seconds, and waits until the monitor tells that time.
/// What was done.
///
/// # Errors
/// The clock does not move, an agent is told to be lost, or statuses are not shown any more.
pub async fn round(scene: &mut Scene, seconds: i64) -> Result<String> {
    let http = scene.victim.at().http;
    WallClock::of(scene.victim.folder()).set(seconds)?;
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
