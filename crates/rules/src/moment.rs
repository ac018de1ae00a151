//! A moment on the two clocks that rules know.

/// One moment. Durations are measured on the running clock; the wall clock is for people, for what outlasts the process
/// and for windows that stand in a calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds that never go back; time in which the monitor did not run is left out.
    pub run_ms: u64,
    /// Unix milliseconds.
    pub wall_ms: i64,
}
