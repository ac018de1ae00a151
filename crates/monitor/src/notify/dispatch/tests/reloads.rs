//! Receivers that come, stay and go while notices wait.

use super::*;
use crate::notify::Outcome;
use crate::notify::egress::{Egress, Policy};
use crate::notify::receivers::{Origin, Settings};
use farol_config::Sources;

/// What a Slack receiver with this URL is made of.
fn origin(url: &str, policy: Policy) -> Option<Origin> {
    let egress = Egress::new(policy);
    let tree = Sources::new().text("m.yaml", &format!("r: {{slack: {{url: \"{url}\"}}}}")).load().unwrap();
    let settings = tree.read(|m| m.map("r", |m| Settings::read(m, &egress))).unwrap().flatten().unwrap();
    settings.build(&egress).unwrap().origin().cloned()
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_did_not_change_goes_on_with_what_it_knows_and_another_takes_its_place() {
    let private = || Policy { private: true, ..Policy::default() };
    let same = || origin("https://hooks.test/a", Policy::default());
    for (other, expected) in [
        (same(), (false, Some(1_800_000))),
        (origin("https://hooks.test/b", Policy::default()), (true, None)),
        (origin("https://hooks.test/a", private()), (true, None)),
        (None, (true, None)),
    ] {
        let asked_to_wait = Desk::made_of(same(), Answer::Fail);
        asked_to_wait.answers.lock().push_back(Answer::Pause(Duration::from_secs(1_800)));
        let process = Process::start(Shelf::default(), &[("ops", &asked_to_wait)]);
        process.tell("ops", "a");
        pass(100_000).await;
        let anew = Desk::made_of(other.clone(), Answer::Take);
        process.dispatcher.set_receivers(receivers(&[("ops", &anew)]));
        pass(1_700_500).await;
        let second = asked_to_wait.tried_ms().get(1).copied();
        assert_eq!((!anew.ids().is_empty(), second), expected, "{other:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_drops_nothing_on_its_way_nor_anything_of_those_that_stay() {
    let slow = || Desk::new(Answer::Slowly(Duration::from_secs(5)));
    let (stays, goes) = (slow(), slow());
    let process = Process::start(Shelf::default(), &[("stays", &stays), ("goes", &goes)]);
    for _ in 0..2 {
        process.tell("stays", "s");
        process.tell("goes", "g");
    }
    pass(100).await;
    let anew = Desk::new(Answer::Take);
    process.dispatcher.set_receivers(receivers(&[("stays", &anew)]));
    pass(100).await;
    assert_eq!(process.records(), ["dead/g4/"]);
    pass(10_000).await;
    assert_eq!(
        (stays.ids(), anew.ids(), goes.ids()),
        (vec!["s1".into()], vec!["s3".into()], vec!["g2".into()])
    );
    assert_eq!(process.records(), ["dead/g4/", "sent/g2/", "sent/s1/", "sent/s3/"]);
    assert_eq!(process.dispatcher.stats().keys().map(|name| &**name).collect::<Vec<_>>(), ["stays"]);
    // Whoever still tells one that is gone learns so.
    process.tell("goes", "g");
    pass(100).await;
    let last = process.told.attempts.lock().last().cloned().unwrap();
    assert_eq!((&*last.notice_id, last.number), ("g5", 0));
    assert!(matches!(last.outcome, Outcome::Dead { why } if why.starts_with("receiver removed")));
}

#[tokio::test(start_paused = true)]
async fn that_receivers_with_many_notices_are_gone_ends_what_was_said_of_them() {
    let desks = ["a", "b", "c"].map(|name| (name, Desk::new(Answer::Fail)));
    let process = Process::start(Shelf::default(), &desks.each_ref().map(|(name, desk)| (*name, desk)));
    for (name, _) in &desks {
        (0..10_002).for_each(|_| process.tell(name, name));
    }
    pass(100_000).await;
    let told = || (process.told.failing.lock().clone(), process.told.full.lock().clone());
    let mut before = told();
    assert_eq!((before.0.len(), before.1.len()), (3, 3));
    process.dispatcher.set_receivers(receivers(&[]));
    pass(20_000).await;
    for (name, _) in &desks {
        before.0.push(((*name).to_owned(), None));
        before.1.push(((*name).to_owned(), false));
    }
    assert_eq!(told(), before);
}

#[tokio::test(start_paused = true)]
async fn what_fails_on_its_way_to_one_that_is_gone_is_dead_and_one_that_came_back_goes_on() {
    let fails = || {
        let desk = Desk::new(Answer::Take);
        *desk.of.lock() = Some(("x".to_owned(), Answer::Hang));
        desk
    };
    let (goes, returns) = (fails(), fails());
    let process = Process::start(Shelf::default(), &[("goes", &goes), ("returns", &returns)]);
    process.tell("goes", "x");
    process.tell("returns", "x");
    pass(100).await;
    process.dispatcher.set_receivers(receivers(&[]));
    pass(100).await;
    let anew = Desk::new(Answer::Take);
    process.dispatcher.set_receivers(receivers(&[("returns", &anew)]));
    pass(20_000).await;
    assert_eq!(process.records(), ["dead/x1/", "sent/x2/"]);
    assert_eq!(anew.ids(), ["x2"]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_set_up_anew_is_tried_at_once() {
    let broken = Desk::new(Answer::Fail);
    let process = Process::start(Shelf::default(), &[("ops", &broken)]);
    process.tell("ops", "a");
    process.tell("ops", "b");
    pass(3_600_000).await;
    assert_eq!(process.stats("ops").failing.as_deref(), Some("500"));
    let mended = Desk::new(Answer::Take);
    process.dispatcher.set_receivers(receivers(&[("ops", &mended)]));
    pass(1).await;
    let mut ids = mended.ids();
    ids.sort_unstable();
    assert_eq!(ids, ["a1", "b2"]);
    pass(1).await;
    assert_eq!(process.stats("ops").failing, None);
    assert_eq!(process.told.failing.lock().len(), 2);
}
