//! One value of one pod: it creeps, jumps, flaps, and is missing.

use super::scene::Scene;
use std::ops::Range;

/// A value's rule with everything that there is.
const HIGH: &str = "  - name: load_high
    metric: load_percent
    reduce: {avg: 1m}
    warning: \"> 75\"
    critical: \"> 85\"
    clear: \"< 70\"
    for: 1m
    keep_firing_for: 2m
";

/// The last value at once.
const NOW: &str =
    "  - {name: load_high, metric: load_percent, critical: \"> 85\", clear: \"< 70\", for: 1m}\n";

const FIRES: &str = "first: +load_high(pay db pod-0)!";
const OVER: &str = "resolved: -load_high(pay db pod-0)! recovered";

#[test]
fn a_slow_burn_is_told_as_a_warning_once_as_critical_once_and_as_over_once() {
    let mut scene = Scene::begin(1, HIGH, "");
    for minute in 0..40_u8 {
        scene.measure(0, Some(f64::from(minute) + 55.0));
        scene.until(60 * (u64::from(minute) + 1));
    }
    scene.measure(0, Some(60.0));
    scene.until(4_000);
    scene.told(&[
        // Above 75 from 1260 s on, on the average half a minute later, for a minute; and the group's wait.
        (1_330..=1_390, "first: +load_high(pay db pod-0)"),
        (1_890..=1_980, "raised: +load_high(pay db pod-0)!"),
        // Below 70 on the average some 40 s later, and two minutes more.
        (2_540..=2_600, OVER),
    ]);
}

#[test]
fn a_value_that_flaps_is_told_once_and_is_over_once_it_is_steady() {
    let mut scene = Scene::begin(
        1,
        "  - {name: load_high, metric: load_percent, critical: \"> 85\", clear: \"< 70\"}\n",
        "",
    );
    for turn in 0..40_u64 {
        scene.measure(0, Some(if turn % 2 == 0 { 95.0 } else { 10.0 }));
        scene.until(60 + 15 * turn);
    }
    scene.until(1_900);
    // The sixth change makes it flap; that is over ten minutes after the last one.
    scene.told(&[
        (0..=10, FIRES),
        (60..=70, OVER),
        (75..=85, FIRES),
        (135..=145, "more: +load_high(pay db pod-0)! -load_high(pay db pod-0)! recovered"),
        (1_150..=1_250, OVER),
    ]);
}

#[test]
fn a_value_that_is_missing_while_it_is_pending_is_never_told() {
    let mut scene = Scene::begin(1, NOW, "");
    scene.until(60);
    scene.measure(0, Some(95.0));
    scene.until(100);
    scene.measure(0, None);
    scene.until(900);
    scene.told(&[]);
    // What was seen of it counts: it goes on where it was.
    scene.measure(0, Some(95.0));
    scene.until(1_200);
    scene.told(&[(905..=940, FIRES)]);
}

fn missing(scene: &mut Scene, gap: Range<u64>) {
    scene.until(60);
    scene.measure(0, Some(95.0));
    scene.until(gap.start);
    scene.measure(0, None);
    scene.until(gap.end);
}

#[test]
fn a_value_that_is_missing_while_it_fires_ends_nothing_and_back_again_tells_nothing() {
    let mut scene = Scene::begin(1, NOW, "");
    missing(&mut scene, 200..1_500);
    scene.told(&[(115..=130, FIRES)]);
    scene.measure(0, Some(95.0));
    scene.until(1_700);
    scene.told(&[(115..=130, FIRES)]);
    scene.measure(0, Some(10.0));
    scene.until(2_200);
    scene.told(&[(115..=130, FIRES), (1_700..=1_710, OVER)]);
}

#[test]
fn a_value_back_well_after_it_was_missing_is_over() {
    let mut scene = Scene::begin(1, NOW, "");
    missing(&mut scene, 200..1_500);
    scene.measure(0, Some(10.0));
    scene.until(1_900);
    scene.told(&[(115..=130, FIRES), (1_500..=1_510, OVER)]);
}

#[test]
fn an_agent_that_is_cut_off_is_told_and_what_it_measured_stays_as_it_was() {
    let mut scene = Scene::begin(1, NOW, "");
    scene.until(60);
    scene.measure(0, Some(95.0));
    scene.until(200);
    scene.cut(0..1);
    scene.until(800);
    let (fires, lost) = ((115..=130, FIRES), (210..=220, "first: +agent_lost(pod-0)!"));
    scene.told(&[fires.clone(), lost.clone()]);
    scene.measure(0, Some(10.0));
    scene.heal(0..1);
    scene.until(1_500);
    scene.told(&[fires, lost, (800..=860, "resolved: -agent_lost(pod-0)! recovered"), (800..=860, OVER)]);
}
