//! The one system-test binary.

mod checks;
mod examples;
mod life;
mod peers;
mod store;
mod tidy;
