//! Runs the checks in the background and keeps one snapshot of what they said. Decides when a check runs, when
//! it is cut, and what is told to whom; how results count is decided in `counting`.

mod agenda;
mod board;
mod heartbeat;
mod maintenance;
mod once;
mod register;
mod scheduler;
mod verdict;

pub use maintenance::Maintenance;
pub use once::run_once;
pub use register::{Changes, RegisterError};

use crate::{ComponentView, Outcome, Registration, Snapshot, Status, clock};
use arc_swap::ArcSwap;
use board::Board;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What one run of a check brought, as told to the [`Observer`].
#[derive(Clone, Debug)]
pub struct Checked {
    /// When the run ended, on the boot clock.
    pub at_ms: u64,
    /// What the check said, or what was found in its stead: `deadline_exceeded`, `check_panicked`,
    /// `agent_starved`.
    pub outcome: Outcome,
    /// The last result's status.
    pub soft: Status,
    /// The status that counts, after this run.
    pub hard: Status,
    /// How long the run took.
    pub response_time: Option<Duration>,
    /// The hard status is another than before.
    pub hard_changed: bool,
    /// The component's reason code is another than before.
    pub reason_changed: bool,
    /// The component's message is another than before.
    pub message_changed: bool,
    /// The process itself was starved: this is no result, and renews nothing.
    pub skipped: bool,
}

/// Is told what happens, after the snapshot shows it and in the order in which it happened.
///
/// It is called while the checker is locked: it must not block, nor call back into the same [`Checker`] for
/// anything but [`Checker::snapshot`] and [`Checker::heartbeat`].
pub trait Observer: Send + Sync + 'static {
    /// A check was run.
    fn checked(&self, name: &str, result: &Checked);

    /// Time alone changed what counts: the start grace is over and the last result counts, or the last result is
    /// older than its time to live. `view` says which; [`ComponentView::status_at`] says what is shown.
    fn lapsed(&self, name: &str, view: &ComponentView);

    /// The component is no more.
    fn removed(&self, name: &str);
}

/// Nobody listens.
impl Observer for () {
    fn checked(&self, _: &str, _: &Checked) {}
    fn lapsed(&self, _: &str, _: &ComponentView) {}
    fn removed(&self, _: &str) {}
}

/// A handle to the checks of this process. Clones are the same checker.
#[derive(Clone)]
pub struct Checker(Arc<Inner>);

struct Inner {
    /// The checks, their counters and their timers.
    board: Mutex<Board>,
    /// What readers see, in O(1) and without waiting for the board.
    snapshot: ArcSwap<Snapshot>,
    /// Moves with each new snapshot; nobody who looks at it is waited for.
    changed: watch::Sender<u64>,
    /// Wakes the scheduler when a timer was set from outside.
    wake: Notify,
    /// When the scheduler last passed by, on the boot clock.
    heartbeat_ms: AtomicU64,
    /// Who is told.
    observer: Arc<dyn Observer>,
    /// The boot clock; tests bring one that follows paused time.
    now_ms: fn() -> u64,
    /// Held by the one scheduler that runs.
    running: tokio::sync::Mutex<()>,
}

impl Checker {
    /// Takes the checks in; each is `starting`. Nothing runs before [`Checker::run`].
    ///
    /// # Errors
    /// A name that is taken or not a name, an interval or a deadline of nought.
    pub fn new(registrations: Vec<Registration>, observer: Arc<dyn Observer>) -> Result<Self, RegisterError> {
        Self::with_clock(registrations, observer, clock::boot_ms)
    }

    fn with_clock(
        registrations: Vec<Registration>,
        observer: Arc<dyn Observer>,
        now_ms: fn() -> u64,
    ) -> Result<Self, RegisterError> {
        let checker = Self(Arc::new(Inner {
            board: Mutex::new(Board::default()),
            snapshot: ArcSwap::default(),
            changed: watch::Sender::new(0),
            wake: Notify::new(),
            heartbeat_ms: AtomicU64::new(now_ms()),
            observer,
            now_ms,
            running: tokio::sync::Mutex::new(()),
        }));
        checker.replace(registrations)?;
        Ok(checker)
    }

