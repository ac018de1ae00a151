//! The monitor ends at a named point: by its own hand in the store's seam, by the kernel in the middle of a write, or
//! by a signal at an acknowledgement.

use super::{Kind, Scene};
use crate::dice::Dice;
use crate::oracle::Habits;
use crate::saboteur::POINTS;
use crate::victim::{Ground, Means, Victim};
use anyhow::{Result, bail, ensure};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A point that is met must be met within this.
const MET_WITHIN: Duration = Duration::from_secs(25);
/// A later call may never come: then an earlier one is tried.
const TRIES: u32 = 8;

/// Those that are not in the store's seam. `after_ack`: at the n-th acknowledgement that an agent got. `mid_…`: in the
/// middle of the file's tables being made, of a transaction, of bringing it to its last place, of reading at a start.
const OUTSIDE: [&str; 5] = ["after_ack", "mid_migration", "mid_start", "mid_transaction", "mid_checkpoint"];

/// A server does these by itself.
const OF_A_FILE: [&str; 4] = ["mid_checkpoint", "after_checkpoint", "during_pages", "after_pages"];

/// All names, as far as this store has them.
#[must_use]
pub fn names(kind: Kind) -> Vec<&'static str> {
    let seam = POINTS.iter().map(|(name, _)| *name);
    let all = seam.chain(OUTSIDE);
    all.filter(|name| kind == Kind::Sqlite || !OF_A_FILE.contains(name)).collect()
}

/// A monitor that was ended several times in the middle of its very first start, and agents that it has had since.
///
/// # Errors
/// It does not start after all.
pub async fn first_start(kind: Kind, seed: u64, habits: Habits) -> Result<(Scene, String)> {
    let mut victim = Victim::new(kind.ground().await?, "")?;
    let mut dice = Dice::apart(seed, u64::MAX);
    let (mut ended, mut tried) = (0, 0);
    while ended < 3 {
        ensure!(tried < TRIES, "no first start was ended in {tried} attempts");
        tried += 1;
        let met = match kind {
            Kind::Sqlite => {
                let time = dice.within(1..14);
                victim.start_to_end(&Means::killed_in("pwrite64", time, None)).await?
            }
            Kind::Postgres => ended_after(&mut victim, dice.millis(2..60)).await?,
        };
        ended += u32::from(met);
        if !met {
            // It was ready first: this store is made.
            victim.kill().await?;
            break;
        }
    }
    ensure!(ended > 0, "no first start was ended");
    let scene = Scene::with(victim, Means::default(), seed, habits).await?;
    Ok((scene, format!("mid_migration: {ended} first starts ended")))
}

/// Starts it and kills it so long after. Whether that was before it was ready.
async fn ended_after(victim: &mut Victim, after: Duration) -> Result<bool> {
    match timeout(after, victim.start(&Means::default())).await {
        // Dropped while it started: that kills it.
        Err(_) => Ok(true),
        Ok(started) => started.map(|()| false),
    }
}

/// The monitor ends at this point, and is started again. What was done.
///
/// # Errors
/// The point is not met, the monitor does not come back, or an invariant does not hold.
pub async fn at(scene: &mut Scene, name: &str) -> Result<String> {
    let met = match name {
        "after_ack" => after_ack(scene).await?,
        "mid_start" => mid_start(scene).await?,
        "mid_transaction" => mid_transaction(scene).await?,
        "mid_checkpoint" => by_kernel(scene, "pwrite64", 1..6, "farol.db").await?,
        _ => in_the_seam(scene, name).await?,
    };
    scene.start().await?;
    let settled = scene.check().await?;
    Ok(format!("{met}, all acknowledged after {settled:?}"))
}

