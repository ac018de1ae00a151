//! Receivers that fail, hang or ask for a pause.

use super::*;
use crate::notify::Outcome;
use crate::notify::receivers::tests::alert;

#[tokio::test(start_paused = true)]
async fn a_receiver_that_fails_for_five_minutes_gets_each_notice_once_and_in_order() {
    let (ops, other) = (Desk::new(Answer::Fail), Desk::new(Answer::Take));
    let process = Process::start(Shelf::default(), &[("ops", &ops), ("other", &other)]);
    for _ in 0..20 {
        for conversation in ["a", "b", "c", "d", "e", "f"] {
            process.tell("ops", conversation);
        }
        process.tell("other", "o");
        pass(15_000).await;
    }
    assert_eq!(other.ids().len(), 20);
    assert!(other.tried_ms().iter().all(|at_ms| at_ms % 15_000 == 0), "{:?}", other.tried_ms());
    assert!(ops.tried.lock().len() < 120, "it is not stormed: {}", ops.tried.lock().len());
    assert_eq!(process.told.failing.lock()[..], [("ops".to_owned(), Some("500".to_owned()))]);
    ops.tried.lock().clear();
    *ops.then.lock() = Answer::Take;
    pass(300_001).await;
    let ids = ops.ids();
    assert_eq!(ids.len(), 120);
    for conversation in ["a", "b", "c", "d", "e", "f"] {
        let came = of(&ids, conversation);
        let numbers: Vec<u32> = came.iter().map(|id| id[1..].parse().unwrap()).collect();
        assert_eq!(numbers.len(), 20);
        assert!(numbers.is_sorted(), "{came:?}");
    }
    assert!(ops.taken.lock().iter().all(|got| !got.unrecorded));
    assert_eq!(process.told.failing.lock()[1..], [("ops".to_owned(), None)]);
    pass(1_000).await;
    assert_eq!(process.shelf.of(DocumentKind::Due), []);
    assert_eq!(process.records().len(), 140);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_holds_no_other_up_and_is_cut_after_ten_seconds() {
    let (ops, other) = (Desk::new(Answer::Hang), Desk::new(Answer::Take));
    let process = Process::start(Shelf::default(), &[("ops", &ops), ("other", &other)]);
    for conversation in ["a", "b", "c", "d", "e", "f"] {
        process.tell("ops", conversation);
    }
    for n in 0..5 {
        process.tell("other", "o");
        pass(1_000).await;
        assert_eq!(other.tried.lock()[n].at_ms, n as u64 * 1_000);
    }
    assert_eq!((ops.tried.lock().len(), ops.at_once.lock().1), (4, 4));
    pass(5_001).await;
    let attempts = process.told.attempts.lock().clone();
    let cut: Vec<_> = attempts.iter().filter(|attempt| &*attempt.receiver == "ops").collect();
    assert_eq!(cut.len(), 4);
    assert!(cut.iter().all(|attempt| attempt.took == Duration::from_secs(10)));
    assert!(matches!(&cut[0].outcome, Outcome::Retry { why, .. } if why == "no answer within 10 s"));
    *ops.at_once.lock() = (0, 0);
    pass(120_000).await;
    assert_eq!(ops.at_once.lock().1, 1, "one at a time asks whether it takes again");
}

#[tokio::test(start_paused = true)]
async fn one_whose_answers_take_long_is_cut_by_its_own_deadline() {
    let mail = Desk::new(Answer::Slowly(Duration::from_secs(45)));
    *mail.deadline.lock() = Duration::from_secs(60);
    let process = Process::start(Shelf::default(), &[("mail", &mail)]);
    process.tell("mail", "a");
    pass(46_000).await;
    assert_eq!((mail.tried.lock().len(), mail.ids()), (1, vec!["a1".into()]));
    *mail.then.lock() = Answer::Hang;
    process.tell("mail", "b");
    pass(60_100).await;
    let last = process.told.attempts.lock().last().unwrap().outcome.clone();
    assert!(matches!(&last, Outcome::Retry { why, .. } if why == "no answer within 60 s"), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_may_change_soon_is_borne_for_ten_minutes() {
    let ops = Desk::new(Answer::Unsure);
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    process.tell("ops", "a");
    pass(590_000).await;
    *ops.then.lock() = Answer::Take;
    pass(300_001).await;
    assert_eq!(ops.ids(), ["a1"], "its password was changed");

    *ops.then.lock() = Answer::Unsure;
    for conversation in ["a", "a", "b"] {
        process.tell("ops", conversation);
    }
    let dead = || -> Vec<(u32, String)> {
        let attempts = process.told.attempts.lock().clone();
        let dead = attempts.into_iter().filter_map(|attempt| match attempt.outcome {
            Outcome::Dead { why } => Some((attempt.number, why)),
            _ => None,
        });
        dead.collect()
    };
    pass(599_000).await;
    assert_eq!(dead(), []);
    pass(1_800_000).await;
    let dead = dead();
    assert_eq!(dead.len(), 3, "{dead:?}");
    assert!(dead.iter().all(|(_, why)| why == "given up after ten minutes: 401"), "{dead:?}");
    assert_eq!(
        dead.iter().filter(|(tries, _)| *tries == 1).count(),
        1,
        "what waited behind it has waited: {dead:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_was_asked_for_is_kept_by_all_conversations() {
    let ops = Desk::new(Answer::Take);
    ops.answers.lock().push_back(Answer::Pause(Duration::from_secs(120)));
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    process.tell("ops", "a");
    pass(1_000).await;
    for conversation in ["b", "c", "a"] {
        process.tell("ops", conversation);
    }
    pass(118_990).await;
    assert_eq!(ops.tried_ms(), [0], "nothing before");
    assert_eq!(process.told.failing.lock().len(), 1, "told after a minute, though nothing was tried");
    pass(1_020).await;
    assert_eq!(ops.ids().len(), 4);
    assert!(
        ops.tried_ms()[1..].iter().all(|at_ms| (120_000..120_010).contains(at_ms)),
        "{:?}",
        ops.tried_ms()
    );
}

#[tokio::test(start_paused = true)]
async fn what_takes_many_tries_goes_on_at_once_and_is_no_failure() {
    let ops = Desk::new(Answer::Take);
    let (takes, pause) = (Duration::from_secs(5), Duration::from_secs(30));
    *ops.of.lock() = Some(("many".to_owned(), Answer::Partly(takes, None)));
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    let alerts = vec![alert("a", "pay-1")];
    process.send(Message { alerts, ..message("ops", "many", "many1") });
    for _ in 0..20 {
        process.tell("ops", "few");
        pass(5_000).await;
    }
    assert_eq!(ops.ids().len(), 20, "others do not wait");
    assert!(ops.taken.lock().iter().all(|got| got.at_ms % 5_000 < 5));
    let tries = ops.tried.lock().iter().filter(|got| got.id == "many1").count();
    assert!((20..=21).contains(&tries), "{tries}");
    assert_eq!((process.told.failing.lock().len(), process.stats("ops").failed), (0, 0));
    let told = process.told.attempts.lock().clone();
    assert!(!told.iter().any(|attempt| matches!(attempt.outcome, Outcome::Retry { .. })), "{told:?}");
    assert!(told.iter().any(|attempt| matches!(attempt.outcome, Outcome::Partly { .. })), "{told:?}");
    let waiting_failed = || {
        let waiting = process.dispatcher.waiting("a");
        waiting.iter().map(|notice| (notice.notice_id.clone(), notice.failed)).collect::<Vec<_>>()
    };
    assert_eq!(waiting_failed(), [("many1".to_owned(), 0)]);
    *ops.of.lock() = Some(("many".to_owned(), Answer::Partly(Duration::ZERO, Some(pause))));
    pass(10_000).await;
    ops.tried.lock().clear();
    *ops.of.lock() = None;
    pass(19_000).await;
    assert_eq!(ops.tried.lock().len(), 0, "a pause is kept");
    pass(10_000).await;
    assert_eq!(ops.ids().last().map(|id| &**id), Some("many1"));
    assert_eq!(process.told.failing.lock().len(), 0);
    ops.answers.lock().extend([Answer::Partly(takes, None), Answer::Fail]);
    process.tell("ops", "many");
    pass(10_000).await;
    let told = process.told.attempts.lock().clone();
    let last: Vec<(u32, u32)> = told[told.len() - 3..].iter().map(|it| (it.number, it.failed)).collect();
    assert_eq!(last, [(1, 0), (2, 1), (3, 1)], "the second one is the first that failed");
}

#[tokio::test(start_paused = true)]
async fn a_round_in_which_nothing_was_taken_is_no_sign_that_a_receiver_takes_again() {
    let ops = Desk::new(Answer::RefuseSome(Duration::from_secs(5)));
    ops.answers.lock().push_back(Answer::Refuse);
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    process.tell("ops", "a");
    process.tell("ops", "a");
    pass(30_000).await;
    assert_eq!(ops.tried.lock().len(), 7, "it goes on at once");
    assert_eq!(process.told.failing.lock()[..], [("ops".to_owned(), Some("404".to_owned()))]);
    assert_eq!(process.stats("ops").last_failure.map(|(_, why)| why).as_deref(), Some("404"));
    *ops.then.lock() = Answer::Partly(Duration::ZERO, Some(Duration::from_secs(30)));
    pass(6_000).await;
    assert_eq!(process.told.failing.lock()[1..], [("ops".to_owned(), None)], "it took some");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_fails_alone_holds_no_other_up() {
    let ops = Desk::new(Answer::Take);
    *ops.of.lock() = Some(("bad".to_owned(), Answer::Fail));
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    process.tell("ops", "bad");
    process.tell("ops", "bad");
    for _ in 0..600 {
        pass(1_000).await;
        process.tell("ops", "good");
    }
    pass(10).await;
    let good: Vec<u64> = ops.taken.lock().iter().map(|got| got.at_ms).collect();
    assert_eq!(good.len(), 600);
    assert!(good.iter().zip(1..).all(|(at_ms, n)| *at_ms - n * 1_000 < 5), "{good:?}");
    let stats = process.stats("ops");
    assert_eq!((stats.waiting, stats.failing), (2, None), "whatever was said of the first second");
}

#[tokio::test(start_paused = true)]
async fn what_was_tried_for_a_day_or_is_refused_dies_and_the_next_goes() {
    let ops = Desk::new(Answer::Fail);
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    process.tell("ops", "a");
    pass(86_399_000).await;
    assert_eq!(process.records(), [""; 0]);
    pass(301_000).await;
    assert_eq!(process.records(), ["dead/a1/"]);
    let last = process.told.attempts.lock().last().unwrap().outcome.clone();
    assert_eq!(last, Outcome::Dead { why: "given up after a day: 500".into() });
    ops.answers.lock().push_back(Answer::Refuse);
    *ops.then.lock() = Answer::Take;
    process.tell("ops", "b");
    process.tell("ops", "b");
    pass(1_000).await;
    assert_eq!(ops.ids(), ["b3"]);
    assert_eq!(process.records(), ["dead/a1/", "dead/b2/", "sent/b3/"]);
    let stats = process.stats("ops");
    assert_eq!((stats.sent, stats.dead, stats.waiting), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_panics_fails() {
    let ops = Desk::new(Answer::Take);
    ops.answers.lock().push_back(Answer::Panic);
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    process.tell("ops", "a");
    pass(2_000).await;
    assert_eq!(ops.ids(), ["a1"]);
    assert_eq!(process.told.attempts.lock().iter().map(|a| a.number).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn too_many_notices_are_told_and_what_tells_nothing_new_goes_first() {
    let ops = Desk::new(Answer::Fail);
    let process = Process::start(Shelf::default(), &[("ops", &ops)]);
    for n in 0..10_000 {
        let why = if n == 500 { Why::Repeat } else { Why::First };
        process.send(Message { why, ..message("ops", &format!("c{}", n % 100), &n.to_string()) });
    }
    pass(1_000).await;
    assert_eq!(process.told.full.lock()[..], []);
    process.tell("ops", "x");
    pass(1).await;
    process.tell("ops", "x");
    pass(100).await;
    assert_eq!(process.told.full.lock()[..], [("ops".to_owned(), true)]);
    let dead = process.told.attempts.lock().clone();
    let dead: Vec<_> = dead.iter().filter(|attempt| attempt.number == 0).map(|a| &*a.notice_id).collect();
    assert_eq!(dead[0], "500");
    assert_eq!((dead.len(), process.stats("ops").dropped), (2, 2));
    *ops.then.lock() = Answer::Take;
    pass(600_000).await;
    assert_eq!(process.told.full.lock()[1..], [("ops".to_owned(), false)]);
    assert_eq!(ops.ids().len(), 10_000);
}
