//! The two clocks of a past: time in which no monitor ran is none on the running one.

use farol_rules::Moment;

/// The past's clocks.
#[derive(Clone, Debug)]
pub(super) struct Course {
    from_ms: i64,
    /// Times in which no monitor ran, in order; no two touch.
    blind: Vec<(i64, i64)>,
}

impl Course {
    /// A past that begins here. Blind times may overlap, and reach out of it.
    pub(super) fn new(from_ms: i64, mut blind: Vec<(i64, i64)>) -> Self {
        blind.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::with_capacity(blind.len());
        for (begin_ms, end_ms) in blind {
            let begin_ms = begin_ms.max(from_ms);
            match joined.last_mut() {
                Some((_, last_ms)) if begin_ms <= *last_ms => *last_ms = end_ms.max(*last_ms),
                _ if end_ms > begin_ms => joined.push((begin_ms, end_ms)),
                _ => {}
            }
        }
        Self { from_ms, blind: joined }
    }

    /// The moment of a time. Within a blind time the running clock stands.
    pub(super) fn at(&self, wall_ms: i64) -> Moment {
        let before = self.blind.iter().take_while(|(begin_ms, _)| *begin_ms < wall_ms);
        let blind_ms: i64 = before.map(|(begin_ms, end_ms)| wall_ms.min(*end_ms) - begin_ms).sum();
        let run_ms = wall_ms.saturating_sub(self.from_ms).saturating_sub(blind_ms);
        Moment { run_ms: u64::try_from(run_ms).unwrap_or(0), wall_ms }
    }

    /// The blind times that end within this time.
    pub(super) fn ends(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = (i64, i64)> {
        self.blind.iter().copied().filter(move |(_, end_ms)| (from_ms..to_ms).contains(end_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_clock_stands_while_no_monitor_runs() {
        let course = Course::new(1_000, vec![(5_000, 7_000), (500, 1_500), (6_000, 8_000), (9_000, 9_000)]);
        let run = |wall_ms| course.at(wall_ms).run_ms;
        assert_eq!([1_000, 1_500, 5_000, 6_500, 8_000, 10_000].map(run), [0, 0, 3_500, 3_500, 3_500, 5_500]);
        assert_eq!(course.ends(0, 8_001).collect::<Vec<_>>(), [(1_000, 1_500), (5_000, 8_000)]);
    }
}
