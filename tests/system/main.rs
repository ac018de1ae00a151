//! The one system-test binary.
