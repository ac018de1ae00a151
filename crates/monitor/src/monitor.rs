//! The monitor as a whole: opens its store and its sockets (`bind`), then runs its parts under the process's
//! supervisor (`run`). Knows no signals, arguments or environment.

use crate::app::{App, Reloads};
use crate::clock::Clock;
use crate::config::Config;
use crate::events::Events;
use crate::fleet::{Fleet, Outlet};
use crate::grpc_health::FleetStatuses;
use crate::http::{OperatorToken, Questions};
use crate::ingest::{Counters, Ingest};
use crate::journal::{self, Journal, Writer};
use crate::outlet::Publisher;
use crate::own::Own;
use crate::reload::{self, ReloadRequest, Reloader};
use crate::scrape::Scrapes;
use crate::store::{self, Store, StoreError};
use crate::traffic::{self, Traffic};
use crate::{http, ticker};
use anyhow::Context;
use arc_swap::ArcSwap;
use axum::Router;
use farol_health::grpc;
use farol_health::probe::Source;
use farol_shutdown::Handle;
use farol_shutdown::listener::{self, Accept, Access, Limits, Tls};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// So many agents may come from one address: a node's NAT, a load balancer.
const AGENTS_PER_ADDRESS: usize = 8_192;

/// What is said at the agents' port to who does not speak gRPC.
const AGENTS_PORT: &str = "this port takes Farol agents by gRPC; probes and questions go to the monitor's HTTP port (`listen.http`), \
                           gRPC health to `listen.health`";
/// And at the port of gRPC health.
const HEALTH_PORT: &str = "this port speaks gRPC (grpc.health.v1) only: ask it with `farol healthcheck grpc://HOST:PORT/SERVICE`; \
                           probes by HTTP go to the monitor's HTTP port (`listen.http`)";

/// A monitor that has its store and its sockets, and does nothing yet.
pub struct Monitor<A: Accept> {
    listeners: Listeners<A>,
    certificates: Certificates,
    parts: Parts,
    reloader: Reloader,
    /// Operators' wishes for a reload, until somebody takes them over.
    wishes: mpsc::Receiver<ReloadRequest>,
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

/// The listeners' certificates.
#[derive(Clone, Default)]
pub(crate) struct Certificates {
    http: Option<Tls>,
    agents: Option<Tls>,
    health: Option<Tls>,
}

/// What the tasks work on.
struct Parts {
    app: Arc<App>,
    ingest: Arc<Ingest>,
    own: Arc<Own>,
    writer: Writer,
    outlet: Arc<Publisher>,
}

impl Monitor<TcpListener> {
    /// Opens the sockets and the store in `data_dir`, and restores what the store knows.
    pub async fn bind(config: Config, data_dir: &Path, handle: &Handle) -> anyhow::Result<Self> {
        let listeners = Listeners {
            http: listener::bind(config.listen.http).context("listen.http")?,
            agents: listener::bind(config.listen.agents).context("listen.agents")?,
            health: listener::bind(config.listen.health).context("listen.health")?,
        };
        let store = store::open(&config.store, data_dir).await?;
        Self::with(config, data_dir, handle, store, listeners).await
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
        warn_of_strangers(&config, listeners.agents.local_addr()?);
        let clock = Arc::new(Clock::start());
        let now = clock.now();
        let restored = store.restore().await.context("reading the store")?;
        let (journal, writer) = journal::open(Arc::clone(&store), &restored);
        let events = Arc::new(Events::default());
        let outlet = Arc::new(Publisher::new(Arc::clone(&events), journal.clone()));
        let fleet = Arc::new(Fleet::new(Arc::clone(&outlet) as Arc<dyn Outlet>));
        // Declared first: what was restored is counted by the policies in force.
        fleet.declare(&config.services, &config.groups, now);
        fleet.restore(&restored, now);
        note_downtime(&journal, restored.last_commit_ms, now.wall_ms);
        let own = Own::new(journal.clone(), config.ready_requires_store, handle.clone())?;
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
        let (wish, wishes) = mpsc::channel(4);
        let access = Access {
            read_any: config.access.read_any,
            hosts: config.access.hosts.iter().cloned().collect(),
            bound: vec![listeners.http.local_addr()?],
        };
        let app = Arc::new(App {
            fleet,
            journal,
            store,
            clock,
            events,
            ingest: Arc::clone(&ingest),
            own: Arc::clone(&own) as Arc<dyn Source>,
            details: config.details,
            access: ArcSwap::from_pointee(access),
            token: OperatorToken::open(data_dir).context("the operator's token")?,
            scrapes: Scrapes::new(config.scrape_max_series),
            questions: Questions::default(),
            reload: reload::by_request(wish),
            reloads: Reloads::default(),
            traffic: Traffic::default(),
            handle: handle.clone(),
        });
        app.reloads.note(true, now.wall_ms);
        let reloader = Reloader::new(Arc::clone(&app), certificates.clone(), config);
        let parts = Parts { app, ingest, own, writer, outlet };
        Ok(Self { listeners, certificates, parts, reloader, wishes, handle: handle.clone() })
    }

