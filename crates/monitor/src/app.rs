//! What every reader's handler needs of the monitor, put together once at the start. Decides nothing.

use crate::alerting::Alerting;
use crate::clock::Clock;
use crate::events::Events;
use crate::fleet::Fleet;
use crate::http::{OperatorToken, Questions};
use crate::ingest::Ingest;
use crate::journal::Journal;
use crate::scrape::Scrapes;
use crate::store::Store;
use crate::traffic::Traffic;
use arc_swap::ArcSwap;
use farol_health::Details;
use farol_health::probe::Source;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;

/// The monitor, as its HTTP surface sees it.
pub struct App {
    /// The live state.
    pub fleet: Arc<Fleet>,
    /// What is being kept, and how that goes.
    pub journal: Journal,
    /// What was kept.
    pub store: Arc<dyn Store>,
    /// The clocks.
    pub clock: Arc<Clock>,
    /// What happened lately.
    pub events: Arc<Events>,
    /// The alerts, and who is told of them.
    pub alerting: Arc<Alerting>,
    /// The agents' streams: their counters, and the way out for what an operator brings about.
    pub ingest: Arc<Ingest>,
    /// The monitor's own health: `database` and `system`.
    pub own: Arc<dyn Source>,
    /// Who sees messages and figures in probes.
    pub details: Details,
    /// Who may read, and under which names; replaced by a reload.
    pub access: ArcSwap<farol_shutdown::listener::Access>,
    /// What an operator must show.
    pub token: OperatorToken,
    /// How much a scrape may take, and what was left out.
    pub scrapes: Scrapes,
    /// How many questions about the past may be answered at once.
    pub questions: Questions,
    /// Reads the configuration again.
    pub reload: Reload,
    /// How reloads went.
    pub reloads: Reloads,
    /// What was asked of the listeners.
    pub traffic: Traffic,
    /// The process.
    pub handle: farol_shutdown::Handle,
}

/// Reads the configuration again and takes it over, or refuses it whole.
pub type Reload = Box<dyn Fn() -> BoxFuture<'static, Result<Reloaded, ReloadRefused>> + Send + Sync>;

/// A reload that was taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Keys that changed and take effect at the next start only.
    pub restart_needed: Vec<String>,
}

/// A reload that was refused: one line for each problem. The configuration stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadRefused(pub Vec<String>);

/// How reloads went, for `/metrics`; whoever reloads notes it here.
#[derive(Debug, Default)]
pub struct Reloads(Mutex<ReloadState>);

/// How reloads went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadState {
    /// Taken over since the start.
    pub succeeded: u64,
    /// Refused since the start.
    pub failed: u64,
    /// The last one was refused.
    pub last_failed: bool,
    /// When the configuration was last taken over, unix milliseconds.
    pub last_success_ms: Option<i64>,
}

impl Reloads {
    /// Notes how a reload went; the first reading of the configuration is noted too.
    pub fn note(&self, went_well: bool, now_ms: i64) {
        let mut state = self.0.lock();
        state.last_failed = !went_well;
        if went_well {
            state.succeeded += 1;
            state.last_success_ms = Some(now_ms);
        } else {
            state.failed += 1;
        }
    }

    /// How they went so far.
    #[must_use]
    pub fn state(&self) -> ReloadState {
        *self.0.lock()
    }
}
