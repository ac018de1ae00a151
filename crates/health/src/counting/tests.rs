//! One table for each sentence of the soft/hard rules, and a model that any run must follow.

use super::*;
use proptest::prelude::*;

const GRACE_MS: u64 = 30_000;

fn thresholds(failure: u32, success: u32, start_grace_ms: u64) -> Thresholds {
    Thresholds { failure, success, start_grace_ms }
}

fn status(letter: char) -> Status {
    match letter {
        'h' => Status::Healthy,
        'd' => Status::Degraded,
        'u' => Status::Unhealthy,
        '?' => Status::Unknown,
        's' => Status::Starting,
        other => panic!("no status is written `{other}`"),
    }
}

fn run(letter: char) -> Soft {
    if letter == '-' { Soft::Skipped } else { Soft::Result(status(letter)) }
}

/// Feeds one run a second and compares the hard status after each.
fn check(why: &str, thresholds: Thresholds, runs: &str, expected: &str) {
    let mut counter = Counter::new(thresholds, 0);
    let got: Vec<Status> = (1..)
        .zip(runs.chars())
        .map(|(second, letter)| {
            counter.step(run(letter), second * 1_000);
            counter.hard()
        })
        .collect();
    let expected: Vec<Status> = expected.chars().map(status).collect();
    assert_eq!(got, expected, "{why}: {runs}");
}

#[test]
fn within_the_start_grace_only_healthy_or_degraded_ends_starting() {
    for (runs, expected) in
        [("h", "h"), ("d", "d"), ("uuuuuu", "ssssss"), ("??????", "ssssss"), ("----", "ssss")]
    {
        check("grace", thresholds(3, 2, GRACE_MS), runs, expected);
    }
    check("grace, then counting", thresholds(3, 2, GRACE_MS), "uu?hud", "ssshhh");
}

#[test]
fn after_the_start_grace_the_last_result_counts() {
    for (why, runs, expected) in [
        ("without grace the first result counts", "u", "u"),
        ("an unknown one too", "?", "?"),
        ("and a degraded one", "d", "d"),
    ] {
        check(why, thresholds(3, 2, 0), runs, expected);
    }
    check("a result after the grace", thresholds(3, 2, 2_500), "uuu", "ssu");
    check("the last one, not the first", thresholds(3, 2, 2_500), "u?u", "ssu");
    check("a skipped run lets the last result count", thresholds(3, 2, 2_500), "uu-", "ssu");
    check("skipped runs alone", thresholds(3, 2, 2_500), "--", "ss");
    check("three skipped runs", thresholds(3, 2, 2_500), "---", "ss?");
}

#[test]
fn time_alone_ends_the_start_grace() {
    let mut counter = Counter::new(thresholds(3, 2, GRACE_MS), 1_000);
    assert_eq!(counter.step(Soft::Result(Status::Unhealthy), 2_000), None);
    assert_eq!(counter.grace_until_ms(), Some(31_000));
    assert_eq!(counter.tick(30_999), None);
    let change = Change { from: Status::Starting, to: Status::Unhealthy };
    assert_eq!(counter.tick(31_000), Some(change));
    assert_eq!(counter.tick(31_001), None);
    assert_eq!(counter.grace_until_ms(), None);

    let mut silent = Counter::new(thresholds(3, 2, GRACE_MS), 0);
    assert_eq!(silent.tick(GRACE_MS), None, "without a result there is nothing that could count");
    assert_eq!(silent.hard(), Status::Starting);
}

#[test]
fn the_first_result_ends_unknown() {
    for (runs, expected) in [("?h", "?h"), ("?d", "?d"), ("?u", "?u"), ("---u", "ss?u"), ("?s", "?s")] {
        check("never known", thresholds(3, 2, 0), runs, expected);
    }
}

#[test]
fn enough_worse_results_in_a_row_lead_to_the_mildest_of_them() {
    for (why, runs, expected) in [
        ("three", "huuu", "hhhu"),
        ("two are too few", "huuhuu", "hhhhhh"),
        ("mildest, degraded last", "huud", "hhhd"),
        ("mildest, degraded first", "hduu", "hhhd"),
        ("the row goes on against the new status", "hduuu", "hhhdu"),
        ("from degraded only unhealthy is worse", "dduuddduuu", "dddddddddu"),
        ("an unknown result breaks the row", "huu?uuu", "hhhhhhu"),
        ("a skipped run does not", "huu-u", "hhhhu"),
    ] {
        check(why, thresholds(3, 2, 0), runs, expected);
    }
    check("a threshold of one", thresholds(1, 2, 0), "hud", "huu");
    check("a threshold of nought is one", thresholds(0, 0, 0), "huh", "huh");
}

#[test]
fn enough_better_results_in_a_row_lead_to_the_mildest_of_them() {
    for (why, runs, expected) in [
        ("two", "uhh", "uuh"),
        ("one is too few", "uhuhu", "uuuuu"),
        ("to degraded", "udd", "uud"),
        ("mildest, healthy last", "udh", "uuh"),
        ("mildest, healthy first", "uhd", "uuh"),
        ("from degraded only healthy is better", "ddhdhh", "dddddh"),
        ("an unknown result breaks the row", "uh?hh", "uuuuh"),
    ] {
        check(why, thresholds(3, 2, 0), runs, expected);
    }
}

