//! Collects, checks, buffers and streams to the monitor.
