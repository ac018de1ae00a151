//! What the guard allows, as a table and over arbitrary histories.

use super::*;
use crate::act::blast::Scope;
use proptest::prelude::*;

const MINUTE: u64 = 60_000;

fn at(minutes: u64) -> Moment {
    Moment { run_ms: minutes * MINUTE, wall_ms: 1_000_000 + (minutes * MINUTE) as i64 }
}

fn policy(cool_down: u64, per_hour: u32) -> Policy {
    Policy { cool_down_ms: cool_down * MINUTE, per_hour, dry_run: false }
}

fn wide() -> Wide {
    Wide { scope: Scope::Fleet, count: 40, of: 100 }
}

fn cooling(until: u64) -> Verdict {
    Verdict::Refused(Refusal::CoolingDown { until_ms: at(until).wall_ms })
}

fn over(per_hour: u32, until: u64) -> Verdict {
    Verdict::Refused(Refusal::OverBudget { per_hour, until_ms: at(until).wall_ms })
}

#[test]
fn each_refusal_has_its_cause_and_its_end() {
    // Runs that are over, minutes; cool-down, budget; asked at; what is said.
    let rows: [(&[u64], u64, u32, u64, Verdict); 10] = [
        (&[], 5, 4, 10, Verdict::Run),
        (&[10], 5, 4, 10, cooling(15)),
        (&[10], 5, 4, 14, cooling(15)),
        (&[10], 5, 4, 15, Verdict::Run),
        (&[10], 0, 4, 10, Verdict::Run),
        (&[0, 5, 10, 15], 5, 4, 20, over(4, 60)),
        (&[0, 5, 10, 15], 5, 4, 59, over(4, 60)),
        (&[0, 5, 10, 15], 5, 4, 60, Verdict::Run),
        (&[0, 1, 2, 3, 4], 0, 2, 30, over(2, 63)),
        (&[0, 58], 5, 2, 60, cooling(63)),
    ];
    for (runs, cool_down, per_hour, asked, expected) in rows {
        let mut guard = Guard::default();
        for run in runs {
            guard.recall(run * MINUTE, false);
        }
        let said = guard.ask(&policy(cool_down, per_hour), None, at(asked));
        assert_eq!(said, expected, "{runs:?} {cool_down} {per_hour} {asked}");
    }
}

#[test]
fn a_wide_failure_and_a_run_under_way_go_before_everything_else() {
    let mut guard = Guard::default();
    let refused = |why| Verdict::Refused(why);
    assert_eq!(
        guard.ask(&policy(5, 4), Some(wide()), at(0)),
        refused(Refusal::BlastRadius(wide())),
        "and it did not count:"
    );
    assert_eq!(guard.ask(&policy(5, 4), None, at(0)), Verdict::Run);
    assert_eq!(guard.ask(&policy(5, 4), Some(wide()), at(50)), refused(Refusal::AlreadyRunning));
    guard.ended(true);
    assert_eq!(guard.ask(&policy(5, 4), None, at(50)), Verdict::Run);
}

#[test]
fn a_run_that_changed_nothing_does_not_count_and_a_dry_run_does() {
    let mut guard = Guard::default();
    assert_eq!(guard.ask(&policy(5, 1), None, at(0)), Verdict::Run);
    guard.ended(false);
    let dry = Policy { dry_run: true, ..policy(5, 1) };
    assert_eq!(guard.ask(&dry, None, at(0)), Verdict::DryRun);
    guard.ended(true);
    assert_eq!(guard.ask(&dry, None, at(1)), cooling(5));
}

#[test]
fn a_run_recalled_as_unfinished_keeps_others_out() {
    let mut guard = Guard::default();
    guard.recall(3 * MINUTE, true);
    assert_eq!(guard.ask(&policy(0, 9), None, at(90)), Verdict::Refused(Refusal::AlreadyRunning));
    guard.ended(true);
    assert_eq!(guard.ask(&policy(0, 9), None, at(90)), Verdict::Run);
}

#[test]
fn a_refusal_reads_back_as_it_was_written() {
    for refusal in [
        Refusal::AlreadyRunning,
        Refusal::BlastRadius(wide()),
        Refusal::CoolingDown { until_ms: 7 },
        Refusal::AtLimit { replicas: 10, limit: Limit::Max(10) },
    ] {
        let text = serde_json::to_string(&refusal).unwrap();
        assert_eq!(serde_json::from_str::<Refusal>(&text).unwrap(), refusal, "{text}");
    }
}

proptest! {
    /// Over any history: never two at once, never two within the pause, never more than the budget in any hour; and
    /// none of the three is said where it does not hold.
    #[test]
    fn runs_keep_their_distance_and_their_budget(
        steps in prop::collection::vec((0u64..20, any::<bool>(), any::<bool>(), any::<bool>()), 1..200),
        cool_down in 0u64..10,
        per_hour in 1u32..6,
    ) {
        let policy = policy(cool_down, per_hour);
        let (mut guard, mut now) = (Guard::default(), 0);
        let (mut counted, mut running): (Vec<u64>, bool) = (Vec::new(), false);
        for (pause, ends, touched, is_wide) in steps {
            now += pause;
            if ends && running {
                guard.ended(touched);
                running = false;
                if !touched {
                    counted.pop();
                }
            }
            let verdict = guard.ask(&policy, is_wide.then(wide), at(now));
            let near = counted.last().is_some_and(|last| now - last < cool_down);
            let in_hour = counted.iter().filter(|run| now - **run < 60).count();
            let may = !running && !is_wide && !near && in_hour < per_hour as usize;
            prop_assert_eq!(verdict == Verdict::Run, may, "{:?} at {}: {:?}", verdict, now, counted);
            if may {
                counted.push(now);
                running = true;
            }
        }
    }
}
