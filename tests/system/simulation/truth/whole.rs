//! The monitor itself: killed, stopped, started.

use super::scene::Scene;
use farol_health::Status;

/// Each pod for itself, after two minutes.
const EACH: &str =
    "  - {name: pod_down, component: db, status: [unhealthy], severity: critical, for: 2m, by: [agent]}\n";

#[test]
fn a_monitor_killed_amid_a_rules_for_goes_on_where_it_was() {
    let mut scene = Scene::begin(2, EACH, "default_rules: false");
    scene.until(60);
    scene.say(0..1, Status::Unhealthy);
    scene.until(120);
    scene.kill_monitor();
    scene.until(240);
    scene.start_monitor();
    scene.until(600);
    // Bad from 65 s on, and two minutes without those for which nobody looked: a pod is back half a minute after the
    // monitor at the latest. What was counted before is not lost, or it would be 360 s and more.
    scene.told(&[(300..=340, "first: +pod_down(pod-0)!")]);
}

#[test]
fn a_monitor_stopped_for_five_minutes_tells_what_changed_and_nothing_again() {
    let mut scene = Scene::begin(10, EACH, "");
    scene.until(30);
    scene.say(0..2, Status::Unhealthy);
    scene.until(300);
    let before = [
        (30..=45, "first: +component_unhealthy(pay db)!"),
        (150..=165, "first: +pod_down(pod-0)! +pod_down(pod-1)!"),
    ];
    scene.told(&before);
    scene.stop_monitor();
    scene.until(400);
    scene.say(1..2, Status::Healthy);
    scene.say(2..3, Status::Unhealthy);
    scene.kill_pod(9);
    scene.until(600);
    scene.start_monitor();
    scene.until(1_200);
    let [down, each] = before;
    scene.told(&[
        down,
        each,
        // A warning waits for others.
        (630..=635, "first: +blind()"),
        (600..=680, "resolved: +pod_down(pod-0)! -pod_down(pod-1)! recovered"),
        (660..=680, "first: +agent_lost(pod-9)!"),
        (720..=790, "more: +pod_down(pod-0)! +pod_down(pod-2)!"),
    ]);
}

#[test]
fn a_monitor_killed_again_and_again_calls_nobody_lost() {
    let mut scene = Scene::begin(10, "", "services: {pay: {at_least: 10}}");
    for round in 0..6 {
        scene.until(40 + 60 * round);
        scene.kill_monitor();
        scene.until(65 + 60 * round);
        scene.start_monitor();
    }
    scene.until(600);
    scene.told(&[(90..=100, "first: +blind()")]);
}

#[test]
fn a_monitor_that_was_away_for_long_gives_everybody_time_to_come_back() {
    let mut scene = Scene::begin(10, "", "services: {pay: {at_least: 10}}");
    scene.until(60);
    scene.kill_monitor();
    scene.until(800);
    scene.start_monitor();
    scene.until(1_000);
    scene.told(&[(830..=835, "first: +blind()")]);
}
