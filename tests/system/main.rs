//! The one system-test binary.

mod store;
