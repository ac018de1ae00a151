//! One series' samples and buckets on their way to points. Decides that each counts once.

use super::Query;
use crate::recent::FIVE_MINUTES_MS;
use crate::store::Level;
use farol_series::{Bucket, Encoding, Fold, Point, RangeError, Rolled, Rollup};
use farol_wire::{SeriesDef, SeriesType};

/// One series.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) kind: SeriesType,
    pub(super) unit: String,
    rolled: Rolled,
    samples: Vec<(i64, f64)>,
    /// Where pieces begin, in each of which one sample came after the other.
    pieces: Vec<usize>,
    /// Each sample came after all before it.
    is_sorted: bool,
    /// By 5 minutes and by the hour.
    buckets: [Option<Rollup>; 2],
}

impl Found {
    pub(super) fn new(series: &SeriesDef) -> Self {
        let (kind, digits) = series.encoding;
        let encoding = Encoding::from_wire(kind, digits).unwrap_or(Encoding::Float);
        Self {
            kind: series.kind,
            unit: series.unit.clone(),
            rolled: Rolled { encoding, counter: series.kind == SeriesType::Counter },
            samples: Vec::new(),
            pieces: vec![0],
            is_sorted: true,
            buckets: [None, None],
        }
    }

    pub(super) fn add(&mut self, at_ms: i64, value: f64) {
        if self.samples.last().is_some_and(|(last_ms, _)| *last_ms > at_ms) {
            self.is_sorted = false;
            self.begin();
        }
        self.samples.push((at_ms, value));
    }

    /// What comes next is another block, or another run.
    pub(super) fn begin(&mut self) {
        if self.pieces.last().is_none_or(|begins| *begins < self.samples.len()) {
            self.pieces.push(self.samples.len());
        }
    }

    /// Takes buckets; two of one time are joined.
    pub(super) fn add_buckets(&mut self, level: Level, buckets: &[Bucket]) {
        let (place, length_ms) = match level {
            Level::OneHour => (1, 12 * FIVE_MINUTES_MS),
            Level::Raw | Level::FiveMinutes => (0, FIVE_MINUTES_MS),
        };
        let rollup = self.buckets[place].get_or_insert_with(|| Rollup::new(length_ms, [self.rolled]));
        rollup.absorb(0, buckets);
    }

    /// Its points: the hours first, then 5 minutes, then samples. What is not later than what came before is left out.
    pub(super) fn finish(self, query: &Query) -> Result<Vec<Point>, RangeError> {
        let mut fold = Fold::new(query.from_ms, query.to_ms, query.step_ms, query.reduce)?;
        for bucket in self.buckets.iter().rev().flatten().flat_map(|rollup| rollup.buckets(0)) {
            if fold.bucket(bucket).is_err() {
                break;
            }
        }
        if self.is_sorted {
            self.samples.iter().for_each(|(at_ms, value)| fold.sample(*at_ms, *value));
        } else {
            self.interleave(&mut fold);
        }
        Ok(fold.finish())
    }

    /// Gives samples of which some lie between others: what is here twice, and what was measured on both sides of a
    /// clock's being set back. Each grew from the one before it in its own piece; the first of a piece from the last of
    /// all before, unless two courses of time lie there.
    fn interleave(&self, fold: &mut Fold) {
        let mut steps = Vec::with_capacity(self.samples.len());
        let ends = self.pieces.iter().skip(1).copied().chain([self.samples.len()]);
        for (begins, ends) in self.pieces.iter().zip(ends) {
            let piece = &self.samples[*begins..ends];
            let mut before = None;
            for (at_ms, value) in piece.iter().filter(|(_, value)| !value.is_nan()) {
                steps.push(Step { at_ms: *at_ms, value: *value, before, ends_ms: piece[piece.len() - 1].0 });
                before = Some((*at_ms, *value));
            }
        }
        // Of those that are there twice the one first that knows what it grew from.
        steps.sort_by_key(|step| (step.at_ms, step.before.is_none()));
        let (mut last, mut ends_ms, mut is_torn) = (None, i64::MIN, false);
        for step in steps {
            let follows = step.at_ms > ends_ms;
            ends_ms = ends_ms.max(step.ends_ms);
            if let Some((_, value)) = last.filter(|(last_ms, _)| step.at_ms <= *last_ms) {
                is_torn |= step.value != value;
                continue;
            }
            match step.before {
                None if follows && !is_torn => fold.sample(step.at_ms, step.value),
                before => fold.sample_after(step.at_ms, step.value, before),
            }
            is_torn = !follows && (is_torn || step.before.is_some_and(|before| Some(before) != last));
            last = Some((step.at_ms, step.value));
        }
    }
}

/// A sample, what it grew from, and the time of its piece's last one.
struct Step {
    at_ms: i64,
    value: f64,
    before: Option<(i64, f64)>,
    ends_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::{Found, Query};
    use farol_series::Reduce;
    use farol_wire::{SeriesDef, SeriesType};
    use std::collections::BTreeMap;

    /// A counter that grows by ten a second, in pieces of (time, how much was counted before its first sample).
    fn rates(pieces: &[(std::ops::Range<i64>, i64)]) -> Vec<f64> {
        let mut found = Found::new(&SeriesDef {
            id: 1,
            source: 1,
            name: "orders".to_owned(),
            labels: BTreeMap::new(),
            kind: SeriesType::Counter,
            encoding: (1, 0),
            unit: String::new(),
        });
        for (seconds, before) in pieces {
            found.begin();
            for second in seconds.clone() {
                found.add(second * 1_000, (before + (second - seconds.start) * 10) as f64);
            }
        }
        let query = Query {
            agent: None,
            metric: "orders".to_owned(),
            labels: BTreeMap::new(),
            from_ms: 0,
            to_ms: 1_000_000,
            step_ms: 1_000,
            reduce: Reduce::Rate,
        };
        found.finish(&query).unwrap().into_iter().filter_map(|point| point.value).collect()
    }

    #[test]
    fn a_rate_is_the_same_on_both_sides_of_a_clock_that_was_set_back() {
        // Ten minutes; a clock set back by five, within a block and between two; a block after both.
        for (pieces, least) in [
            (vec![(0..600, 0), (300..600, 6_000), (600..700, 9_000)], 690),
            (vec![(0..300, 0), (300..600, 3_000), (299..500, 6_000), (500..700, 8_010)], 690),
            // As blocks come out of the store: in the order of their last times.
            (vec![(0..300, 0), (250..500, 6_000), (300..600, 3_000)], 590),
        ] {
            let rates = rates(&pieces);
            let most = rates.iter().copied().fold(0.0, f64::max);
            assert!(rates.iter().all(|rate| *rate == 10.0), "{pieces:?}: up to {most}");
            assert!(rates.len() >= least, "{pieces:?}: {} rates", rates.len());
        }
    }

    #[test]
    fn what_is_there_twice_makes_no_gap() {
        for pieces in [
            vec![(0..600, 0), (300..600, 3_000), (600..700, 6_000)],
            vec![(0..300, 0), (0..300, 0), (300..400, 3_000), (300..700, 3_000)],
        ] {
            assert_eq!(rates(&pieces), vec![10.0; 699], "{pieces:?}");
        }
    }
}
