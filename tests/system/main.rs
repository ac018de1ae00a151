//! The one system-test binary.

mod checks;
mod tidy;
mod store;
