//! A breaker's life as scripts, and what holds over any.

use super::*;
use farol_rules::Labels;
use proptest::prelude::*;

const POLICY: BreakerPolicy = BreakerPolicy { open_for_ms: 30_000, half_open_probes: 2 };

fn at(seconds: u64) -> Moment {
    Moment { run_ms: seconds * 1_000, wall_ms: seconds as i64 }
}

fn alert(name: &str) -> AlertId {
    AlertId { rule: name.into(), labels: Labels::default() }
}

/// `fire a`, `over a`, `admit`, `good`, `bad`, `open`, `open 10` (seconds), `close`, `step`.
fn does(breaker: &mut Breaker, what: &str, now: Moment) -> Option<Admission> {
    let (word, rest) = what.split_once(' ').unwrap_or((what, ""));
    match word {
        "fire" => breaker.fire(&POLICY, &alert(rest), now),
        "over" => breaker.resolved(&alert(rest), now),
        "good" | "bad" => breaker.report(&POLICY, word == "good", now),
        "open" => breaker.open("ann", "a release", rest.parse().ok().map(|s: u64| s * 1_000), now),
        "close" => breaker.close("ann", "it is well", now),
        "step" => breaker.step(&POLICY, now),
        "admit" => return Some(breaker.admit(&POLICY, now)),
        other => panic!("{other} is no step"),
    }
    None
}

fn word(breaker: &Breaker) -> &'static str {
    match breaker.state() {
        State::Closed => "closed",
        State::Open { .. } => "open",
        State::HalfOpen { .. } => "half-open",
    }
}

/// Steps at seconds, and what it is afterwards.
type Script = &'static [(u64, &'static str, &'static str)];

const SCRIPTS: [Script; 13] = [
    &[(0, "fire a", "open"), (29, "step", "open"), (30, "step", "half-open"), (40, "over a", "closed")],
    &[(0, "fire a", "open"), (10, "over a", "open"), (29, "step", "open"), (30, "step", "closed")],
    &[
        (0, "fire a", "open"),
        (30, "admit", "half-open"),
        (31, "bad", "open"),
        (60, "step", "open"),
        (61, "step", "half-open"),
    ],
    &[
        (0, "fire a", "open"),
        (30, "admit", "half-open"),
        (30, "admit", "half-open"),
        (31, "good", "half-open"),
        (32, "good", "closed"),
    ],
    &[
        (0, "fire a", "open"),
        (1, "fire b", "open"),
        (31, "step", "half-open"),
        (32, "over a", "half-open"),
        (33, "over b", "closed"),
    ],
    // A failed probe is newer than the end of the alert before it.
    &[
        (0, "fire a", "open"),
        (30, "admit", "half-open"),
        (31, "bad", "open"),
        (32, "over a", "open"),
        (61, "step", "half-open"),
    ],
    // Fires anew half-open.
    &[(0, "fire a", "open"), (30, "step", "half-open"), (31, "fire b", "open"), (60, "step", "open")],
    // Nobody tries it, and its alert fires on: open again, and again.
    &[
        (0, "fire a", "open"),
        (30, "step", "half-open"),
        (59, "step", "half-open"),
        (60, "step", "open"),
        (89, "step", "open"),
        (90, "step", "half-open"),
        (119, "admit", "half-open"),
        (148, "step", "half-open"),
        (149, "step", "open"),
        (150, "over a", "open"),
        (179, "step", "closed"),
    ],
    // Nothing fires: it waits for those who try it.
    &[
        (0, "fire a", "open"),
        (30, "admit", "half-open"),
        (31, "bad", "open"),
        (32, "over a", "open"),
        (61, "step", "half-open"),
        (900, "step", "half-open"),
    ],
    // What nobody was let through for says nothing.
    &[(0, "fire a", "open"), (30, "step", "half-open"), (31, "good", "half-open"), (31, "bad", "half-open")],
    &[(0, "good", "closed"), (0, "bad", "closed"), (0, "fire a", "open"), (1, "good", "open")],
    // A person's word stands until a person's word.
    &[
        (0, "open", "open"),
        (1, "fire a", "open"),
        (2, "over a", "open"),
        (900, "step", "open"),
        (901, "close", "closed"),
    ],
    &[
        (0, "fire a", "open"),
        (1, "close", "closed"),
        (2, "over a", "closed"),
        (3, "open 10", "open"),
        (13, "step", "closed"),
    ],
];

