//! The live health of the fleet: ingest, state, store, probes, scrape.

pub mod app;
pub mod clock;
pub mod events;
pub mod fleet;
pub mod grpc_health;
pub mod http;
pub mod ingest;
pub mod journal;
pub mod outlet;
pub mod scrape;
pub mod store;
