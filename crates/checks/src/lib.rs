//! The built-in checks: one file per kind, one line in [`KINDS`]. When a check runs and how its answers count is
//! `farol-health`'s.

mod address;
mod cgroup;
pub mod command;
pub mod cpu;
pub mod discover;
pub mod disk;
mod failure;
pub mod file_descriptors;
pub mod heartbeat;
pub mod http;
mod kept;
mod kind;
pub mod memory;
pub mod mysql;
pub mod postgres;
pub mod process;
pub mod push;
pub mod redis;
mod registrations;
mod room;
pub mod sql;
pub mod system;
mod target;
pub mod tcp;

pub use address::Address;
pub use discover::discover;
pub use kind::{KINDS, Kind};
pub use registrations::registrations;
