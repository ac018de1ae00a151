//! The live health of the fleet: ingest, state, store, probes, scrape.

pub mod clock;
pub mod fleet;
pub mod history;
pub mod journal;
pub mod store;
pub mod uptime;
