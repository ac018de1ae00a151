//! The one system-test binary.

mod checks;
mod configuration;
mod hostile;
mod life;
mod store;
mod tidy;
