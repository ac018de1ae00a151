//! A restart in the middle of an action, with what the store kept: the last record of each attempt.

use super::{LIMIT, Live, PAYMENTS, Site, World, verifying};
use farol_monitor::act::{ActionRecord, Actions, Outcome, Refusal, Settings};
use farol_tests::wait::until;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long agents have to speak.
const GRACE: Duration = Duration::from_secs(60);

/// As a store keeps them, through JSON.
fn stored(world: &World) -> Vec<ActionRecord> {
    let by_id: BTreeMap<_, _> =
        world.records().into_iter().map(|record| (record.id.clone(), record)).collect();
    let read_back = |record| serde_json::from_value(serde_json::to_value(record).unwrap()).unwrap();
    by_id.into_values().map(read_back).collect()
}

/// The next process, on a machine with another running clock; the one before was alive until now.
fn next(settings: Settings, before: &World) -> (World, Live) {
    next_on(1_234_567, settings, before)
}

fn next_on(booted_ms: u64, settings: Settings, before: &World) -> (World, Live) {
    let world = World { began: before.began, ahead: before.ahead.clone(), booted_ms, ..World::new() };
    let (actions, mut runner) = Actions::new(settings, world.surroundings());
    runner.restore(stored(before), world.now().wall_ms, GRACE);
    (world, Live::run(actions, runner))
}

#[tokio::test]
async fn an_effect_that_is_awaited_is_looked_at_after_the_restart() {
    let (site, world) = (Site::with(3).await, World::new());
    let long = site.settings_but(|action| action.verify.as_mut().unwrap().after_ms = 120_000);
    let live = Live::start(long.clone(), &world);
    live.actions.start(world.request("up"));
    world.told("the wait for its effect", verifying).await;
    live.stop().await;
    assert!(world.outcomes().last().is_some_and(verifying));
    world.pass(Duration::from_secs(60));
    let (after, live) = next(long.clone(), &world);
    live.actions.start(after.request("up"));
    let first = after.ended(1).await.outcome;
    assert_eq!(first, Outcome::Refused { refusal: Refusal::AlreadyRunning });
    live.stop().await;
    world.pass(Duration::from_secs(61));
    let (after, _live) = next(long.clone(), &world);
    // Nobody has said yet how it is.
    after.pass(Duration::from_secs(31));
    let record = after.ended(1).await;
    assert_eq!((record.outcome, record.id), (Outcome::RolledBack, world.records()[0].id.clone()));
    assert_eq!(site.replicas(), 3);
}

#[tokio::test]
async fn an_action_that_is_configured_no_more_is_not_taken_back() {
    let (site, world) = (Site::with(3).await, World::new());
    let live =
        Live::start(site.settings_but(|action| action.verify.as_mut().unwrap().after_ms = 60_000), &world);
    live.actions.start(world.request("up"));
    world.told("the wait for its effect", verifying).await;
    live.stop().await;
    world.pass(Duration::from_secs(60));
    let (after, _live) = next(Settings::default(), &world);
    after.pass(Duration::from_secs(31));
    assert_eq!(after.ended(1).await.outcome, Outcome::NoEffect);
    assert_eq!(site.replicas(), 5);
}

#[tokio::test]
async fn one_that_was_broken_off_is_told_and_counts_for_the_pause() {
    let (site, world) = (Site::with(3).await, World::new());
    let paused = site.settings_but(|action| action.policy.cool_down_ms = 60_000);
    site.cluster.troubles([farol_tests::kubernetes::Trouble::NoAnswer]);
    let live = Live::start(paused.clone(), &world);
    live.actions.start(world.request("up"));
    world.told("the intent", |outcome| *outcome == Outcome::Started).await;
    until("the write", LIMIT, async || site.cluster.count("PATCH") == 1).await.unwrap();
    // A crash: nothing is waited for.
    drop(live);
    let (after, live) = next(paused, &world);
    assert_eq!(after.ended(1).await.outcome, Outcome::Interrupted);
    live.actions.start(after.request("up"));
    let second = after.ended(2).await.outcome;
    assert!(matches!(second, Outcome::Refused { refusal: Refusal::CoolingDown { .. } }), "{second:?}");
    site.cluster.scale(PAYMENTS, 3);
    after.pass(Duration::from_secs(61));
    live.actions.start(after.request("up"));
    assert_eq!(after.ended(3).await.outcome, Outcome::RolledBack);
}

