//! The operator's command, and the standalone process. Each subcommand is a file; `main` alone knows signals,
//! arguments, environment and exit codes.

mod ack;
mod alerts;
mod asking;
mod breakers;
pub mod check;
pub mod cli;
pub mod completions;
pub mod copies;
pub mod healthcheck;
mod incidents;
mod machine;
mod maintenance;
mod notifications;
mod rest;
pub mod rules;
mod silence;
pub mod standalone;
pub mod status;
pub mod store;
mod table;
pub mod terminal;
mod verdict;
mod why;

pub use farol_health::Status;
pub use verdict::{Error, Found, Verdict};
