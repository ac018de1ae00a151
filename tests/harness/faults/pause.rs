//! The monitor stands still for a while (`SIGSTOP`) and goes on: agents that kept reporting are not stale.

use super::Scene;
use crate::process;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;
use tokio::time::sleep;

/// Stops it for `long`. What was done.
///
/// # Errors
/// An agent was told to be lost, the time is not told as blind, or an invariant does not hold.
pub async fn monitor(scene: &mut Scene, long: Duration) -> Result<String> {
    sleep(scene.dice.millis(50..500)).await;
    let before = events(scene).await?.len();
    scene.victim.hang(true)?;
    sleep(long).await;
    scene.victim.hang(false)?;
    let settled = scene.check().await?;
    let events = events(scene).await?;
    let since = events.get(before..).unwrap_or_default();
    let kinds: Vec<&str> = since.iter().filter_map(|event| event["kind"].as_str()).collect();
    let lost = kinds.iter().filter(|kind| kind.contains("lost") || kind.contains("stale")).count();
    ensure!(lost == 0, "{lost} agents were told to be lost after a pause of the monitor: {kinds:?}");
    ensure!(kinds.contains(&"blind"), "the pause is not told: {kinds:?}");
    Ok(format!("stood still for {long:?}, all acknowledged after {settled:?}"))
}

async fn events(scene: &Scene) -> Result<Vec<Value>> {
    let (_, body) = process::get(scene.victim.at().http, "/api/v1/events?limit=10000").await?;
    let list: Value = serde_json::from_str(&body)?;
    Ok(list["items"].as_array().context("a list of events")?.clone())
}
