//! The harness: starts real processes and libraries for the system tests.

pub mod certificates;
pub mod crowd;
pub mod dns;
pub mod memory_store;
pub mod mute;
pub mod mysql;
pub mod postgres;
pub mod prober;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod redis;
mod server;
pub mod silent;
pub mod speaker;
pub mod sse;
pub mod stack;
pub mod wait;
pub mod watch;
