//! What the guard keeps from running, with everything around it.

use super::{Live, Site, World, verifying};
use farol_monitor::act::{Actions, Outcome, Population, Refusal, Scope, Wide};
use farol_tests::wait::until;
use std::sync::Arc;
use std::time::Duration;

fn refused(outcome: Outcome) -> Refusal {
    let Outcome::Refused { refusal } = outcome else { panic!("it was not refused: {outcome:?}") };
    refusal
}

/// Payments of so many agents go bad.
fn go_bad(actions: &Actions, world: &World, agents: u32) {
    let service: Arc<str> = "payments".into();
    for i in 0..agents {
        actions.note_bad(&service, &format!("pod-{i}").into(), world.now());
    }
}

#[tokio::test]
async fn one_at_a_time_then_a_pause_then_a_budget() {
    let (site, world) = (Site::with(2).await, World::new());
    let settings = site.settings_but(|action| {
        action.policy.cool_down_ms = 300_000;
        action.policy.per_hour = 2;
    });
    let live = Live::start(settings, &world);
    live.actions.start(world.request("up"));
    world.told("the wait for its effect", verifying).await;
    live.actions.start(world.request("up"));
    assert_eq!(refused(world.ended(1).await.outcome), Refusal::AlreadyRunning);
    world.says(Some(true));
    assert_eq!(world.ended(2).await.outcome, Outcome::RolledBack);
    live.actions.start(world.request("up"));
    assert!(matches!(refused(world.ended(3).await.outcome), Refusal::CoolingDown { .. }));
    world.pass(Duration::from_secs(300));
    live.actions.start(world.request("up"));
    assert_eq!(world.ended(4).await.outcome, Outcome::RolledBack);
    world.pass(Duration::from_secs(301));
    live.actions.start(world.request("up"));
    assert!(matches!(refused(world.ended(5).await.outcome), Refusal::OverBudget { per_hour: 2, .. }));
    world.pass(Duration::from_secs(3_000));
    world.says(Some(false));
    live.actions.start(world.request("up"));
    assert_eq!(refused(world.ended(6).await.outcome), Refusal::AlertOver);
    live.actions.start(world.request("down"));
    assert_eq!(refused(world.ended(7).await.outcome), Refusal::UnknownAction);
    assert_eq!(site.cluster.count("PATCH"), 4, "two runs, each taken back");
}

#[tokio::test]
async fn a_wide_failure_has_no_automatic_action() {
    let (site, world) = (Site::with(3).await, World::new());
    let live = Live::start(site.settings_but(|action| action.verify = None), &world);
    go_bad(&live.actions, &world, 5);
    live.actions.start(world.request("up"));
    let wide = Wide { scope: Scope::Service, count: 5, of: 10 };
    assert_eq!(refused(world.ended(1).await.outcome), Refusal::BlastRadius(wide));
    assert!(site.cluster.requests().is_empty(), "not even a look");
    let population = Population { instances: 10, agents: 100 };
    assert_eq!(live.actions.wide(Some("payments"), population, world.now()), Some(wide));
    world.pass(Duration::from_secs(61));
    live.actions.start(world.request("up"));
    assert_eq!(world.ended(2).await.outcome, Outcome::Done);
}

#[tokio::test]
async fn what_becomes_wide_while_the_server_is_read_is_not_acted_on() {
    let (site, world) = (Site::with(3).await, World::new());
    site.cluster.hold_reads(true);
    let live = Live::start(site.settings(), &world);
    live.actions.start(world.request("up"));
    until("the read", super::LIMIT, async || site.cluster.count("GET") == 1).await.unwrap();
    go_bad(&live.actions, &world, 5);
    site.cluster.hold_reads(false);
    assert!(matches!(refused(world.ended(1).await.outcome), Refusal::BlastRadius(_)));
    assert_eq!((site.replicas(), site.cluster.count("PATCH")), (3, 0));
}

#[tokio::test]
async fn what_becomes_wide_meanwhile_is_not_taken_back() {
    let (site, world) = (Site::with(3).await, World::new());
    let live = Live::start(site.settings(), &world);
    live.actions.start(world.request("up"));
    world.told("the write", |outcome| *outcome == Outcome::Started).await;
    go_bad(&live.actions, &world, 5);
    let outcome = world.ended(1).await.outcome;
    let Outcome::NotRolledBack { why } = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("no automatic action") && site.replicas() == 5, "{why}");
}

#[tokio::test]
async fn what_the_queue_has_no_room_for_is_told_and_counted() {
    let (site, world) = (Site::with(3).await, World::new());
    let (actions, runner) = Actions::new(site.settings(), world.surroundings());
    for _ in 0..1_026 {
        actions.start(world.request("up"));
    }
    assert_eq!((actions.dropped(), world.records().len()), (2, 2));
    assert_eq!(refused(world.ended(2).await.outcome), Refusal::QueueFull);
    let live = Live::run(actions, runner);
    world.ended(1_026).await;
    let running =
        world.outcomes().into_iter().filter(|o| *o == Outcome::Refused { refusal: Refusal::AlreadyRunning });
    assert_eq!(running.count(), 1_023, "of 1 024 of one action one runs");
    live.stop().await;
}
