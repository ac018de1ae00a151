//! The monitor as a whole: opens its sockets (`bind`), then answers probes, opens its store and runs its parts under the
//! process's supervisor (`run`). Knows no signals, arguments or environment.

use crate::alerting::{Alerting, blind_for};
use crate::app::{App, Reloads};
use crate::clock::Clock;
use crate::config::Config;
use crate::door::{self, Door};
use crate::events::Events;
use crate::fleet::{Fleet, Outlet};
use crate::grpc_health::{self, FleetStatuses};
use crate::http::{OperatorToken, Questions};
use crate::ingest::{Counters, Ingest};
use crate::journal::{self, Journal, Writer};
use crate::outlet::Publisher;
use crate::own::Own;
use crate::reload::{self, ReloadRequest, Reloader};
use crate::scrape::Scrapes;
use crate::store::{self, Restored, Store, StoreError};
use crate::traffic::{self, Traffic};
use crate::{alerting, http, scrape, ticker};
use anyhow::Context;
use arc_swap::ArcSwap;
use axum::Router;
use farol_health::grpc;
use farol_rules::{Ending, Observation};
use farol_shutdown::listener::{self, Accept, Access, Handler, Limits, Tls};
use farol_shutdown::{Handle, tell_room};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// So many agents may come from one address: a node's NAT, a load balancer.
const AGENTS_PER_ADDRESS: usize = 8_192;

/// What is said at the agents' port to who does not speak gRPC.
const AGENTS_PORT: &str = "this port takes Farol agents by gRPC; probes and questions go to the monitor's HTTP port (`listen.http`), \
                           gRPC health to `listen.health`";
/// And at the port of gRPC health.
const HEALTH_PORT: &str = "this port speaks gRPC (grpc.health.v1) only: ask it with `farol healthcheck grpc://HOST:PORT/SERVICE`; \
                           probes by HTTP go to the monitor's HTTP port (`listen.http`)";

/// A monitor that has its sockets, and does nothing yet.
pub struct Monitor<A: Accept> {
    config: Config,
    data_dir: PathBuf,
    listeners: Listeners<A>,
    certificates: Certificates,
    token: OperatorToken,
    own: Own,
    traffic: Traffic,
    handle: Handle,
}

