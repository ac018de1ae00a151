//! What becomes of what is decided: notices in the store, as they are listed and sent again.

use super::super::scene::Scene;
use crate::alerting::condition;
use crate::clock::Moment;
use crate::notify::{Failure, Message, Receiver, Sent};
use axum::http::{Method, StatusCode};
use farol_rules::{Labels, MonitorCondition, Observation};
use futures::future::BoxFuture;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const RULES: &str = "rules:\n  - {name: r, monitor: receiver_failing, severity: critical, \
                     annotations: {summary: \"{{ labels.receiver }} fails\"}}\n";

/// The receivers `r0`, `r1`, … fail, or do again.
fn seen(count: usize, fails: bool) -> Vec<Observation> {
    let of = |n: usize| {
        let labels = Labels::from([("receiver", &*format!("r{n}"))]);
        condition(MonitorCondition::ReceiverFailing, labels, fails.then_some("503"))
    };
    (0..count).map(of).collect()
}

fn sum(items: &[Value], key: &str) -> u64 {
    items.iter().filter_map(|item| item[key].as_u64()).sum()
}

/// Nobody takes what is told: it is dead at once.
async fn scene(failing: usize) -> Scene {
    let scene = Scene::new().await;
    scene.rules(RULES);
    scene.app.alerting.see(&seen(failing, true), scene.app.clock.now());
    scene
}

/// Waits until all is committed.
async fn committed(scene: &Scene) {
    super::super::told::kept(&scene.app, scene.app.journal.documents(Vec::new())).await.unwrap();
}

async fn notices(scene: &Scene, state: &str) -> Vec<Value> {
    let list = scene.get(&format!("/api/v1/notifications?state={state}")).await.json();
    list["items"].as_array().unwrap_or_else(|| panic!("{list}")).clone()
}

/// From now on the log is told; nothing is sent.
fn listen(scene: &Scene) {
    let log = BTreeMap::from([(crate::alerting::LOG.into(), crate::notify::receivers::to_log())]);
    scene.app.alerting.dispatcher().set_receivers(log);
}

#[tokio::test]
async fn a_large_group_is_told_in_several_notices_and_nothing_of_it_is_missing() {
    let mut scene = scene(1_201).await;
    scene.write();
    committed(&scene).await;
    let dead = notices(&scene, "dead").await;
    assert_eq!((dead.len(), sum(&dead, "firing")), (3, 1_201));
    assert!(dead.iter().all(|notice| notice["firing"].as_u64().is_some_and(|firing| firing <= 500)));
    let conversations: BTreeSet<_> = dead.iter().map(|notice| notice["conversation"].as_str()).collect();
    assert_eq!(conversations.len(), 1);
}

#[tokio::test]
async fn a_notice_that_is_sent_again_raises_nothing_that_is_over() {
    for (over, status, firing) in
        [(0, StatusCode::OK, 2), (1, StatusCode::OK, 1), (2, StatusCode::CONFLICT, 0)]
    {
        let mut scene = scene(2).await;
        scene.write();
        committed(&scene).await;
        let id = notices(&scene, "dead").await[0]["id"].as_str().unwrap().to_owned();
        listen(&scene);
        scene.app.alerting.see(&seen(over, false), scene.app.clock.now());
        let path = format!("/api/v1/notifications/{id}/resend");
        let again = scene.operate(Method::POST, &path).await;
        assert_eq!(again.status, status, "{over} over: {}", again.body);
        committed(&scene).await;
        let due = notices(&scene, "due").await;
        let again = due.iter().filter(|notice| notice["id"] == format!("{id}-r1"));
        assert_eq!(again.filter_map(|notice| notice["firing"].as_u64()).sum::<u64>(), firing, "{due:?}");
        if status == StatusCode::CONFLICT {
            assert_eq!(notices(&scene, "dead").await.len(), 1, "it stays as it was");
        }
    }
}

/// Takes nothing, and knows the times that an alert fired apart, or does not.
struct Deaf {
    has_episodes: bool,
}

