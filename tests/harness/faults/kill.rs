//! `kill -9` at random moments: of the monitor, and of the database beneath it.

use super::Scene;
use crate::victim::Ground;
use anyhow::Result;
use std::fmt::Write;
use tokio::time::sleep;

/// The session that holds the writer's lock, and whose end the monitor must live through.
const END_WRITER: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks \
                          WHERE locktype = 'advisory' AND granted";

/// Kills the monitor after a while, and starts it again after another. What was done.
///
/// # Errors
/// It does not start again, or an invariant does not hold.
pub async fn monitor(scene: &mut Scene) -> Result<String> {
    let (after, away) = (scene.dice.millis(50..1_500), scene.dice.millis(0..500));
    sleep(after).await;
    let done = scene.oracle.ledger().counts();
    scene.victim.kill().await?;
    sleep(away).await;
    scene.start().await?;
    let settled = scene.check().await?;
    Ok(format!(
        "killed after {after:?} at {} acks, away {away:?}, all acknowledged after {settled:?}",
        done.acks
    ))
}

/// On PostgreSQL one round in three is about the server: killed, stopped, or the writer's session ended, now and then
/// with the monitor. On SQLite it is the monitor each time.
///
/// # Errors
/// As [`monitor`].
pub async fn either(scene: &mut Scene) -> Result<String> {
    if matches!(scene.victim.ground, Ground::Sqlite) || !scene.dice.once_in(3) {
        return monitor(scene).await;
    }
    server(scene).await
}

/// The server is killed or stopped and comes back, or the writer's session is ended. What was done.
///
/// # Errors
/// The server or the monitor does not come back, or an invariant does not hold.
pub async fn server(scene: &mut Scene) -> Result<String> {
    let (after, away) = (scene.dice.millis(50..1_000), scene.dice.millis(0..800));
    let mut done = format!("after {after:?} ");
    sleep(after).await;
    match scene.dice.within(0..3) {
        0 => {
            for _ in 0..scene.dice.within(1..6) {
                let ended = scene.victim.server()?.sql(END_WRITER)?;
                write!(done, "{ended} session ended, ")?;
                sleep(scene.dice.millis(0..200)).await;
            }
        }
        1 => {
            done.push_str("the server is killed, ");
            scene.victim.server()?.kill().await?;
        }
        _ => {
            done.push_str("the server is stopped, ");
            scene.victim.server()?.stop().await?;
        }
    }
    let with_monitor = scene.dice.once_in(3);
    if with_monitor {
        done.push_str("the monitor killed too, ");
        scene.victim.kill().await?;
    }
    sleep(away).await;
    if !scene.victim.server()?.runs() {
        scene.victim.server()?.start_again().await?;
    }
    if with_monitor {
        scene.start().await?;
    }
    let settled = scene.check().await?;
    Ok(format!("{done}away {away:?}, all acknowledged after {settled:?}"))
}