/// A monitor that is ready: what a reload goes through, and the operators' wishes for one. Who runs the process answers
/// them.
pub struct Running {
    /// Gives it another configuration.
    pub reloader: Reloader,
    /// Who asks for a reload.
    pub wishes: mpsc::Receiver<ReloadRequest>,
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

/// What waits for the store to open.
struct Waiting {
    http: Door,
    agents: Door,
    statuses: Arc<FleetStatuses>,
    /// Moves when any status may read differently.
    generation: watch::Sender<u64>,
}

impl Monitor<TcpListener> {
    /// Opens the sockets.
    pub fn bind(config: Config, data_dir: &Path, handle: &Handle) -> anyhow::Result<Self> {
        let listeners = Listeners {
            http: listener::bind(config.listen.http).context("listen.http")?,
            agents: listener::bind(config.listen.agents).context("listen.agents")?,
            health: listener::bind(config.listen.health).context("listen.health")?,
        };
        Self::with(config, data_dir, handle, listeners)
    }
}

impl<A: Accept> Monitor<A> {
    /// The same over any network.
    pub fn with(
        config: Config,
        data_dir: &Path,
        handle: &Handle,
        listeners: Listeners<A>,
    ) -> anyhow::Result<Self> {
        let certificates = Certificates::load(&config)?;
        warn_of_strangers(&config, listeners.agents.local_addr()?);
        let token = OperatorToken::open(data_dir).context("the operator's token")?;
        let own = Own::new(config.ready_requires_store, handle.clone())?;
        handle.stage("listen");
        Ok(Self {
            config,
            data_dir: data_dir.to_owned(),
            listeners,
            certificates,
            token,
            own,
            traffic: Traffic::default(),
            handle: handle.clone(),
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        Ok(Addresses {
            http: self.listeners.http.local_addr()?,
            agents: self.listeners.agents.local_addr()?,
            health: self.listeners.health.local_addr()?,
        })
    }

    /// Answers probes from now on, opens the store and starts every part under the supervisor; they end with it.
    /// Returns when the monitor is ready.
    pub async fn run(self) -> anyhow::Result<Running> {
        let (settings, data_dir) = (self.config.store.clone(), self.data_dir.clone());
        self.run_over(async move { store::open(&settings, &data_dir).await }).await
    }

    /// The same over any store.
    pub async fn run_over(
        self,
        store: impl Future<Output = anyhow::Result<Arc<dyn Store>>>,
    ) -> anyhow::Result<Running> {
        let bound = self.listeners.http.local_addr()?;
        let Self { config, listeners, certificates, token, own, traffic, handle, .. } = self;
        own.begin();
        let waiting = serve_probes(&config, listeners, &certificates, &own, &traffic, &handle);
        let store = store.await?;
        handle.stage("store");
        let restored = store.restore().await.context("reading the store")?;
        let (journal, writer) = journal::open_with(Arc::clone(&store), &restored, config.history.clone());
        let events = Arc::new(Events::default());
        let clock = Arc::new(Clock::start());
        let (alerting, working) =
            alerting::open(&config, &restored, &store, (&journal, &events, &clock)).await?;
        let (told, generation) = (Arc::clone(&alerting), waiting.generation.clone());
        let outlet: Arc<dyn Outlet> =
            Arc::new(Publisher::new(Arc::clone(&events), journal.clone(), generation, told));
        let fleet = restore_fleet(&config, &outlet, &restored, (&clock, &journal, &alerting));
        let ingest = ingest(&config, outlet, (&fleet, &journal, &clock, &*store), &handle);
        let (wish, wishes) = mpsc::channel(4);
        let access = Access {
            read_any: config.access.read_any,
            hosts: config.access.hosts.iter().cloned().collect(),
            bound: vec![bound],
        };
        let app = Arc::new(App {
            fleet,
            journal: journal.clone(),
            store,
            clock,
            events,
            alerting,
            ingest,
            own: own.source(),
            details: config.details,
            access: ArcSwap::from_pointee(access),
            token,
            scrapes: Scrapes::new(config.scrape_max_series),
            questions: Questions::default(),
            reload: reload::by_request(wish),
            reloads: Reloads::default(),
            traffic,
            handle: handle.clone(),
        });
        handle.stage("restore");
        app.reloads.note(true, app.clock.now().wall_ms);
        keep_journal(&handle, writer.keeping(config.keeping.retention));
        scrape::export(&app);
        handle.spawn("agents' streams", Arc::clone(&app.ingest).watch_over_streams());
        working.run(&app);
        handle.spawn("fleet clock", ticker::run(Arc::clone(&app), handle.cleaning()));
        waiting.open(&app);
        own.start(journal).await;
        handle.stage("first_look");
        Ok(Running { reloader: Reloader::new(app, certificates, config), wishes })
    }
}

impl Waiting {
    /// From now on everything is served.
    fn open(self, app: &Arc<App>) {
        let agents = tonic::service::Routes::new(app.ingest.service()).into_axum_router();
        let agents = grpc::only(agents, AGENTS_PORT).layer(traffic::layer(&app.traffic.agents));
        let breakers = Arc::clone(app.alerting.actions().breakers());
        let changes = breakers.changes();
        self.statuses.open(Arc::clone(&app.fleet), breakers);
        let watchers = grpc_health::follow(changes, self.generation, app.handle.cleaning());
        app.handle.spawn("breakers' watchers", watchers);
        self.agents.open(agents);
        self.http.open(http::router(Arc::clone(app)));
    }
}

/// Serves all three ports: what probes ask is answered at once, what needs the store later.
fn serve_probes<A: Accept>(
    config: &Config,
    listeners: Listeners<A>,
    certificates: &Certificates,
    own: &Own,
    traffic: &Traffic,
    handle: &Handle,
) -> Waiting {
    let http = Door::new(http::starting(own.source(), config.details, traffic));
    let agents = grpc::only(Router::new().fallback(door::no_agents_yet), AGENTS_PORT);
    let agents = Door::of_agents(agents.layer(traffic::layer(&traffic.agents)));
    let generation = watch::Sender::new(0);
    let statuses = Arc::new(FleetStatuses::new(own.source(), generation.clone()));
    let health = grpc::server(Arc::clone(&statuses) as Arc<_>, handle.draining(), grpc::Limits::default());
    let health = grpc::only(tonic::service::Routes::new(health).into_axum_router(), HEALTH_PORT)
        .layer(traffic::layer(&traffic.health));
    let Certificates { http: http_tls, agents: agents_tls, health: health_tls } = certificates.clone();
    let (limits, of_agents) =
        (Limits::default(), Limits { per_address: AGENTS_PER_ADDRESS, ..Limits::default() });
    tell_room(2 * limits.connections + of_agents.connections);
    serve(handle, listeners.http, http.clone(), limits.clone(), http_tls, "http");
    serve(handle, listeners.agents, agents.clone(), of_agents, agents_tls, "agents");
    serve(handle, listeners.health, health, limits, health_tls, "health");
    Waiting { http, agents, statuses, generation }
}

/// Takes the agents' streams.
fn ingest(
    config: &Config,
    outlet: Arc<dyn Outlet>,
    (fleet, journal, clock, store): (&Arc<Fleet>, &Journal, &Arc<Clock>, &dyn Store),
    handle: &Handle,
) -> Arc<Ingest> {
    Arc::new(Ingest {
        fleet: Arc::clone(fleet),
        journal: journal.clone(),
        clock: Arc::clone(clock),
        outlet,
        policy: ArcSwap::from_pointee(config.ingest.clone()),
        store_id: store.id(),
        draining: handle.draining(),
        streams: Default::default(),
        counters: Counters::default(),
    })
}

/// The fleet as the store knows it. Nobody watched since its last commit.
fn restore_fleet(
    config: &Config,
    outlet: &Arc<dyn Outlet>,
    restored: &Restored,
    (clock, journal, alerting): (&Clock, &Journal, &Alerting),
) -> Arc<Fleet> {
    let now = clock.now();
    let (was_planned, planned) = alerting.planned();
    let fleet = Arc::new(Fleet::new(Arc::clone(outlet)));
    fleet.set_restart_grace(config.restart_grace);
    // Declared first: what was restored is counted by the policies in force.
    fleet.declare(&config.services, &config.groups, now);
    // What was under a window that ended meanwhile was told so.
    fleet.plan(was_planned, now);
    fleet.restore(restored, now);
    fleet.has_past(|agent| alerting.book().knows(agent));
    alerting.see(&gone(&fleet, alerting), now);
    fleet.plan(planned, now);
    if let Some(from_ms) = restored.last_commit_ms.filter(|from_ms| *from_ms < now.wall_ms) {
        journal.blind(from_ms, now.wall_ms);
        alerting.see(blind_for(now.wall_ms - from_ms).as_slice(), now);
    }
    fleet
}

/// Agents that the rules know and the fleet does not: the monitor was killed between writing down that an agent is gone
/// and writing down what follows of it.
fn gone(fleet: &Fleet, alerting: &Alerting) -> Vec<Observation> {
    let book = alerting.book();
    let gone = book.agents().filter(|agent| fleet.agent(agent).is_none());
    gone.map(|agent| Observation::AgentGone { agent: Arc::clone(agent), how: Ending::Forgotten }).collect()
}

fn serve<A: Accept>(
    handle: &Handle,
    accept: A,
    service: impl Handler,
    limits: Limits,
    tls: Option<Tls>,
    name: &'static str,
) {
    handle.spawn(name, listener::serve(accept, service, limits, tls, handle, name));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::scene::Scene;
    use crate::store::{AgentKey, AgentRecord};
    use farol_config::Sources;
    use farol_rules::{AgentCondition, Is, Labels};
    use farol_wire::{Boot, Role};

    #[tokio::test]
    async fn time_without_a_monitor_is_alerted_unless_it_was_a_moment() {
        for (away_ms, firing) in [(1_000, 0), (300_000, 1)] {
            let scene = Scene::new().await;
            scene.rules("rules: [{name: blind, monitor: blind}]\n");
            let config = Sources::new().load().unwrap().read(Config::read).unwrap();
            let app = &scene.app;
            let last_commit_ms = Some(app.clock.now().wall_ms - away_ms);
            let restored = Restored { last_commit_ms, ..Restored::default() };
            restore_fleet(&config, &app.ingest.outlet, &restored, (&app.clock, &app.journal, &app.alerting));
            assert_eq!(app.alerting.book().firing(), firing, "away for {away_ms} ms");
        }
    }

    #[tokio::test]
    async fn what_fires_of_an_agent_that_left_just_before_the_monitor_was_killed_is_over() {
        let scene = Scene::new().await;
        scene.rules("rules: [{name: lost, agent: lost}]\n");
        let config = Sources::new().load().unwrap().read(Config::read).unwrap();
        let (app, now) = (&scene.app, scene.app.clock.now());
        let lost = ["here", "left"].map(|agent| Observation::Agent {
            labels: Labels::from([("agent", agent)]),
            condition: AgentCondition::Lost,
            is: Is::On,
        });
        app.alerting.see(&lost, now);
        assert_eq!(app.alerting.book().firing(), 2);
        let here = AgentRecord {
            key: AgentKey(1),
            id: "here".into(),
            role: Role::Host,
            labels: Default::default(),
            version: "1".into(),
            interval_ms: 10_000,
            last_seen_ms: now.wall_ms,
            boot: Boot { number: 1, nonce: 1 },
        };
        let restored = Restored { agents: vec![here], last_agent_key: 2, ..Restored::default() };
        restore_fleet(&config, &app.ingest.outlet, &restored, (&app.clock, &app.journal, &app.alerting));
        let book = app.alerting.book();
        let fires = book.alerts().filter(|id| book.firing_since_ms(&id.to_string()).is_some());
        let fires: Vec<_> = fires.filter_map(|id| id.labels.get("agent").cloned()).collect();
        assert_eq!(fires, [Arc::from("here")]);
    }
}
