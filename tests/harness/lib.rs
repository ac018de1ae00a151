//! The harness: starts real processes and libraries for the system tests.