impl Receiver for Deaf {
    fn kind(&self) -> &'static str {
        "deaf"
    }

    fn has_episodes(&self) -> bool {
        self.has_episodes
    }

    fn send<'a>(&'a self, _: &'a Message) -> BoxFuture<'a, Result<Sent, Failure>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn an_end_is_not_sent_again_while_its_alert_fires_anew_unless_each_time_has_an_id_of_its_own() {
    for (has_episodes, status) in [(false, StatusCode::CONFLICT), (true, StatusCode::OK)] {
        let mut scene = scene(1).await;
        let now = scene.app.clock.now();
        let after = |minutes: u64| Moment {
            run_ms: now.run_ms + minutes * 60_000,
            wall_ms: now.wall_ms + minutes as i64 * 60_000,
            ..now
        };
        scene.app.alerting.see(&seen(1, false), after(1));
        (2..30).for_each(|minutes| scene.app.alerting.tick(after(minutes)));
        scene.write();
        committed(&scene).await;
        let dead = notices(&scene, "dead").await;
        let over: Vec<&Value> = dead.iter().filter(|notice| notice["why"] == "resolved").collect();
        assert_eq!((dead.len(), over.len()), (2, 1), "{dead:?}");
        let deaf: Arc<dyn Receiver> = Arc::new(Deaf { has_episodes });
        let receivers = BTreeMap::from([(crate::alerting::LOG.into(), deaf)]);
        scene.app.alerting.dispatcher().set_receivers(receivers);
        scene.app.alerting.see(&seen(1, true), after(31));
        let path = format!("/api/v1/notifications/{}/resend", over[0]["id"].as_str().unwrap());
        let again = scene.operate(Method::POST, &path).await;
        assert_eq!(again.status, status, "{has_episodes}: {}", again.body);
    }
}

#[tokio::test]
async fn a_notice_that_is_sent_again_while_the_store_takes_nothing_is_told_by_its_new_id() {
    let mut scene = scene(1).await;
    scene.write();
    committed(&scene).await;
    let id = notices(&scene, "dead").await[0]["id"].as_str().unwrap().to_owned();
    listen(&scene);
    scene.write_no_more().await;
    let again = scene.operate(Method::POST, &format!("/api/v1/notifications/{id}/resend")).await;
    assert_eq!((again.status, &*again.code()), (StatusCode::SERVICE_UNAVAILABLE, "not_recorded"));
    assert_eq!(again.json()["id"], format!("{id}-r1"), "{}", again.body);
}

#[tokio::test]
async fn a_receiver_that_there_is_not_is_refused_unless_something_was_for_it() {
    let mut scene = scene(1).await;
    scene.write();
    committed(&scene).await;
    for (asked, status) in [
        ("dead&receiver=log", StatusCode::OK),
        ("dead&receiver=pager", StatusCode::NOT_FOUND),
        ("due&receiver=pager", StatusCode::NOT_FOUND),
        ("due&receiver=log", StatusCode::NOT_FOUND),
    ] {
        let reply = scene.get(&format!("/api/v1/notifications?state={asked}")).await;
        assert_eq!(reply.status, status, "{asked}: {}", reply.body);
    }
    listen(&scene);
    let reply = scene.get("/api/v1/notifications?state=sent&receiver=log").await;
    assert_eq!((reply.status, &reply.json()["items"]), (StatusCode::OK, &serde_json::json!([])));
}

#[tokio::test]
async fn what_is_not_taken_is_said_to_wait_and_not_to_be_told() {
    let scene = Scene::new().await;
    scene.rules(RULES);
    listen(&scene);
    scene.app.alerting.see(&seen(1, true), scene.app.clock.now());
    let id = scene.get("/api/v1/alerts").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let why = scene.get(&format!("/api/v1/why/alert/{id}")).await.json();
    let words = why["text"].to_string();
    assert!(words.contains("`log`: a notice waits since "), "{words}");
    assert!(!words.contains("was told of it"), "{words}");
    assert_eq!((&why["waiting"][0]["receiver"], &why["waiting"][0]["failed"]), (&"log".into(), &0.into()));
    let receiver = scene.get("/api/v1/why/receiver/log").await.json();
    assert!(receiver["text"].to_string().contains("1 notice waits for it"), "{receiver}");
}

#[tokio::test]
async fn what_the_store_has_not_taken_is_listed_among_what_is_due() {
    let mut scene = Scene::new().await;
    scene.rules(RULES);
    listen(&scene);
    scene.app.alerting.see(&seen(3, true), scene.app.clock.now());
    let due = notices(&scene, "due").await;
    assert_eq!(due.iter().map(|notice| notice["unrecorded"] == true).collect::<Vec<_>>(), [true]);
    scene.write();
    committed(&scene).await;
    let due = notices(&scene, "due").await;
    assert_eq!(due.iter().map(|notice| notice["unrecorded"] == true).collect::<Vec<_>>(), [false]);
}

