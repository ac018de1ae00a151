//! The monitor as a whole: opens its store and its sockets (`bind`), then runs its parts under the process's
//! supervisor (`run`). Knows no signals, arguments or environment.

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::events::Events;
use crate::fleet::{Event, EventKind, Fleet};
use crate::grpc_health::FleetStatuses;
use crate::ingest::{Counters, Ingest, Outlet};
use crate::journal::{self, Journal, Writer};
use crate::outlet::Publisher;
use crate::own::Own;
use crate::store::sqlite::{Settings, SqliteStore};
use crate::store::{Store, StoreError};
use crate::{http, ticker};
use anyhow::Context;
use arc_swap::ArcSwap;
use axum::Router;
use farol_health::{Checker, grpc};
use farol_shutdown::Handle;
use farol_shutdown::listener::{self, Accept, Limits, Tls};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// So many agents may come from one address: a node's NAT, a load balancer.
const AGENTS_PER_ADDRESS: usize = 8_192;

/// A monitor that has its store and its sockets, and does nothing yet.
pub struct Monitor<A: Accept> {
    listeners: Listeners<A>,
    certificates: Certificates,
    parts: Parts,
    handle: Handle,
}

/// Where connections come from: sockets, or a simulated network in tests.
pub struct Listeners<A> {
    /// REST, probes, scrape.
    pub http: A,
    /// Agents' streams.
    pub agents: A,
    /// `grpc.health.v1` in plain text.
    pub health: A,
}

/// Where a monitor listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// REST, probes, scrape.
    pub http: SocketAddr,
    /// Agents' streams.
    pub agents: SocketAddr,
    /// `grpc.health.v1` in plain text.
    pub health: SocketAddr,
}

#[derive(Clone, Default)]
struct Certificates {
    http: Option<Tls>,
    agents: Option<Tls>,
    health: Option<Tls>,
}

/// What the tasks work on.
struct Parts {
    app: Arc<App>,
    ingest: Arc<Ingest>,
    own: Arc<Own>,
    checker: Checker,
    writer: Writer,
}

/// Gives a running monitor another configuration.
#[derive(Clone)]
pub struct Reloader {
    app: Arc<App>,
    ingest: Arc<Ingest>,
    certificates: Certificates,
    config: Arc<ArcSwap<Config>>,
}

impl Monitor<TcpListener> {
    /// Opens the sockets and the store in `data_dir`, and restores what the store knows.
    pub async fn bind(config: Config, data_dir: &Path, handle: &Handle) -> anyhow::Result<Self> {
        let listeners = Listeners {
            http: listener::bind(config.listen.http).context("listen.http")?,
            agents: listener::bind(config.listen.agents).context("listen.agents")?,
            health: listener::bind(config.listen.health).context("listen.health")?,
        };
        let path = config.store.file(data_dir);
        let settings = Settings { path: path.clone(), durability: config.store.durability };
        let store = SqliteStore::open(settings).await.with_context(|| format!("store {}", path.display()))?;
        Self::with(config, data_dir, handle, Arc::new(store), listeners).await
    }
}

impl<A: Accept> Monitor<A> {
    /// The same over any store and any network.
    pub async fn with(
        config: Config,
        data_dir: &Path,
        handle: &Handle,
        store: Arc<dyn Store>,
        listeners: Listeners<A>,
    ) -> anyhow::Result<Self> {
        let certificates = Certificates::load(&config)?;
        let clock = Arc::new(Clock::start());
        let now = clock.now();
        let fleet = Arc::new(Fleet::default());
        let restored = store.restore().await.context("reading the store")?;
        let (journal, writer) = journal::open(Arc::clone(&store), &restored);
        let outlet = Arc::new(Publisher::new(Arc::new(Events::new(now.wall_ms)), journal.clone()));
        fleet.restore(&restored, now);
        fleet.declare(&config.services, &config.groups, now);
        note_downtime(&journal, restored.last_commit_ms, now.wall_ms);
        let (own, checker) = Own::new(journal.clone(), config.ready_requires_store, handle.clone())?;
        let ingest = Arc::new(Ingest {
            fleet: Arc::clone(&fleet),
            journal: journal.clone(),
            clock: Arc::clone(&clock),
            outlet: Arc::clone(&outlet) as Arc<dyn Outlet>,
            policy: ArcSwap::from_pointee(config.ingest.clone()),
            store_id: store.id(),
            draining: handle.draining(),
            counters: Counters::default(),
        });
        let app = App::new(config, data_dir, handle.clone(), store, clock, outlet, Arc::clone(&own), Arc::clone(&ingest))?;
        let parts = Parts { app: Arc::new(app), ingest, own, checker, writer };
        Ok(Self { listeners, certificates, parts, handle: handle.clone() })
    }

