//! What many samples come to: one number, or none.
//! Knows no windows (see `range`) and reads no clock.

use crate::bucket::{Bucket, grown};
use std::fmt;
use std::str::FromStr;

/// How samples become one number. A NaN counts as no sample; no samples give no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reduce {
    /// Arithmetic mean.
    Avg,
    /// Largest.
    Max,
    /// Smallest.
    Min,
    /// Latest.
    Last,
    /// Sum.
    Sum,
    /// How many.
    Count,
    /// Growth of a counter per second, since the sample before the first one where that is known. A value lower
    /// than the one before means that the counter started again from zero.
    Rate,
    /// 95th percentile, interpolated between the two nearest samples.
    P95,
}

/// A word that names no reduction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no way to reduce samples; write one of avg, max, min, last, sum, count, rate, p95")]
pub struct UnknownReduce(pub String);

impl Reduce {
    /// Every one, in the order in which they are listed to people.
    pub const ALL: [Reduce; 8] = [
        Reduce::Avg,
        Reduce::Max,
        Reduce::Min,
        Reduce::Last,
        Reduce::Sum,
        Reduce::Count,
        Reduce::Rate,
        Reduce::P95,
    ];

    /// Its name in configuration and queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Reduce::Avg => "avg",
            Reduce::Max => "max",
            Reduce::Min => "min",
            Reduce::Last => "last",
            Reduce::Sum => "sum",
            Reduce::Count => "count",
            Reduce::Rate => "rate",
            Reduce::P95 => "p95",
        }
    }
}

impl fmt::Display for Reduce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reduce {
    type Err = UnknownReduce;

    fn from_str(word: &str) -> Result<Self, UnknownReduce> {
        let known = Reduce::ALL.into_iter().find(|reduce| reduce.as_str() == word);
        known.ok_or_else(|| UnknownReduce(word.to_owned()))
    }
}

/// Reduces samples `(t_ms, value)`, oldest first. One that is not later than the sample before it is left out.
///
/// Only P95 keeps samples: 8 bytes each.
pub fn reduce(samples: impl IntoIterator<Item = (i64, f64)>, how: Reduce) -> Option<f64> {
    let mut tally = Tally::new(how);
    for (t, value) in samples {
        tally.add(t, value);
    }
    tally.take()
}

/// What has been seen of one window, and the sample before it.
#[derive(Debug)]
pub(crate) struct Tally {
    /// What is asked for.
    how: Reduce,
    /// Samples in this window, or seconds between them for a rate: nothing comes of none.
    weight: f64,
    /// The number so far: a sum, an extreme, the latest value, or a counter's growth.
    figure: f64,
    /// The latest sample, kept over windows: a rate starts from it, and what is not later is left out.
    latest: Option<(i64, f64)>,
    /// All values of this window, which only a percentile needs.
    values: Vec<f64>,
}

impl Tally {
    pub(crate) fn new(how: Reduce) -> Self {
        Tally { how, weight: 0.0, figure: 0.0, latest: None, values: Vec::new() }
    }

    /// Takes a sample from before the first window, from which a rate may start.
    pub(crate) fn precede(&mut self, t: i64, value: f64) {
        if self.is_next(t, value) {
            self.latest = Some((t, value));
        }
    }

    /// Takes a sample of this window.
    pub(crate) fn add(&mut self, t: i64, value: f64) {
        self.add_after(t, value, self.latest);
    }

    /// Takes a sample of this window that grew from `before`, whatever came last.
    pub(crate) fn add_after(&mut self, t: i64, value: f64, before: Option<(i64, f64)>) {
        if !self.is_next(t, value) {
            return;
        }
        self.latest = Some((t, value));
        let first = self.weight == 0.0;
        match self.how {
            Reduce::Avg | Reduce::Sum => self.figure += value,
            Reduce::Max if first || value > self.figure => self.figure = value,
            Reduce::Min if first || value < self.figure => self.figure = value,
            Reduce::Last => self.figure = value,
            Reduce::P95 => self.values.push(value),
            Reduce::Max | Reduce::Min | Reduce::Count => {}
            Reduce::Rate => {
                let Some((since, base)) = before else { return };
                self.figure += grown(base, value);
                self.weight += t.abs_diff(since) as f64 / 1000.0;
                return;
            }
        }
        self.weight += 1.0;
    }

    /// What is asked for.
    pub(crate) fn how(&self) -> Reduce {
        self.how
    }

