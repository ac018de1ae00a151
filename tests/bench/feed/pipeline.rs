//! The monitor's parts from the gRPC service to SQLite, put together as the monitor does it, without its listeners.

use super::COMMITTED_WITHIN;
use super::inbox::{Inbox, Said, framed};
use crate::tape::{self, Tape};
use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use axum::body::Body;
use farol_health::clock::boot_ms;
use farol_health::probe::Source;
use farol_health::{Details, Snapshot};
use farol_monitor::app::{App, Reloaded, Reloads};
use farol_monitor::clock::Clock;
use farol_monitor::events::Events;
use farol_monitor::fleet::{Fleet, Outlet};
use farol_monitor::http::{OperatorToken, Questions, router};
use farol_monitor::ingest::{Counters, Ingest, Policy, Trust};
use farol_monitor::journal;
use farol_monitor::outlet::Publisher;
use farol_monitor::scrape::Scrapes;
use farol_monitor::store::{Durability, Settings, SqliteStore, Store};
use farol_rules::Rule;
use farol_shutdown::listener::{Access, Peer};
use farol_shutdown::{Budgets, Supervisor};
use farol_wire::proto::{AgentMessage, agent_message};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

/// How often silence is looked for, as in the monitor.
const TICK: Duration = Duration::from_millis(250);
const LOOK: Duration = Duration::from_millis(50);
/// Streams are opened in such crowds, so that Hello is not late.
const CROWD: usize = 500;

/// Everything behind the transport.
pub(super) struct Pipeline {
    app: Arc<App>,
    /// The writer, the fleet's clock, and the one who watches over the streams.
    parts: JoinSet<anyhow::Result<()>>,
    streams: JoinSet<()>,
    /// What the first stream that ended said.
    broken: Arc<Mutex<Option<String>>>,
    cleaning: CancellationToken,
}

