//! The one system-test binary.

mod checks;
mod life;
mod store;
mod tidy;
