//! Carries out what the ring decides for the disk, one job at a time, where it may block. Decides when a disk that
//! refused is tried again. Its queue is the ring itself: beside it, one part of a segment is in memory at most.

use super::folder::{Clocks, Folder, Scan};
use super::{COMPONENT, Health};
use crate::recorder::{Now, Recorder};
use crate::ring::{Job, Key, Write};
use farol_health::Checker;
use farol_health::clock::boot_ms;
use farol_wire::proto::Segment;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// A disk that refuses is tried again after this, and then ever more seldom.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_AT_MOST: Duration = Duration::from_secs(30);

/// What a job came to.
enum Done {
    Scanned(io::Result<Scan>),
    Wrote(Write, io::Result<u64>),
    Read(Vec<(Key, Option<Segment>)>),
    /// What could not be removed, and why.
    Removed(BTreeSet<Key>, io::Result<()>),
    Settled(io::Result<()>),
}

/// What is done on disk.
enum Task {
    Scan(Clocks),
    Job(Job),
    Settle,
}

/// The spool's task.
pub(crate) struct Keeper {
    recorder: Arc<Recorder>,
    checker: Checker,
    health: Arc<Health>,
    /// At hand, or out in the task below.
    idle: Option<Folder>,
    out: JoinSet<(Folder, Done)>,
    path: PathBuf,
    /// What earlier boots left is known.
    scanned: bool,
    /// Told once it is, or could not be read.
    ready: watch::Sender<bool>,
    /// When a disk that refuses is tried again.
    retry_at: Option<Instant>,
    retry: Duration,
    /// The last removal did not fail, or that was a while ago.
    may_remove: bool,
}

impl Keeper {
    pub(crate) fn new(path: PathBuf, recorder: Arc<Recorder>, checker: Checker, health: Arc<Health>) -> Self {
        Self {
            recorder,
            checker,
            health,
            idle: Some(Folder::new(path.clone())),
            out: JoinSet::new(),
            path,
            scanned: false,
            ready: watch::Sender::new(false),
            retry_at: None,
            retry: RETRY,
            may_remove: true,
        }
    }

    /// True once it is known what earlier boots left, or that this cannot be known now.
    pub(crate) fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Until `end`, and until all that waits then is on disk, or cannot be.
    pub(crate) async fn run(mut self, end: CancellationToken) {
        let mut settled = false;
        loop {
            if let Some(task) = self.next(end.is_cancelled() && !settled) {
                settled = matches!(task, Task::Settle);
                let done = self.carry_out(task).await;
                self.take(done);
            } else if end.is_cancelled() {
                return;
            } else {
                let retry = self.retry_at;
                tokio::select! {
                    () = self.recorder.to_spool.notified() => {}
                    () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {
                        (self.retry_at, self.may_remove) = (None, true);
                    }
                    () = end.cancelled() => {}
                }
            }
        }
    }

    fn next(&mut self, settle: bool) -> Option<Task> {
        let may_write = self.retry_at.is_none();
        if !self.scanned && may_write {
            let Now { boot_ms, wall_ms } = Now::read();
            return Some(Task::Scan(Clocks { boot_ms: i64::try_from(boot_ms).unwrap_or(i64::MAX), wall_ms }));
        }
        let job = self.recorder.spool_job(boot_ms(), may_write, self.may_remove).map(Task::Job);
        job.or((settle && may_write).then_some(Task::Settle))
    }

    async fn carry_out(&mut self, task: Task) -> Done {
        let mut folder = self.idle.take().unwrap_or_else(|| Folder::new(self.path.clone()));
        let what_else = match &task {
            Task::Job(Job::Read(keys)) => keys.iter().map(|key| (*key, None)).collect(),
            _ => Vec::new(),
        };
        self.out.spawn_blocking(move || {
            let done = match task {
                Task::Scan(clocks) => Done::Scanned(folder.scan(clocks)),
                Task::Settle => Done::Settled(folder.settle()),
                Task::Job(Job::Remove(keys)) => remove(&mut folder, keys),
                Task::Job(Job::Read(keys)) => {
                    Done::Read(keys.into_iter().map(|key| (key, folder.read(key))).collect())
                }
                Task::Job(Job::Write(write)) => {
                    let wrote = folder.write(&write);
                    Done::Wrote(write, wrote)
                }
            };
            (folder, done)
        });
        match self.out.join_next().await {
            Some(Ok((folder, done))) => {
                self.idle = Some(folder);
                done
            }
            // It panicked, or the runtime ends.
            _ if what_else.is_empty() => Done::Settled(Err(io::Error::other("the task on disk failed"))),
            _ => Done::Read(what_else),
        }
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Scanned(Ok(scan)) => {
                self.scanned = true;
                self.found(scan);
                self.ready.send_replace(true);
                self.takes();
            }
            Done::Scanned(Err(error)) => {
                self.ready.send_replace(true);
                self.refuses(&error);
            }
            Done::Wrote(write, Ok(bytes)) => {
                self.recorder.wrote(&write, bytes);
                self.takes();
            }
            Done::Read(read) => self.recorder.read(read),
            Done::Removed(_, Ok(())) | Done::Settled(Ok(())) => {}
            Done::Wrote(write, Err(error)) => {
                if error.kind() == ErrorKind::NotFound {
                    self.recorder.lost_copy(write.key);
                }
                self.refuses(&error);
            }
            Done::Removed(left, Err(error)) => {
                self.recorder.not_removed(left);
                self.may_remove = false;
                self.refuses(&error);
            }
            Done::Settled(Err(error)) => self.refuses(&error),
        }
    }

    fn found(&self, scan: Scan) {
        let folder = self.path.display();
        let (segments, damaged) = (scan.found.len(), scan.found.iter().filter(|found| found.damaged).count());
        let left = scan.left.len();
        self.recorder.found(scan.found, left);
        let reports = self.recorder.spooled().past_reports;
        if segments > 0 {
            tracing::info!(%folder, segments, damaged, reports, "reports of earlier starts are on disk");
        }
        if let Some(first) = scan.left.first() {
            tracing::warn!(%folder, files = left, first, "files that this version did not write are left as they are");
        }
    }

    fn takes(&mut self) {
        self.retry = RETRY;
        if self.health.takes() {
            tracing::info!(folder = %self.path.display(), "the spool can be used again");
            self.checker.check_now(&[COMPONENT]);
        }
    }

    fn refuses(&mut self, error: &io::Error) {
        self.retry_at = Some(Instant::now() + self.retry);
        self.retry = (self.retry * 2).min(RETRY_AT_MOST);
        if self.health.refuses(error.to_string()) {
            let folder = self.path.display();
            tracing::error!(%folder, %error, "the spool cannot be used; reports wait in memory alone");
            self.checker.check_now(&[COMPONENT]);
        }
    }
}

/// Removes what can be.
fn remove(folder: &mut Folder, keys: BTreeSet<Key>) -> Done {
    let mut left = BTreeSet::new();
    let mut why = Ok(());
    for key in keys {
        if let Err(error) = folder.remove(key) {
            left.insert(key);
            why = Err(error);
        }
    }
    Done::Removed(left, why)
}
