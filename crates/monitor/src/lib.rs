//! The live health of the fleet: ingest, state, store, probes, scrape.

pub mod clock;
pub mod fleet;
pub mod ingest;
pub mod journal;
pub mod store;
