//! The one system-test binary.

mod checks;
mod examples;
mod peers;
mod tidy;
