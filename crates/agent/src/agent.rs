//! One agent: opens its sockets, then runs its parts. Decides what there is of them and in which order they end; what
//! each does is its own.

use crate::config::{Config, Identity, Listen, Spool};
use crate::link::{self, Link};
use crate::local;
use crate::probes::{self, Own};
use crate::recorder::{Counts, Recorder};
use crate::reporter::{Gatherer, Reporter, offset_of};
use crate::ring::Room;
use crate::spool::{self, Keeper, Origin, Start};
use crate::stream::{Connect, Streamer};
use crate::{boot, collect, metrics, strangers};
use anyhow::Context;
use farol_health::{Changes, Checker, Observer, Registration, Snapshot};
use farol_shutdown::listener::{Access, Limits, bind, serve};
use farol_shutdown::{DataDir, Handle};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long the cleanup waits for the stream's end; the stream gives up sooner.
const STREAM_END: Duration = Duration::from_millis(3_500);
/// And then for the disk, where what nobody acknowledged is written.
const SPOOL_END: Duration = Duration::from_millis(1_000);

/// Where an agent really listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Probes and metrics.
    pub http: Option<SocketAddr>,
    /// gRPC health.
    pub health: Option<SocketAddr>,
    /// The local API, where it has a port.
    pub local: Option<SocketAddr>,
}

/// An agent with its sockets open; nothing runs yet.
pub struct Agent {
    config: Config,
    handle: Handle,
    own: Arc<Own>,
    streamer: Streamer,
    reporter: Reporter,
    /// Where there is a spool.
    keeper: Option<Keeper>,
    http: Option<TcpListener>,
    health: Option<TcpListener>,
    local: Option<local::Listener>,
    /// Where its configuration stands, for its first line.
    file: Option<PathBuf>,
}

impl Agent {
    /// Opens the sockets and gives this start its boot number. Needs a tokio runtime.
    ///
    /// # Errors
    /// A port or the data directory cannot be had, or the certificates cannot be used.
    pub fn bind(
        config: Config,
        data_dir: Option<&DataDir>,
        handle: &Handle,
        connect: Arc<dyn Connect>,
    ) -> anyhow::Result<Self> {
        let Listen { http, health, local } = config.listen.clone();
        let http = http.map(bind).transpose().context("listen.http")?;
        let health = health.map(bind).transpose().context("listen.health")?;
        let local = local.as_ref().map(local::Listener::open).transpose().context("listen.local")?;
        let bound = http.as_ref().map(TcpListener::local_addr).transpose()?;
        let access = Access { bound: bound.into_iter().collect(), ..config.access.clone() };
        let wall_ms = u64::try_from(farol_health::clock::wall_ms()).unwrap_or(0);
        let boot =
            boot::next(data_dir, wall_ms).context("the boot number cannot be saved in the data directory")?;
        let streams = !config.monitors.is_empty();
        let spool =
            data_dir.filter(|_| streams && config.spool.enabled).map(|dir| dir.path().join(spool::FOLDER));
        let room = spool.as_ref().map_or_else(Room::default, |_| room_of(&config.spool));
        let new = if streams { Recorder::new } else { Recorder::idle };
        let recorder = new(boot, config.ring_bytes, config.interval, &config.checks).with_spool(room);
        let recorder = Arc::new(recorder);
        let (link, disk) = (Link::new(), spool.as_ref().map(|_| Arc::default()));
        let observer = Arc::clone(&recorder) as Arc<dyn Observer>;
        let checker = Checker::new(registrations(&config, &link, disk.as_ref()), observer)?;
        let start = Start { boot, origin: origin_of(&config.identity), age_ms: room.age_ms };
        let keeper = spool
            .zip(disk.clone())
            .map(|(path, disk)| Keeper::new(path, start, Arc::clone(&recorder), checker.clone(), disk));
        let (interval, decided) = watch::channel(config.interval);
        handle.stage("listen");
        let collectors = config.host_root.as_ref().map_or_else(Default::default, collect::Config::of_host);
        let own = Own::new(checker.clone(), Arc::clone(&recorder), Arc::clone(&link), disk, access, handle);
        let drained = own.drained.clone();
        Ok(Self {
            own,
            streamer: Streamer {
                identity: config.identity.clone(),
                boot,
                monitors: config.monitors.clone(),
                connect,
                recorder: Arc::clone(&recorder),
                checker: checker.clone(),
                link,
                spool: keeper.as_ref().map(Keeper::ready),
                wished: config.interval,
                interval,
                drained,
                drains: Default::default(),
                handle: handle.clone(),
            },
            reporter: Reporter {
                recorder,
                checker,
                gatherer: Gatherer::new(collectors),
                interval: decided,
                offset: offset_of(&config.identity.id),
            },
            keeper,
            handle: handle.clone(),
            config,
            http,
            health,
            local,
            file: None,
        })
    }

    /// Names the file of its configuration in its first line.
    #[must_use]
    pub fn configured_by(self, file: Option<PathBuf>) -> Self {
        Self { file, ..self }
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let of = |listener: &Option<TcpListener>| listener.as_ref().and_then(|l| l.local_addr().ok());
        let local = self.local.as_ref().and_then(local::Listener::address);
        Addresses { http: of(&self.http), health: of(&self.health), local }
    }

