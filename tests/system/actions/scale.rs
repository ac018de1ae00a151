//! Scaling through the API server: what is written, what is never written over, and what a failure is called.

use super::{Live, PAYMENTS, Site, World, alert, verifying};
use farol_monitor::act::{Limit, Outcome, Refusal};
use farol_tests::kubernetes::Trouble;
use std::time::Duration;

#[tokio::test]
async fn an_effective_action_is_told_from_its_intent_to_its_effect() {
    let (site, world) = (Site::with(3).await, World::new());
    let live = Live::start(site.settings(), &world);
    live.actions.start(world.request("up"));
    world.told("the wait for its effect", verifying).await;
    assert_eq!(site.replicas(), 5);
    world.says(Some(false));
    let record = world.ended(1).await;
    assert_eq!((record.outcome, record.before, record.after), (Outcome::Effective, Some(3), Some(5)));
    assert_eq!((&*record.target, record.alert, record.episode_ms), ("deployment shop/payments", alert(), 7));
    assert!(matches!(
        world.outcomes()[..],
        [Outcome::Started, Outcome::Verifying { .. }, Outcome::Effective]
    ));
    assert_eq!(world.records()[0].after, Some(5), "what is about to be done is told before it is done");
    let path = "/apis/apps/v1/namespaces/shop/deployments/payments/scale";
    assert_eq!(site.cluster.requests(), [format!("GET {path}"), format!("PATCH {path}")]);
    live.stop().await;
}

#[tokio::test]
async fn a_rotated_token_counts_from_the_next_call_on() {
    let (site, world) = (Site::with(3).await, World::new());
    let live = Live::start(site.settings_but(|action| action.verify = None), &world);
    live.actions.start(world.request("up"));
    assert_eq!(world.ended(1).await.outcome, Outcome::Done);
    site.cluster.token("n3w");
    live.actions.start(world.request("up"));
    let Outcome::Failed { why, touched: false } = world.ended(2).await.outcome else { panic!() };
    assert!(why.contains("answered 401") && !why.contains("t0ken"), "{why}");
    site.give("n3w");
    live.actions.start(world.request("up"));
    assert_eq!(world.ended(3).await.outcome, Outcome::Done);
    assert_eq!(site.replicas(), 7);
}

#[tokio::test]
async fn a_conflict_is_met_with_a_fresh_read_and_a_fresh_decision() {
    let (site, world) = (Site::with(3).await, World::new());
    site.cluster.troubles([Trouble::Touched, Trouble::ScaledByOthers(4), Trouble::Touched]);
    let live = Live::start(site.settings_but(|action| action.verify = None), &world);
    live.actions.start(world.request("up"));
    let record = world.ended(1).await;
    assert_eq!((record.outcome, record.before, record.after), (Outcome::Done, Some(4), Some(6)));
    assert_eq!((site.replicas(), site.cluster.count("GET"), site.cluster.count("PATCH")), (6, 4, 4));

    site.cluster.troubles(std::iter::repeat_n(Trouble::Touched, 6));
    live.actions.start(world.request("up"));
    let Outcome::Failed { why, touched: false } = world.ended(2).await.outcome else { panic!() };
    assert!(why.contains("changed by others each time"), "{why}");
    assert_eq!(site.replicas(), 6);
    // Others reach the bound in between: the decision is a fresh one.
    site.cluster.troubles([Trouble::ScaledByOthers(10)]);
    live.actions.start(world.request("up"));
    let at_limit = Refusal::AtLimit { replicas: 10, limit: Limit::Max(10) };
    assert_eq!(world.ended(3).await.outcome, Outcome::Refused { refusal: at_limit });
}

#[tokio::test]
async fn what_was_of_no_use_is_taken_back() {
    let (site, world) = (Site::with(9).await, World::new());
    let live = Live::start(site.settings(), &world);
    site.cluster.troubles([Trouble::Touched, Trouble::Touched]);
    live.actions.start(world.request("up"));
    let record = world.ended(1).await;
    assert_eq!((record.outcome, record.after), (Outcome::RolledBack, Some(10)));
    assert_eq!(site.replicas(), 9);
}

