//! The wall clock of a monitor is set by an hour, forth and back: timers and silence do not hear of it, and nobody is
//! told anything but that.

use super::{BAD, HOOK, SOON, Scene, WAITS, WELL, all, once, webhook};
use farol_tests::hook::{Hook, Told};
use farol_tests::wait::holds;
use farol_tests::wall::WallClock;
use std::time::Duration;

/// One rule at once, and one after a while that no jump makes shorter.
const RULES: &str = "rules:
  - {name: part_down, component: part, flap: {changes: 0}}
  - {name: part_long_down, component: part, for: 4s, flap: {changes: 0}}
";
/// The second rule's time, but for what passes between its beginning and a look.
const MOST_OF_IT: Duration = Duration::from_millis(2_000);

/// What was told, but for what the monitor says of its clock.
fn words(told: &[Told]) -> Vec<String> {
    all(&once(told)).into_iter().filter(|word| !word.starts_with("clock_jump")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_by_an_hour_leaves_the_truth_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let wall = WallClock::new(folder.path()).unwrap();
    let env = wall.env().unwrap().map(|(name, value)| (name.to_owned(), value)).to_vec();
    let hook = Hook::start().await.unwrap();
    let further =
        format!("receivers: {{hook: {}}}\nroute: {{receiver: hook, {WAITS}}}\n", webhook(&hook, HOOK));
    let scene = Scene::under(hook, RULES, &further, env).await;
    let fleet = scene.fleet(4);
    for number in 0..4 {
        scene.stack.shows(&format!("teller-{number}"), "part", "healthy", SOON).await.unwrap();
    }
    let mut expected: Vec<String> = Vec::new();
    for (round, off) in [3_600, 0, -3_600].into_iter().enumerate() {
        fleet.say(round, BAD);
        expected.extend(["component_unhealthy fires".to_owned(), "part_down fires".to_owned()]);
        expected.sort();
        let sorted = |told: &[Told]| {
            let mut words = words(told);
            words.sort();
            words
        };
        let count = expected.len();
        let are_told = |told: &[Told]| sorted(told) == expected;
        scene.hook.until(&format!("{count} are told"), HOOK, SOON, are_told).await.unwrap();
        wall.set(off).unwrap();
        let jumped = |told: &[Told]| all(told).iter().any(|word| word == "clock_jump fires");
        scene.hook.until("the jump is told", HOOK, SOON, jumped).await.unwrap();
        let as_before = async || sorted(&scene.hook.told(HOOK)) == expected;
        holds("nothing else is told", MOST_OF_IT, as_before).await.unwrap();
        expected.push("part_long_down fires".to_owned());
        expected.sort();
        let are_told = |told: &[Told]| sorted(told) == expected;
        scene.hook.until("it lasted long enough", HOOK, SOON, are_told).await.unwrap();
    }
    (0..3).for_each(|number| fleet.say(number, WELL));
    let over = |told: &[Told]| {
        let words = words(told);
        let count = |ending: &str| words.iter().filter(|word| word.ends_with(ending)).count();
        (count("fires"), count("recovered")) == (9, 9)
    };
    scene.hook.until("all of it is over", HOOK, SOON, over).await.unwrap();
    scene.hears_no_more().await;
}
