//! `grpc.health.v1` for every service of the fleet at one address. Decides how a name's status reads in gRPC's three
//! words; the protocol is `farol_health`'s, what a name shows the fleet's.

use crate::fleet::Fleet;
use farol_health::aggregate::Aggregate;
use farol_health::grpc::{ServingStatus, Statuses};
use farol_health::probe::{Moment, Source};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// The names of the fleet, and `""` for the monitor itself. Until the fleet is restored every other name is unknown.
pub struct FleetStatuses {
    /// Empty while the monitor starts.
    fleet: OnceLock<Arc<Fleet>>,
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

    /// Reads this fleet from now on.
    pub fn open(&self, fleet: Arc<Fleet>) {
        self.fleet.get_or_init(|| fleet);
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

impl Statuses for FleetStatuses {
    fn check(&self, name: &str) -> Option<ServingStatus> {
        if name.is_empty() {
            return Some(self.itself());
        }
        match self.fleet.get() {
            Some(fleet) => fleet.shown(name).map(|shown| self.serving(shown)),
            None => Some(ServingStatus::Unknown),
        }
    }

    fn list(&self) -> Vec<(String, ServingStatus)> {
        let listed = self.fleet.get().map(|fleet| fleet.listed()).unwrap_or_default();
        let fleet = listed.into_iter().map(|(name, shown)| (name, self.serving(shown)));
        std::iter::once((String::new(), self.itself())).chain(fleet).collect()
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}
