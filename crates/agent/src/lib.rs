//! Collects, checks, buffers and streams to the monitor.

pub mod catalog;
pub mod collect;
