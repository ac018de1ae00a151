//! The shell round the book of alerts: what the fleet sees goes in, and what follows goes out: into the ledger and to the
//! dispatcher, into the store, onto the stream of events, to the actions. Decides nothing about alerts.

mod conditions;
mod hand_ins;
mod heartbeat;
mod keeping;
mod names;
mod opening;
mod outbox;
mod plans;
mod telling;

pub(crate) use conditions::{Conditions, blind_for, of as condition};
pub(crate) use opening::open;
pub use opening::without_rules;
pub(crate) use plans::Plans;

use crate::act::Actions;
use crate::clock::{Clock, Moment};
use crate::config::{Alerting as Settings, Heartbeat};
use crate::events::Events;
use crate::fleet::{Effects, Planned};
use crate::journal::Journal;
use crate::notify::Dispatcher;
use crate::notify::egress::Egress;
use crate::store::{Document, DocumentChange, DocumentKind, DocumentPage, Store, StoreError};
use arc_swap::ArcSwap;
use farol_rules::{
    Acknowledgement, AlertId, AlertView, Away, Book, Entry, EntryKind, Graph, GraphError, MuteError,
    Observation, Orders, Route, Ruleset, SavedBook, Silence, Tree, Window,
};
pub(crate) use names::short_id;
use outbox::Outbox;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use telling::Phrases;
pub(crate) use telling::word_id;
use tokio::sync::watch;

/// Without a route everything goes here.
pub const LOG: &str = "log";

/// The book of alerts and its outlets.
pub struct Alerting {
    book: Mutex<Book>,
    /// What it decided, until it is carried out.
    outbox: Outbox,
    /// The rules' templates.
    phrases: ArcSwap<Phrases>,
    clock: Arc<Clock>,
    journal: Journal,
    events: Arc<Events>,
    dispatcher: Dispatcher,
    actions: Actions,
    /// Locked from the look at breakers until their states are handed in: what is handed in last is the newest.
    keeping_breakers: Mutex<()>,
    /// Who hears that the monitor lives.
    heartbeat: watch::Sender<Option<Heartbeat>>,
    /// Which addresses the heartbeat and actions may speak to.
    egress: Egress,
    /// Tells the lines of time lines apart that are written in one millisecond.
    lines: AtomicU64,
    /// Rises whenever maintenance windows are taken or ended.
    plans: AtomicU64,
    /// The windows in force when the monitor was last alive: what is restored was under them.
    was_planned: Planned,
    /// What alerts and notices there were, for `/metrics`.
    pub(crate) counts: Counts,
}

/// What there was since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) fired: AtomicU64,
    pub(crate) resolved: AtomicU64,
    pub(crate) notices: AtomicU64,
}

/// What a configuration makes of alerting, checked as a whole.
pub(crate) struct Plan {
    orders: Orders,
    phrases: Phrases,
    windows: Vec<Window>,
}

