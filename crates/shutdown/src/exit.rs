//! The exit codes of every Farol process. Who uses which is decided by `main` and by [`crate::ExitReport`].

/// Stopped as asked. Clients that were cut are normal.
pub const OK: u8 = 0;
/// A port, a directory or another thing needed at start could not be had.
pub const FAILURE: u8 = 1;
/// The configuration is wrong.
pub const CONFIG: u8 = 64;
/// A task or a cleanup failed, or was cut because the budget was over.
pub const CUT: u8 = 75;

/// The code of a process that a second signal `number` ended at once.
pub const fn by_signal(number: i32) -> u8 {
    128 + (number & 0x7f) as u8
}
