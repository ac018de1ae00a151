//! What *healthy* means: statuses, checks, counting, aggregation and the documents that probes read.
#![doc = include_str!("../README.md")]

pub mod aggregate;
mod application;
mod check;
mod checker;
pub mod clock;
pub mod counting;
pub mod group;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod probe;
#[cfg(feature = "axum")]
mod router;
mod snapshot;
mod status;

pub use application::Application;
pub use check::{Check, Dependency, Figure, Kind, Outcome, Registration, Spec, Unit, check_fn};
pub use checker::{Changes, Checked, Checker, Maintenance, Observer, RegisterError, run_once};
#[cfg(feature = "axum")]
pub use router::{Details, group_router, router};
pub use snapshot::{ComponentView, Snapshot};
pub use status::{ParseStatusError, Status};

/// Put into a request's extensions by the process that serves it: whether the caller sits on this machine.
/// Absent means that it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerIsLoopback(pub bool);