    /// Hands the parts to the supervisor. The agent is ready when this returns.
    #[must_use]
    pub fn start(self) -> Running {
        let Self { config, handle, own, streamer, reporter, keeper, http, health, local, file } = self;
        let checker = own.checker.clone();
        handle.spawn("checks", checker.run(handle.cleaning()));
        if config.monitors.is_empty() {
            tracing::warn!("`monitors` is empty: this agent answers probes and streams to nobody");
        } else {
            handle.spawn("reports", reporter.run(handle.cleaning()));
            // Cleanups go in reverse order: the disk gets what the stream could not bring.
            if let Some(keeper) = keeper {
                let end = CancellationToken::new();
                let mut ended = spawn_and_tell(&handle, "spool", keeper.run(end.clone()));
                handle.cleanup("spool", SPOOL_END, async move || {
                    end.cancel();
                    ended.wait_for(|done| *done).await.ok();
                });
            }
            let mut ended = spawn_and_tell(&handle, "stream", streamer.run());
            handle.cleanup("last report", STREAM_END, async move || {
                ended.wait_for(|done| *done).await.ok();
            });
        }
        if let Some(listener) = http {
            let router = strangers::web(probes::router(&own, config.details));
            handle
                .spawn("agent_http", serve(listener, router, Limits::default(), None, &handle, "agent_http"));
        }
        if let Some(listener) = health {
            let router = strangers::health(probes::health(&own, handle.draining()));
            handle.spawn(
                "agent_health",
                serve(listener, router, Limits::default(), None, &handle, "agent_health"),
            );
        }
        if let Some(listener) = local {
            let role = (!config.monitors.is_empty()).then_some(config.identity.role);
            local::start(listener, &own, role, &handle);
        }
        own.start();
        handle.stage("parts");
        metrics::export(&own);
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            config = file.as_ref().map(|file| tracing::field::display(file.display())),
            agent.id = config.identity.id,
            role = config.identity.role.as_str(),
            checks = config.checks.len(),
            monitors = config.monitors.len(),
            "the agent runs"
        );
        Running { own, config: Arc::new(Mutex::new(config)) }
    }
}

/// A running agent, for reloads. Clones are the same agent.
#[derive(Clone)]
pub struct Running {
    own: Arc<Own>,
    /// What is in force; the keys that need a restart keep their first values.
    config: Arc<Mutex<Config>>,
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// The checks.
    pub checks: Changes,
    /// Keys that changed and count only after a restart.
    pub needs_restart: Vec<&'static str>,
}

impl Running {
    /// The agent's components as they stand.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.own.checker.snapshot()
    }

    /// The service of checks that name none, until the next start.
    #[must_use]
    pub fn service(&self) -> String {
        self.config.lock().identity.service.clone()
    }

    /// Why there is no stream to a monitor; empty while there is one.
    #[must_use]
    pub fn problem(&self) -> String {
        self.own.link.problem()
    }

    /// What became of its reports so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.own.recorder.counts()
    }

    /// Notes for `/metrics` whether a configuration that was read again was taken over. Whoever reads it does so.
    pub fn note_reload(&self, went_well: bool) {
        self.own.reloads.note(went_well, jiff::Timestamp::now().as_millisecond());
    }

    /// Takes over the checks and the access of a new configuration; what has not changed keeps its state.
    ///
    /// # Errors
    /// The checks cannot stand together; nothing is changed then.
    pub fn reload(&self, new: Config) -> anyhow::Result<Reloaded> {
        let mut config = self.config.lock();
        let needs_restart = config.needs_restart(&new);
        // Known to the recorder before their first result, and forgotten after their last.
        let old = std::mem::replace(&mut config.checks, new.checks);
        self.own.recorder.set_checks(&config.checks);
        let replaced =
            self.own.checker.replace(registrations(&config, &self.own.link, self.own.disk.as_ref()));
        if replaced.is_err() {
            config.checks = old;
            self.own.recorder.set_checks(&config.checks);
        }
        let checks = replaced?;
        let bound = self.own.access.load().bound.clone();
        self.own.access.store(Arc::new(Access { bound, ..new.access }));
        self.own.recorder.look();
        if !needs_restart.is_empty() {
            tracing::warn!(keys = needs_restart.join(", "), "these keys count only after a restart");
        }
        Ok(Reloaded { checks, needs_restart })
    }
}

/// Runs a task that ends in the cleanups. What comes back turns true then, or closes: both mean that it has ended.
fn spawn_and_tell(
    handle: &Handle,
    name: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) -> watch::Receiver<bool> {
    let (done, ended) = watch::channel(false);
    handle.spawn(name, async move {
        task.await;
        done.send_replace(true);
    });
    ended
}

/// Whose the spool's files are.
fn origin_of(identity: &Identity) -> Origin {
    let Identity { id, scope, .. } = identity;
    Origin { agent: id.clone(), scope: scope.clone().unwrap_or_default(), machine: boot::of_machine() }
}

fn room_of(spool: &Spool) -> Room {
    Room { bytes: spool.max_bytes, age_ms: i64::try_from(spool.max_age.as_millis()).unwrap_or(i64::MAX) }
}

/// The configured checks, and the agent's own.
fn registrations(config: &Config, link: &Arc<Link>, disk: Option<&Arc<spool::Health>>) -> Vec<Registration> {
    let mut all = config.checks.clone();
    if !config.monitors.is_empty() {
        all.push(link::registration(link, &config.identity.service));
    }
    all.extend(disk.map(|disk| spool::registration(disk, &config.identity.service)));
    all
}
