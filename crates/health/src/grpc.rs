//! `grpc.health.v1`: the server over any number of names, and the client. What a name means and which status
//! it has is decided by a [`Statuses`]; here only the protocol's rules are kept.

pub mod client;
mod process;
mod service;
#[cfg(feature = "axum")]
mod strangers;
mod watchers;

pub use process::ProcessStatuses;
pub use service::{Limits, Server, Service, server};
#[cfg(feature = "axum")]
pub use strangers::only;

use crate::Status;
use tokio::sync::watch;

/// The messages and services of the public protocol.
pub mod pb {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::allow_attributes_without_reason,
        clippy::wildcard_imports,
        clippy::too_many_lines,
        reason = "generated code"
    )]
    tonic::include_proto!("grpc.health.v1");
}

/// What the protocol says of a service that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServingStatus {
    /// Nothing is known yet, or no longer.
    Unknown,
    /// Send traffic.
    Serving,
    /// Send none.
    NotServing,
}

impl From<Status> for ServingStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Healthy | Status::Degraded => Self::Serving,
            Status::Starting | Status::Unhealthy => Self::NotServing,
            Status::Unknown => Self::Unknown,
        }
    }
}

/// Where the server takes its statuses from.
///
/// Nothing is kept for a name that nobody watches, so a source may know any number of names. While anyone
/// watches, one task looks at each *watched* name: after [`changed`](Self::changed) moved, yet at most every
/// 10 ms, and every 100 ms in any case, because a status may change by time alone. So `check` must be cheap
/// (a map look-up on a snapshot) and must never wait.
pub trait Statuses: Send + Sync + 'static {
    /// The status of a name now, `None` where no such name is known.
    fn check(&self, name: &str) -> Option<ServingStatus>;

    /// The names worth listing. May stop after [`Limits::list`] and one more: longer lists are refused.
    fn list(&self) -> Vec<(String, ServingStatus)>;

    /// Moves whenever any status may have changed. A receiver whose sender is gone is allowed: then there
    /// is the look every 100 ms only.
    fn changed(&self) -> watch::Receiver<u64>;
}

/// The wire's number for a status; `None` is a name nobody knows.
fn to_wire(status: Option<ServingStatus>) -> pb::health_check_response::ServingStatus {
    use pb::health_check_response::ServingStatus as Wire;
    match status {
        Some(ServingStatus::Unknown) => Wire::Unknown,
        Some(ServingStatus::Serving) => Wire::Serving,
        Some(ServingStatus::NotServing) => Wire::NotServing,
        None => Wire::ServiceUnknown,
    }
}

/// The status of an answer. A number from a newer protocol is unknown.
fn from_wire(answer: pb::HealthCheckResponse) -> Option<ServingStatus> {
    use pb::health_check_response::ServingStatus as Wire;
    match Wire::try_from(answer.status) {
        Ok(Wire::Serving) => Some(ServingStatus::Serving),
        Ok(Wire::NotServing) => Some(ServingStatus::NotServing),
        Ok(Wire::ServiceUnknown) => None,
        Ok(Wire::Unknown) | Err(_) => Some(ServingStatus::Unknown),
    }
}

#[cfg(test)]
mod tests;
