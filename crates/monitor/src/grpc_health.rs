//! `grpc.health.v1` for every service of the fleet at one address. Decides how a name's status reads in gRPC's three
//! words; the protocol is `farol_health`'s, what a name shows the fleet's.

use crate::fleet::Fleet;
use farol_health::aggregate::Aggregate;
use farol_health::grpc::{ServingStatus, Statuses};
use farol_health::probe::{Moment, Source};
use std::sync::Arc;
use tokio::sync::watch;

/// The names of the fleet, and `""` for the monitor itself.
pub struct FleetStatuses {
    fleet: Arc<Fleet>,
    /// The monitor's own health.
    own: Arc<dyn Source>,
    /// Moves when any status may read differently.
    generation: watch::Receiver<u64>,
}

impl FleetStatuses {
    /// Reads the fleet, and `own` for `""`.
    pub fn new(fleet: Arc<Fleet>, own: Arc<dyn Source>, generation: watch::Receiver<u64>) -> Self {
        Self { fleet, own, generation }
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
        self.fleet.shown(name).map(|shown| self.serving(shown))
    }

    fn list(&self) -> Vec<(String, ServingStatus)> {
        let fleet = self.fleet.listed().into_iter().map(|(name, shown)| (name, self.serving(shown)));
        std::iter::once((String::new(), self.itself())).chain(fleet).collect()
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.generation.clone()
    }
}
