//! The harness: starts real processes and libraries for the system tests.

pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod redis;
mod server;
pub mod wait;
