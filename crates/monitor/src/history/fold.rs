//! One series' samples on their way to steps. Decides when samples may be let go of: what lies in steps that are over.

use super::Query;
use farol_series::{Point, reduce_steps};

/// The samples of one series that wait, and the points that are made.
#[derive(Debug)]
pub(super) struct Fold {
    waiting: Vec<(i64, f64)>,
    /// The newest sample before those that wait: a rate leans on it.
    before: Option<(i64, f64)>,
    points: Vec<Point>,
    /// The steps before here are made.
    made_ms: i64,
}

impl Fold {
    pub(super) fn new(from_ms: i64) -> Self {
        Self { waiting: Vec::new(), before: None, points: Vec::new(), made_ms: from_ms }
    }

    pub(super) fn add(&mut self, at_ms: i64, value: f64) {
        if at_ms < self.made_ms {
            if self.before.is_none_or(|(before_ms, _)| before_ms < at_ms) {
                self.before = Some((at_ms, value));
            }
        } else {
            self.waiting.push((at_ms, value));
        }
    }

    /// Makes the steps that end at or before `until_ms`; tells how many samples still wait.
    pub(super) fn reduce_until(&mut self, query: &Query, until_ms: i64) -> usize {
        let whole = until_ms.min(query.to_ms).saturating_sub(self.made_ms).max(0) / query.step_ms;
        self.make(query, self.made_ms.saturating_add(whole.saturating_mul(query.step_ms)));
        self.waiting.len()
    }

    fn make(&mut self, query: &Query, end_ms: i64) {
        if end_ms <= self.made_ms {
            return;
        }
        // A wall clock that was set back, or starts whose times overlap: what came later may be of an earlier time.
        if !self.waiting.is_sorted_by_key(|(at_ms, _)| *at_ms) {
            self.waiting.sort_by_key(|(at_ms, _)| *at_ms);
        }
        let samples = self.before.iter().chain(&self.waiting).copied();
        self.points.extend(reduce_steps(samples, self.made_ms, end_ms, query.step_ms, query.reduce));
        self.before = self.waiting.iter().rfind(|(at_ms, _)| *at_ms < end_ms).copied().or(self.before);
        self.waiting.retain(|(at_ms, _)| *at_ms >= end_ms);
        self.made_ms = end_ms;
    }

    pub(super) fn finish(mut self, query: &Query) -> Vec<Point> {
        self.make(query, query.to_ms);
        self.points
    }
}

#[cfg(test)]
mod tests {
    use super::{Fold, Query};
    use farol_series::{Reduce, reduce_steps};
    use std::collections::BTreeMap;

    #[test]
    fn what_came_after_a_clock_was_set_back_is_there_too() {
        let query = Query {
            agent: None,
            metric: String::new(),
            labels: BTreeMap::new(),
            from_ms: 0,
            to_ms: 200,
            step_ms: 100,
            reduce: Reduce::Count,
        };
        let mut fold = Fold::new(0);
        for at_ms in [110, 120, 130, 20, 30, 115, 125, 140] {
            fold.add(at_ms, 1.0);
        }
        let values: Vec<_> = fold.finish(&query).into_iter().map(|point| point.value).collect();
        assert_eq!(values, [Some(2.0), Some(6.0)]);
    }

    #[test]
    fn reducing_in_pieces_gives_what_reducing_at_once_gives() {
        let samples: Vec<(i64, f64)> = (0..500).map(|n| (n * 7 - 40, ((n * n) % 97) as f64)).collect();
        for reduce in Reduce::ALL {
            for (from_ms, to_ms, step_ms) in
                [(0, 3_000, 50), (13, 2_999, 101), (-20, 3_400, 10_000), (5_000, 6_000, 7)]
            {
                let query = Query {
                    agent: None,
                    metric: String::new(),
                    labels: BTreeMap::new(),
                    from_ms,
                    to_ms,
                    step_ms,
                    reduce,
                };
                let mut fold = Fold::new(from_ms);
                for (n, (at_ms, value)) in samples.iter().enumerate() {
                    fold.add(*at_ms, *value);
                    if n % 37 == 0 {
                        fold.reduce_until(&query, *at_ms);
                    }
                }
                let at_once = reduce_steps(samples.iter().copied(), from_ms, to_ms, step_ms, reduce);
                assert_eq!(fold.finish(&query), at_once, "{reduce} {from_ms} {to_ms} {step_ms}");
            }
        }
    }
}
