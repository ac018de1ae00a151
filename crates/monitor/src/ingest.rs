//! `farol.v1.Fleet`: one bidirectional stream an agent. Decides who may speak and what a message may do; what it
//! does to the fleet is decided there, what is kept in the journal.

mod backlog;
mod defined;
mod identify;
mod ids;
mod pace;
mod protocol;
mod session;

pub use identify::{AgentId, Trust, identify};

use crate::clock::{Clock, Moment};
use crate::fleet::{Compiled, Fleet, Outlet};
use crate::journal::Journal;
use crate::nudges::{OpenStreams, Want};
use arc_swap::ArcSwap;
use farol_logging::trace;
use farol_shutdown::listener::Peer;
use farol_wire::proto::fleet_server::{self, FleetServer};
use farol_wire::proto::{AgentMessage, MonitorMessage};
use farol_wire::{Definition, Limits};
use futures::stream::BoxStream;
use pace::Allowance;
use session::Session;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// How late the time rule of acknowledgements may be looked at.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_secs(1);

/// What ingest may and must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whom to believe.
    pub trust: Trust,
    /// How much an agent may define and send.
    pub limits: Limits,
    /// Report intervals are held within these.
    pub interval: (Duration, Duration),
}

/// What ingest counts, for `/metrics`.
#[derive(Debug, Default)]
pub struct Counters {
    /// Open streams.
    pub streams: AtomicU64,
    /// Reports taken, live and backlog.
    pub reports: AtomicU64,
    /// Samples blocks taken.
    pub blocks: AtomicU64,
    /// Reports that were known already.
    pub duplicates: AtomicU64,
    /// Streams ended because the agent broke the protocol, or speaks another one.
    pub violations: AtomicU64,
    /// Streams refused because of who the peer is or is not, or because another process speaks for the agent.
    pub identities_refused: AtomicU64,
    /// Series and components refused by id.
    pub definitions_refused: AtomicU64,
    /// Reports that agents announced as lost.
    pub reports_lost: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }

    /// Agents say how many they lost: no number of theirs makes the count go back.
    pub(crate) fn lose_reports(&self, n: u64) {
        let added = |lost: u64| Some(lost.saturating_add(n));
        self.reports_lost.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added).ok();
    }
}

/// Everything a stream needs of the monitor.
pub struct Ingest {
    /// The live state.
    pub fleet: Arc<Fleet>,
    /// What is kept.
    pub journal: Journal,
    /// The clocks.
    pub clock: Arc<Clock>,
    /// Where goes what ingest has to say itself; what the fleet brings about goes there by itself.
    pub outlet: Arc<dyn Outlet>,
    /// The rules, as the configuration has them now.
    pub policy: ArcSwap<Policy>,
    /// The store's id, for Welcome.
    pub store_id: Arc<str>,
    /// Streams end when this is cancelled.
    pub draining: CancellationToken,
    /// The streams that are open.
    pub streams: OpenStreams,
    /// What is counted.
    pub counters: Counters,
}

impl Ingest {
    /// The layout of a set. A new one is in the journal before any report that is made with it, whoever sends that;
    /// `None` when the journal has no room for it. A stream with too many new ones is ended: each stays in the store
    /// for as long as a report that was made with it.
    fn layout(
        &self,
        set: Definition,
        new_sets: &mut Allowance,
        now: Moment,
    ) -> Result<Option<Arc<Compiled>>, Status> {
        let interned = self.fleet.layouts.intern(set, |layout| {
            if !new_sets.take(now.boot_ms) {
                let why = "the set of series changes too often; at most 30 times a minute for long";
                return Err(Some(Status::resource_exhausted(why)));
            }
            if self.journal.layout(layout) { Ok(()) } else { Err(None) }
        });
        match interned {
            Ok(interned) => {
                self.journal.let_go(interned.let_go);
                Ok(Some(interned.compiled))
            }
            Err(None) => Ok(None),
            Err(Some(status)) => Err(status),
        }
    }

    /// Tells the open streams what concerns them all, until they end: that the store takes again, that time has come to
    /// look at acknowledgements, and that the monitor is shutting down.
    pub async fn watch_over_streams(self: Arc<Self>) {
        let mut recovered = self.journal.recovered();
        let mut looks = tokio::time::interval(ACKNOWLEDGE_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.draining.cancelled() => return self.streams.want(Want::End),
                Ok(()) = recovered.changed() => self.streams.want(Want::Recovered),
                _ = looks.tick() => self.streams.acknowledge(self.clock.now().boot_ms),
            }
        }
    }

    /// The gRPC service.
    #[must_use]
    pub fn service(self: &Arc<Self>) -> FleetServer<Streams> {
        let limit = self.policy.load().limits.max_message_bytes;
        FleetServer::new(Streams(Arc::clone(self))).max_decoding_message_size(limit)
    }
}

/// The service's handler.
#[derive(Clone)]
pub struct Streams(Arc<Ingest>);

#[tonic::async_trait]
impl fleet_server::Fleet for Streams {
    type StreamStream = BoxStream<'static, Result<MonitorMessage, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let Some(peer) = request.extensions().get::<Peer>().cloned() else {
            return Err(Status::internal("the listener did not say who the peer is"));
        };
        if self.0.draining.is_cancelled() {
            return Err(Status::unavailable("the monitor is shutting down"));
        }
        let trace = request.extensions().get::<trace::Span>().cloned().unwrap_or_default();
        let session = Session::new(Arc::clone(&self.0), peer, request.into_inner(), trace);
        Ok(Response::new(session.into_stream()))
    }
}