/// At a point of the store's seam.
async fn in_the_seam(scene: &mut Scene, name: &str) -> Result<String> {
    let time = match name {
        "before_commit" | "after_commit" => scene.dice.within(1..20),
        // Soon after a start some pieces are due; those that do nothing do not count as done.
        "before_upkeep" => scene.dice.within(1..5),
        "after_upkeep" => scene.dice.within(1..3),
        "before_sealed" | "after_sealed" => scene.dice.within(1..8),
        "mid_restart_pass" => scene.dice.within(1..20),
        _ => 1,
    };
    let crash = format!("{name}:{time}");
    scene.victim.kill().await?;
    let before_ready = scene.victim.start_to_end(&Means::sabotaged(&["--crash", &crash])).await?;
    if !before_ready {
        if name.ends_with("_close") {
            scene.oracle.acknowledged(3, MET_WITHIN).await?;
            scene.victim.process()?.signal(rustix::process::Signal::TERM)?;
        }
        let ended = timeout(MET_WITHIN, scene.victim.ends()).await??;
        ensure!(ended.code == 128 + 6, "{crash}: the monitor ended with {}", ended.code);
    }
    ensure!(scene.victim.log().contains(&format!("crash point {name} reached")), "{crash} is not met");
    Ok(crash)
}

/// The oracle kills it at an acknowledgement.
async fn after_ack(scene: &mut Scene) -> Result<String> {
    let acks = scene.dice.within(1..40);
    scene.oracle.acknowledged(acks, MET_WITHIN).await?;
    scene.victim.kill().await?;
    Ok(format!("after_ack:{acks}"))
}

/// While it reads what it had.
async fn mid_start(scene: &mut Scene) -> Result<String> {
    scene.victim.kill().await?;
    for _ in 0..TRIES {
        let met = match scene.victim.ground {
            Ground::Sqlite => {
                let time = scene.dice.within(1..30);
                let means = Means::killed_in("pread64", time, None);
                scene.victim.start_to_end(&means).await?.then(|| format!("mid_start: pread64 {time}"))
            }
            Ground::Postgres(_) => {
                let after = scene.dice.millis(2..50);
                ended_after(&mut scene.victim, after).await?.then(|| format!("mid_start: {after:?}"))
            }
        };
        match met {
            Some(met) => return Ok(met),
            None => scene.victim.kill().await?,
        }
    }
    bail!("no start was ended before it was ready");
}

/// In the middle of what one commit writes.
async fn mid_transaction(scene: &mut Scene) -> Result<String> {
    match scene.victim.ground {
        Ground::Sqlite => by_kernel(scene, "pwrite64", 5..120, "farol.db-wal").await,
        Ground::Postgres(_) => mid_transaction_of_a_server(scene).await,
    }
}

/// The writer's session is caught in a transaction, stopped there, and the monitor killed: the server finds it gone
/// with the transaction open.
async fn mid_transaction_of_a_server(scene: &mut Scene) -> Result<String> {
    const CAUGHT: &str = "SELECT pid FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid IN \
                          (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)";
    let end = tokio::time::Instant::now() + MET_WITHIN;
    loop {
        let caught = scene.victim.server()?.sql(CAUGHT)?;
        if !caught.is_empty() {
            scene.victim.kill().await?;
            return Ok("mid_transaction: the session was in one".to_owned());
        }
        ensure!(tokio::time::Instant::now() < end, "the writer was never seen in a transaction");
        sleep(scene.dice.millis(1..10)).await;
    }
}

/// The kernel kills it at one of these calls on this file of its data directory.
async fn by_kernel(scene: &mut Scene, call: &str, times: std::ops::Range<u64>, file: &str) -> Result<String> {
    scene.victim.kill().await?;
    let (time, path) = (scene.dice.within(times), scene.victim.data_dir().join(file));
    let before_ready = scene.victim.start_to_end(&Means::killed_in(call, time, Some(&path))).await?;
    if !before_ready {
        let ended = timeout(MET_WITHIN, scene.victim.ends()).await??;
        ensure!(ended.code == 128 + 9, "the monitor ended with {}", ended.code);
    }
    Ok(format!("{call} {time} of {file}"))
}
