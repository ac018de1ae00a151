//! The harness: starts real processes and libraries for the system tests.

pub mod memory_store;
pub mod postgres;
pub mod process;
pub mod redis;
mod server;
pub mod wait;
