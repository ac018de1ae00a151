#![doc = include_str!("../README.md")]
//! This file is a map; it decides nothing.

pub mod exit;
mod handle;
pub mod listener;
mod phase;
pub mod signal;
mod supervisor;
mod task;

pub use handle::Handle;
pub use phase::{Budgets, Delay, Phase};
pub use supervisor::Supervisor;
pub use supervisor::report::{ExitReport, PhaseTook, Reason};
pub use supervisor::roster::Entered;
pub use task::TaskEnd;
