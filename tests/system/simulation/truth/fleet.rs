//! Many pods at once: a dead database, a partition, a deployment, a drained node.

use super::scene::Scene;
use farol_health::Status;

const DOWN: &str = "first: +component_unhealthy(pay db)!";

#[test]
fn a_dead_database_of_all_pods_is_told_once_and_is_over_once() {
    let mut scene = Scene::begin(12, "", "services: {pay: {at_least: 1}}");
    scene.until(60);
    scene.say(0..12, Status::Unhealthy);
    scene.until(170);
    let down = (60..=75, DOWN);
    let none_left = (95..=110, "first: +service_below_minimum(pay)!");
    scene.told(&[down.clone(), none_left.clone()]);
    scene.say(0..12, Status::Healthy);
    scene.until(400);
    scene.told(&[
        down,
        none_left,
        (170..=190, "resolved: -service_below_minimum(pay)! recovered"),
        (170..=190, "resolved: -component_unhealthy(pay db)×12! recovered"),
    ]);
}

#[test]
fn half_of_the_agents_cut_off_are_told_as_lost_and_nothing_else() {
    let mut scene = Scene::begin(12, "", "services: {pay: {at_least: 5}}");
    scene.until(60);
    scene.cut(6..12);
    scene.until(200);
    scene.heal(6..12);
    scene.until(500);
    let lost = |pods: &[usize], word: &str| {
        let mut words: Vec<String> = pods.iter().map(|pod| format!("{word}agent_lost(pod-{pod})!")).collect();
        words.sort();
        words
    };
    let told = scene.heard();
    // A crowd is told ever more rarely: six within five seconds.
    assert!(
        (3..=5).contains(&told.len()) && told[..told.len() - 1].iter().all(|told| told.0 < 90),
        "{told:?}"
    );
    let [.., (_, all), (over_s, over)] = &told[..] else { panic!("{told:?}") };
    assert!(all.ends_with(&lost(&[6, 7, 8, 9, 10, 11], "+").join(" ")), "{told:?}");
    let ended = lost(&[6, 7, 8, 9, 10, 11], "-").join(" recovered ");
    assert_eq!((*over_s <= 235, over), (true, &format!("resolved: {ended} recovered")), "all at once");
}

#[test]
fn a_rolling_deployment_of_fifty_pods_is_not_told() {
    let mut scene = Scene::begin(50, "", "services: {pay: {at_least: 45}}");
    scene.until(10);
    for pod in 0..50 {
        scene.join();
        scene.end(pod..pod + 1);
        scene.until(10 + 2 * (u64::try_from(pod).unwrap() + 1));
    }
    scene.until(150);
    scene.told(&[]);
}

#[test]
fn a_node_that_is_drained_is_not_told_and_takes_along_what_was_told_of_it() {
    let mut scene = Scene::begin(10, "", "services: {pay: {at_least: 5}}");
    scene.until(60);
    scene.say(0..1, Status::Unhealthy);
    scene.until(120);
    scene.end(0..4);
    scene.until(300);
    scene.told(&[(60..=75, DOWN), (120..=150, "resolved: -component_unhealthy(pay db)! left")]);
}

#[test]
fn a_drain_that_leaves_a_service_with_too_few_is_told() {
    let mut scene = Scene::begin(6, "", "services: {pay: {at_least: 5}}");
    scene.until(60);
    scene.end(0..3);
    scene.until(300);
    scene.told(&[(90..=110, "first: +service_below_minimum(pay)!")]);
}

#[test]
fn a_pod_that_is_killed_is_told_as_lost_and_back_again_as_over() {
    let mut scene = Scene::begin(3, "", "");
    scene.until(60);
    scene.kill_pod(1);
    scene.until(400);
    let lost = (70..=85, "first: +agent_lost(pod-1)!");
    scene.told(std::slice::from_ref(&lost));
    scene.start_pod(1);
    scene.until(800);
    scene.told(&[lost, (400..=410, "resolved: -agent_lost(pod-1)! recovered")]);
}
