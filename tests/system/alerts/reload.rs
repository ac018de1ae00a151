//! Rules that are read again: refused whole or taken over, with timers and messages on their way as they were.

use super::{BAD, HOOK, SOON, Scene, WELL, all};
use farol_tests::hook::{Mood, Told};
use farol_tests::wait::until;
use rustix::process::Signal;
use std::time::Duration;
use tokio::time::Instant;

const RULES: &str =
    "rules:\n- {name: part_down, component: part}\n- {name: part_long, component: part, for: 5s}\n";
const WRONG: &str =
    "rules:\n- {name: part_down, component: part}\n- {name: part_long, component: part, for: never}\n";

fn of(told: &[Told], rule: &str) -> Vec<String> {
    all(told).into_iter().filter(|word| word.starts_with(rule)).collect()
}

impl Scene {
    /// Asks for a reload by REST: status and answer.
    async fn post_reload(&self) -> (u16, String) {
        let token = std::fs::read_to_string(self.stack.data_dir().join("operator.token")).unwrap();
        let url = format!("http://{}/api/v1/reload", self.stack.addresses().http);
        let answer = reqwest::Client::new().post(url).bearer_auth(token.trim()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn until_told(&self, rule: &str, words: &[&str]) -> Vec<Told> {
        let is_so = |told: &[Told]| of(told, rule) == words;
        self.hook.until(&format!("{words:?}"), HOOK, SOON, is_so).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_file_of_rules_is_refused_whole_told_and_changes_nothing() {
    let scene = Scene::begin(RULES, "").await;
    let fleet = scene.fleet(1);
    scene.stack.shows("teller-0", "part", "healthy", SOON).await.unwrap();
    std::fs::write(scene.rules(), WRONG).unwrap();
    let (status, body) = scene.post_reload().await;
    let place = "rules.yaml:3: rules[1].for";
    assert!(status == 422 && body.contains(place) && body.contains("never"), "{status} {body}");
    scene.until_told("reload_failed", &["reload_failed fires"]).await;

    // Again, by a signal: the same alert.
    scene.stack.monitor().signal(Signal::HUP).unwrap();
    let refused = async || scene.stack.monitor().log().matches("the configuration is refused").count() >= 2;
    until("the second refusal", SOON, refused).await.unwrap();
    assert!(scene.stack.monitor().log().contains(place), "{}", scene.stack.monitor().log());

    // The old set is in force.
    fleet.say(0, BAD);
    scene.until_told("part_down", &["part_down fires"]).await;
    std::fs::write(scene.rules(), RULES).unwrap();
    scene.stack.monitor().signal(Signal::HUP).unwrap();
    scene.until_told("reload_failed", &["reload_failed fires", "reload_failed recovered"]).await;
    fleet.say(0, WELL);
    scene.until_told("part_down", &["part_down fires", "part_down recovered"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_begins_no_timer_anew_and_loses_nothing_that_is_on_its_way() {
    let scene = Scene::begin(RULES, "default_rules: false\n").await;
    let fleet = scene.fleet(1);
    scene.stack.shows("teller-0", "part", "healthy", SOON).await.unwrap();
    scene.hook.mood(HOOK, Mood::Hangs);
    fleet.say(0, BAD);
    until("it is on its way", SOON, async || scene.hook.told(HOOK).len() == 1).await.unwrap();
    let began = scene.hook.told(HOOK)[0].at;
    let before = async || scene.hook.taken(HOOK).is_empty();
    farol_tests::wait::holds("nothing is taken", Duration::from_millis(2_500), before).await.unwrap();

    // One more rule, and another text of one: what is known of the others goes on.
    let more =
        RULES.replace("for: 5s", "for: 5s, labels: {team: shop}") + "- {name: other, component: nobody}\n";
    std::fs::write(scene.rules(), more).unwrap();
    let (status, body) = scene.post_reload().await;
    assert_eq!(status, 200, "{body}");
    let reloaded = Instant::now();
    scene.hook.mood(HOOK, Mood::Takes);
    let told = scene.until_told("part_long", &["part_long fires"]).await;
    let long = told.iter().find(|told| told.words() == ["part_long fires"]).unwrap();
    let (in_all, since) = (long.at - began, long.at - reloaded);
    assert!(in_all >= Duration::from_millis(4_500), "told after {in_all:?}");
    assert!(since < Duration::from_millis(4_000), "told {since:?} after the reload: it began anew");
    assert_eq!(long.alerts()[0]["labels"]["team"], "shop");
    // What hung was taken, once.
    assert_eq!(of(&told, "part_down"), ["part_down fires"]);

    // A rule that is gone ends what was told of it, and of nothing else.
    std::fs::write(scene.rules(), "rules:\n- {name: part_down, component: part}\n").unwrap();
    scene.stack.monitor().signal(Signal::HUP).unwrap();
    scene.until_told("part_long", &["part_long fires", "part_long removed"]).await;
    scene.hears_no_more().await;
    assert_eq!(of(&scene.hook.taken(HOOK), "part_down"), ["part_down fires"]);
}
