#![doc = include_str!("../README.md")]
//! This file is a map; it decides nothing.

mod data_dir;
pub mod exit;
mod handle;
pub mod listener;
mod open_files;
mod orphans;
mod phase;
mod ready_file;
pub mod signal;
mod stages;
mod supervisor;
mod task;
mod temporary;

pub use data_dir::{DataDir, DataDirError};
pub use handle::Handle;
pub use open_files::tell_room;
pub use phase::{Budgets, Delay, Phase};
pub use ready_file::Ready;
pub use stages::Stage;
pub use supervisor::Supervisor;
pub use supervisor::report::{ExitReport, PhaseTook, Reason};
pub use supervisor::roster::Entered;
pub use task::TaskEnd;
pub use temporary::TemporaryFolder;
