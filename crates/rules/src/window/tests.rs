//! Windows against the plain reduction of the samples that lie in them.

use super::*;
use farol_series::reduce;
use proptest::prelude::*;

fn at(ms: u64) -> Moment {
    Moment { run_ms: ms, wall_ms: 1_700_000_000_000 + ms.cast_signed() }
}

/// What the samples no older than the window come to.
fn plainly(samples: &[(u64, f64)], over_ms: u64, how: Reduce) -> Option<f64> {
    let latest = samples.last()?.0;
    let within = samples.iter().filter(|(t, _)| t + over_ms > latest);
    reduce(within.map(|(t, value)| (t.cast_signed(), *value)), how)
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs())),
        (a, b) => a.is_none() && b.is_none(),
    }
}

proptest! {
    #[test]
    fn few_samples_come_to_what_the_plain_reduction_says(
        start in 0u64..10_000_000_000,
        steps in prop::collection::vec((9_500u64..40_000, -50.0f64..50.0), 1..60),
        which in 0usize..8,
    ) {
        let (how, over) = (Reduce::ALL[which], 300_000);
        let mut window = Window::new(how, over, 5_000);
        let (mut t, mut samples) = (start, Vec::new());
        for (step, value) in steps {
            t += step;
            samples.push((t, value));
            let expected = plainly(&samples, over, how);
            let found = window.push(at(t), value);
            prop_assert!(close(found, expected), "{how} {found:?} {expected:?} of {samples:?}");
        }
    }

    #[test]
    fn many_samples_stay_bounded_and_are_off_by_one_entry_at_most(
        steps in prop::collection::vec(1u64..3_000, 1..1_500),
        which in 0usize..7,
    ) {
        let (how, over) = (Reduce::ALL[which], 200_000u64);
        let mut window = Window::new(how, over, 0);
        prop_assert!(window.entries.len() == 64);
        let (mut t, mut samples) = (5_000_000_000u64, Vec::new());
        for (i, step) in steps.into_iter().enumerate() {
            t += step;
            samples.push((t, ((i * 7) % 13) as f64));
            let found = window.push(at(t), samples[i].1);
            // The window may reach back by up to one entry more, sample by sample; a rate begins with the last one of
            // its oldest entry.
            let (edge, entry) = (t.saturating_sub(over), over.div_ceil(62));
            let first = samples.iter().position(|(at, _)| *at > edge).unwrap_or(0);
            let begins = samples[first].0;
            let spans = if how == Reduce::Rate { begins..begins + entry } else { edge - entry + 1..edge + 1 };
            let cuts = samples.iter().enumerate().filter(|(_, (at, _))| spans.contains(at)).map(|(i, _)| i);
            let right = cuts.chain([first]).any(|from| {
                let within = samples[from..].iter().map(|(t, value)| (t.cast_signed(), *value));
                close(found, reduce(within, how))
            });
            prop_assert!(right, "{how}: {found:?} at {t} of {samples:?}");
        }
    }

    #[test]
    fn a_window_that_goes_on_from_another_says_the_same(
        values in prop::collection::vec(0.0f64..9.0, 2..40), which in 0usize..8, interval in 1_000u64..20_000,
    ) {
        let how = Reduce::ALL[which];
        let mut old = Window::new(how, 120_000, 10_000);
        for (i, value) in (0u64..).zip(&values) {
            old.push(at(7_000_000_000 + i * 10_000), *value);
        }
        let mut new = Window::new(how, 120_000, interval);
        new.go_on_from(&old);
        let coarse = how == Reduce::P95 && interval > 10_000;
        if !coarse && how != Reduce::Rate {
            prop_assert!(close(new.reduced(), old.reduced()));
        }
        prop_assert_eq!(new.latest_ms, old.latest_ms);
        let mut other = Window::new(how, 60_000, interval);
        other.go_on_from(&old);
        prop_assert_eq!(other.reduced(), None, "another window is another question");
    }
}

#[test]
fn a_counter_that_starts_again_has_not_fallen() {
    let mut window = Window::new(Reduce::Rate, 60_000, 10_000);
    let said: Vec<Option<f64>> =
        [(0, 100.0), (10_000, 200.0), (20_000, 50.0)].map(|(t, v)| window.push(at(t), v)).into();
    assert_eq!(said, [None, Some(10.0), Some(7.5)]);
}

#[test]
fn time_in_which_the_monitor_did_not_run_makes_no_rate() {
    let mut window = Window::new(Reduce::Rate, 60_000, 10_000);
    window.push(at(0), 0.0);
    assert_eq!(window.push(at(10_000), 100.0), Some(10.0));
    // It slept for five minutes: the counter went on, the running clock did not.
    let later = |ms| Moment { wall_ms: at(ms).wall_ms + 300_000, ..at(ms) };
    assert_eq!(window.push(later(20_000), 3_200.0), None);
    assert_eq!(window.push(later(30_000), 3_300.0), Some(10.0));
}

#[test]
fn what_is_no_sample_changes_nothing() {
    let mut window = Window::new(Reduce::Sum, 60_000, 10_000);
    assert_eq!(window.push(at(10_000), f64::NAN), None);
    assert_eq!(window.push(at(10_000), 1.0), Some(1.0));
    assert_eq!(window.push(at(10_000), 5.0), Some(1.0), "the same moment again");
    assert_eq!(window.push(at(9_000), 5.0), Some(1.0), "from before");
    assert_eq!(window.push(at(20_000), f64::INFINITY), Some(f64::INFINITY));
    assert_eq!(window.push(at(30_000), f64::NEG_INFINITY), None, "nothing can be said");
    assert_eq!(window.push(at(90_001), 2.0), Some(2.0), "and both are gone");
}

#[test]
fn after_a_silence_of_any_length_old_samples_are_out() {
    let mut window = Window::new(Reduce::Count, 60_000, 10_000);
    window.push(at(1_000), 1.0);
    // Where the lower halves of the times are nearly the same again.
    assert_eq!(window.push(at(1_000 + (1 << 32) + 5_000), 1.0), Some(1.0));
}

#[test]
fn a_window_takes_one_cache_line_and_sixteen_bytes_an_entry() {
    assert_eq!((size_of::<Window>(), size_of::<Entry>()), (64, 16));
}
