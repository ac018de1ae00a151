//! Carries out what the ring decides for the disk, one job at a time, where it may block. Decides when a disk that
//! refused is tried again. Its queue is the ring itself: beside it, one part of a segment is in memory at most.

use super::folder::{Clocks, Folder, Scan};
use super::health::DROPS;
use super::{COMPONENT, Health, Origin};
use crate::recorder::{Now, Recorder};
use crate::ring::{Job, Key, Loaded, May, Write};
use farol_health::Checker;
use farol_health::clock::boot_ms;
use farol_wire::Boot;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// A disk that refuses is tried again after this, and then ever more seldom.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_AT_MOST: Duration = Duration::from_secs(30);

/// So long reports of an earlier start of the machine are kept at least: the wall clock alone says how old they are.
const GRACE_MS: i64 = 3_600_000;

/// Who writes the spool now.
pub(crate) struct Start {
    pub(crate) boot: Boot,
    pub(crate) origin: Origin,
    /// How old reports on disk may be.
    pub(crate) age_ms: i64,
}

impl Start {
    fn folder(&self, path: &Path) -> Folder {
        Folder::new(path.to_owned(), self.boot, self.origin.clone())
    }
}

/// What a job came to.
enum Done {
    Scanned(io::Result<Scan>),
    Wrote(Write, io::Result<u64>),
    Read(Vec<(Key, Loaded)>, io::Result<()>),
    /// What could not be removed, and why.
    Removed(BTreeSet<Key>, io::Result<()>),
    Settled(io::Result<()>),
    Noted(io::Result<()>),
}

/// What is done on disk.
enum Task {
    Scan(Clocks),
    Job(Job),
    Settle,
}

/// When something is tried again.
#[derive(Default)]
struct Retry {
    /// Nothing failed, or it is tried now, for `None`.
    at: Option<Instant>,
    /// How long was waited; none before the first failure.
    wait: Duration,
}

impl Retry {
    /// What fails meanwhile does not put it off.
    fn failed(&mut self) {
        if self.at.is_none() {
            self.wait = (self.wait * 2).clamp(RETRY, RETRY_AT_MOST);
            self.at = Some(Instant::now() + self.wait);
        }
    }

    /// Whether its time has come.
    fn begins(&mut self, now: Instant) -> bool {
        self.at.take_if(|at| *at <= now).is_some()
    }
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
    start: Start,
    /// What earlier boots left is known.
    scanned: bool,
    /// But for some that could not be read.
    unread: bool,
    /// Told once it is, or could not be read.
    ready: watch::Sender<bool>,
    /// When a disk that refuses is tried again.
    writing: Retry,
    /// The same of one that does not give what is there: reports of this start, those of earlier ones that a stream
    /// asked for, and those of which it is not known yet what they are. None of these waits for another.
    reading: Retry,
    again: Retry,
    looking: Retry,
    /// The last removal did not fail, or that was a while ago.
    may_remove: bool,
    /// Reports that had no room, or were too old, as far as this was told.
    dropped: u64,
}

