//! Buckets against the samples they stand for, and roll-ups that come back bit for bit.

use super::{Mismatch, Rolled, Rollup};
use crate::columns::tests::value;
use crate::envelope::{self, Kind};
use crate::{Bucket, Encoding, SealedError, SealedRollup};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

const COUNTER: Rolled = Rolled { encoding: Encoding::Integer, counter: true };
const GAUGE: Rolled = Rolled { encoding: Encoding::Decimal(2), counter: false };

fn rolled(kind: Rolled, length_ms: i64, samples: &[(i64, f64)]) -> Rollup {
    let mut rollup = Rollup::new(length_ms, [kind]);
    samples.iter().for_each(|&(t, value)| rollup.add(0, t, value));
    rollup
}

/// Times, count and figures of a bucket.
type All = ([i64; 3], u32, [u64; 6]);

/// Everything of a bucket, so that NaNs compare.
fn all(bucket: &Bucket) -> All {
    let Bucket { start_ms, first_ms, last_ms, count, min, max, sum, first, last, growth } = *bucket;
    let bits = [min, max, sum, first, last, growth].map(f64::to_bits);
    ([start_ms, first_ms, last_ms], count, bits)
}

fn whole(rollup: &Rollup) -> Vec<Vec<All>> {
    (0..rollup.kinds().len()).map(|series| rollup.buckets(series).iter().map(all).collect()).collect()
}

#[test]
fn a_bucket_says_what_its_samples_come_to() {
    let samples = [(-1, 7.0), (0, 10.0), (400, 14.0), (999, 3.0), (1_000, 5.0), (7_500, 6.0)];
    let rollup = rolled(COUNTER, 1_000, &samples);
    let buckets = rollup.buckets(0);
    let starts: Vec<_> = buckets.iter().map(|bucket| (bucket.start_ms, bucket.count)).collect();
    assert_eq!(starts, [(-1_000, 1), (0, 3), (1_000, 1), (7_000, 1)]);
    let expected = Bucket {
        start_ms: 0,
        first_ms: 0,
        last_ms: 999,
        count: 3,
        min: 3.0,
        max: 14.0,
        sum: 27.0,
        first: 10.0,
        last: 3.0,
        // 4 more, then from zero to 3.
        growth: 7.0,
    };
    assert_eq!(buckets[1], expected);
}

#[test]
fn a_nan_and_a_sample_that_is_not_later_are_left_out() {
    let rollup = rolled(GAUGE, 1_000, &[(5, f64::NAN), (10, 1.5), (10, 9.0), (9, 9.0), (20, f64::NAN)]);
    let [bucket] = rollup.buckets(0) else { panic!("one bucket") };
    assert_eq!((bucket.count, bucket.sum, bucket.last), (1, 1.5, 1.5));
    assert!(bucket.first.is_nan() && bucket.growth.is_nan());
}

#[test]
fn sums_of_decimals_are_decimals_again_when_they_are_written() {
    let samples: Vec<_> = (0..300).map(|tick| (tick, 0.1)).collect();
    let rollup = rolled(Rolled { encoding: Encoding::Decimal(1), counter: false }, 300, &samples);
    let decoded = Rollup::decode(&rollup.encode().expect("small")).expect("own");
    assert_ne!(rollup.buckets(0)[0].sum, 30.0);
    assert_eq!(decoded.buckets(0)[0].sum, 30.0);
}

#[test]
fn partial_buckets_join_whatever_the_order_and_the_growth_between_them_counts() {
    let samples = [(0, 10.0), (100, 20.0), (200, 5.0), (300, 25.0), (1_100, 30.0)];
    let at_once = rolled(COUNTER, 1_000, &samples);
    for cut in 0..=samples.len() {
        let (early, late) = samples.split_at(cut);
        let (early, late) = (rolled(COUNTER, 1_000, early), rolled(COUNTER, 1_000, late));
        for (mut one, other) in [(early.clone(), &late), (late.clone(), &early)] {
            one.merge(other).expect("alike");
            assert_eq!(whole(&one), whole(&at_once), "cut at {cut}");
        }
    }
    assert_eq!(at_once.buckets(0)[0].growth, 10.0 + 5.0 + 20.0);
}

