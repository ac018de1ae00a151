//! The one system-test binary.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "the whole binary is tests")]

mod actions;
mod alerts;
mod checks;
mod configuration;
mod examples;
mod faults;
mod hostile;
mod life;
mod local;
mod logs;
mod mutation;
mod peers;
mod receivers;
mod simulation;
mod store;
mod tidy;