#[tokio::test]
async fn on_another_machine_an_effect_is_due_and_a_pause_is_over_when_they_would_have_been() {
    const DAYS_MS: u64 = 30 * 86_400_000;
    for (booted_ms, booted_next_ms) in [(DAYS_MS, 60_000), (60_000, DAYS_MS)] {
        let (site, world) = (Site::with(3).await, World { booted_ms, ..World::new() });
        let settings = site.settings_but(|action| {
            action.policy.cool_down_ms = 300_000;
            action.verify.as_mut().unwrap().after_ms = 120_000;
        });
        let live = Live::start(settings.clone(), &world);
        live.actions.start(world.request("up"));
        world.told("the wait for its effect", verifying).await;
        live.stop().await;
        world.pass(Duration::from_secs(60));
        let (after, live) = next_on(booted_next_ms, settings, &world);
        let refused = |outcome| match outcome {
            Outcome::Refused { refusal } => refusal,
            other => panic!("it was not refused: {other:?}"),
        };
        live.actions.start(after.request("up"));
        assert_eq!(refused(after.ended(1).await.outcome), Refusal::AlreadyRunning, "{booted_ms}");
        after.pass(Duration::from_secs(61));
        assert_eq!(after.ended(2).await.outcome, Outcome::RolledBack, "{booted_ms}");
        live.actions.start(after.request("up"));
        let third = refused(after.ended(3).await.outcome);
        assert!(matches!(third, Refusal::CoolingDown { .. }), "{booted_ms}: {third:?}");
        after.pass(Duration::from_secs(180));
        live.actions.start(after.request("up"));
        after.told("another run", verifying).await;
        live.stop().await;
    }
}

#[tokio::test]
async fn what_was_asked_for_and_not_begun_is_asked_again_once_it_is_known_that_the_alert_still_fires() {
    let fast = |site: &Site| site.settings_but(|action| action.verify = None);
    for (says, expected, writes) in [
        (Some(true), Outcome::Done, 1),
        (Some(false), Outcome::Refused { refusal: Refusal::AlertOver }, 0),
        (None, Outcome::Refused { refusal: Refusal::AlertUnknown }, 0),
    ] {
        let (site, world) = (Site::with(3).await, World::new());
        let (actions, runner) = Actions::new(fast(&site), world.surroundings());
        let request = world.request("up");
        let asked = actions.asked(&request);
        world.records.lock().push(asked.clone());
        actions.start(request);
        // A crash, or a stop, with the request in the queue.
        drop(runner);
        let (after, live) = {
            let world = World { began: world.began, ..World::new() };
            world.says(None);
            let (actions, mut runner) = Actions::new(fast(&site), world.surroundings());
            runner.restore([asked.clone()], world.now().wall_ms, GRACE);
            (world, Live::run(actions, runner))
        };
        let none = async || after.outcomes().is_empty();
        farol_tests::wait::holds("nothing is done", Duration::from_millis(1_500), none).await.unwrap();
        after.says(says);
        after.pass(Duration::from_secs(if says.is_none() { 120 } else { 0 }));
        let record = after.ended(1).await;
        assert_eq!((record.outcome, record.id, record.asked_ms), (expected, asked.id, asked.asked_ms));
        assert_eq!(site.cluster.count("PATCH"), writes);
        live.stop().await;
    }
}

#[tokio::test]
async fn an_effect_is_looked_at_once_something_is_known_and_not_taken_back_where_nothing_ever_is() {
    for (says, expected, left) in [(Some(true), Outcome::RolledBack, 3), (None, Outcome::Unverified, 5)] {
        let (site, world) = (Site::with(3).await, World::new());
        let long = site.settings_but(|action| action.verify.as_mut().unwrap().after_ms = 60_000);
        let live = Live::start(long.clone(), &world);
        live.actions.start(world.request("up"));
        world.told("the wait for its effect", verifying).await;
        live.stop().await;
        let after = World { began: world.began, ahead: world.ahead.clone(), ..World::new() };
        after.says(None);
        let (actions, mut runner) = Actions::new(long, after.surroundings());
        runner.restore(stored(&world), after.now().wall_ms, 5 * GRACE);
        after.pass(Duration::from_secs(290));
        let live = Live::run(actions, runner);
        let none = async || after.outcomes().is_empty();
        farol_tests::wait::holds("it waits", Duration::from_millis(500), none).await.unwrap();
        after.says(says);
        after.pass(Duration::from_secs(if says.is_none() { 10 } else { 0 }));
        assert_eq!((after.ended(1).await.outcome, site.replicas()), (expected, left));
        live.stop().await;
    }
}

#[tokio::test]
async fn what_is_asked_for_at_the_end_of_the_process_is_not_refused() {
    let (site, world) = (Site::with(3).await, World::new());
    let (actions, runner) = Actions::new(site.settings(), world.surroundings());
    drop(runner);
    actions.start(world.request("up"));
    assert_eq!((world.outcomes(), actions.dropped()), (vec![], 0), "the next start asks again");
}
