//! A bad network between agents and monitor: delays, resets, narrow ways, directions that fall silent.

use super::Scene;
use crate::chaos::{Chaos, Weather};
use anyhow::{Result, ensure};
use std::time::Duration;
use tokio::time::sleep;

/// A storm of this length; the monitor is killed in it now and then. What was done.
///
/// # Errors
/// The monitor does not come back, or an invariant does not hold.
pub async fn round(scene: &mut Scene, long: Duration) -> Result<String> {
    let target = scene.victim.at().agents;
    let chaos = Chaos::to(target, scene.dice.throw()).await?;
    chaos.weather(Weather::Storm);
    scene.oracle.go_by(chaos.address());
    // Those that have a good connection would keep it: the monitor's end makes them come by the new way.
    let kills = scene.dice.within(1..3);
    for _ in 0..kills {
        scene.victim.kill().await?;
        scene.start().await?;
        sleep(long.mul_f64(1.0 / kills as f64)).await;
    }
    chaos.weather(Weather::Calm);
    let settled = scene.check().await?;
    let connections = chaos.connections();
    ensure!(connections as usize >= scene.oracle.ledger().agents(), "only {connections} came by the proxy");
    // The proxy ends with this round, and the agents go by themselves again.
    scene.oracle.go_by(target);
    Ok(format!(
        "{long:?} of storm, {kills} kills, {connections} connections, all acknowledged after {settled:?}"
    ))
}
