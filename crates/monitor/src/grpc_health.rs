//! `grpc.health.v1` for every service of the fleet at one address. Decides how a name's status reads in gRPC's three
//! words; the protocol is `farol_health`'s, what a name shows the fleet's.

use crate::act::Breakers;
use crate::fleet::Fleet;
use farol_health::aggregate::Aggregate;
use farol_health::grpc::{ServingStatus, Statuses};
use farol_health::probe::{Moment, Source};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The names of the fleet, `breaker:<name>`, and `""` for the monitor itself. Until the fleet is restored every other
/// name is unknown.
pub struct FleetStatuses {
    /// Empty while the monitor starts.
    fleet: OnceLock<(Arc<Fleet>, Arc<Breakers>)>,
    /// The monitor's own health.
    own: Arc<dyn Source>,
    /// Moves when any status may read differently.
    generation: watch::Sender<u64>,
}

impl FleetStatuses {
    /// Reads `own` for `""`.
    pub fn new(own: Arc<dyn Source>, generation: watch::Sender<u64>) -> Self {
        Self { fleet: OnceLock::new(), own, generation }
    }

    /// Reads this fleet and these breakers from now on. Whoever opens it passes on when a breaker changes.
    pub fn open(&self, fleet: Arc<Fleet>, breakers: Arc<Breakers>) {
        self.fleet.get_or_init(|| (fleet, breakers));
        self.generation.send_modify(|generation| *generation += 1);
    }

    fn itself(&self) -> ServingStatus {
        if Moment::of(&*self.own, false).ready() { ServingStatus::Serving } else { ServingStatus::NotServing }
    }

    /// A monitor that stops sends everyone away.
    fn serving(&self, shown: Aggregate) -> ServingStatus {
        match shown {
            _ if self.own.stopping() => ServingStatus::NotServing,
            Aggregate::Status(status) => status.into(),
            Aggregate::Maintenance => ServingStatus::NotServing,
        }
    }
}

impl FleetStatuses {
    /// A breaker that is half open lets a few through: they are made where somebody takes it for serving.
    fn passing(&self, lets_through: bool) -> ServingStatus {
        match lets_through && !self.own.stopping() {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        }
    }
}

impl Statuses for FleetStatuses {
    fn check(&self, name: &str) -> Option<ServingStatus> {
        if name.is_empty() {
            return Some(self.itself());
        }
        match self.fleet.get() {
            Some((fleet, breakers)) => match name.strip_prefix("breaker:") {
                Some(name) => breakers.lets_through(name).map(|lets_through| self.passing(lets_through)),
                None => fleet.shown(name).map(|shown| self.serving(shown)),
            },
            None => Some(ServingStatus::Unknown),
        }
    }

    fn list(&self) -> Vec<(String, ServingStatus)> {
        let listed = self.fleet.get().map(|(fleet, _)| fleet.listed()).unwrap_or_default();
        let fleet = listed.into_iter().map(|(name, shown)| (name, self.serving(shown)));
        std::iter::once((String::new(), self.itself())).chain(fleet).collect()
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}

/// Those who watch statuses look again when a breaker changes.
pub(crate) async fn follow(
    mut breakers: watch::Receiver<u64>,
    generation: watch::Sender<u64>,
    end: CancellationToken,
) {
    while let Some(Ok(())) = end.run_until_cancelled(breakers.changed()).await {
        generation.send_modify(|generation| *generation += 1);
    }
}
