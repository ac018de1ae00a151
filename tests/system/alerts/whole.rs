//! The whole way, and restarts of the monitor on it.

use super::{BAD, DOWN, HOOK, SOON, Scene, WELL};
use farol_config::Secret;
use farol_monitor::notify::receivers::verify;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Takes connections until it is dropped.
async fn serving(at: &str) -> (JoinSet<()>, std::net::SocketAddr) {
    let listener = TcpListener::bind(at).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    (serving, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_check_sees_is_told_signed_and_over_a_crash_its_end_too() {
    let rules = "rules: [{name: door_shut, component: door, annotations: {summary: \"{{ labels.service }}: {{ count }}\"}}]\n";
    let mut scene = Scene::begin(rules, "default_rules: false\n").await;
    let (target, address) = serving("127.0.0.1:0").await;
    let config = format!(
        "interval: 1s\nchecks: [{{name: door, service: shop, tcp: {{address: \"{address}\"}}, interval: 500ms, deadline: 400ms}}]\n"
    );
    let _agent = scene.stack.agent("alpha", &config).await.unwrap();
    scene.stack.shows("alpha", "door", "healthy", SOON).await.unwrap();

    drop(target);
    let told = scene.hears(&["door_shut fires"]).await.remove(0);
    let now = jiff::Timestamp::now();
    verify(&Secret::new("whsec"), &told.signature, &told.body, now, Duration::from_secs(60)).unwrap();
    assert!(
        verify(&Secret::new("other"), &told.signature, &told.body, now, Duration::from_secs(60)).is_err()
    );
    assert_eq!((told.why(), &*told.key), ("first", told.id()));
    let alert = &told.alerts()[0];
    assert_eq!((&alert["severity"], &alert["labels"]["service"]), (&"critical".into(), &"shop".into()));
    assert_eq!(alert["annotations"]["summary"], "shop: 1");

    scene.stack.kill_monitor().await.unwrap();
    scene.stack.start_monitor().await.unwrap();
    scene.stack.shows("alpha", "door", "unhealthy", SOON).await.unwrap();
    scene.hears_no_more().await;
    let (_target, _) = serving(&address.to_string()).await;
    let over = scene.hears(&["door_shut fires", "door_shut recovered"]).await.remove(1);
    assert_eq!(over.alerts()[0]["id"], alert["id"], "the end of what was told");
    assert_eq!(over.notice["conversation"], told.notice["conversation"]);

    scene.stack.kill_monitor().await.unwrap();
    scene.stack.start_monitor().await.unwrap();
    scene.hears_no_more().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_in_the_middle_of_for_does_not_begin_it_anew() {
    const FOR: Duration = Duration::from_secs(6);
    let rules = "rules: [{name: part_down, component: part, for: 6s}]\n";
    let mut scene = Scene::begin(rules, "default_rules: false\n").await;
    let fleet = scene.fleet(1);
    scene.stack.shows("teller-0", "part", "healthy", SOON).await.unwrap();
    fleet.say(0, BAD);
    scene.stack.shows("teller-0", "part", "unhealthy", SOON).await.unwrap();
    let began = Instant::now();
    let none = async || scene.hook.told(HOOK).is_empty();
    farol_tests::wait::holds("it is not told before its time", Duration::from_secs(4), none).await.unwrap();
    scene.stack.kill_monitor().await.unwrap();
    let down = Instant::now();
    scene.stack.start_monitor().await.unwrap();
    let (up, away) = (Instant::now(), down.elapsed());
    let told = scene.hears(&["part_down fires"]).await.remove(0);
    let (in_all, since_start) = (told.at - began, told.at - up);
    // What was not seen does not count; that it is so may have been seen up to a second before.
    assert!(in_all >= FOR - Duration::from_secs(1), "told after {in_all:?}");
    assert!(
        since_start < FOR - Duration::from_secs(1),
        "told {since_start:?} after the start ({away:?} away)"
    );
    fleet.say(0, WELL);
    scene.hears(&["part_down fires", "part_down recovered"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_well_before_a_notice_could_go_is_told_as_what_it_was() {
    let scene = Scene::begin(DOWN, "default_rules: false\n").await;
    let fleet = scene.fleet(2);
    for agent in ["teller-0", "teller-1"] {
        scene.stack.shows(agent, "part", "healthy", SOON).await.unwrap();
    }
    fleet.say(0, BAD);
    scene.hears(&["part_down fires"]).await;
    fleet.say(0, WELL);
    fleet.say(1, BAD);
    let told = scene
        .hook
        .until("the end of one, the beginning of the other", HOOK, SOON, |told| told.len() == 3)
        .await
        .unwrap();
    let of = |service: &str| {
        let of = told.iter().filter(|told| told.notice["group"]["service"] == service);
        of.flat_map(farol_tests::hook::Told::words).collect::<Vec<_>>()
    };
    assert_eq!(of("service-0"), ["part_down fires", "part_down recovered"]);
    assert_eq!(of("service-1"), ["part_down fires"]);
}
