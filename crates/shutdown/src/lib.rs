//! Signals, phases, named tasks and cleanups with deadlines, and the guarded listener.
