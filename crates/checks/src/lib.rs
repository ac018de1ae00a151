//! The built-in checks.
