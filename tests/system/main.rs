//! The one system-test binary.

mod checks;
mod configuration;
mod examples;
mod hostile;
mod life;
mod peers;
mod store;
mod tidy;
