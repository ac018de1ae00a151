//! The built-in checks: one file per kind. When a check runs and how its answers count is `farol-health`'s.

mod address;
pub mod disk;
mod failure;
pub mod http;
mod kept;
pub mod memory;
pub mod postgres;
pub mod redis;
mod room;
pub mod system;
pub mod tcp;

pub use address::Address;
