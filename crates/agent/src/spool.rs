//! The agent's reports on disk, below the data directory: one file a segment. What goes there and what goes from there
//! is decided by the ring; here it is written, read, and found again at the next start.

mod folder;
mod health;
mod keeper;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use health::{COMPONENT, Health, registration};
pub(crate) use keeper::{Keeper, Start};
pub(crate) use record::Origin;

/// Its folder in the data directory.
pub(crate) const FOLDER: &str = "spool";