impl Keeper {
    pub(crate) fn new(
        path: PathBuf,
        start: Start,
        recorder: Arc<Recorder>,
        checker: Checker,
        health: Arc<Health>,
    ) -> Self {
        Self {
            recorder,
            checker,
            health,
            idle: Some(start.folder(&path)),
            out: JoinSet::new(),
            path,
            start,
            scanned: false,
            unread: false,
            ready: watch::Sender::new(false),
            writing: Retry::default(),
            reading: Retry::default(),
            again: Retry::default(),
            looking: Retry::default(),
            may_remove: true,
            dropped: 0,
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
                self.tell_drops();
            } else if end.is_cancelled() {
                return;
            } else {
                let retry = self.retries().into_iter().filter_map(|retry| retry.at).min();
                tokio::select! {
                    () = self.recorder.to_spool.notified() => {}
                    () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {}
                    () = end.cancelled() => {}
                }
                let now = Instant::now();
                let [writing, reading @ ..] = self.retries();
                let writes = writing.begins(now);
                for retry in reading {
                    retry.begins(now);
                }
                self.may_remove |= writes;
            }
        }
    }

    fn retries(&mut self) -> [&mut Retry; 4] {
        [&mut self.writing, &mut self.reading, &mut self.again, &mut self.looking]
    }

    fn next(&mut self, settle: bool) -> Option<Task> {
        let may = May {
            write: self.writing.at.is_none(),
            remove: self.may_remove,
            read: self.reading.at.is_none(),
            again: self.again.at.is_none(),
        };
        let looks = if self.scanned { self.unread && self.looking.at.is_none() } else { may.write };
        if looks {
            let Now { boot_ms, wall_ms } = Now::read();
            let boot_ms = i64::try_from(boot_ms).unwrap_or(i64::MAX);
            let oldest_ms = boot_ms.saturating_sub(self.start.age_ms).saturating_add(GRACE_MS);
            return Some(Task::Scan(Clocks { boot_ms, wall_ms, oldest_ms }));
        }
        let job = self.recorder.spool_job(boot_ms(), may).map(Task::Job);
        job.or((settle && may.write).then_some(Task::Settle))
    }

    async fn carry_out(&mut self, task: Task) -> Done {
        let mut folder = self.idle.take().unwrap_or_else(|| self.start.folder(&self.path));
        let what_else = match &task {
            Task::Scan(_) => Done::Scanned(Err(failed())),
            Task::Job(Job::Read(keys)) => {
                Done::Read(keys.iter().map(|key| (*key, Loaded::Refused)).collect(), Err(failed()))
            }
            _ => Done::Settled(Err(failed())),
        };
        self.out.spawn_blocking(move || {
            let done = match task {
                Task::Scan(clocks) => Done::Scanned(folder.scan(clocks)),
                Task::Settle => Done::Settled(folder.settle()),
                Task::Job(Job::Remove(keys)) => remove(&mut folder, keys),
                Task::Job(Job::Read(keys)) => {
                    let (read, why) = folder.read(keys);
                    Done::Read(read, why)
                }
                Task::Job(Job::Note(notes)) => Done::Noted(folder.note(&notes)),
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
            _ => what_else,
        }
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Scanned(Ok(scan)) => {
                let is_first = !self.scanned;
                self.found(scan);
                self.ready.send_replace(true);
                if is_first {
                    self.takes();
                }
            }
            Done::Scanned(Err(error)) if self.scanned => {
                self.looking.failed();
                self.gave(Err(error));
            }
            Done::Scanned(Err(error)) => {
                self.ready.send_replace(true);
                self.refuses(&error);
            }
            Done::Wrote(write, Ok(bytes)) => {
                self.recorder.wrote(&write, bytes);
                self.takes();
            }
            Done::Read(read, why) => {
                if why.is_err() {
                    let is_own = read.iter().any(|(key, _)| key.boot == self.start.boot);
                    let retry = if is_own { &mut self.reading } else { &mut self.again };
                    retry.failed();
                }
                self.recorder.read(read);
                self.gave(why);
            }
            Done::Noted(Ok(())) => self.takes(),
            // A full disk lets files go all the same.
            Done::Removed(_, Ok(())) if self.writing.at.is_none() => self.takes(),
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
            Done::Noted(Err(error)) => {
                self.recorder.not_noted();
                self.refuses(&error);
            }
        }
    }

    fn found(&mut self, scan: Scan) {
        let folder = self.path.display();
        let (segments, damaged) = (scan.found.len(), scan.found.iter().filter(|found| found.damaged).count());
        // Told once.
        let left = if self.scanned { 0 } else { scan.left.len() };
        let notes = (!self.scanned).then_some(&*scan.notes);
        self.recorder.found(scan.found, notes, left);
        let reports = self.recorder.spooled().past_reports;
        if segments > 0 {
            tracing::info!(%folder, segments, damaged, reports, "reports of earlier starts are on disk");
        }
        if let Some(first) = scan.left.first().filter(|_| left > 0) {
            tracing::warn!(%folder, files = left, first, "files that another agent or a later version wrote are left as they are");
        }
        (self.scanned, self.unread) = (true, scan.unread.is_some());
        if self.unread {
            self.looking.failed();
        }
        self.gave(scan.unread.map_or(Ok(()), Err));
    }

    fn tell_drops(&mut self) {
        let dropped = self.recorder.spooled().dropped;
        let before = std::mem::replace(&mut self.dropped, dropped);
        if dropped > before && self.health.drops(Instant::now()) {
            tracing::warn!(folder = %self.path.display(), reports.dropped = dropped, "{DROPS}");
            self.checker.check_now(&[COMPONENT]);
        }
    }

    /// How reading went.
    fn gave(&mut self, why: io::Result<()>) {
        let folder = self.path.display();
        match why {
            Err(error) => {
                if self.health.withholds(error.to_string()) {
                    tracing::error!(%folder, %error, "spooled reports cannot be read; they are kept and tried again");
                    self.checker.check_now(&[COMPONENT]);
                }
            }
            Ok(()) if self.unread || self.recorder.spooled().stuck => {}
            Ok(()) => {
                (self.reading, self.again, self.looking) = Default::default();
                if self.health.gives() {
                    tracing::info!(%folder, "all spooled reports can be read again");
                    self.checker.check_now(&[COMPONENT]);
                }
            }
        }
    }

    fn takes(&mut self) {
        self.writing = Retry::default();
        if self.health.takes() {
            tracing::info!(folder = %self.path.display(), "the spool can be used again");
            self.checker.check_now(&[COMPONENT]);
        }
    }

    fn refuses(&mut self, error: &io::Error) {
        self.writing.failed();
        if self.health.refuses(error.to_string()) {
            let folder = self.path.display();
            tracing::error!(%folder, %error, "the spool cannot be used; reports wait in memory alone");
            self.checker.check_now(&[COMPONENT]);
        }
    }
}

fn failed() -> io::Error {
    io::Error::other("the task on disk failed")
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
