//! The disk's task while the disk refuses some of what it is asked: the rest goes on, and it is told when all is well.

use super::super::{Health, Keeper, Start};
use super::*;
use crate::recorder::{Feed, Recorder};
use farol_health::Checker;
use farol_wire::Limits;
use rustix::process::Uid;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Nothing here takes longer.
const SOON: Duration = Duration::from_secs(10);

/// Earlier boots' reports on a disk.
struct Disk {
    temp: TempDir,
}

impl Disk {
    /// Of each boot one file.
    fn with(boots: impl IntoIterator<Item = u64>) -> Self {
        let disk = Self { temp: tempfile::tempdir().unwrap() };
        boots.into_iter().for_each(|number| live(&mut folder_of(&disk.path()), boot(number), 10, 40));
        disk.allow_all();
        disk
    }

    fn path(&self) -> PathBuf {
        self.temp.path().join("spool")
    }

    fn file(&self, number: u64) -> PathBuf {
        self.path().join(record::name(Key { boot: boot(number), first: 1 }))
    }

    /// Everybody may read and write all.
    fn allow_all(&self) {
        [self.temp.path(), &self.path()].into_iter().for_each(|folder| allow(folder, 0o777));
        files(&self.path()).keys().for_each(|name| allow(&self.path().join(name), 0o666));
    }
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Root may do everything: the threads that touch the disk for the task are nobody.
fn run(test: impl Future<Output = ()>) {
    let nobody = || {
        rustix::thread::set_thread_uid(Uid::from_raw(65_534)).ok();
    };
    Builder::new_current_thread().enable_all().on_thread_start(nobody).build().unwrap().block_on(test);
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let poll = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, poll).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// A start whose task has looked once.
struct Started {
    recorder: Arc<Recorder>,
    checker: Checker,
    health: Arc<Health>,
    end: CancellationToken,
    tasks: JoinSet<()>,
}

impl Started {
    async fn on(disk: &Disk) -> Self {
        let room = Room { bytes: 10 << 20, age_ms: i64::MAX };
        let recorder = Recorder::new(boot(1_000), 8 << 20, Duration::from_secs(10), &[]).with_spool(room);
        let (recorder, health) = (Arc::new(recorder), Arc::<Health>::default());
        let checker = Checker::new(Vec::new(), Arc::new(())).unwrap();
        let start = Start { boot: boot(1_000), origin: origin("web-1", "before"), age_ms: room.age_ms };
        let keeper =
            Keeper::new(disk.path(), start, Arc::clone(&recorder), checker.clone(), Arc::clone(&health));
        let (mut ready, end, mut tasks) = (keeper.ready(), CancellationToken::new(), JoinSet::new());
        tasks.spawn(keeper.run(end.clone()));
        timeout(SOON, ready.wait_for(|ready| *ready)).await.unwrap().unwrap();
        Self { recorder, checker, health, end, tasks }
    }

    fn feed(&self) -> Feed<'_> {
        Feed { recorder: &self.recorder, boot: boot(1_000) }
    }

    /// A stream that brings all it can, each part committed at once.
    async fn stream(&self) -> Vec<Boot> {
        self.recorder.list_past(63);
        self.feed().open(&self.checker.snapshot(), 0, &[], &Limits::default());
        let mut brought = Vec::new();
        loop {
            match self.feed().backlog(0, 1 << 20) {
                Piece::Chunk(chunk) => {
                    brought.push(chunk.boot);
                    assert!(self.feed().acknowledge_past(chunk.boot, chunk.last));
                }
                Piece::Wait(_) => {
                    let loaded = timeout(SOON, self.recorder.loaded.notified()).await;
                    loaded.expect("nothing of what is asked for is read");
                }
                Piece::Nothing => return brought,
            }
        }
    }

    async fn lists(&self, boots: &[Boot]) {
        until("these wait for a stream", || self.recorder.list_past(63) == boots).await;
    }

    fn is_refusing(&self) -> bool {
        self.health.is_refusing()
    }
}

#[test]
fn a_file_that_cannot_be_read_at_the_start_keeps_no_others_waiting() {
    let disk = Disk::with([7, 8]);
    allow(&disk.file(7), 0o000);
    run(async {
        let start = Started::on(&disk).await;
        assert_eq!(start.stream().await, [boot(8)]);
        assert!(start.is_refusing());
        allow(&disk.file(7), 0o666);
        start.lists(&[boot(7)]).await;
        assert_eq!(start.stream().await, [boot(7)]);
        until("all is well", || !start.is_refusing()).await;
    });
}

#[test]
fn files_that_cannot_be_read_any_more_keep_no_others_waiting_and_all_come_when_they_can() {
    let disk = Disk::with(1..=6);
    run(async {
        let start = Started::on(&disk).await;
        (1..=5).for_each(|number| allow(&disk.file(number), 0o000));
        let brought = timeout(SOON, start.stream()).await;
        assert_eq!(brought.expect("one bad file does not slow the others down"), [boot(6)]);
        (2..=5).for_each(|number| allow(&disk.file(number), 0o666));
        start.lists(&[2, 3, 4, 5].map(boot)).await;
        assert!(start.is_refusing());
        allow(&disk.file(1), 0o666);
        start.lists(&[1, 2, 3, 4, 5].map(boot)).await;
        assert_eq!(start.stream().await, [1, 2, 3, 4, 5].map(boot));
        assert!(!start.is_refusing());
    });
}

#[test]
fn a_folder_that_is_no_folder_any_more_is_looked_at_now_and_then_and_keeps_no_end_from_coming() {
    let disk = Disk::with([7, 8]);
    allow(&disk.file(7), 0o000);
    run(async {
        let mut start = Started::on(&disk).await;
        fs::rename(disk.path(), disk.temp.path().join("away")).unwrap();
        fs::write(disk.path(), "").unwrap();
        until("it looks again", || start.health.outcome().message.contains("exists")).await;
        start.end.cancel();
        timeout(SOON, start.tasks.join_next()).await.expect("it ends").unwrap().unwrap();
    });
}

#[test]
fn a_disk_that_takes_notes_or_lets_files_go_again_is_well() {
    for has_hole in [true, false] {
        let disk = Disk::with([7]);
        if has_hole {
            live(&mut folder_of(&disk.path()), boot(8), 150, 5);
            fs::remove_file(disk.path().join(record::name(Key { boot: boot(8), first: 65 }))).unwrap();
            disk.allow_all();
        }
        allow(&disk.path(), 0o555);
        run(async {
            let start = Started::on(&disk).await;
            if !has_hole {
                assert!(!start.is_refusing());
                assert_eq!(start.stream().await, [boot(7)]);
            }
            until("it can neither be noted nor removed", || start.is_refusing()).await;
            allow(&disk.path(), 0o777);
            until("all is well", || !start.is_refusing()).await;
        });
    }
}