#[test]
fn growth_counts_once_although_a_part_lies_inside_others_that_were_joined() {
    let samples: Vec<_> = (0..9_i64).map(|n| (n * 100, (n * n) as f64)).collect();
    let at_once = rolled(COUNTER, 1_000, &samples);
    let part = |from: usize, to: usize| rolled(COUNTER, 1_000, &samples[from..to]);
    let parts = [part(0, 3), part(3, 5), part(5, 7), part(7, 9)];
    for order in [[0, 3, 1, 2], [1, 3, 0, 2], [3, 0, 2, 1], [2, 0, 1, 3]] {
        let mut joined = Rollup::new(1_000, [COUNTER]);
        order.iter().for_each(|at: &usize| joined.merge(&parts[*at]).expect("alike"));
        assert_eq!(whole(&joined), whole(&at_once), "{order:?}");
    }
    // Told twice in part: more samples, no more growth.
    let mut twice = part(0, 6);
    twice.merge(&part(4, 9)).expect("alike");
    assert_eq!(twice.buckets(0)[0].growth, 64.0);
}

#[test]
fn the_buckets_of_two_courses_that_lie_between_each_other_grew_each_by_itself() {
    // One boot counted far, another began anew; a clock was set back in between.
    let far = [(100, 5_000.0), (300, 5_020.0), (500, 5_040.0)];
    let anew = [(200, 3.0), (400, 5.0), (600, 9.0)];
    let both = [rolled(COUNTER, 1_000, &far), rolled(COUNTER, 1_000, &anew)];
    let earlier = rolled(COUNTER, 1_000, &[(50, 3.0), (400, 7.0)]);
    for (one, other, growth) in
        [(&both[0], &both[1], 46.0), (&both[1], &both[0], 46.0), (&both[0], &earlier, 44.0)]
    {
        let mut joined = one.clone();
        joined.merge(other).expect("alike");
        assert_eq!(joined.buckets(0)[0].growth, growth);
    }
}

#[test]
fn a_roll_up_is_parted_by_time_and_at_last_by_series() {
    let mut rollup = Rollup::new(1_000, [COUNTER, GAUGE, COUNTER, GAUGE]);
    for t in [-1_500, 0, 700, 1_200, 9_100] {
        [0, 2, 3].iter().for_each(|series| rollup.add(*series, t, t as f64));
    }
    assert_eq!(rollup.times(), Some((-1_500, 9_100)));
    let (mut whole_again, mut waiting, mut pieces) =
        (Rollup::new(1_000, rollup.kinds().to_vec()), vec![rollup.clone()], 0);
    while let Some(next) = waiting.pop() {
        match next.clone().halves() {
            Some((early, late)) => {
                assert!(!early.is_empty() && !late.is_empty());
                waiting.extend([early, late]);
            }
            None => {
                whole_again.merge(&next).expect("alike");
                pieces += 1;
            }
        }
    }
    assert_eq!((pieces, whole(&whole_again)), (4 * 3, whole(&rollup)));
    assert_eq!(Rollup::new(1_000, [GAUGE]).halves(), None);
    assert_eq!(Rollup::new(1_000, [GAUGE]).times(), None);
}

#[test]
fn what_does_not_fit_together_is_refused_and_changes_nothing() {
    let mut rollup = rolled(COUNTER, 1_000, &[(1, 1.0)]);
    let before = rollup.clone();
    let longer = rolled(COUNTER, 2_000, &[(1, 1.0)]);
    assert_eq!(rollup.merge(&longer), Err(Mismatch::Length { from: 2_000, to: 1_000 }));
    assert_eq!(rollup.merge(&rolled(GAUGE, 1_000, &[])), Err(Mismatch::Series(1, 1)));
    assert_eq!(rollup.coarsen(1_500), Err(Mismatch::Length { from: 1_000, to: 1_500 }));
    assert_eq!(rollup.coarsen(0), Err(Mismatch::Length { from: 1_000, to: 0 }));
    assert_eq!(rollup, before);
}

#[test]
fn a_roll_up_with_few_series_of_many_is_small_and_gives_one_at_a_time() {
    let mut rollup = Rollup::new(300_000, vec![COUNTER; 1_000]);
    for tick in 0..288 * 30 {
        rollup.add(500, tick * 10_000, (tick * 7) as f64);
    }
    let bytes = rollup.encode().expect("small");
    // A steady counter tells nothing new.
    assert!(bytes.len() < 400, "{} bytes", bytes.len());
    let sealed = SealedRollup::open(&bytes).expect("own");
    assert_eq!((sealed.length_ms(), sealed.kinds().len()), (300_000, 1_000));
    assert_eq!(sealed.buckets(500).expect("sound"), rollup.buckets(500));
    assert_eq!(sealed.buckets(0).expect("sound"), []);
    assert_eq!(sealed.buckets(1_000), Err(SealedError::NoSuchColumn));
    assert!(Rollup::new(1, []).is_empty() && !rollup.is_empty());
}

#[test]
fn a_roll_up_that_would_not_be_read_again_is_not_written() {
    let mut rollup = Rollup::new(1, [COUNTER]);
    (0..70_000).for_each(|t| rollup.add(0, t, 1.0));
    assert!(rollup.encode().is_err());
    assert_eq!(Rollup::decode(&Rollup::new(1, []).encode().expect("empty")), Ok(Rollup::new(1, [])));
}