#[test]
fn unknown_results_in_a_row_lead_to_unknown_and_counting_goes_on_from_the_last_known_status() {
    for (why, runs, expected) in [
        ("three", "h???", "hhh?"),
        ("two are too few", "h??h??", "hhhhhh"),
        ("a skipped run is not one of them and breaks nothing", "h??-?", "hhhh?"),
        ("the same status is back at once", "h???h", "hhh?h"),
        ("better results are counted anew", "u???hh", "uuu?uh"),
        ("worse results too", "h???uuu", "hhh?hhu"),
        ("more unknown ones change nothing", "h?????h", "hhh???h"),
        ("a check that answers starting has not judged", "hsss", "hhh?"),
    ] {
        check(why, thresholds(3, 2, 0), runs, expected);
    }
}

#[test]
fn three_skipped_runs_in_a_row_lead_to_unknown() {
    for (why, runs, expected) in [
        ("three", "h---", "hhh?"),
        ("two are too few", "h--h--", "hhhhhh"),
        ("any result breaks the row", "h--?-", "hhhhh"),
        ("the first result ends it", "h---h", "hhh?h"),
        ("counting goes on from the last known status", "u---hh", "uuu?uh"),
    ] {
        check(why, thresholds(7, 2, 0), runs, expected);
    }
}

#[test]
fn a_changed_check_keeps_its_status_until_its_next_result() {
    for (before, keeps, result, expected) in
        [("u", 'u', 'h', 'h'), ("huu", 'h', 'u', 'u'), ("h", 'h', '?', '?'), ("?", '?', 'd', 'd')]
    {
        let mut counter = Counter::new(thresholds(3, 2, 0), 0);
        for letter in before.chars() {
            counter.step(run(letter), 1);
        }
        let mut changed = counter.changed(thresholds(3, 2, GRACE_MS), 2);
        assert_eq!(changed.hard(), status(keeps));
        assert_eq!(changed.tick(GRACE_MS * 2), None);
        changed.step(run(result), 3);
        assert_eq!(changed.hard(), status(expected), "{before} then {result}");
    }
    let starting = Counter::new(thresholds(3, 2, 10), 0).changed(thresholds(3, 2, 10), 100);
    assert_eq!(starting.grace_until_ms(), Some(110), "what is still starting starts anew");
}

/// The same rules, said over the whole history instead of counters.
fn model(t: Thresholds, history: &[(Soft, u64)]) -> Status {
    let (failure, success) = (t.failure.max(1) as usize, t.success.max(1) as usize);
    let order = |s: Status| match s {
        Status::Healthy => Some(0),
        Status::Degraded => Some(1),
        Status::Unhealthy => Some(2),
        Status::Unknown | Status::Starting => None,
    };
    let (mut hard, mut known) = (Status::Starting, None);
    for end in 1..=history.len() {
        let (latest, now) = history[end - 1];
        let in_grace = hard == Status::Starting && now < t.start_grace_ms;
        let skipped = history[..end].iter().rev().take_while(|(run, _)| *run == Soft::Skipped).count();
        let results: Vec<Status> = history[..end]
            .iter()
            .filter_map(|(run, _)| if let Soft::Result(status) = run { Some(*status) } else { None })
            .collect();
        let mildest_if = |n: usize, so: &dyn Fn(usize) -> bool| {
            let last = results.len().checked_sub(n).map(|from| &results[from..])?;
            let all = last.iter().all(|s| order(*s).is_some_and(so));
            if all { last.iter().copied().min_by_key(|s| order(*s)) } else { None }
        };
        let count = |base: Status| {
            let base_order = order(base).expect("only judged statuses are counted from");
            mildest_if(failure, &|o| o > base_order)
                .or(mildest_if(success, &|o| o < base_order))
                .unwrap_or(base)
        };
        hard = match latest {
            Soft::Skipped if in_grace => hard,
            Soft::Skipped if skipped >= 3 => Status::Unknown,
            Soft::Skipped if hard == Status::Starting => results.last().copied().unwrap_or(hard),
            Soft::Skipped => hard,
            Soft::Result(result) if in_grace && order(result).is_none_or(|o| o == 2) => hard,
            Soft::Result(result) if hard == Status::Starting => result,
            Soft::Result(result) => match (hard, known) {
                (Status::Unknown, None) => result,
                (Status::Unknown, Some(base)) => order(result).map_or(hard, |_| count(base)),
                (base, _) => {
                    let last = results.len().checked_sub(failure).map(|from| &results[from..]);
                    let lost = last.is_some_and(|last| last.iter().all(|s| order(*s).is_none()));
                    if lost { Status::Unknown } else { count(base) }
                }
            },
        };
        known = order(hard).map_or(known, |_| Some(hard));
    }
    hard
}

proptest! {
    #[test]
    fn the_counters_agree_with_the_rules_said_over_the_whole_history(
        failure in 0_u32..5,
        success in 0_u32..5,
        grace in 0_u64..12,
        letters in prop::collection::vec(prop::sample::select(vec!['h', 'h', 'd', 'u', 'u', '?', 's', '-']), 0..60),
    ) {
        let thresholds = thresholds(failure, success, grace);
        let mut counter = Counter::new(thresholds, 0);
        let mut history = Vec::new();
        for (letter, now) in letters.into_iter().zip(1_u64..) {
            let from = counter.hard();
            let change = counter.step(run(letter), now);
            history.push((run(letter), now));
            prop_assert_eq!(counter.hard(), model(thresholds, &history));
            let expected = (from != counter.hard()).then_some(Change { from, to: counter.hard() });
            prop_assert_eq!(change, expected);
        }
    }
}
