//! A range query: samples into steps of equal length, each reduced by itself.
//! Decides which ranges are answered; the steps are filled by `fold`, and reduced by `reduce`.

use crate::fold::Fold;
use crate::reduce::Reduce;

/// Most points a query is answered with.
pub const MAX_POINTS: usize = 11_000;

/// One step of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When the step starts, in milliseconds.
    pub t: i64,
    /// What its samples come to; None where there are none.
    pub value: Option<f64>,
}

/// Why a range cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// The range ends before it starts.
    #[error("the range ends {0} ms before it starts; swap `from` and `to`")]
    Backwards(u64),
    /// A step of no length.
    #[error("a step must be at least 1 ms long")]
    NoStep,
    /// More steps than [`MAX_POINTS`].
    #[error(
        "{steps} steps are more than {MAX_POINTS}; ask for a step of at least {least} ms, or a shorter range"
    )]
    TooManySteps {
        /// Steps asked for.
        steps: u64,
        /// The shortest step that would do.
        least: u64,
    },
}

/// How many points [`reduce_steps`] gives for this range, or why the question should be refused.
pub fn steps(from: i64, to: i64, step: i64) -> Result<usize, RangeError> {
    let length = to.abs_diff(from);
    if to < from {
        return Err(RangeError::Backwards(length));
    }
    let step = u64::try_from(step).ok().filter(|&step| step > 0).ok_or(RangeError::NoStep)?;
    let steps = length.div_ceil(step);
    let too_many = RangeError::TooManySteps { steps, least: length.div_ceil(MAX_POINTS as u64) };
    usize::try_from(steps).ok().filter(|&steps| steps <= MAX_POINTS).ok_or(too_many)
}

/// Reduces samples `(t_ms, value)`, oldest first, to one point for each step of `from..to`.
///
/// A step holds the samples from its start up to, but not at, the next step's start; the last one ends at `to`.
/// Every step has its point: one without samples is a gap, and stays one. Samples before `from` only tell a
/// rate where to start; give one such sample, or the first step's rate starts at its own first sample. After a gap
/// a rate is the growth since the last sample before it, over the time since.
///
/// A range that [`steps`] refuses has no points; ask it first and tell the person why.
pub fn reduce_steps(
    samples: impl IntoIterator<Item = (i64, f64)>,
    from: i64,
    to: i64,
    step: i64,
    how: Reduce,
) -> Vec<Point> {
    let Ok(mut fold) = Fold::new(from, to, step, how) else { return Vec::new() };
    for (t, value) in samples {
        if t >= to {
            break;
        }
        fold.sample(t, value);
    }
    fold.finish()
}

#[cfg(test)]
mod tests {
    use super::{MAX_POINTS, Point, RangeError, reduce_steps, steps};
    use crate::reduce::Reduce;
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    fn values(points: &[Point]) -> Vec<Option<f64>> {
        points.iter().map(|point| point.value).collect()
    }

    #[test]
    fn a_sample_belongs_to_the_step_that_starts_at_or_before_it_and_gaps_stay_gaps() {
        let samples = [(99, 100.0), (100, 1.0), (109, 3.0), (110, 5.0), (130, 7.0), (135, 9.0), (136, 100.0)];
        let points = reduce_steps(samples, 100, 136, 10, Reduce::Sum);
        assert_eq!(points.iter().map(|point| point.t).collect::<Vec<_>>(), [100, 110, 120, 130]);
        assert_eq!(values(&points), [Some(4.0), Some(5.0), None, Some(16.0)]);
    }

    #[test]
    fn a_rate_starts_from_the_sample_before_and_survives_a_counter_reset() {
        let samples = [(-1_000, 10.0), (0, 20.0), (1_000, 30.0), (2_000, 4.0), (5_000, 10.0)];
        let points = reduce_steps(samples, 0, 6_000, 1_000, Reduce::Rate);
        assert_eq!(values(&points), [Some(10.0), Some(10.0), Some(4.0), None, None, Some(2.0)]);
        let without = reduce_steps(samples[1..].iter().copied(), 0, 2_000, 1_000, Reduce::Rate);
        assert_eq!(values(&without), [None, Some(10.0)]);
    }

    #[test]
    fn a_range_without_samples_is_one_gap_per_step() {
        for how in Reduce::ALL {
            assert_eq!(values(&reduce_steps([], 0, 3_000, 1_000, how)), [None; 3], "{how}");
        }
        assert_eq!(reduce_steps([(0, 1.0)], 5, 5, 1, Reduce::Sum), []);
    }

    #[test]
    fn a_range_that_cannot_be_answered_says_what_to_ask_instead() {
        let most = MAX_POINTS as i64;
        assert_eq!(steps(0, most, 1), Ok(MAX_POINTS));
        assert_eq!(steps(7, 7, 1), Ok(0));
        assert_eq!(steps(10, 0, 1), Err(RangeError::Backwards(10)));
        assert_eq!(steps(0, 10, 0), Err(RangeError::NoStep));
        assert_eq!(steps(0, 10, -5), Err(RangeError::NoStep));
        let error = steps(0, 10 * most + 1, 10).expect_err("too many");
        assert_eq!(error, RangeError::TooManySteps { steps: most as u64 + 1, least: 11 });
        assert!(error.to_string().contains("11 ms"), "{error}");
        assert_eq!(reduce_steps([(0, 1.0)], 0, most + 1, 1, Reduce::Sum), []);
    }

    #[test]
    fn the_whole_of_time_is_a_range_too() {
        let samples = [(i64::MIN, 1.0), (0, 2.0), (i64::MAX - 1, 4.0), (i64::MAX, 8.0)];
        let points = reduce_steps(samples, i64::MIN, i64::MAX, i64::MAX, Reduce::Sum);
        assert_eq!(values(&points), [Some(1.0), Some(2.0), Some(4.0)]);
    }

    proptest! {
        #[test]
        fn every_sample_is_in_one_step_and_all_growth_is_in_the_rates(
            // 80 gaps of 5 s in steps of 40 ms are 10 000 points: no range here is refused.
            gaps in prop::collection::vec((1_i64..5_000, 0_u32..1_000), 1..80), step in 40_i64..9_000,
        ) {
            let mut t = 0;
            let mut count = 0.0;
            let mut samples = vec![(-1, 0.0)];
            for (gap, more) in gaps {
                samples.push((t, count));
                t += gap;
                count += f64::from(more);
            }
            let ask = |how| reduce_steps(samples.iter().copied(), 0, t, step, how);
            let seen: f64 = values(&ask(Reduce::Count)).into_iter().flatten().sum();
            prop_assert_eq!(seen, (samples.len() - 1) as f64);

            // Each rate stands for the time since the sample before its step.
            let mut since = -1;
            let mut growth = 0.0;
            for point in ask(Reduce::Rate) {
                let mut inside = samples.iter().filter(|(at, _)| (point.t..point.t + step).contains(at));
                prop_assert_eq!(point.value.is_some(), inside.clone().count() > 0);
                if let (Some(rate), Some(&(last, _))) = (point.value, inside.next_back()) {
                    growth += rate * (last - since) as f64 / 1000.0;
                    since = last;
                }
            }
            let last = samples[samples.len() - 1].1;
            prop_assert!((growth - last).abs() <= 1e-9 * last.max(1.0), "{growth} of {last}");

            for (lowest, highest) in ask(Reduce::Min).iter().zip(&ask(Reduce::Max)) {
                prop_assert!(lowest.value <= highest.value);
            }
        }
    }
}
