//! The one system-test binary.

mod checks;
mod life;
mod tidy;
mod store;