/// A configuration that makes no sense together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// The rules.
    #[error("{0}")]
    Rules(String),
    /// What depends on what.
    #[error("{0}")]
    Graph(#[from] GraphError),
    /// Who is told.
    #[error("{0}")]
    Route(#[from] farol_rules::RouteError),
}

impl Plan {
    /// Makes a plan of a configuration. `needs` is which services each service needs.
    pub(crate) fn new(
        settings: &Settings,
        needs: &BTreeMap<Arc<str>, Vec<Arc<str>>>,
        external_url: Option<&str>,
    ) -> Result<Self, PlanError> {
        let wrong = |errors: Vec<farol_rules::CompileError>| {
            PlanError::Rules(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        };
        let rules = Ruleset::new(settings.rules.clone()).map_err(wrong)?;
        let graph = Arc::new(Graph::new(rules.rules(), needs)?);
        let to_log = || Route { receiver: Some(LOG.into()), ..Route::default() };
        let tree = Arc::new(Tree::new(settings.route.clone().unwrap_or_else(to_log))?);
        let phrases = Phrases::new(&rules, external_url).map_err(PlanError::Rules)?;
        Ok(Self { orders: Orders { rules, graph, tree }, phrases, windows: settings.windows.clone() })
    }

    /// The rules.
    pub(crate) fn rules(&self) -> &Ruleset {
        &self.orders.rules
    }

    /// What the book goes by, and maintenance of the configuration.
    pub(crate) fn into_orders(self) -> (Orders, Vec<Window>) {
        (self.orders, self.windows)
    }
}

impl Alerting {
    /// Alerting as it was when the monitor was last alive.
    ///
    /// # Errors
    /// The store does not say what was kept.
    pub(crate) async fn restore(
        plan: Plan,
        documents: &[Document],
        store: &dyn Store,
        alive_until_ms: Option<i64>,
        parts: Parts,
    ) -> Result<Arc<Self>, StoreError> {
        let mut saved = keeping::restored(documents);
        let incidents: BTreeSet<Arc<str>> =
            saved.alerts.iter().filter_map(|(_, alert)| alert.incident.clone()).collect();
        for id in incidents {
            let page = DocumentPage { prefix: Some(id), limit: 1, ..DocumentPage::default() };
            let found = store.documents(DocumentKind::Incident, page).await?;
            saved.incidents.extend(keeping::restored(&found).incidents);
        }
        Ok(Self::new(plan, saved, alive_until_ms, parts))
    }

    /// Alerting from what was kept.
    fn new(plan: Plan, saved: SavedBook, alive_until_ms: Option<i64>, parts: Parts) -> Arc<Self> {
        let now = parts.clock.now();
        let mut book = Book::new(plan.orders);
        let was_planned = alive_until_ms.map(|at_ms| Planned::at(&saved.windows, at_ms)).unwrap_or_default();
        let away = Away {
            alive_until_wall_ms: alive_until_ms.unwrap_or(now.wall_ms),
            news_within_ms: u64::try_from(parts.restart_grace.max(NEWS_WITHIN).as_millis())
                .unwrap_or(u64::MAX),
        };
        book.restore(saved, away, rules_moment(now));
        let alerting = Arc::new(Self {
            book: Mutex::new(book),
            outbox: Outbox::default(),
            phrases: ArcSwap::from_pointee(plan.phrases),
            clock: parts.clock,
            journal: parts.journal,
            events: parts.events,
            dispatcher: parts.dispatcher,
            actions: parts.actions,
            keeping_breakers: Mutex::new(()),
            heartbeat: watch::Sender::new(parts.heartbeat),
            egress: parts.egress,
            lines: AtomicU64::new(0),
            plans: AtomicU64::new(0),
            was_planned,
            counts: Counts::default(),
        });
        alerting.say(now, |book| ((), take_windows(book, &plan.windows, now)));
        alerting
    }

    /// Takes over another configuration. What was told is ended where its rule is gone; what fires goes on.
    pub(crate) fn order(&self, plan: Plan, now: Moment) {
        self.phrases.store(Arc::new(plan.phrases.after(&self.phrases.load())));
        self.say(now, |book| {
            book.order(plan.orders, rules_moment(now));
            ((), take_windows(book, &plan.windows, now))
        });
        self.plans.fetch_add(1, Ordering::Release);
    }

    /// The windows that were in force when the monitor was last alive, and those that are now.
    pub(crate) fn planned(&self) -> (Planned, Planned) {
        let now = Planned::at(self.book().windows(), self.clock.now().wall_ms);
        (self.was_planned.clone(), now)
    }

    /// What the fleet saw in one step. Called with the agent locked: looks at nothing else. It may carry out what others
    /// decided, and waits for who does when very much waits; it never waits for the store, nor for a receiver.
    pub(crate) fn observe(&self, effects: &Effects, now: Moment) {
        // Before an alert that follows of it can ask for an action.
        for (service, agent) in &effects.went_bad {
            self.actions.note_bad(service, agent, rules_moment(now));
        }
        if !effects.observed.is_empty() {
            self.see(&effects.observed, now);
        }
    }

    /// Something of the monitor itself was seen.
    pub(crate) fn see(&self, observations: &[Observation], now: Moment) {
        self.change(now, |book| book.observe(observations, rules_moment(now)));
    }

    /// Time passes.
    pub fn tick(&self, now: Moment) {
        self.change(now, |book| book.tick(rules_moment(now)));
    }

    /// The book, to read in. Nothing goes on meanwhile: not for long.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock()
    }

    /// The annotations of an alert, as its messages have them.
    pub(crate) fn annotations(&self, alert: &AlertView) -> BTreeMap<String, String> {
        self.phrases.load().annotations(alert)
    }

    /// The sending side of the ledger.
    pub(crate) fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// The actions and breakers.
    pub(crate) fn actions(&self) -> &Actions {
        &self.actions
    }

    fn line(&self, incident: &str, entry: &Entry) -> DocumentChange {
        keeping::entry(incident, self.lines.fetch_add(1, Ordering::Relaxed), entry)
    }

    /// Writes a line on an incident's time line: what was sent, what was done.
    pub(crate) fn note(&self, incident: &str, kind: EntryKind, alert: Option<AlertId>, text: String) {
        let entry = Entry { at_ms: self.clock.now().wall_ms, kind, alert, text };
        self.journal.documents(vec![self.line(incident, &entry)]);
    }

    /// Takes a silence. The number of the hand-in that keeps it.
    pub(crate) fn silence(&self, silence: Silence) -> Result<u64, MuteError> {
        let now = self.clock.now();
        let (taken, number) = self.say(now, |book| {
            let kept = keeping::silence(&silence.id, Some(&silence), now.wall_ms);
            all_or_none(book.silence(silence, rules_moment(now)), kept)
        });
        taken.map(|()| number)
    }

    /// Ends a silence now; `None` where there is none.
    pub(crate) fn unsilence(&self, id: &str) -> Option<u64> {
        let now = self.clock.now();
        let (ended, number) = self.say(now, |book| {
            let ended = book.unsilence(id, rules_moment(now)).ok_or(());
            all_or_none(ended, keeping::silence(id, None, now.wall_ms))
        });
        ended.ok().map(|_| number)
    }

    /// Takes a maintenance window.
    pub(crate) fn maintain(&self, window: Window) -> Result<u64, MuteError> {
        let now = self.clock.now();
        let (taken, number) = self.say(now, |book| {
            let kept = keeping::window(&window.id, Some(&window), now.wall_ms);
            all_or_none(book.maintain(window, rules_moment(now)), kept)
        });
        self.plans.fetch_add(1, Ordering::Release);
        taken.map(|()| number)
    }

    /// Ends a maintenance window; `None` where there is none.
    pub(crate) fn end_maintenance(&self, id: &str) -> Option<u64> {
        let now = self.clock.now();
        let (ended, number) = self.say(now, |book| {
            let ended = book.end_maintenance(id, rules_moment(now)).ok_or(());
            all_or_none(ended, keeping::window(id, None, now.wall_ms))
        });
        self.plans.fetch_add(1, Ordering::Release);
        ended.ok().map(|_| number)
    }

    /// Somebody takes care of an alert; `None` where it does not fire.
    pub(crate) fn acknowledge(&self, ack: Acknowledgement) -> Result<Option<u64>, MuteError> {
        let (now, id) = (self.clock.now(), ack.alert.clone());
        let (taken, number) = self.say(now, |book| {
            let taken = book.acknowledge(ack, rules_moment(now));
            let ack = book.acknowledgement(&id).filter(|_| matches!(taken, Ok(true)));
            let kept = ack.map(|ack| keeping::acknowledgement(&id, Some(ack), now.wall_ms));
            (taken.map(|_| kept.is_some()), kept.into_iter().collect())
        });
        taken.map(|taken| taken.then_some(number))
    }

    /// Nobody takes care of an alert any more; `None` where nobody did.
    pub(crate) fn unacknowledge(&self, id: &AlertId) -> Option<u64> {
        let now = self.clock.now();
        let (ended, number) = self.say(now, |book| {
            let ended = book.unacknowledge(id, rules_moment(now)).then_some(()).ok_or(());
            all_or_none(ended, keeping::acknowledgement(id, None, now.wall_ms))
        });
        ended.ok().map(|()| number)
    }
}

/// What is kept of a word that was taken; of one that was refused, nothing.
fn all_or_none<T, E>(taken: Result<T, E>, kept: DocumentChange) -> (Result<T, E>, Vec<DocumentChange>) {
    let kept = if taken.is_ok() { vec![kept] } else { Vec::new() };
    (taken, kept)
}

/// What alerting is made with.
pub(crate) struct Parts {
    pub(crate) clock: Arc<Clock>,
    pub(crate) journal: Journal,
    pub(crate) events: Arc<Events>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) actions: Actions,
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) egress: Egress,
    /// Agents have so long to come back.
    pub(crate) restart_grace: Duration,
}

