//! A monitor without sockets, for the tests of everything that reads: a fleet that is fed by hand over a store in a
//! directory of its own.

use super::{OperatorToken, Questions, router};
use crate::alerting;
use crate::app::{App, Reload, Reloaded, Reloads};
use crate::clock::Clock;
use crate::events::Events;
use crate::fleet::{Agent, Connection, Fleet, Outlet, Told};
use crate::ingest::{Counters, Ingest, Policy, Trust};
use crate::journal::{self, Journal, Writer};
use crate::outlet::Publisher;
use crate::scrape::Scrapes;
use crate::store::{Durability, Settings, SqliteStore, Store};
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use farol_health::aggregate::Policy as Needs;
use farol_health::probe::Source;
use farol_health::{Details, Snapshot, Status, clock};
use farol_series::{Columns, Encoding};
use farol_shutdown::listener::{Access, Peer};
use farol_shutdown::{Budgets, Handle, Supervisor};
use farol_wire::{
    Boot, ComponentDef, ComponentReport, Definition, Hello, Role, SeriesDef, SeriesType, SourceDef,
};
use http_body_util::BodyExt;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;

/// Where the monitor listens, as far as it knows.
pub(crate) const BOUND: &str = "127.0.0.1:8501";

/// The monitor's own health: always well.
struct Well {
    born_ms: u64,
    stopping: AtomicBool,
}

impl Source for Well {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::default()
    }
    fn heartbeat_ms(&self) -> u64 {
        clock::boot_ms()
    }
    fn born_ms(&self) -> u64 {
        self.born_ms
    }
    fn started(&self) -> bool {
        true
    }
    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
    fn version(&self) -> &str {
        "1.2.3"
    }
}

pub(crate) struct Scene {
    pub(crate) app: Arc<App>,
    pub(crate) generation: watch::Sender<u64>,
    /// Kept, so that the journal is not without one.
    writer: Option<Writer>,
    /// Or here it works.
    writing: tokio::task::JoinSet<()>,
    own: Arc<Well>,
    router: Router,
    _supervisor: Supervisor,
    _dir: TempDir,
}