#[test]
fn bytes_that_no_roll_up_wrote_are_errors() {
    let open = |body: &[u8]| SealedRollup::open(&envelope::seal(Kind::RollUp, body));
    // Length 5; one shape of one bucket at 0, from 0 to 1, 2 samples; one integer counter with that shape.
    let good = [5, 1, 1, 0, 0, 2, 2, 1, 0x80, 1, 8, 2, 4, 1, 4, 0, 0, 0, 0];
    let [bucket] = open(&good).expect("sound").buckets(0).expect("sound")[..] else { panic!("one bucket") };
    assert_eq!((bucket.first, bucket.last, bucket.count, bucket.min), (2.0, 1.0, 2, 4.0));
    let mut seen = 0;
    for (at, byte) in (0..good.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
        let mut body = good;
        body[at] = byte;
        if let Ok(sealed) = open(&body) {
            seen += usize::from(sealed.buckets(0).is_ok());
        }
    }
    // Most numbers are as good as another; a panic or an endless loop would show.
    assert!(seen > 0 && seen < good.len() * 256);
    for length in 0..good.len() {
        assert!(open(&good[..length]).is_err());
    }
    let bomb = [5, 0, 0xff, 0xff, 0x7f];
    assert_eq!(open(&bomb), Err(SealedError::TooLarge { what: "series", most: 1 << 20 }));
}

/// Samples in order of time with any values, of any kind of series.
fn series() -> impl Strategy<Value = (Rolled, Vec<(i64, f64)>)> {
    let kind = (0_u8..=10, any::<bool>())
        .prop_map(|(byte, counter)| Rolled { encoding: Encoding::from_byte(byte).expect("a kind"), counter });
    (kind, any::<i32>(), prop::collection::vec((1_i64..4_000, value()), 0..60)).prop_map(
        |(kind, start, steps)| {
            let mut t = i64::from(start);
            let samples = steps.into_iter().map(|(step, value)| {
                t += step;
                (t, value)
            });
            (kind, samples.collect())
        },
    )
}

proptest! {
    #[test]
    fn whatever_is_rolled_up_comes_back_bit_for_bit(
        series in prop::collection::vec(series(), 0..5), length_ms in 1_i64..20_000,
    ) {
        let mut rollup = Rollup::new(length_ms, series.iter().map(|(kind, _)| *kind));
        for (index, (_, samples)) in series.iter().enumerate() {
            samples.iter().for_each(|&(t, value)| rollup.add(index, t, value));
        }
        let again = Rollup::decode(&rollup.encode().expect("small")).expect("own");
        prop_assert_eq!(again.kinds(), rollup.kinds());
        for (series, &Rolled { encoding, .. }) in rollup.kinds().to_vec().iter().enumerate() {
            for bucket in &mut rollup.series[series] {
                bucket.sum = encoding.settle(bucket.sum);
                bucket.growth = encoding.settle(bucket.growth);
            }
        }
        prop_assert_eq!(whole(&again), whole(&rollup));
    }

    #[test]
    fn a_flipped_bit_or_a_cut_is_an_error(
        (kind, samples) in series(), at in any::<prop::sample::Index>(), bit in 0_u8..8,
    ) {
        let good = rolled(kind, 5_000, &samples).encode().expect("small");
        let at = at.index(good.len());
        prop_assert!(Rollup::decode(&good[..at]).is_err());
        let mut bad = good;
        bad[at] ^= 1 << bit;
        prop_assert!(Rollup::decode(&bad).is_err());
    }

    #[test]
    fn a_coarser_roll_up_is_the_one_its_samples_would_have_made(
        steps in prop::collection::vec((1_i64..4_000, 0_u32..1_000), 0..80), cuts in prop::collection::vec(0_usize..80, 0..4),
    ) {
        let mut t = -50_000;
        let samples = steps.iter().map(|&(step, value)| {
            t += step;
            (t, f64::from(value))
        });
        let samples: Vec<_> = samples.collect();
        let mut parts = Rollup::new(1_000, [COUNTER]);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(samples.len())).collect();
        cuts.extend([0, samples.len()]);
        cuts.sort_unstable();
        for ends in cuts.windows(2) {
            parts.merge(&rolled(COUNTER, 1_000, &samples[ends[0]..ends[1]])).expect("alike");
        }
        prop_assert_eq!(whole(&parts), whole(&rolled(COUNTER, 1_000, &samples)));
        let coarse = parts.coarsen(12_000).expect("a multiple");
        prop_assert_eq!(whole(&coarse), whole(&rolled(COUNTER, 12_000, &samples)));
    }
}