#[tokio::test]
async fn what_others_changed_meanwhile_is_theirs() {
    type Meddler = (&'static str, fn(&Site));
    let meddlers: [Meddler; 3] = [
        ("someone else made it 7", |site| site.cluster.scale(PAYMENTS, 7)),
        // The same number on another object.
        ("someone else made it 5", |site| site.cluster.make(PAYMENTS, 5)),
        // Between the read and the write of the roll back.
        ("someone else made it 8", |site| site.cluster.troubles([Trouble::ScaledByOthers(8)])),
    ];
    for (expected, meddle) in meddlers {
        let (site, world) = (Site::with(3).await, World::new());
        let live = Live::start(site.settings(), &world);
        live.actions.start(world.request("up"));
        world.told("the wait for its effect", verifying).await;
        meddle(&site);
        let left = site.replicas();
        let Outcome::NotRolledBack { why } = world.ended(1).await.outcome else {
            panic!("{:?}", world.outcomes())
        };
        assert!(why.contains(expected), "{why}");
        assert!(site.replicas() == left || expected.ends_with('8'), "{expected}");
        assert_ne!(site.replicas(), 3);
        live.stop().await;
    }
}

#[tokio::test]
async fn without_data_on_the_alert_nothing_is_taken_back() {
    let (site, world) = (Site::with(3).await, World::new());
    world.says(None);
    let live = Live::start(site.settings(), &world);
    live.actions.start(world.request("up"));
    assert_eq!(world.ended(1).await.outcome, Outcome::Unverified);
    assert_eq!(site.replicas(), 5);
    world.says(Some(true));
    live.actions.replace(site.settings_but(|action| action.verify.as_mut().unwrap().roll_back = false));
    live.actions.start(world.request("up"));
    assert_eq!(world.ended(2).await.outcome, Outcome::NoEffect);
    assert_eq!(site.replicas(), 7);
}

#[tokio::test]
async fn nothing_is_written_at_a_bound_when_switched_off_or_in_a_dry_run() {
    for (replicas, expected) in [
        (10, Refusal::AtLimit { replicas: 10, limit: Limit::Max(10) }),
        (12, Refusal::AtLimit { replicas: 12, limit: Limit::Max(10) }),
        (0, Refusal::SwitchedOff),
    ] {
        let (site, world) = (Site::with(replicas).await, World::new());
        let live = Live::start(site.settings(), &world);
        live.actions.start(world.request("up"));
        assert_eq!(world.ended(1).await.outcome, Outcome::Refused { refusal: expected });
        live.actions.replace(site.settings_but(|action| action.policy.dry_run = true));
        site.cluster.scale(PAYMENTS, 3);
        live.actions.start(world.request("up"));
        let record = world.ended(2).await;
        assert_eq!((record.outcome, record.before, record.after), (Outcome::WouldRun, Some(3), Some(5)));
        assert!(record.dry_run && site.cluster.count("PATCH") == 0 && site.replicas() == 3);
    }
}

#[tokio::test]
async fn a_failure_says_what_to_do_and_whether_something_may_have_changed() {
    let troubles = [
        (Trouble::Answered(403, ""), false, "allow `patch` on `deployments/scale`"),
        (Trouble::Answered(307, "/stolen"), false, "answered 307"),
        (Trouble::Answered(429, ""), false, "answered 429"),
        (Trouble::Answered(500, ""), true, "answered 500"),
        (Trouble::NoAnswer, true, "did not answer in time"),
        (Trouble::Becomes(4), true, "was to have 5 replicas and has 4"),
    ];
    for (trouble, expected, words) in troubles {
        let (site, world) = (Site::with(3).await, World::new());
        let mut settings = site.settings_but(|action| action.policy.cool_down_ms = 60_000);
        settings.kubernetes.as_mut().unwrap().deadline = Duration::from_millis(500);
        site.cluster.troubles([trouble.clone()]);
        let live = Live::start(settings, &world);
        live.actions.start(world.request("up"));
        let Outcome::Failed { why, touched } = world.ended(1).await.outcome else {
            panic!("{trouble:?}: {:?}", world.outcomes())
        };
        assert!(why.contains(words) && touched == expected, "{trouble:?}: {touched} {why}");
        assert_eq!(site.cluster.count("PATCH"), 1, "a write that may have counted is never repeated");
        assert!(!site.cluster.requests().iter().any(|request| request.contains("stolen")));
        // What surely changed nothing costs no pause.
        live.actions.start(world.request("up"));
        let second = world.ended(2).await.outcome;
        let cooling = matches!(second, Outcome::Refused { refusal: Refusal::CoolingDown { .. } });
        assert_eq!(cooling, expected, "{trouble:?}: {second:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_the_right_one_gets_no_token() {
    let (site, other, world) = (Site::with(3).await, Site::with(3).await, World::new());
    let mut settings = site.settings();
    settings.kubernetes.as_mut().unwrap().ca_file = Some(other.file("ca"));
    let live = Live::start(settings.clone(), &world);
    live.actions.start(world.request("up"));
    let Outcome::Failed { why, touched: false } = world.ended(1).await.outcome else { panic!() };
    assert!(why.contains("cannot be reached") && site.cluster.requests().is_empty(), "{why}");
    std::fs::remove_file(site.file("token")).unwrap();
    live.actions.start(world.request("up"));
    let Outcome::Failed { why, touched: false } = world.ended(2).await.outcome else { panic!() };
    assert!(why.contains("token cannot be read"), "{why}");
}