/// An answer, read to its end.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The code of a problem document.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.body);
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16(), "{json}");
        assert!(json["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{json}");
        json["code"].as_str().unwrap().to_owned()
    }
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with_reload(Box::new(|| Box::pin(async { Ok(Reloaded::default()) }))).await
    }

    pub(crate) async fn with_reload(reload: Reload) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { path: dir.path().join("farol.db"), durability: Durability::Normal };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(settings).await.unwrap());
        let (journal, writer) = journal::open(Arc::clone(&store), &store.restore().await.unwrap());
        let clock = Arc::new(Clock::start());
        let events = Arc::new(Events::default());
        let generation = watch::Sender::new(0);
        let alerting = alerting::without_rules(&journal, &events, &clock, &store).unwrap();
        let outlet: Arc<dyn Outlet> = Arc::new(Publisher::new(
            Arc::clone(&events),
            journal.clone(),
            generation.clone(),
            Arc::clone(&alerting),
        ));
        let fleet = Arc::new(Fleet::new(Arc::clone(&outlet)));
        let supervisor = Supervisor::new(Budgets::default());
        let handle: Handle = supervisor.handle();
        let ingest = ingest(&fleet, &journal, &clock, outlet, (store.id(), handle.draining()));
        let own = Arc::new(Well { born_ms: clock::boot_ms().saturating_sub(5_000), stopping: false.into() });
        let access = Access { bound: vec![BOUND.parse().unwrap()], ..Access::default() };
        let app = Arc::new(App {
            fleet,
            journal,
            store,
            clock,
            events,
            alerting,
            ingest,
            own: Arc::clone(&own) as Arc<dyn Source>,
            details: Details::Loopback,
            access: ArcSwap::from_pointee(access),
            token: OperatorToken::open(dir.path()).unwrap(),
            scrapes: Scrapes::new(1_000_000),
            questions: Questions::default(),
            reload,
            reloads: Reloads::default(),
            traffic: crate::traffic::Traffic::default(),
            handle,
        });
        let router = router(Arc::clone(&app));
        Self {
            app,
            generation,
            writer: Some(writer),
            writing: Default::default(),
            own,
            router,
            _supervisor: supervisor,
            _dir: dir,
        }
    }

    /// Takes these rules over, as a file writes them; everything goes to the log.
    pub(crate) fn rules(&self, text: &str) {
        let rules = crate::config::rules_in("rules.yaml", text).unwrap();
        let settings = crate::config::Alerting { rules, route: None, windows: Vec::new() };
        let plan = alerting::Plan::new(&settings, &BTreeMap::new(), None).unwrap();
        let (rules, now) = (plan.rules().clone(), self.app.clock.now());
        self.app.alerting.order(plan, now);
        self.app.fleet.take_rules(rules, now);
    }

    /// From now on what is handed in is committed.
    pub(crate) fn write(&mut self) {
        let writer = self.writer.take().expect("it was not taken yet");
        self.writing.spawn(async move {
            writer.run(tokio_util::sync::CancellationToken::new()).await.unwrap();
        });
    }

    /// The store takes nothing from now on, and still answers.
    pub(crate) async fn write_no_more(&mut self) {
        // What it is at is not cut.
        while self.app.journal.committed_documents().borrow().busy_since.is_some() {
            tokio::task::yield_now().await;
        }
        self.writing.shutdown().await;
    }

    /// Commits what waits, and closes the store.
    pub(crate) async fn commit(&mut self) {
        let end = tokio_util::sync::CancellationToken::new();
        end.cancel();
        if let Some(writer) = self.writer.take() {
            writer.run(end).await.unwrap();
        }
    }

    /// The monitor begins to stop.
    pub(crate) fn stop(&self) {
        self.own.stopping.store(true, Ordering::Relaxed);
    }

    /// Declares services, each with its policy, and one group of them all.
    pub(crate) fn declare(&self, services: &[(&str, Needs)], group: &str) {
        let services: BTreeMap<_, _> =
            services.iter().map(|(name, needs)| ((*name).to_owned(), *needs)).collect();
        let members: BTreeSet<_> = services.keys().cloned().collect();
        let groups = BTreeMap::from([(group.to_owned(), members)]);
        self.app.fleet.declare(&services, &groups, self.app.clock.now());
    }

    /// An agent connects and tells its components: service, name, status.
    pub(crate) fn agent(&self, id: &str, components: &[(&str, &str, Status)]) -> Arc<Agent> {
        self.scoped_agent(id, "", components)
    }

    pub(crate) fn scoped_agent(
        &self,
        id: &str,
        scope: &str,
        components: &[(&str, &str, Status)],
    ) -> Arc<Agent> {
        let now = self.app.clock.now();
        let hello = Hello {
            agent: id.into(),
            role: Role::Host,
            boot: Boot { number: 1_768_473_000_000, nonce: 7 },
            spooled: Vec::new(),
            labels: BTreeMap::from([("cluster".into(), "eu".into())]),
            version: "0.1.0".into(),
            protocol: (1, 1),
            interval_ms: 10_000,
            wall_ms: now.wall_ms.unsigned_abs(),
            clock_ms: now.boot_ms,
            scope: scope.into(),
            accept_drain: false,
        };
        let Connection::Open(agent, _) = self.app.fleet.connect(id, &hello, now, &Default::default(), None)
        else {
            panic!("the agent is connected already");
        };
        self.say(&agent, components);
        agent
    }

    /// An agent's whole set with every status, on its open stream.
    pub(crate) fn say(&self, agent: &Arc<Agent>, components: &[(&str, &str, Status)]) {
        let stream = agent.live.lock().stream.as_ref().map_or(0, |link| link.number);
        let told = Told { now: self.app.clock.now(), offset_ms: 0 };
        let (mut defs, mut reports) = (Vec::new(), Vec::new());
        for (id, (service, name, status)) in (1..).zip(components) {
            defs.push(ComponentDef {
                id,
                service: (*service).into(),
                name: (*name).into(),
                required: true,
                readiness: *name == "database",
                ttl_ms: 30_000,
                kind: "tcp".into(),
                labels: BTreeMap::new(),
            });
            reports.push(ComponentReport {
                id,
                hard: *status,
                soft: *status,
                reason: if *status == Status::Healthy { "ok".into() } else { "connection_refused".into() },
                message: format!("{name} is {status}"),
                checked_ms: Some(told.now.boot_ms),
                maintenance: false,
            });
        }
        self.app.fleet.adopt(agent, stream, &defs, reports, told);
    }

    /// An agent's series and their values, all of one source.
    pub(crate) fn samples(&self, agent: &Agent, series: &[(SeriesDef, f64)]) {
        let now = self.app.clock.now();
        self.samples_at(agent, series, (now.run_ms, now.wall_ms));
    }

    /// The same, with the time of the tick.
    pub(crate) fn samples_at(&self, agent: &Agent, series: &[(SeriesDef, f64)], ticked: (u64, i64)) {
        let numbered = (1..).zip(series).map(|(id, (one, _))| SeriesDef { id, ..one.clone() });
        let set = Definition {
            sources: vec![SourceDef { id: 1, name: "test".into(), interval_ms: 10_000 }],
            series: numbered.collect(),
            components: Vec::new(),
        };
        let Ok(interned) = self.app.fleet.layouts.intern(set, |_| Ok::<_, Infallible>(()));
        let mut columns = Columns::new(vec![Encoding::Float; series.len()]);
        let row: Vec<_> = series.iter().map(|(_, value)| Some(*value)).collect();
        let mut block = Vec::new();
        columns.encode(&row, &mut block).unwrap();
        let mut live = agent.live.lock();
        live.samples.start(interned.compiled);
        live.samples.apply(1, &block, ticked).unwrap();
    }

    /// A request as a caller at `peer` sends it; no peer as a listener that forgot to say.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(bytes.to_vec()).unwrap();
        Reply { status: parts.status, headers: parts.headers, body }
    }

    /// The answer without its body read.
    pub(crate) async fn open(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// GET from this machine.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(local(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    /// What an operator sends from this machine.
    pub(crate) async fn tell(&self, method: Method, path: &str, body: &Value) -> Reply {
        let bearer = format!("Bearer {}", self.app.token.expose());
        let request = local(method, path).header("authorization", bearer);
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// An operator's request from this machine.
    pub(crate) async fn operate(&self, method: Method, path: &str) -> Reply {
        let bearer = format!("Bearer {}", self.app.token.expose());
        self.send(local(method, path).header("authorization", bearer).body(Body::empty()).unwrap()).await
    }
}

/// Ingest that believes everybody.
fn ingest(
    fleet: &Arc<Fleet>,
    journal: &Journal,
    clock: &Arc<Clock>,
    outlet: Arc<dyn Outlet>,
    (store_id, draining): (Arc<str>, tokio_util::sync::CancellationToken),
) -> Arc<Ingest> {
    Arc::new(Ingest {
        fleet: Arc::clone(fleet),
        journal: journal.clone(),
        clock: Arc::clone(clock),
        outlet,
        policy: ArcSwap::from_pointee(Policy {
            trust: Trust::default(),
            limits: Default::default(),
            interval: (Duration::from_secs(1), Duration::from_secs(60)),
        }),
        store_id,
        draining,
        streams: Default::default(),
        counters: Counters::default(),
    })
}

/// A request from this machine.
pub(crate) fn local(method: Method, path: &str) -> axum::http::request::Builder {
    from("127.0.0.1:40000", method, path)
}

/// A request from there.
pub(crate) fn from(peer: &str, method: Method, path: &str) -> axum::http::request::Builder {
    let peer = Peer { addr: peer.parse().unwrap(), tls_identity: None };
    Request::builder().method(method).uri(path).header("host", BOUND).extension(peer)
}

/// A series.
pub(crate) fn series(name: &str, kind: SeriesType, labels: &[(&str, &str)]) -> SeriesDef {
    SeriesDef {
        id: 0,
        source: 1,
        name: name.into(),
        labels: labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        kind,
        encoding: Encoding::Float.to_wire(),
        unit: String::new(),
    }
}
