//! The one system-test binary.

mod tidy;
mod checks;
