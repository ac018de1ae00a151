//! Kind `process`: do programs run on this machine, how many, and since when? Which ones are meant is decided in
//! `process/target.rs`, what the kernel says of one is read in `process/seen.rs`.

mod seen;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use seen::Seen;
pub use target::Target;

use crate::kind::{Kind, Read};
use farol_config::Map;
use farol_health::{Check, Dependency, Figure, Outcome, Unit};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use target::Failed;

pub(crate) const KIND: Kind = Kind { name: "process", host: false, dependency: Dependency::Other, read };

fn read(m: &mut Map<'_>) -> Option<Read> {
    let target = Target::read(m);
    let at_least = m.integer("at_least").within(0..=100_000).or(1u32);
    let at_most = m.integer("at_most").within(0..=100_000).optional();
    if at_most.is_some_and(|most| most < at_least) {
        m.problem("at_most", "is less than `at_least`, which is 1 if not given; make it at least as many");
    }
    let settings = Settings { target: target?, at_least, at_most };
    Some(Read::new(format!("{settings:?}"), Process::new(settings)))
}

/// What a `process` check asks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which processes are meant.
    pub target: Target,
    /// Fewer are unhealthy.
    pub at_least: u32,
    /// More are degraded.
    pub at_most: Option<u32>,
}

/// The check.
#[derive(Debug)]
pub struct Process {
    settings: Arc<Settings>,
    /// The processes of the last look, by id and start: when none of them is left, they were restarted. `None` while
    /// a look that was cut has not come back; then no second one is begun.
    last: Arc<Mutex<BTreeSet<(u32, u64)>>>,
}

impl Process {
    /// A check of these processes.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), last: Arc::default() }
    }
}

impl Check for Process {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn target(&self) -> Option<String> {
        Some(format!("the kernel about {}", self.settings.target))
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        let (settings, last) = (Arc::clone(&self.settings), Arc::clone(&self.last));
        async move {
            // A process may keep whoever reads its command line waiting.
            let looked = tokio::task::spawn_blocking(move || {
                let Some(mut last) = last.try_lock() else { return still_looking() };
                let found = settings.target.find(Path::new("/proc"));
                judge(found, &settings, &mut last)
            });
            // Fails only while the process ends.
            looked.await.unwrap_or_else(|_| still_looking())
        }
        .boxed()
    }
}

/// The look before this one has not come back.
pub(crate) fn still_looking() -> Outcome {
    let message = "an earlier look at the processes hangs in the kernel: see which process is stuck";
    Outcome::unknown("hung", message)
}

fn judge(found: Result<Vec<Seen>, Failed>, settings: &Settings, last: &mut BTreeSet<(u32, u64)>) -> Outcome {
    let Settings { target, at_least, at_most } = settings;
    let seen = match found {
        Ok(seen) => seen,
        Err(failed) => return failed.outcome(),
    };
    let now: BTreeSet<_> = seen.iter().map(|process| (process.pid, process.started_ticks)).collect();
    let restarted = !last.is_empty() && !now.is_empty() && last.is_disjoint(&now);
    *last = now;
    let outcome = if (seen.len() as u64) < u64::from(*at_least) {
        let (reason, message) = if seen.is_empty() {
            ("not_running", format!("{target} does not run: start it"))
        } else {
            ("too_few", format!("fewer than {at_least} of {target} run: see why the others ended"))
        };
        Outcome::unhealthy(reason, message)
    } else if at_most.is_some_and(|most| seen.len() as u64 > u64::from(most)) {
        let most = at_most.unwrap_or_default();
        Outcome::degraded("too_many", format!("more than {most} of {target} run: see who starts them"))
    } else if restarted {
        Outcome {
            reason: "restarted".into(),
            message: format!("{target} was restarted"),
            ..Outcome::healthy()
        }
    } else {
        Outcome::healthy()
    };
    figures(&seen).into_iter().fold(outcome, Outcome::with)
}

/// Sums over all that run; what cannot be read of one is left out of all.
fn figures(seen: &[Seen]) -> Vec<Figure> {
    let count = Figure::gauge("process_count", seen.len() as f64, Unit::None).shown_as("count");
    let mut figures = vec![count];
    if seen.is_empty() {
        return figures;
    }
    let sum = |of: fn(&Seen) -> u64| seen.iter().map(of).sum::<u64>() as f64;
    figures.extend([
        Figure::counter("process_cpu_seconds_total", seen.iter().map(|p| p.cpu_seconds).sum(), Unit::Seconds),
        Figure::gauge("process_resident_memory_bytes", sum(|p| p.resident_bytes), Unit::Bytes),
        Figure::gauge("process_threads", sum(|p| p.threads), Unit::None),
    ]);
    let fds: Option<u64> = seen.iter().map(|p| p.open_fds).sum();
    if let Some(fds) = fds {
        figures.push(Figure::gauge("process_open_fds", fds as f64, Unit::None));
    }
    let oldest = seen.iter().filter_map(|p| p.started_at).min_by(f64::total_cmp);
    if let Some(oldest) = oldest {
        figures.push(Figure::gauge("process_start_time_seconds", oldest, Unit::Seconds));
    }
    figures
}
