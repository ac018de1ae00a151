//! The live health of the fleet: ingest, state, store, probes, scrape.
//!
//! [`Monitor::bind`] opens the sockets, [`Monitor::run`] answers probes, opens the store and starts the parts. A report
//! goes through [`ingest`] into the [`fleet`] and the [`journal`]; readers come through [`http`] and [`grpc_health`].

pub mod act;
pub mod alerting;
pub mod app;
pub mod arguments;
pub mod clock;
pub mod config;
mod door;
pub mod events;
pub mod fleet;
pub mod grpc_health;
pub mod history;
pub mod http;
pub mod ingest;
pub mod journal;
mod monitor;
pub mod notify;
pub mod nudges;
pub mod outlet;
mod own;
pub mod process;
pub mod recent;
mod reload;
mod remembered;
pub mod scrape;
pub mod store;
mod ticker;
pub mod traffic;
pub mod uptime;

pub use config::Config;
pub use monitor::{Addresses, Listeners, Monitor, Running};
pub use reload::{ReloadRequest, Reloader};
