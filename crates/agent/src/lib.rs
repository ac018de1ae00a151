//! Collects, checks, buffers and streams to the monitor.
//!
//! [`Agent::bind`] opens the sockets, [`Agent::start`] hands the parts to the supervisor. Results of checks and
//! figures of the machine go into the recorder, which makes reports of them; these wait in a ring, and on disk
//! while there is no monitor, until one has acknowledged them; the stream takes them from there.

mod agent;
mod boot;
pub mod catalog;
pub mod collect;
pub mod command;
mod config;
mod link;
mod local;
mod metrics;
mod probes;
mod problem;
mod recorder;
mod reloads;
mod reporter;
mod ring;
mod spool;
mod strangers;
mod stream;
mod traffic;
#[cfg(test)]
mod understanding;

pub use agent::{Addresses, Agent, Reloaded, Running};
pub use config::{Config, Identity, Listen, Monitor, Spool, Surroundings, TlsFiles};
pub use local::Local;
pub use recorder::Counts;
pub use stream::{Connect, Duplex, Io, Network};
