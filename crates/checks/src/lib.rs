//! The built-in checks: one file per kind, one line in [`KINDS`]. When a check runs and how its answers count is
//! `farol-health`'s.

mod address;
mod certificate;
mod cgroup;
pub mod command;
pub mod cpu;
pub mod discover;
pub mod disk;
pub mod dns;
mod failure;
pub mod file_descriptors;
pub mod grpc_health;
pub mod heartbeat;
pub mod http;
mod kept;
mod kind;
pub mod memory;
pub mod mysql;
mod pattern;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod push;
pub mod redis;
mod registrations;
mod room;
pub mod sql;
pub mod system;
mod target;
pub mod tcp;
pub mod tls_certificate;
mod trust;
mod web;

pub use address::Address;
pub use certificate::Lifetime;
pub use discover::discover;
pub use kind::{KINDS, Kind};
pub use pattern::{Bound, Pattern};
pub use registrations::{is_told, registrations};
pub use trust::Trust;
