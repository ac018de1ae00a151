//! The truth table of alerting: scripted histories of a fleet, hours of them in simulated time, and beside each exactly
//! the notices that must leave. Agents, monitor, shipped rules, book, ledger and dispatcher are as they are; what was
//! sent is read from the ledger. `cargo nextest run -p farol-tests truth` runs all of it.

mod fleet;
mod pod;
mod scene;
mod value;
mod whole;
