//! A disk that runs full under the store, and is freed again.

use super::Scene;
use crate::oracle::Habits;
use crate::process;
use crate::victim::{Ground, Means, Victim};
use crate::wait::until;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// The store must say that it refuses within this, and take again.
const SOON: Duration = Duration::from_secs(20);

/// A small disk in memory. Unmounted when dropped.
pub struct Disk(TempDir);

impl Disk {
    /// Mounts one of so many MiB. `None`: this system does not let us, which the error output says.
    ///
    /// # Errors
    /// There is no `mount`; or it is refused where `CI` is set, so that nobody believes that this was tested there.
    pub fn mount(mib: u32) -> Result<Option<Self>> {
        let folder = tempfile::Builder::new().prefix("farol-disk-").tempdir()?;
        let options = format!("size={mib}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path());
        let output = mount.output().context("running `mount`")?;
        if output.status.success() {
            return Ok(Some(Self(folder)));
        }
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        ensure!(std::env::var_os("CI").is_none(), "a full disk cannot be tested here: {why}");
        #[allow(clippy::print_stderr, reason = "what was not tested must be seen")]
        {
            eprintln!("NOT TESTED: a full disk needs a tmpfs, and mounting one is refused: {why}");
        }
        Ok(None)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that is left.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn fill(&self) -> Result<()> {
        let mut ballast = File::options().create(true).append(true).open(self.path().join("ballast"))?;
        for size in [64 << 10, 4 << 10, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
        Ok(())
    }

    /// Gives it back.
    ///
    /// # Errors
    /// It was not taken.
    pub fn free(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.path().join("ballast"))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).output());
    }
}

/// A monitor whose SQLite file is on the disk, and agents.
///
/// # Errors
/// The monitor does not start.
pub async fn scene(disk: &Disk, seed: u64, habits: Habits) -> Result<Scene> {
    let further =
        format!("store: {{keep: [oracle_], sqlite: {{path: \"{}/farol.db\"}}}}\n", disk.path().display());
    Scene::with(Victim::new(Ground::Sqlite, &further)?, Means::default(), seed, habits).await
}

/// Fills the disk until the store refuses, stays so for a while, and frees it. What was done.
///
/// # Errors
/// The store does not refuse or does not take again, or an invariant does not hold.
pub async fn round(scene: &mut Scene, disk: &Disk) -> Result<String> {
    tokio::time::sleep(scene.dice.millis(50..500)).await;
    disk.fill()?;
    let at = scene.victim.at().http;
    let database = async || {
        let (_, body) = process::get(at, "/health/detailed").await.unwrap_or_default();
        let page: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        page["components"]["database"]["status"].as_str().unwrap_or_default().to_owned()
    };
    until("the store refuses", SOON, async || database().await == "degraded").await?;
    ensure!(process::get(at, "/health/live").await?.0 == 200, "a full disk takes the monitor's life");
    let long = scene.dice.millis(200..2_000);
    tokio::time::sleep(long).await;
    disk.free()?;
    let freed = Instant::now();
    until("the store takes again", SOON, async || database().await == "healthy").await?;
    let took = freed.elapsed();
    let settled = scene.check().await?;
    Ok(format!("full for {long:?}, the store took again after {took:?}, all acknowledged after {settled:?}"))
}