#[tokio::test]
async fn the_end_of_what_a_removed_rule_told_is_said_in_its_words() {
    let mut scene = scene(1).await;
    scene.rules("rules: []\n");
    let mut later = scene.app.clock.now();
    (later.run_ms, later.wall_ms) = (later.run_ms + 600_000, later.wall_ms + 600_000);
    scene.app.alerting.tick(later);
    scene.write();
    committed(&scene).await;
    let page = crate::store::DocumentPage::default();
    let told = scene.app.alerting.dispatcher().dead(page).await.unwrap();
    let mut words = told.iter().flat_map(|letter| &letter.record.message.alerts);
    let over = words.find(|word| word.ended.is_some()).unwrap();
    assert_eq!(over.annotations["summary"], "r0 fails");
    let mut incidents =
        told.iter().flat_map(|letter| &letter.record.message.alerts).map(|word| &word.incident);
    assert!(incidents.all(|incident| incident.is_some() && *incident == over.incident), "{told:?}");
}

#[tokio::test]
async fn what_somebody_says_is_kept_in_one_with_what_it_brings_about() {
    let scene = scene(1).await;
    let handed = || scene.app.journal.documents(Vec::new());
    let id = scene.app.alerting.book().alerts().next().cloned().unwrap();
    let before = handed();
    let ack = farol_rules::Acknowledgement {
        alert: id.clone(),
        author: "ann".into(),
        reason: "new disks".into(),
        at_ms: scene.app.clock.now().wall_ms,
        ends_ms: None,
        episode_ms: 0,
        severity: farol_rules::Severity::Critical,
    };
    let number = scene.app.alerting.acknowledge(ack).unwrap().unwrap();
    assert_eq!((number, handed()), (before + 1, before + 1));
    assert_eq!(scene.app.alerting.unacknowledge(&id, None), Some(before + 2));
}

#[tokio::test]
async fn who_asks_for_a_receiver_finds_its_peers_and_who_asks_for_a_peer_finds_that_one() {
    let mut scene = Scene::new().await;
    let names = ["am@h:1", "am@h:10", "amber", "am"];
    let log = || crate::notify::receivers::to_log();
    scene.app.alerting.dispatcher().set_receivers(names.iter().map(|name| ((*name).into(), log())).collect());
    for (i, name) in names.iter().enumerate() {
        let message = crate::notify::Message {
            notice_id: format!("n{i}"),
            conversation: "c".into(),
            receiver: (*name).into(),
            why: crate::notify::Why::First,
            group: Labels::default(),
            alerts: Vec::new(),
            held_back: 0,
            others: 0,
            unrecorded: false,
            at_ms: 1_000,
            external_url: None,
        };
        let due = scene.app.alerting.dispatcher().due(message);
        let number = scene.app.journal.documents(vec![due.put()]);
        scene.app.alerting.dispatcher().push(due, number);
    }
    for written in [false, true] {
        if written {
            scene.write();
            committed(&scene).await;
        }
        for (asked, expected) in [
            ("am", &["am", "am@h:1", "am@h:10"][..]),
            ("am@h:1", &["am@h:1"]),
            ("amber", &["amber"]),
            ("a", &[]),
        ] {
            if expected.is_empty() {
                for path in ["notifications?receiver=", "why/receiver/"] {
                    let reply = scene.get(&format!("/api/v1/{path}{asked}")).await;
                    assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}{asked}");
                }
                continue;
            }
            let found = notices(&scene, &format!("due&receiver={asked}")).await;
            let found: BTreeSet<_> = found.iter().filter_map(|notice| notice["receiver"].as_str()).collect();
            assert_eq!(found, expected.iter().copied().collect(), "{asked}, written: {written}");
            let why = scene.get(&format!("/api/v1/why/receiver/{asked}")).await.json();
            assert_eq!((&why["receiver"], &why["peers"]), (&asked.into(), &expected.into()), "{why}");
            assert_eq!(why["waiting"], expected.len(), "{why}");
            assert_eq!(why["text"].to_string().contains("It stands for"), expected.len() > 1, "{why}");
        }
    }
}
