//! When a stream that the monitor wants renewed ends: not at once, for until then the agent speaks on it as always.
//! Pure: chance and now are arguments.

use super::End;
use std::time::Duration;
use tokio::time::Instant;

/// A stream that breaks so shortly before its moment was ended by the monitor that asked.
const SHORTLY: Duration = Duration::from_secs(1);

/// A new stream that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Renewal {
    /// The moment of the old one's end. Drawn once: agents are spread, and asking again postpones nothing.
    at: Option<Instant>,
}

impl Renewal {
    /// The monitor wants a new stream after any part (`chance` in 0..1) of this time.
    pub(crate) fn asked(&mut self, now: Instant, within: Duration, chance: f64) {
        let at = now + within.mul_f64(chance.clamp(0.0, 1.0));
        self.at = Some(self.at.map_or(at, |before| before.min(at)));
    }

    /// When the stream is to end.
    pub(crate) fn at(self) -> Option<Instant> {
        self.at
    }

    /// What the end of a stream means that the agent did not end: one that was to end anyhow is no failure, and the
    /// new one comes when it was to come. One that has far to go is missed: it is tried again as any other.
    pub(crate) fn broke(self, end: End, now: Instant) -> End {
        let left = self.at.map(|at| at.saturating_duration_since(now));
        match (end, left) {
            (End::Broken(_), Some(left)) if left <= SHORTLY => End::Reconnect(left),
            (end, _) => end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn agents_end_their_streams_at_any_part_of_the_time_and_all_of_them_within_it() {
        let now = Instant::now();
        for (chance, secs) in [(0.0, 0), (0.25, 15), (0.5, 30), (1.0, 60), (7.0, 60)] {
            let mut renewal = Renewal::default();
            assert_eq!(renewal.at(), None, "nobody asked");
            renewal.asked(now, MINUTE, chance);
            assert_eq!(renewal.at(), Some(now + Duration::from_secs(secs)), "{chance}");
        }
    }

    #[test]
    fn asking_again_brings_the_moment_nearer_and_never_postpones_it() {
        let start = Instant::now();
        let after = |secs| start + Duration::from_secs(secs);
        let mut renewal = Renewal::default();
        renewal.asked(start, MINUTE, 0.5);
        renewal.asked(after(10), MINUTE, 0.5);
        assert_eq!(renewal.at(), Some(after(30)));
        renewal.asked(after(20), Duration::from_secs(1), 1.0);
        assert_eq!(renewal.at(), Some(after(21)));
    }

    #[test]
    fn a_stream_that_breaks_meanwhile_is_a_failure_unless_its_moment_was_near() {
        let now = Instant::now();
        let broken = || End::Broken("broken pipe".to_owned());
        let mut renewal = Renewal::default();
        assert_eq!(renewal.broke(broken(), now), broken(), "nobody asked");
        renewal.asked(now, MINUTE, 0.5);
        assert_eq!(renewal.broke(broken(), now), broken());
        let near = now + Duration::from_millis(29_600);
        assert_eq!(renewal.broke(broken(), near), End::Reconnect(Duration::from_millis(400)));
        assert_eq!(renewal.broke(broken(), now + MINUTE), End::Reconnect(Duration::ZERO));
        let refused = || End::Refused(Code::AlreadyExists, "two processes".to_owned());
        assert_eq!(renewal.broke(refused(), near), refused());
    }
}
