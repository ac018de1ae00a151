//! What *healthy* means: statuses, checks, counting, aggregation and the documents that probes read.

pub mod aggregate;
mod check;
mod checker;
pub mod clock;
pub mod counting;
mod snapshot;
mod status;

pub use check::{Check, Dependency, Figure, Kind, Outcome, Registration, Spec, Unit, check_fn};
pub use checker::{Changes, Checked, Checker, Observer, RegisterError, run_once};
pub use snapshot::{ComponentView, Snapshot};
pub use status::{ParseStatusError, Status};

/// Put into a request's extensions by the process that serves it: whether the caller sits on this machine.
/// Absent means that it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerIsLoopback(pub bool);