/// Agents come back within so long after a restart, where nothing longer is configured.
const NEWS_WITHIN: Duration = Duration::from_secs(60);

/// A moment in the rules' words.
pub(crate) fn rules_moment(now: Moment) -> farol_rules::Moment {
    farol_rules::Moment { run_ms: now.run_ms, wall_ms: now.wall_ms }
}

/// Windows of the configuration stand in it alone: their ids say so.
fn is_configured(window: &Window) -> bool {
    window.id.starts_with(CONFIGURED)
}

/// How the ids of the configuration's windows begin.
pub(crate) const CONFIGURED: &str = "config:";

/// Takes the windows of a configuration in place of those of the one before. They are kept, too: what was under one
/// when the monitor stopped must be known when it starts without it.
fn take_windows(book: &mut Book, windows: &[Window], now: Moment) -> Vec<DocumentChange> {
    let mut kept = Vec::new();
    let configured: Vec<Window> = windows
        .iter()
        .map(|window| Window { id: format!("{CONFIGURED}{}", window.name).into(), ..window.clone() })
        .collect();
    // The new ones first: what they mute as well is not told in between.
    for window in &configured {
        match book.maintain(window.clone(), rules_moment(now)) {
            Ok(()) => kept.push(keeping::window(&window.id, Some(window), now.wall_ms)),
            Err(error) => {
                tracing::error!(%error, "a maintenance window of the configuration is not kept");
            }
        }
    }
    let is_gone = |window: &&Window| is_configured(window) && !configured.iter().any(|c| c.id == window.id);
    let gone: Vec<Arc<str>> = book.windows().iter().filter(is_gone).map(|w| Arc::clone(&w.id)).collect();
    for id in gone {
        book.end_maintenance(&id, rules_moment(now));
        kept.push(keeping::window(&id, None, now.wall_ms));
    }
    kept
}
