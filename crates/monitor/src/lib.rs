//! The live health of the fleet: ingest, state, store, probes, scrape.
