//! The harness: starts real processes and libraries for the system tests.

pub mod certificates;
pub mod chaos;
pub mod crowd;
pub mod dice;
pub mod dns;
pub mod faults;
pub mod kubernetes;
pub mod memory_store;
pub mod mute;
pub mod mysql;
pub mod oracle;
pub mod postgres;
pub mod prober;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod redis;
pub mod saboteur;
mod server;
pub mod silent;
pub mod speaker;
pub mod sse;
pub mod stack;
pub mod victim;
pub mod wait;
pub mod watch;
