//! Collects, checks, buffers and streams to the monitor.
//!
//! [`Agent::bind`] opens the sockets, [`Agent::start`] hands the parts to the supervisor. Results of checks and
//! figures of the machine go into the recorder, which makes reports of them; these wait in a ring until a monitor has
//! acknowledged them; the stream takes them from there.

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
mod strangers;
mod stream;
mod traffic;
#[cfg(test)]
mod understanding;

pub use agent::{Addresses, Agent, Reloaded, Running};
pub use config::{Config, Identity, Listen, Monitor, Surroundings, TlsFiles};
pub use local::Local;
pub use recorder::Counts;
pub use stream::{Connect, Duplex, Io, Network};
