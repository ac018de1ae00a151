//! When a live stream is to begin anew. Decides it so that a run can end in time: what is in a run that has not ended
//! is not sealed, and holds back the journal's rows. Pure: `now` is an argument.

/// A key frame is asked for after so long, so many reports or so many bytes without one. Agents begin a segment every
/// 64 reports by themselves.
const EVERY_MS: u64 = 15 * 60_000;
const REPORTS: u32 = 128;
const BYTES: usize = 4 << 20;
/// One who was asked must send it within this, and before there are so many reports without one: some were on their way,
/// and an agent may send thousands at once.
const WITHIN_MS: u64 = 15 * 60_000;
const REPORTS_AT_MOST: u32 = 8_192;

/// What is wanted of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    /// A key frame.
    Key,
    /// Its end: it was asked and goes on without one, or hangs.
    End,
}

/// What came since the last key frame.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// When that came, on the running clock; `None` before the first.
    since_ms: Option<u64>,
    reports: u32,
    bytes: usize,
    /// Since when one is asked for.
    asked_ms: Option<u64>,
}

impl Keys {
    /// A report came.
    pub(crate) fn came(&mut self, is_key: bool, bytes: usize, run_ms: u64) {
        if is_key {
            *self = Self { since_ms: Some(run_ms), ..Self::default() };
        }
        self.reports = self.reports.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// What is wanted now; a key frame is asked for once.
    pub(crate) fn look(&mut self, run_ms: u64) -> Wish {
        let Some(since_ms) = self.since_ms else { return Wish::Nothing };
        if let Some(asked_ms) = self.asked_ms {
            let is_late = run_ms.saturating_sub(asked_ms) >= WITHIN_MS || self.reports >= REPORTS_AT_MOST;
            return if is_late { Wish::End } else { Wish::Nothing };
        }
        let is_long = run_ms.saturating_sub(since_ms) >= EVERY_MS;
        if !is_long && self.reports < REPORTS && self.bytes < BYTES {
            return Wish::Nothing;
        }
        self.asked_ms = Some(run_ms);
        Wish::Key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Keys {
        let mut keys = Keys::default();
        keys.came(true, 10, 1_000);
        keys
    }

    #[test]
    fn a_key_frame_is_asked_for_after_a_time_many_reports_or_many_bytes() {
        let mut keys = Keys::default();
        keys.came(false, BYTES, 0);
        assert_eq!(keys.look(u64::MAX), Wish::Nothing, "it has not begun");
        let mut keys = begun();
        assert_eq!(keys.look(EVERY_MS + 999), Wish::Nothing);
        assert_eq!(keys.look(EVERY_MS + 1_000), Wish::Key);
        assert_eq!(keys.look(EVERY_MS + 1_001), Wish::Nothing, "once");
        let mut keys = begun();
        (2..REPORTS).for_each(|_| keys.came(false, 0, 1_000));
        assert_eq!(keys.look(1_000), Wish::Nothing);
        keys.came(false, 0, 1_000);
        assert_eq!(keys.look(1_000), Wish::Key);
        let mut keys = begun();
        keys.came(false, BYTES, 1_000);
        assert_eq!(keys.look(1_000), Wish::Key);
    }

    #[test]
    fn a_stream_that_goes_on_without_a_key_frame_or_hangs_is_ended_and_one_that_sends_it_is_not() {
        let mut keys = begun();
        assert_eq!(keys.look(EVERY_MS + 1_000), Wish::Key);
        assert_eq!(keys.look(EVERY_MS + 999 + WITHIN_MS), Wish::Nothing);
        assert_eq!(keys.look(EVERY_MS + 1_000 + WITHIN_MS), Wish::End);
        (0..REPORTS_AT_MOST).for_each(|_| keys.came(false, 0, EVERY_MS));
        assert_eq!(keys.look(EVERY_MS + 1_001), Wish::End);
        keys.came(true, 0, EVERY_MS + 1_001);
        assert_eq!(keys.look(EVERY_MS + 1_001), Wish::Nothing);
    }
}
