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
            is_sorted: true,
            buckets: [None, None],
        }
    }

    pub(super) fn add(&mut self, at_ms: i64, value: f64) {
        self.is_sorted &= self.samples.last().is_none_or(|(last_ms, _)| *last_ms <= at_ms);
        self.samples.push((at_ms, value));
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
    pub(super) fn finish(mut self, query: &Query) -> Result<Vec<Point>, RangeError> {
        if !self.is_sorted {
            self.samples.sort_by_key(|(at_ms, _)| *at_ms);
        }
        let mut fold = Fold::new(query.from_ms, query.to_ms, query.step_ms, query.reduce)?;
        for bucket in self.buckets.iter().rev().flatten().flat_map(|rollup| rollup.buckets(0)) {
            if fold.bucket(bucket).is_err() {
                break;
            }
        }
        for (at_ms, value) in &self.samples {
            fold.sample(*at_ms, *value);
        }
        Ok(fold.finish())
    }
}