    /// Where it listens.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        Ok(Addresses {
            http: self.listeners.http.local_addr()?,
            agents: self.listeners.agents.local_addr()?,
            health: self.listeners.health.local_addr()?,
        })
    }

    /// What a reload goes through.
    pub fn reloader(&self) -> Reloader {
        Reloader {
            app: Arc::clone(&self.parts.app),
            ingest: Arc::clone(&self.parts.ingest),
            certificates: self.certificates.clone(),
            config: Arc::clone(&self.parts.app.config),
        }
    }

    /// Starts every part under the supervisor; they end with it.
    pub fn run(self) {
        let Self { listeners, certificates, parts, handle } = self;
        let Parts { app, ingest, own, checker, writer } = parts;
        keep_journal(&handle, writer);
        handle.spawn("own checks", checker.run(handle.cleaning()));
        handle.spawn("fleet clock", ticker::run(Arc::clone(&app), handle.cleaning()));
        let agents = tonic::service::Routes::new(ingest.service()).into_axum_router();
        let statuses = Arc::new(FleetStatuses::new(Arc::clone(&app)));
        let health = grpc::server(statuses, handle.draining(), grpc::Limits::default());
        let health = tonic::service::Routes::new(health).into_axum_router();
        serve(&handle, listeners.http, http::router(app), Limits::default(), certificates.http, "http");
        let limits = Limits { per_address: AGENTS_PER_ADDRESS, ..Limits::default() };
        serve(&handle, listeners.agents, agents, limits, certificates.agents, "agents");
        serve(&handle, listeners.health, health, Limits::default(), certificates.health, "health");
        own.start();
    }
}

fn serve<A: Accept>(handle: &Handle, accept: A, router: Router, limits: Limits, tls: Option<Tls>, name: &'static str) {
    handle.spawn(name, listener::serve(accept, router, limits, tls, handle, name));
}

/// The journal's writer commits until the cleanups, and its last group is one of them.
fn keep_journal(handle: &Handle, writer: Writer) {
    let (flush, flushed) = (CancellationToken::new(), CancellationToken::new());
    let (end, ended) = (flush.clone(), flushed.clone());
    handle.spawn("journal", async move {
        let result: Result<(), StoreError> = writer.run(end).await;
        ended.cancel();
        result
    });
    handle.cleanup("store", Duration::from_secs(4), move || async move {
        flush.cancel();
        flushed.cancelled().await;
    });
}

/// The time since the last commit of a monitor before this one was watched by nobody.
fn note_downtime(journal: &Journal, last_commit_ms: Option<i64>, now_ms: i64) {
    if let Some(from) = last_commit_ms.filter(|from| *from < now_ms) {
        journal.blind(from, now_ms);
    }
}

impl Certificates {
    fn load(config: &Config) -> anyhow::Result<Self> {
        let load = |name: &str, files: &Option<crate::config::TlsFiles>| {
            files
                .as_ref()
                .map(|f| Tls::load(&f.cert, &f.key, f.client_ca.as_deref()))
                .transpose()
                .with_context(|| format!("tls.{name}"))
        };
        Ok(Self {
            http: load("http", &config.tls.http)?,
            agents: load("agents", &config.tls.agents)?,
            health: load("health", &config.tls.health)?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Tls> {
        [&self.http, &self.agents, &self.health].into_iter().flatten()
    }
}

impl Reloader {
    /// Takes over a new configuration and reads the certificates again. Tells which keys need a restart.
    pub fn apply(&self, new: Config) -> anyhow::Result<Vec<&'static str>> {
        for tls in self.certificates.all() {
            tls.reload()?;
        }
        let needs_restart = self.config.load().needs_restart(&new);
        let now = self.app.clock.now();
        self.ingest.policy.store(Arc::new(new.ingest.clone()));
        let effects = self.app.fleet.declare(&new.services, &new.groups, now);
        self.app.outlet.publish(&effects);
        self.config.store(Arc::new(new));
        let mut event = Event::new(EventKind::Reload, now.wall_ms);
        if !needs_restart.is_empty() {
            event = event.message(format!("needs a restart to take effect: {}", needs_restart.join(", ")));
        }
        self.tell(event);
        Ok(needs_restart)
    }

    /// A configuration was refused: the old one stays.
    pub fn refused(&self, why: &str) {
        let now = self.app.clock.now();
        let mut event = Event::new(EventKind::Reload, now.wall_ms).message(why);
        event.reason = Some("refused".into());
        self.tell(event);
    }

    fn tell(&self, event: Event) {
        let effects = crate::fleet::Effects { events: vec![event], ..Default::default() };
        self.app.outlet.publish(&effects);
    }
}