impl Pipeline {
    pub(super) async fn open(folder: &Path) -> anyhow::Result<Self> {
        let settings = Settings { path: folder.join("farol.db"), durability: Durability::Normal };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(settings).await?);
        let restored = store.restore().await?;
        let (journal, writer) = journal::open(Arc::clone(&store), &restored);
        let app = app(folder, store, journal)?;
        let cleaning = CancellationToken::new();
        let mut parts = JoinSet::new();
        let end = cleaning.clone();
        parts.spawn(async move { writer.run(end).await.map_err(Into::into) });
        parts.spawn(tick(Arc::clone(&app), cleaning.clone()));
        let ingest = Arc::clone(&app.ingest);
        let end = cleaning.clone();
        parts.spawn(async move {
            end.run_until_cancelled(ingest.watch_over_streams()).await;
            Ok(())
        });
        Ok(Self { app, parts, streams: JoinSet::new(), broken: Arc::default(), cleaning })
    }

    /// From now on these rules look at the agents.
    pub(super) fn take_rules(&self, rules: Vec<Rule>) -> anyhow::Result<()> {
        self.app.alerting.take_rules(rules, &self.app.fleet)
    }

    /// How many rules are in force.
    pub(super) fn rules(&self) -> usize {
        self.app.fleet.rules().rules().len()
    }

    /// Alerts that fire, and elements that do or are about to.
    pub(super) fn alerts(&self) -> (usize, usize) {
        let book = self.app.alerting.book();
        (book.firing(), book.active())
    }

    /// Opens a stream for each agent, with Hello, its definitions and its State.
    pub(super) async fn connect(
        &mut self,
        agents: usize,
        tape: &Tape,
        interval: Duration,
    ) -> anyhow::Result<Vec<Arc<Inbox>>> {
        let mut inboxes = Vec::with_capacity(agents);
        for number in 0..agents {
            let inbox = Arc::new(Inbox::default());
            let define = tape.definition(number, interval);
            let opening = [
                agent_message::Kind::Hello(tape::hello(number, interval, Vec::new())),
                agent_message::Kind::Define(define),
                agent_message::Kind::State(tape::state()),
            ]
            .map(|kind| AgentMessage { kind: Some(kind) });
            inbox.put(framed(&opening)).expect("it is the first piece");
            self.streams.spawn(stream(Arc::clone(&self.app.ingest), inbox.clone(), self.broken.clone()));
            inboxes.push(inbox);
            if number % CROWD == CROWD - 1 {
                self.wait_until(|| !inboxes.last().is_some_and(|last| last.is_full()), TICK * 120).await?;
            }
        }
        Ok(inboxes)
    }

    /// Waits until so many reports were taken.
    pub(super) async fn wait_until_taken(&self, reports: u64, within: Duration) -> anyhow::Result<()> {
        self.wait_until(|| self.taken() >= reports, within).await
    }

    /// Waits until no more than so many of the reports that were taken are not committed yet.
    pub(super) async fn wait_until_even(&self, lag: u64) -> anyhow::Result<()> {
        let is_even = || self.taken().saturating_sub(self.committed_reports()) <= lag;
        self.wait_until(is_even, COMMITTED_WITHIN).await
    }

    async fn wait_until(&self, is_so: impl Fn() -> bool, within: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + within;
        while !is_so() {
            self.check()?;
            anyhow::ensure!(Instant::now() < until, "only {} reports after {within:?}", self.taken());
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Reports that ingest took.
    pub(super) fn taken(&self) -> u64 {
        self.app.ingest.counters.reports.load(Ordering::Relaxed)
    }

    pub(super) fn committed_reports(&self) -> u64 {
        self.app.journal.health().committed_reports
    }

    /// Asks for that from another thread.
    pub(super) fn counts_committed(&self) -> Box<dyn Fn() -> u64 + Send> {
        let journal = self.app.journal.clone();
        Box::new(move || journal.health().committed_reports)
    }

    /// Waits until so many are committed.
    pub(super) async fn committed(&self, reports: u64) -> anyhow::Result<()> {
        while self.committed_reports() < reports {
            self.check()?;
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// A stream that ended, or a report that was dropped, makes the figures those of something else.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if let Some(why) = &*self.broken.lock() {
            bail!("a stream ended: {why}");
        }
        let health = self.app.journal.health();
        anyhow::ensure!(
            health.dropped_reports == 0 && health.refusing.is_none(),
            "the journal dropped {} reports",
            health.dropped_reports
        );
        Ok(())
    }

    /// The monitor's own page.
    pub(super) async fn metrics(&self) -> anyhow::Result<String> {
        let peer = Peer { addr: ([127, 0, 0, 1], 1).into(), tls_identity: None };
        let request = axum::http::Request::get("/metrics").header("host", "localhost").extension(peer);
        let response = router(Arc::clone(&self.app)).oneshot(request.body(Body::empty())?).await?;
        let status = response.status();
        // Only its beginning: the statuses of a million components follow.
        let mut body = response.into_body();
        let mut page = Vec::new();
        while page.len() < 256 << 10 {
            let Some(frame) = body.frame().await else { break };
            page.extend(frame?.into_data().unwrap_or_default());
        }
        let page = String::from_utf8_lossy(&page).into_owned();
        anyhow::ensure!(status.is_success(), "/metrics: {status} {page}");
        Ok(page)
    }

    pub(super) async fn close(mut self) -> anyhow::Result<()> {
        self.streams.shutdown().await;
        self.cleaning.cancel();
        while let Some(ended) = self.parts.join_next().await {
            ended.context("a part of the monitor")??;
        }
        Ok(())
    }
}

/// One stream: the service answers the request, and the answer is read to its end, as HTTP/2 would.
async fn stream(ingest: Arc<Ingest>, inbox: Arc<Inbox>, broken: Arc<Mutex<Option<String>>>) {
    let mut request = axum::http::Request::new(tonic::body::Body::new(Said(inbox)));
    *request.uri_mut() = axum::http::Uri::from_static("/farol.v1.Fleet/Stream");
    *request.method_mut() = axum::http::Method::POST;
    request.headers_mut().insert("content-type", axum::http::HeaderValue::from_static("application/grpc"));
    request.extensions_mut().insert(Peer { addr: ([127, 0, 0, 1], 9).into(), tls_identity: None });
    let mut service = ingest.service();
    drop(ingest);
    let response = match service.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    drop(service);
    let mut answers = response.into_body();
    let mut end = "without a word".to_owned();
    while let Some(frame) = answers.frame().await {
        match frame.map(|frame| frame.into_trailers()) {
            Ok(Ok(trailers)) => end = format!("{trailers:?}"),
            Ok(Err(_)) => {}
            Err(error) => end = error.to_string(),
        }
    }
    broken.lock().get_or_insert(end);
}

async fn tick(app: Arc<App>, end: CancellationToken) -> anyhow::Result<()> {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while end.run_until_cancelled(ticks.tick()).await.is_some() {
        let (now, _) = app.clock.tick();
        app.fleet.tick(now);
        app.alerting.tick(now);
    }
    Ok(())
}

fn app(folder: &Path, store: Arc<dyn Store>, journal: journal::Journal) -> anyhow::Result<Arc<App>> {
    let clock = Arc::new(Clock::start());
    let events = Arc::new(Events::default());
    let handle = Supervisor::new(Budgets::default()).handle();
    let alerting = farol_monitor::alerting::without_rules(&journal, &events, &clock, &store)?;
    let outlet: Arc<dyn Outlet> = Arc::new(Publisher::new(
        Arc::clone(&events),
        journal.clone(),
        tokio::sync::watch::Sender::new(0),
        Arc::clone(&alerting),
    ));
    let fleet = Arc::new(Fleet::new(Arc::clone(&outlet)));
    let interval = (Duration::from_millis(100), Duration::from_secs(3_600));
    let policy = Policy { trust: Trust::default(), limits: Default::default(), interval };
    let ingest = Arc::new(Ingest {
        fleet: Arc::clone(&fleet),
        journal: journal.clone(),
        clock: Arc::clone(&clock),
        outlet,
        policy: ArcSwap::from_pointee(policy),
        store_id: store.id(),
        draining: handle.draining(),
        streams: Default::default(),
        counters: Counters::default(),
    });
    Ok(Arc::new(App {
        fleet,
        journal,
        store,
        clock,
        events,
        alerting,
        ingest,
        own: Arc::new(Own),
        details: Details::Loopback,
        access: ArcSwap::from_pointee(Access::default()),
        token: OperatorToken::open(folder)?,
        scrapes: Scrapes::new(1_000_000),
        questions: Questions::default(),
        reload: Box::new(|| Box::pin(async { Ok(Reloaded::default()) })),
        reloads: Reloads::default(),
        traffic: farol_monitor::traffic::Traffic::default(),
        handle,
    }))
}

/// The monitor's own health, which is not asked here.
struct Own;

impl Source for Own {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::default()
    }
    fn heartbeat_ms(&self) -> u64 {
        boot_ms()
    }
    fn born_ms(&self) -> u64 {
        0
    }
    fn started(&self) -> bool {
        true
    }
    fn stopping(&self) -> bool {
        false
    }
    fn version(&self) -> &str {
        "bench"
    }
}
