//! Disks that are full, and files that are not what they were.

use super::{Scene, is_empty, is_whole, makes, own, restless};
use farol_tests::process::Process;
use farol_tests::proxy::Proxy;
use farol_tests::stack::SOON;
use farol_tests::wait::until;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small disk. Gone with this.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this user may not mount.
    fn of_one_mebibyte(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(path).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

async fn spool_says(agent: &Process, reason: &str) {
    until(reason, SOON, async || {
        let (_, body) =
            farol_tests::process::get(agent.address("agent_http"), "/health/detailed").await.unwrap();
        let told: serde_json::Value = serde_json::from_str(&body).unwrap();
        told["components"]["report_spool"]["status"] == reason
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_agent_whose_disk_is_full_goes_on_says_so_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::of_one_mebibyte(&folder.path().join("data")) else {
        eprintln!("NOT RUN: a full disk needs a tmpfs of its own, and this user may not mount one");
        return;
    };
    let scene = Scene::start().await;
    let way = Proxy::to(scene.agents()).await.unwrap();
    way.cut();
    let agent = restless(folder.path(), way.address(), "").await;
    makes(&agent, 3.0).await;
    spool_says(&agent, "healthy").await;
    let filler = disk.0.join("filler");
    assert!(fs::write(&filler, vec![7; 2 << 20]).is_err(), "the disk is full now");
    until("it refuses", SOON, async || own(&agent, "farol_spool_refusing").await == 1.0).await.unwrap();
    spool_says(&agent, "degraded").await;
    let made = own(&agent, "farol_agent_reports_total").await;
    makes(&agent, made + 10.0).await;
    assert_eq!(own(&agent, "farol_agent_reports_lost_total").await, 0.0);
    fs::remove_file(&filler).unwrap();
    until("it takes again", SOON, async || own(&agent, "farol_spool_refusing").await == 0.0).await.unwrap();
    spool_says(&agent, "healthy").await;
    let log = agent.log();
    assert_eq!(log.matches("the spool cannot be used; reports wait in memory alone").count(), 1, "{log}");
    // What memory held meanwhile went to disk: the next start brings it.
    let made = own(&agent, "farol_agent_reports_total").await;
    makes(&agent, made + 3.0).await;
    agent.kill().await.unwrap();
    let agent = restless(folder.path(), way.address(), "").await;
    way.mend();
    is_empty(&agent).await;
    let kept = scene.kept().await;
    assert!(kept.values().all(is_whole) && kept.len() == 2, "{kept:?}");
    assert!(kept.values().next().unwrap().len() as f64 >= made, "{made}");
    assert_eq!(agent.stop().await.unwrap().code, 0);
}

#[tokio::test]
async fn a_damaged_spool_is_told_of_counted_and_the_rest_of_it_arrives() {
    let scene = Scene::start().await;
    let way = Proxy::to(scene.agents()).await.unwrap();
    way.cut();
    let folder = tempfile::tempdir().unwrap();
    let mut made = Vec::new();
    for _ in 0..2 {
        let agent = restless(folder.path(), way.address(), "").await;
        makes(&agent, 8.0).await;
        // SIGTERM: what is in memory goes to disk, the last moments too.
        let end = agent.stop().await.unwrap();
        assert_eq!(end.code, 0, "{}", end.log);
        made.push(end.log.lines().filter(|line| line.contains("are left on disk")).count());
    }
    assert_eq!(made, [1, 2], "both ends are told");
    let spool = folder.path().join("data/spool");
    let mut files: Vec<PathBuf> = fs::read_dir(&spool).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    // A start has a file for each set that it defined: a series that does not fit any more makes another one. The last
    // of the first start is damaged.
    let start_of = |file: &PathBuf| file.file_name().unwrap().to_string_lossy()[..37].to_owned();
    let first = files.iter().take_while(|file| start_of(file) == start_of(&files[0])).count();
    assert!(first < files.len() && start_of(&files[first]) == start_of(&files[files.len() - 1]), "{files:?}");
    let damaged = &files[first - 1];
    let before: usize = damaged.file_stem().unwrap().to_string_lossy()[38..].parse::<usize>().unwrap() - 1;
    let mut bytes = fs::read(damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(damaged, bytes).unwrap();
    fs::write(spool.join("core"), "no spool of ours").unwrap();
    let agent = restless(folder.path(), way.address(), "").await;
    until("it has looked", SOON, async || own(&agent, "farol_spool_damaged_total").await == 2.0)
        .await
        .unwrap();
    way.mend();
    is_empty(&agent).await;
    let kept = scene.kept().await;
    assert_eq!(kept.len(), 3);
    assert!(kept.values().all(is_whole), "{kept:?}");
    let mut lengths = kept.values().map(|reports| reports.len());
    let (damaged, whole) = (lengths.next().unwrap(), lengths.next().unwrap());
    assert!(damaged >= before && (before > 0 || damaged < 8) && whole >= 8, "{kept:?}");
    assert_eq!(agent.stop().await.unwrap().code, 0);
    assert!(spool.join("core").exists());
}
