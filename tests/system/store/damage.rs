//! A disk that fails and a file that rots: a monitor says so and ends, and never acknowledges or shows what is not so.

use super::backup::{Place, Talk, told};
use super::{BOOT, group, report};
use farol_monitor::store::{AgentKey, Durability, Settings, SqliteStore, Store, StoreError, StoredReport};
use farol_tests::process::{self, Process};
use farol_tests::stack::SOON;
use farol_tests::wait::until;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Stdio;
use tokio::process::{Child, Command};

/// Makes each sync of a process fail from now on; what it was asked for stands in the file.
async fn failing_syncs(monitor: &Process, told: &Path) -> Child {
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "-qq",
        "-e",
        "trace=fsync,fdatasync",
        "-e",
        "inject=fsync,fdatasync:error=EIO:when=1+",
    ]);
    strace.arg("-o").arg(told).arg("-p").arg(monitor.pid().to_string());
    let strace =
        strace.stderr(Stdio::inherit()).kill_on_drop(true).spawn().expect("scripts/test-deps has strace");
    let tasks = format!("/proc/{}/task", monitor.pid());
    let traced = || {
        let mut tasks = std::fs::read_dir(&tasks).unwrap().filter_map(Result::ok);
        let status = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("status"));
        tasks.all(|task| status(task).is_ok_and(|status| !status.contains("TracerPid:\t0\n")))
    };
    until("strace holds every thread", SOON, async || traced()).await.unwrap();
    strace
}

async fn a_failed_sync_is_the_last(durability: &str) {
    let place = Place::new(&format!("store: {{sqlite: {{durability: {durability}}}}}\n"));
    let monitor = place.monitor().await;
    let mut talk = Talk::with(&monitor).await;
    for _ in 0..5 {
        talk.report().await;
    }
    let syncs = place.path("syncs");
    let mut strace = failing_syncs(&monitor, &syncs).await;
    // Without a sync at each commit the next one comes with a checkpoint, after some megabytes.
    let mut acknowledged = talk.seq;
    while acknowledged < 2_000 && talk.try_report().await.is_ok() {
        acknowledged = talk.seq;
    }
    if durability == "full" {
        assert_eq!(acknowledged, 5, "acknowledged, and not on the disk");
    }
    let ended = monitor.ended().await.unwrap();
    strace.wait().await.unwrap();
    assert_eq!(ended.code, 75, "{}", ended.log);
    let critical: Vec<&str> = ended.log.lines().filter(|line| line.contains("\"CRITICAL\"")).collect();
    let words = ["could not be synced to the disk", "farol.db", "Look at the disk"];
    let told_so = critical.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(told_so, "{critical:?}\n{}", ended.log);
    let syncs = std::fs::read_to_string(&syncs).unwrap();
    assert_eq!(syncs.lines().filter(|line| line.contains("INJECTED")).count(), 1, "tried again: {syncs}");

    let monitor = place.monitor().await;
    let (_, resume) = told(&monitor, &talk).await;
    assert!(resume >= acknowledged, "{resume} of {acknowledged} acknowledged");
    assert_eq!(super::backup::history(&monitor, "count").await, resume as f64);
}

