//! What the store says, and what it keeps.

use super::*;
use crate::notify::{Outcome, Verdict};
use crate::store::DocumentPage;

#[tokio::test(start_paused = true)]
async fn a_notice_goes_as_soon_as_it_is_committed_and_its_record_takes_its_place() {
    let ops = Desk::new(Answer::Take);
    let shelf = Shelf::default();
    *shelf.takes.lock() = Duration::from_millis(40);
    let process = Process::start(shelf, &[("ops", &ops)]);
    pass(7).await;
    process.tell("ops", "a");
    pass(30).await;
    assert!(ops.tried_ms().is_empty());
    pass(200).await;
    assert_eq!(ops.tried_ms(), [47], "not a moment later: nothing looks from time to time");
    assert!(!ops.taken.lock()[0].unrecorded);
    assert_eq!(process.shelf.of(DocumentKind::Due), []);
    let page = DocumentPage::default();
    assert_eq!(process.dispatcher.dead(page).await.unwrap(), []);
    let kept = process.shelf.of(DocumentKind::Notice);
    let record = crate::notify::ledger::letters(kept).remove(0).record;
    assert_eq!((record.outcome, record.attempts, record.why), (Verdict::Sent, 1, None));
    assert!(record.first_ms.is_some() && record.first_ms == record.last_ms);
}

#[tokio::test(start_paused = true)]
async fn a_conversations_next_notice_waits_for_the_record_of_the_one_before() {
    let ops = Desk::new(Answer::Take);
    let shelf = Shelf::default();
    *shelf.takes.lock() = Duration::from_millis(40);
    let process = Process::start(shelf, &[("ops", &ops)]);
    let both = ["n1", "n2"].map(|id| process.dispatcher.due(message("ops", "c", id)));
    let number = process.journal.documents(both.iter().map(crate::notify::Due::put).collect());
    for due in both {
        process.dispatcher.push(due, number);
    }
    pass(1_000).await;
    assert_eq!(ops.tried_ms(), [40, 80]);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_refuses_or_hangs_notices_go_unrecorded_and_are_recorded_when_it_takes_again() {
    for hangs in [false, true] {
        let ops = Desk::new(Answer::Take);
        let shelf = Shelf::default();
        if hangs {
            *shelf.takes.lock() = Duration::from_secs(20);
        } else {
            *shelf.refuses.lock() = true;
        }
        let process = Process::start(shelf, &[("ops", &ops)]);
        process.tell("ops", "a");
        process.tell("ops", "a");
        process.tell("ops", "b");
        pass(5_000).await;
        let got = ops.taken.lock().clone();
        assert_eq!(got.len(), 3, "hangs: {hangs}");
        assert!(got.iter().all(|got| got.unrecorded), "hangs: {hangs}");
        let first_ms = got[0].at_ms;
        assert_eq!(first_ms, if hangs { 500 } else { 0 });
        assert_eq!(process.records(), [""; 0]);
        *process.shelf.refuses.lock() = false;
        *process.shelf.takes.lock() = Duration::ZERO;
        pass(120_000).await;
        assert_eq!(process.records(), ["sent/a1/", "sent/a2/", "sent/b3/"], "hangs: {hangs}");
        assert_eq!(process.shelf.of(DocumentKind::Due), []);
        process.tell("ops", "a");
        pass(100).await;
        assert!(ops.taken.lock().last().is_some_and(|got| !got.unrecorded));
        let attempts = process.told.attempts.lock().clone();
        assert_eq!(attempts.iter().map(|a| a.unrecorded).collect::<Vec<_>>(), [true, true, true, false]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_for_which_the_journal_has_no_room_goes_unrecorded() {
    let ops = Desk::new(Answer::Take);
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    let external_url = Some("x".repeat(33 << 20));
    process.send(Message { external_url, ..message("ops", "a", "n1") });
    pass(100).await;
    process.tell("ops", "a");
    pass(100).await;
    let got: Vec<_> = ops.taken.lock().iter().map(|got| (got.id.clone(), got.unrecorded)).collect();
    assert_eq!(got, [("n1".to_owned(), true), ("a1".to_owned(), false)]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_notice_is_listed_and_sent_again_once_under_a_new_id() {
    let ops = Desk::new(Answer::Refuse);
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    process.tell("ops", "a");
    process.tell("ops", "a");
    pass(1_000).await;
    let dead = process.dispatcher.dead(DocumentPage::default()).await.unwrap();
    let mut listed: Vec<_> =
        dead.iter().map(|l| (&*l.record.message.notice_id, l.record.why.as_deref())).collect();
    listed.sort_unstable();
    assert_eq!(listed, [("a1", Some("404")), ("a2", Some("404"))]);
    *process.shelf.takes.lock() = Duration::from_millis(100);
    assert_eq!(process.resend("a1").await.unwrap(), "a1-r1");
    let again = process.resend("a1").await;
    assert!(matches!(again, Err(ResendError::Already(id)) if id == "a1"));
    pass(1_000).await;
    assert_eq!(process.records(), ["dead/a1-r1/", "dead/a2/", "resent/a1/"]);
    *ops.then.lock() = Answer::Take;
    assert_eq!(process.resend("a1-r1").await.unwrap(), "a1-r2");
    pass(1_000).await;
    assert_eq!(ops.ids(), ["a1-r2"]);
    for id in ["a1", "a1-r1", "a1-r2", "a", ""] {
        let gone = process.resend(id).await;
        assert!(matches!(gone, Err(ResendError::Unknown(_))), "{id}: {gone:?}");
    }
    process.dispatcher.set_receivers(receivers(&[]));
    let gone = process.resend("a2").await;
    assert!(matches!(gone, Err(ResendError::NoReceiver(name)) if name == "ops"));
}

#[tokio::test(start_paused = true)]
async fn what_was_tried_for_an_alert_is_remembered_and_what_became_of_it_is_kept() {
    let ops = Desk::new(Answer::Take);
    ops.answers.lock().push_back(Answer::Fail);
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    let word = |id: &str| crate::notify::AlertWord {
        id: id.to_owned(),
        alert_id: String::new(),
        rule: "down".to_owned(),
        labels: Default::default(),
        severity: farol_rules::Severity::Critical,
        ended: None,
        since_ms: 0,
        ended_ms: None,
        value: None,
        annotations: Default::default(),
        elements: Default::default(),
        holds: Default::default(),
        incident: None,
    };
    let odd = "down{path=\"a\\b\"}#7";
    process.send(Message { alerts: vec![word(odd), word("x")], ..message("ops", "a", "n1") });
    process.send(Message { alerts: vec![word("x")], ..message("ops", "b", "n2") });
    pass(5_000).await;
    let tried = process.dispatcher.attempts(odd);
    let outcomes: Vec<_> =
        tried.iter().map(|a| (a.number, matches!(a.outcome, Outcome::Sent { .. }))).collect();
    assert_eq!(outcomes, [(1, false), (2, true)]);
    assert_eq!(process.dispatcher.attempts("x").len(), 3);
    let kept = process.dispatcher.of_alert(odd, i64::MIN).await.unwrap();
    assert_eq!(kept.iter().map(|l| &*l.record.message.notice_id).collect::<Vec<_>>(), ["n1"]);
    assert_eq!(process.dispatcher.of_alert("x", i64::MIN).await.unwrap().len(), 2);
    assert_eq!(process.dispatcher.of_alert("x", i64::MAX).await.unwrap(), []);
    assert_eq!(process.dispatcher.of_alert("down", i64::MIN).await.unwrap(), []);
}
