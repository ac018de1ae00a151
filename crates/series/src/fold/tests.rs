//! Ranges answered from buckets, and from buckets and samples, against the same ranges answered from samples.

use super::{Fold, NeedsSamples};
use crate::{Encoding, Point, Reduce, Rolled, Rollup, reduce_steps};
use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};

const LENGTH: i64 = 300_000;

fn buckets(samples: &[(i64, f64)]) -> Rollup {
    let mut rollup = Rollup::new(LENGTH, [Rolled { encoding: Encoding::Integer, counter: true }]);
    samples.iter().for_each(|&(t, value)| rollup.add(0, t, value));
    rollup
}

/// Buckets for what lies before `border`, samples from there on.
fn mixed(samples: &[(i64, f64)], border: i64, from: i64, to: i64, step: i64, how: Reduce) -> Vec<Point> {
    let (old, new) = samples.split_at(samples.partition_point(|&(t, _)| t < border));
    let mut fold = Fold::new(from, to, step, how).expect("a sound range");
    for bucket in buckets(old).buckets(0) {
        fold.bucket(bucket).expect("buckets can tell");
    }
    new.iter().for_each(|&(t, value)| fold.sample(t, value));
    fold.finish()
}

#[test]
fn a_percentile_is_refused_and_the_error_says_what_to_ask_instead() {
    let rollup = buckets(&[(0, 1.0)]);
    let mut fold = Fold::new(0, LENGTH, LENGTH, Reduce::P95).expect("a sound range");
    let error = fold.bucket(&rollup.buckets(0)[0]).expect_err("no samples");
    assert_eq!(error, NeedsSamples(Reduce::P95));
    assert!(error.to_string().contains("p95"), "{error}");
    fold.sample(5, 2.0);
    assert_eq!(fold.finish(), [Point { t: 0, value: Some(2.0) }]);
    assert!(Reduce::ALL.into_iter().filter(|how| how.needs_samples()).eq([Reduce::P95]));
}

#[test]
fn a_range_that_cannot_be_answered_is_refused_at_once() {
    assert!(Fold::new(10, 0, 1, Reduce::Avg).is_err());
    assert!(Fold::new(0, 10, 0, Reduce::Avg).is_err());
}

#[test]
fn what_comes_twice_counts_once() {
    let samples = [(0, 1.0), (10_000, 5.0), (LENGTH, 2.0)];
    let rollup = buckets(&samples[..2]);
    let mut fold = Fold::new(0, 2 * LENGTH, LENGTH, Reduce::Count).expect("a sound range");
    fold.bucket(&rollup.buckets(0)[0]).expect("counts");
    fold.bucket(&rollup.buckets(0)[0]).expect("counts");
    samples.iter().for_each(|&(t, value)| fold.sample(t, value));
    let values: Vec<_> = fold.finish().iter().map(|point| point.value).collect();
    assert_eq!(values, [Some(2.0), Some(1.0)]);
}

#[test]
fn a_bucket_belongs_to_the_step_of_its_first_sample_and_to_the_first_step_when_it_began_before() {
    let rollup = buckets(&[(-LENGTH, 1.0), (10, 4.0), (20_000, 8.0), (290_000, 2.0)]);
    let mut fold = Fold::new(15_000, 315_000, 100_000, Reduce::Sum).expect("a sound range");
    rollup.buckets(0).iter().for_each(|bucket| fold.bucket(bucket).expect("sums"));
    let values: Vec<_> = fold.finish().iter().map(|point| point.value).collect();
    assert_eq!(values, [Some(14.0), None, None]);
}

#[test]
fn a_restarted_counter_is_right_within_and_across_buckets_and_over_a_gap() {
    let at = |bucket: i64, more: i64| bucket * LENGTH + more;
    let samples = [
        (at(0, 0), 100.0),
        (at(0, 299_000), 160.0),
        // Began again between two buckets, then within one.
        (at(1, 1_000), 5.0),
        (at(1, 100_000), 25.0),
        (at(1, 200_000), 10.0),
        (at(4, 0), 40.0),
    ];
    let points = mixed(&samples, at(5, 0), at(1, 0), at(5, 0), LENGTH, Reduce::Rate);
    let values: Vec<_> = points.iter().map(|point| point.value).collect();
    let expected = [Some((5.0 + 20.0 + 10.0) / 201.0), None, None, Some(30.0 / 700.0)];
    assert_eq!(values, expected);
}

/// Samples of a counter with restarts and gaps, and now and then no number.
fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let step = (1_i64..200_000, 0_u32..40, 0_u32..20);
    prop::collection::vec(step, 1..120).prop_map(|steps| {
        let (mut t, mut count) = (-LENGTH, 0_u32);
        let samples = steps.into_iter().map(|(step, more, kind)| {
            t += if kind == 0 { 20 * step } else { step };
            count = if kind == 1 { more } else { count + more };
            (t, if kind == 2 { f64::NAN } else { f64::from(count) })
        });
        samples.collect()
    })
}

proptest! {
    #[test]
    fn buckets_and_samples_answer_as_samples_alone_do(
        samples in samples(), border in 0_i64..40, from in 0_i64..4, length in 1_i64..60, step in 1_i64..6,
    ) {
        let (from, to, step) = (from * LENGTH, (from + length) * LENGTH, step * LENGTH);
        for how in Reduce::ALL.into_iter().filter(|how| !how.needs_samples()) {
            let raw = reduce_steps(samples.iter().copied(), from, to, step, how);
            // From samples alone, from both, from buckets alone.
            for border in [i64::MIN, border * LENGTH, i64::MAX] {
                let answer = mixed(&samples, border, from, to, step, how);
                prop_assert_eq!(answer.len(), raw.len());
                for (point, expected) in answer.iter().zip(&raw) {
                    prop_assert_eq!(point.t, expected.t);
                    match (point.value, expected.value) {
                        (Some(value), Some(expected)) => prop_assert!(
                            (value - expected).abs() <= 1e-12 * expected.abs().max(1.0),
                            "{how}: {value}, not {expected}"
                        ),
                        (value, expected) => prop_assert_eq!(value, expected, "{} at {}", how, point.t),
                    }
                }
            }
        }
    }
}