    /// Takes many samples of this window at once. A percentile never comes here.
    pub(crate) fn add_bucket(&mut self, bucket: &Bucket) {
        let before = self.latest;
        if before.is_some_and(|(latest, _)| bucket.first_ms <= latest) {
            return;
        }
        self.latest = Some((bucket.last_ms, bucket.last));
        let first = self.weight == 0.0;
        match self.how {
            Reduce::Avg | Reduce::Sum => self.figure += bucket.sum,
            Reduce::Max if first || bucket.max > self.figure => self.figure = bucket.max,
            Reduce::Min if first || bucket.min < self.figure => self.figure = bucket.min,
            Reduce::Last => self.figure = bucket.last,
            Reduce::Max | Reduce::Min | Reduce::Count | Reduce::P95 => {}
            Reduce::Rate => {
                let (since, base) = before.unwrap_or((bucket.first_ms, bucket.first));
                self.figure += grown(base, bucket.first) + bucket.growth;
                self.weight += bucket.last_ms.abs_diff(since) as f64 / 1000.0;
                return;
            }
        }
        self.weight += f64::from(bucket.count);
    }

    /// The window's number; the next window starts empty.
    pub(crate) fn take(&mut self) -> Option<f64> {
        let (weight, figure) = (std::mem::take(&mut self.weight), std::mem::take(&mut self.figure));
        let number = match self.how {
            _ if weight == 0.0 => return None,
            Reduce::Avg | Reduce::Rate => figure / weight,
            Reduce::Count => weight,
            Reduce::P95 => percentile(&mut self.values, 0.95),
            Reduce::Max | Reduce::Min | Reduce::Last | Reduce::Sum => figure,
        };
        self.values.clear();
        (!number.is_nan()).then_some(number)
    }

    fn is_next(&self, t: i64, value: f64) -> bool {
        !value.is_nan() && self.latest.is_none_or(|(latest, _)| t > latest)
    }
}

/// The value below which this share of the values lies, interpolated linearly. There is at least one value.
fn percentile(values: &mut [f64], share: f64) -> f64 {
    let place = share * (values.len() - 1) as f64;
    let (_, &mut low, above) = values.select_nth_unstable_by(place as usize, f64::total_cmp);
    let high = above.iter().copied().fold(f64::INFINITY, f64::min);
    let part = place.fract();
    if part == 0.0 || high == low { low } else { low * (1.0 - part) + high * part }
}

#[cfg(test)]
mod tests {
    use super::{Reduce, reduce};

    #[test]
    fn each_reduction_gives_the_number_a_person_would() {
        let samples = [(0, 4.0), (1_000, 1.0), (2_000, 9.0), (4_000, 6.0)];
        let cases = [
            (Reduce::Avg, 5.0),
            (Reduce::Max, 9.0),
            (Reduce::Min, 1.0),
            (Reduce::Last, 6.0),
            (Reduce::Sum, 20.0),
            (Reduce::Count, 4.0),
            // Twice the counter started again: 1 + 8 + 6 in 4 s.
            (Reduce::Rate, 3.75),
            // Place 2.85 of 0..=3 among 1 4 6 9.
            (Reduce::P95, 8.55),
        ];
        for (how, expected) in cases {
            let number = reduce(samples, how).expect("there are samples");
            assert!((number - expected).abs() < 1e-12, "{how}: {number}");
        }
    }

    #[test]
    fn nothing_comes_of_nothing() {
        for how in Reduce::ALL {
            assert_eq!(reduce([], how), None, "{how}");
            assert_eq!(reduce([(5, f64::NAN)], how), None, "{how}");
        }
        assert_eq!(reduce([(5, 7.0)], Reduce::Rate), None);
        assert_eq!(reduce([(5, 7.0)], Reduce::P95), Some(7.0));
    }

    #[test]
    fn a_nan_or_a_sample_that_is_not_later_is_left_out() {
        let samples = [(10, 2.0), (10, 50.0), (9, 50.0), (11, f64::NAN), (12, 4.0)];
        for (how, expected) in [
            (Reduce::Avg, 3.0),
            (Reduce::Sum, 6.0),
            (Reduce::Count, 2.0),
            (Reduce::Last, 4.0),
            (Reduce::Rate, 1000.0),
        ] {
            assert_eq!(reduce(samples, how), Some(expected), "{how}");
        }
    }

    #[test]
    fn infinities_are_numbers_until_they_cancel_out() {
        assert_eq!(reduce([(1, f64::INFINITY), (2, 1.0)], Reduce::Max), Some(f64::INFINITY));
        assert_eq!(reduce([(1, 1.0), (2, f64::INFINITY)], Reduce::P95), Some(f64::INFINITY));
        assert_eq!(reduce([(1, f64::NEG_INFINITY), (2, -1.0)], Reduce::Max), Some(-1.0));
        assert_eq!(reduce([(1, f64::INFINITY), (2, f64::NEG_INFINITY)], Reduce::Sum), None);
    }

    #[test]
    fn each_name_is_read_back_and_others_are_answered_with_the_list() {
        for how in Reduce::ALL {
            assert_eq!(how.as_str().parse(), Ok(how));
        }
        let error = "p99".parse::<Reduce>().expect_err("unknown");
        assert!(error.to_string().contains("p95"), "{error}");
    }
}