#[tokio::test]
async fn a_commit_that_cannot_be_synced_ends_the_monitor_and_what_it_acknowledged_stands() {
    a_failed_sync_is_the_last("full").await;
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_synced_ends_the_monitor_and_what_it_acknowledged_stands() {
    a_failed_sync_is_the_last("normal").await;
}

/// A monitor that was killed with its log full, and flips of one bit; each is refused at the next start.
#[tokio::test]
async fn a_monitor_does_not_start_on_a_file_or_a_log_with_a_flipped_bit() {
    let place = Place::new("");
    let monitor = place.monitor().await;
    let mut talk = Talk::with(&monitor).await;
    for _ in 0..40 {
        talk.report().await;
    }
    monitor.kill().await.unwrap();
    let (file, log) = (place.path("data/farol.db"), place.path("data/farol.db-wal"));
    let (file_then, log_then) = (std::fs::read(&file).unwrap(), std::fs::read(&log).unwrap());
    assert!(log_then.len() > 200_000, "the log has {} bytes", log_then.len());
    let tree = log_then.len() / 2;
    for (path, good, at, words) in [
        (&file, &file_then, 3, "damaged"),
        (&file, &file_then, 17, "damaged"),
        (&log, &log_then, 9, "from its header on"),
        (&log, &log_then, 32 + 30, "from frame 1 on"),
        (&log, &log_then, tree, "from frame "),
    ] {
        let mut bad = good.clone();
        bad[at] ^= 0x04;
        std::fs::write(path, &bad).unwrap();
        for _ in 0..2 {
            // As often as it is tried, and nothing is taken away.
            let config = place.path("monitor.yaml");
            let args = ["--config", config.to_str().unwrap(), "--data-dir"];
            let mut command = process::command("farol-monitor", &args).unwrap();
            let ended = tokio::time::timeout(SOON, command.arg(place.path("data")).output()).await;
            let output = ended.expect("it runs on damaged bytes").unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned()
                + &String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(1), "byte {at} of {}: {text}", path.display());
            for word in [words, "CRITICAL", "farol.db", "restore a copy"] {
                assert!(text.contains(word), "byte {at} of {}: {word} is not in {text}", path.display());
            }
        }
        std::fs::write(&file, &file_then).unwrap();
        std::fs::write(&log, &log_then).unwrap();
        drop(std::fs::remove_file(place.path("data/farol.db-shm")));
    }
    let monitor = place.monitor().await;
    assert_eq!(told(&monitor, &talk).await.1, talk.seq, "whole again, all is there");
}

/// One bit after another all over a closed file: it does not open, says that reports are damaged, or shows only what was
/// reported.
#[tokio::test]
async fn a_flipped_bit_never_makes_a_report_that_nobody_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("farol.db");
    let open = || SqliteStore::open(Settings { path: path.clone(), durability: Durability::Normal });
    let store = open().await.unwrap();
    let issued = |seq: u64| report(1, BOOT, seq, seq as i64, seq % 5 == 1);
    for first in (1..=60).step_by(3) {
        store.commit(&group((first..first + 3).map(issued).collect())).await.unwrap();
    }
    store.close().await.unwrap();
    let sound = std::fs::read(&path).unwrap();
    let (mut refused, mut told, mut gaps, mut whole) = (0, 0, 0, 0);
    // A prime, so that all places of a page are met.
    for at in (0..sound.len()).step_by(331) {
        let mut bad = sound.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bad).unwrap();
        match open().await {
            Err(StoreError::Fatal(why)) => {
                assert!(why.contains("farol.db"), "byte {at}: {why}");
                refused += 1;
            }
            Err(other) => panic!("byte {at}: {other}"),
            Ok(store) => {
                let mut seen = 0;
                let mut visit = |stored: StoredReport| {
                    assert_eq!(stored.report, issued(stored.report.seq), "byte {at}");
                    seen += 1;
                    ControlFlow::Continue(())
                };
                match store.reports(&[AgentKey(1)], i64::MIN, i64::MAX, &mut visit).await {
                    Err(error) => {
                        assert!(error.to_string().contains("farol.db is damaged"), "byte {at}: {error}");
                        told += 1;
                    }
                    Ok(()) if seen == 60 => whole += 1,
                    Ok(()) => gaps += 1,
                }
            }
        }
        for name in ["farol.db-wal", "farol.db-shm"] {
            drop(std::fs::remove_file(path.with_file_name(name)));
        }
    }
    let all = format!("{refused} refused, {told} told when read, {gaps} with a gap, {whole} whole");
    println!("{all}");
    assert!(refused > 5 && gaps + told > 5 && whole > 5, "{all}");
}