#[test]
fn a_breakers_life() {
    for script in SCRIPTS {
        let mut breaker = Breaker::default();
        for (second, what, expected) in script {
            does(&mut breaker, what, at(*second));
            assert_eq!(word(&breaker), *expected, "after {what:?} at {second} of {script:?}");
        }
    }
}

#[test]
fn a_few_are_let_through_and_those_that_never_report_are_given_up() {
    let mut breaker = Breaker::default();
    assert_eq!(breaker.admit(&POLICY, at(0)), Admission::Allowed);
    breaker.fire(&POLICY, &alert("a"), at(0));
    let denied = |left| Admission::Denied { retry_after_ms: Some(left) };
    assert_eq!(breaker.admit(&POLICY, at(10)), denied(20_000));
    assert_eq!(breaker.admit(&POLICY, at(30)), Admission::Probe);
    breaker.report(&POLICY, false, at(31));
    breaker.resolved(&alert("a"), at(32));
    let said: Vec<_> = [61, 62, 63, 91].map(|second| breaker.admit(&POLICY, at(second))).into();
    assert_eq!(said, [Admission::Probe, Admission::Probe, denied(29_000), denied(1_000)]);
    breaker.report(&POLICY, true, at(91));
    assert_eq!(breaker.admit(&POLICY, at(92)), Admission::Probe, "one of two never reported");
    breaker.report(&POLICY, true, at(93));
    assert_eq!(word(&breaker), "closed");
}

#[test]
fn who_and_why_is_kept_over_a_restart() {
    let mut breaker = Breaker::default();
    breaker.fire(&POLICY, &alert("a"), at(1));
    breaker.open("ann", "a release", None, at(2));
    let text = serde_json::to_string(&breaker).unwrap();
    assert_eq!(serde_json::from_str::<Breaker>(&text).unwrap(), breaker, "{text}");
    assert!(text.contains("\"author\":\"ann\"") && text.contains("\"state\":\"open\""), "{text}");
    assert_eq!(breaker.admit(&POLICY, at(9)), Admission::Denied { retry_after_ms: None });
}

proptest! {
    /// Whatever happens: an open breaker lets nobody through before its time; half-open never more than its probes
    /// within the time that it stays open; and from anywhere it closes once all is well.
    #[test]
    fn an_open_breaker_is_shut_and_no_breaker_is_stuck(
        steps in prop::collection::vec((0u64..20, 0usize..8), 1..120),
    ) {
        const WORDS: [&str; 8] = ["fire a", "over a", "fire b", "over b", "admit", "good", "bad", "open 5"];
        let (mut breaker, mut now, mut probes) = (Breaker::default(), 0, Vec::new());
        for (pause, step) in steps {
            now += pause;
            let before = breaker.state();
            match does(&mut breaker, WORDS[step], at(now)) {
                Some(Admission::Allowed) => {
                    let open = |until: Option<u64>| until.is_none_or(|until| now * 1_000 < until);
                    let shut = matches!(before, State::Open { until_run_ms } if open(until_run_ms));
                    prop_assert!(!shut);
                }
                Some(Admission::Probe) => probes.push(now),
                _ => {}
            }
            if let State::HalfOpen { admitted, succeeded, .. } = breaker.state() {
                prop_assert!(admitted <= POLICY.half_open_probes && succeeded <= admitted);
            }
        }
        does(&mut breaker, "over a", at(now));
        does(&mut breaker, "over b", at(now));
        for _ in 0..8 {
            now += 31;
            if breaker.admit(&POLICY, at(now)) == Admission::Probe {
                breaker.report(&POLICY, true, at(now));
            }
        }
        prop_assert_eq!(word(&breaker), "closed");
    }
}