    /// The scheduler: runs the checks until `token` is cancelled, then drops those that run. A second call waits
    /// until the first has ended.
    pub async fn run(self, token: CancellationToken) {
        scheduler::run(&self.0, token).await;
    }

    /// What is known now. Never runs a check, never waits.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    /// Moves with each new snapshot.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// When the scheduler last passed by, on the boot clock: every 50 ms while
    /// a check runs, every second otherwise.
    #[must_use]
    pub fn heartbeat(&self) -> u64 {
        self.0.heartbeat_ms.load(Ordering::Relaxed)
    }

    /// Adds one check to the others, for instance one of the application's own.
    ///
    /// # Errors
    /// As for [`Checker::new`]; nothing is changed then.
    pub fn register(&self, registration: Registration) -> Result<(), RegisterError> {
        self.change(|board, now, now_ms| board.register(registration, now, now_ms))
    }

    /// Makes these the checks. One with the same name, fingerprint and specification goes on undisturbed; one
    /// that differs keeps its status until its next result; those not named are removed.
    ///
    /// # Errors
    /// As for [`Checker::new`]; nothing is changed then.
    pub fn replace(&self, registrations: Vec<Registration>) -> Result<Changes, RegisterError> {
        let changes = self.change(|board, now, now_ms| board.replace(registrations, now, now_ms))?;
        if !changes.is_empty() {
            tracing::info!(
                added = changes.added.len(),
                removed = changes.removed.len(),
                changed = changes.changed.len(),
                kept = changes.kept.len(),
                "checks set"
            );
        }
        Ok(changes)
    }

    /// Runs the named checks at once and counts their intervals from then; one that runs already is not run
    /// twice. Says how many of the names are known.
    pub fn check_now<N: AsRef<str>>(&self, names: &[N]) -> usize {
        let known = self.0.board.lock().check_now(names, Instant::now());
        self.0.wake.notify_one();
        known
    }

    /// Counts a result that came by itself, now, for a component whose specification says that it is told. Says
    /// whether there is such a component.
    #[must_use]
    pub fn tell(&self, name: &str, outcome: Outcome) -> bool {
        let mut board = self.0.board.lock();
        let known = board.told(name, outcome, Instant::now(), (self.0.now_ms)());
        self.0.publish(&mut board);
        drop(board);
        self.0.wake.notify_one();
        known
    }

    /// Says whether the process drains. The components' statuses stay true beneath it.
    pub fn set_draining(&self, draining: bool) {
        self.change_infallibly(|board| board.set_draining(draining));
    }

    /// Puts exactly the named components under maintenance; names that are not known are passed over.
    pub fn set_maintenance<N: AsRef<str>>(&self, names: &[N]) {
        self.change_infallibly(|board| board.set_maintenance(names));
    }

    /// The switch that puts the whole process under maintenance by hand.
    #[must_use]
    pub fn maintenance(&self) -> Maintenance {
        Maintenance::of(self.clone())
    }

    fn change_infallibly(&self, change: impl FnOnce(&mut Board)) {
        let mut board = self.0.board.lock();
        change(&mut board);
        self.0.publish(&mut board);
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Board, Instant, u64) -> Result<T, RegisterError>,
    ) -> Result<T, RegisterError> {
        let mut board = self.0.board.lock();
        let result = change(&mut board, Instant::now(), (self.0.now_ms)())?;
        self.0.publish(&mut board);
        drop(board);
        self.0.wake.notify_one();
        Ok(result)
    }
}

impl Inner {
    /// Shows what changed, then tells of it.
    fn publish(&self, board: &mut Board) {
        if let Some(snapshot) = board.changed_snapshot() {
            self.snapshot.store(Arc::new(snapshot));
            self.changed.send_modify(|count| *count = count.wrapping_add(1));
        }
        for news in board.take_news() {
            news.tell(&*self.observer);
        }
    }
}

#[cfg(test)]
mod tests;
