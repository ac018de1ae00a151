//! The checker in paused time, with checks that live in memory. Here: the bench; the tests stand by subject.

use super::{Checked, Checker, Observer};
use crate::{Check, ComponentView, Outcome, Registration, Spec, Status};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod reload;
mod schedule;
mod starvation;
mod storm;
mod telling;
mod told;

const MINUTE: Duration = Duration::from_secs(60);
/// Longer than any test waits for, unless it waits for just that.
const LONG: Duration = Duration::from_secs(30);

thread_local! {
    static BOOT: OnceCell<Instant> = const { OnceCell::new() };
    static SLEPT_MS: Cell<u64> = const { Cell::new(0) };
}

/// A boot clock that follows paused time, and the sleep that a test makes up.
fn paused_ms() -> u64 {
    let since = BOOT.with(|boot| *boot.get_or_init(Instant::now)).elapsed();
    1_000_000 + SLEPT_MS.get() + u64::try_from(since.as_millis()).unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What a scripted check does in one run.
#[derive(Clone, Debug)]
enum Act {
    /// Answers after so many milliseconds.
    After(u64, Outcome),
    /// Never answers.
    Hang,
    /// Panics after an await.
    Panic,
    /// Panics before there is a future.
    PanicAtOnce,
    /// Takes the processor for so many milliseconds, then hangs.
    Block(u64),
}

fn ok() -> Act {
    Act::After(1, Outcome::healthy())
}

fn refused() -> Act {
    Act::After(1, Outcome::unhealthy("connection_refused", "nothing listens there"))
}

/// A check that does as it is told and counts its runs. The last act is repeated.
#[derive(Default)]
struct Script {
    acts: Mutex<Vec<Act>>,
    starts: Mutex<Vec<u64>>,
    now: Arc<AtomicUsize>,
    most: AtomicUsize,
}

/// Counts a run out when its future is dropped, whether it ended or was cut.
struct Inside(Arc<AtomicUsize>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Script {
    fn new(acts: impl Into<Vec<Act>>) -> Arc<Self> {
        let mut acts = acts.into();
        acts.reverse();
        Arc::new(Self { acts: Mutex::new(acts), ..Self::default() })
    }

    fn starts(&self) -> Vec<u64> {
        self.starts.lock().clone()
    }

    fn runs_now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    fn most_at_once(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

impl Check for Script {
    fn kind(&self) -> &'static str {
        "script"
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        let mut acts = self.acts.lock();
        let act = if acts.len() > 1 { acts.pop() } else { acts.last().cloned() };
        drop(acts);
        self.starts.lock().push(paused_ms());
        if matches!(act, Some(Act::PanicAtOnce)) {
            panic!("told to panic at once");
        }
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        let inside = Inside(Arc::clone(&self.now));
        Box::pin(async move {
            let _inside = inside;
            match act.expect("a script has an act") {
                Act::After(wait, outcome) => {
                    tokio::time::sleep(ms(wait)).await;
                    outcome
                }
                Act::Panic => {
                    tokio::time::sleep(ms(1)).await;
                    panic!("told to panic");
                }
                Act::Block(time) => {
                    tokio::time::advance(ms(time)).await;
                    std::future::pending().await
                }
                Act::Hang | Act::PanicAtOnce => std::future::pending().await,
            }
        })
    }
}

impl Check for Arc<Script> {
    fn kind(&self) -> &'static str {
        "script"
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        (**self).run()
    }
}

/// What the observer was told.
#[derive(Clone, Debug)]
enum Told {
    Checked(String, Checked),
    Lapsed(String, Status, bool),
    Removed(String),
}

#[derive(Default)]
struct Log(Mutex<Vec<(u64, Told)>>);

impl Log {
    fn push(&self, told: Told) {
        self.0.lock().push((paused_ms(), told));
    }

    fn checked(&self, name: &str) -> Vec<Checked> {
        let told = self.0.lock();
        let of_name = told.iter().filter_map(|(_, told)| match told {
            Told::Checked(who, checked) if who == name => Some(checked.clone()),
            _ => None,
        });
        of_name.collect()
    }

    /// When and how time alone changed something.
    fn lapses(&self) -> Vec<(u64, String, Status, bool)> {
        let told = self.0.lock();
        let lapses = told.iter().filter_map(|(at, told)| match told {
            Told::Lapsed(who, hard, stale) => Some((*at, who.clone(), *hard, *stale)),
            _ => None,
        });
        lapses.collect()
    }
}

impl Observer for Log {
    fn checked(&self, name: &str, result: &Checked) {
        self.push(Told::Checked(name.to_owned(), result.clone()));
    }

    fn lapsed(&self, name: &str, view: &ComponentView) {
        self.push(Told::Lapsed(name.to_owned(), view.hard, view.is_stale(paused_ms())));
    }

    fn removed(&self, name: &str) {
        self.push(Told::Removed(name.to_owned()));
    }
}

/// A checker that runs until the bench is dropped.
struct Bench {
    checker: Checker,
    log: Arc<Log>,
    token: CancellationToken,
    tasks: JoinSet<()>,
    /// When the scheduler was started.
    began_ms: u64,
}

impl Bench {
    fn start(registrations: Vec<Registration>) -> Self {
        let log = Arc::new(Log::default());
        let checker = Checker::with_clock(registrations, Arc::<Log>::clone(&log), paused_ms).unwrap();
        let token = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(checker.clone().run(token.clone()));
        Self { checker, log, token, tasks, began_ms: paused_ms() }
    }

    fn view(&self, name: &str) -> Arc<ComponentView> {
        Arc::clone(self.checker.snapshot().component(name).unwrap_or_else(|| panic!("no component {name}")))
    }

    fn hard(&self, name: &str) -> Status {
        self.view(name).hard
    }

    /// Since the scheduler was started.
    fn elapsed_ms(&self) -> u64 {
        paused_ms() - self.began_ms
    }

    /// Lets time pass until it is so.
    async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let give_up = Instant::now() + 2 * MINUTE;
        while !so(self) {
            assert!(
                Instant::now() < give_up,
                "waited two minutes until {what}; told: {:#?}",
                self.log.0.lock()
            );
            tokio::time::sleep(ms(1)).await;
        }
    }

    /// Lets time pass until the check has been run so many times.
    async fn until_checked(&self, name: &str, times: usize) -> Vec<Checked> {
        self.until(&format!("{name} was run {times} times"), |bench| bench.log.checked(name).len() >= times)
            .await;
        self.log.checked(name)
    }
}

fn spec(name: &str) -> Spec {
    Spec { start_grace: Duration::ZERO, interval: ms(1_000), ..Spec::new(name, "shop") }
}

fn reg(spec: Spec, script: &Arc<Script>) -> Registration {
    Registration::new(spec, Arc::clone(script))
}

fn reasons(checked: &[Checked]) -> Vec<Cow<'static, str>> {
    checked.iter().map(|c| c.outcome.reason.clone()).collect()
}