    /// Where it listens.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        Ok(Addresses {
            http: self.listeners.http.local_addr()?,
            agents: self.listeners.agents.local_addr()?,
            health: self.listeners.health.local_addr()?,
        })
    }

    /// What a reload goes through, and the operators' wishes for one. Who runs the process answers them.
    pub fn reloads(&mut self) -> (Reloader, mpsc::Receiver<ReloadRequest>) {
        let wishes = std::mem::replace(&mut self.wishes, mpsc::channel(1).1);
        (self.reloader.clone(), wishes)
    }

    /// Starts every part under the supervisor; they end with it. Returns when the monitor is ready.
    pub async fn run(self) {
        let Self { listeners, certificates, parts, handle, .. } = self;
        let Parts { app, ingest, own, writer, outlet } = parts;
        keep_journal(&handle, writer);
        own.begin();
        handle.spawn("fleet clock", ticker::run(Arc::clone(&app), handle.cleaning()));
        let agents =
            grpc::only(tonic::service::Routes::new(ingest.service()).into_axum_router(), AGENTS_PORT)
                .layer(traffic::layer(&app.traffic.agents));
        let source = Arc::clone(&app.own);
        let statuses = Arc::new(FleetStatuses::new(Arc::clone(&app.fleet), source, outlet.generation()));
        let health = grpc::server(statuses, handle.draining(), grpc::Limits::default());
        let health = grpc::only(tonic::service::Routes::new(health).into_axum_router(), HEALTH_PORT)
            .layer(traffic::layer(&app.traffic.health));
        serve(&handle, listeners.http, http::router(app), Limits::default(), certificates.http, "http");
        let limits = Limits { per_address: AGENTS_PER_ADDRESS, ..Limits::default() };
        serve(&handle, listeners.agents, agents, limits, certificates.agents, "agents");
        serve(&handle, listeners.health, health, Limits::default(), certificates.health, "health");
        own.start().await;
    }
}

fn serve<A: Accept>(
    handle: &Handle,
    accept: A,
    router: Router,
    limits: Limits,
    tls: Option<Tls>,
    name: &'static str,
) {
    handle.spawn(name, listener::serve(accept, router, limits, tls, handle, name));
}

/// Says so where anybody may speak for any agent.
fn warn_of_strangers(config: &Config, agents: SocketAddr) {
    let asks_for_certificates = config.tls.agents.as_ref().is_some_and(|files| files.client_ca.is_some());
    if config.ingest.trust.insecure && !asks_for_certificates && !agents.ip().to_canonical().is_loopback() {
        tracing::warn!(
            listen.agents = %agents,
            "`agents.insecure` is set: whoever reaches this address may speak for any agent; set `tls.agents` with \
             `client_ca` to ask for certificates"
        );
    }
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

    pub(crate) fn all(&self) -> impl Iterator<Item = &Tls> {
        [&self.http, &self.agents, &self.health].into_iter().flatten()
    }
}
