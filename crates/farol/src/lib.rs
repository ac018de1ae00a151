//! The operator's command, and the standalone process. Each subcommand is a file; `main` alone knows signals,
//! arguments, environment and exit codes.

pub mod check;
pub mod cli;
pub mod completions;
pub mod copies;
pub mod healthcheck;
mod machine;
pub mod rules;
pub mod standalone;
pub mod status;
pub mod store;
mod table;
pub mod terminal;
mod verdict;

pub use farol_health::Status;
pub use verdict::{Error, Found, Verdict};
