//! The one system-test binary.

mod checks;
