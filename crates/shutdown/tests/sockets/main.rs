//! The guarded listener and the supervisor on real sockets and real processes.
#![allow(clippy::unwrap_used, reason = "only tests and what they stand on")]

mod caps;
mod clients;
mod deadlines;
mod drain;
mod one_port;
mod phases;
mod process;
mod rig;
mod tls;
