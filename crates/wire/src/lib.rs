//! The protocol between agent and monitor, and the only conversions.
