//! The process ends at each point round the ledger, and the next one goes on from what the store holds.

use super::*;
use farol_shutdown::{Budgets, Supervisor};
use store::Stop;

/// Where the process ends, while the first of two notices of a conversation is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// The notice is on its way into the store.
    BeforeCommit,
    /// It is in the store, and nobody was told.
    AfterCommit,
    /// The receiver was asked, and did not take it.
    BeforeTaken,
    /// It took it, and has not answered.
    AfterTaken,
    /// It answered, and the word of that is on its way into the store.
    BeforeMark,
    /// That is in the store, and nobody was told.
    AfterMark,
}

/// Such a process up to its end; what the receiver took in it.
async fn until(point: Point) -> (Shelf, Vec<String>) {
    let shelf = Shelf::default();
    *shelf.stop.lock() = match point {
        Point::BeforeCommit => Some(Stop::Before(DocumentKind::Due)),
        Point::AfterCommit => Some(Stop::After(DocumentKind::Due)),
        Point::BeforeMark => Some(Stop::Before(DocumentKind::Notice)),
        Point::AfterMark => Some(Stop::After(DocumentKind::Notice)),
        Point::BeforeTaken | Point::AfterTaken => None,
    };
    let desk = Desk::new(match point {
        Point::BeforeTaken => Answer::Hang,
        Point::AfterTaken => Answer::TakeAndHang,
        _ => Answer::Take,
    });
    let process = Process::start(shelf, &[("ops", &desk)]);
    let both = ["n1", "n2"].map(|id| process.dispatcher.due(message("ops", "c", id)));
    let number = process.journal.documents(both.iter().map(crate::notify::Due::put).collect());
    for due in both {
        process.dispatcher.push(due, number);
    }
    pass(100).await;
    let taken = desk.ids();
    (process.crash(), taken)
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_nothing_that_was_committed_and_repeats_one_notice_at_most() {
    for (point, before, after) in [
        // Nobody was promised anything: the conversation was not committed either, and is decided anew.
        (Point::BeforeCommit, &[][..], &[][..]),
        (Point::AfterCommit, &[], &["n1", "n2"]),
        (Point::BeforeTaken, &[], &["n1", "n2"]),
        (Point::AfterTaken, &["n1"], &["n1", "n2"]),
        (Point::BeforeMark, &["n1"], &["n1", "n2"]),
        (Point::AfterMark, &["n1"], &["n2"]),
    ] {
        let (shelf, taken) = until(point).await;
        assert_eq!(taken, before, "{point:?}");
        let desk = Desk::new(Answer::Take);
        let process = Process::start(shelf, &[("ops", &desk)]);
        pass(1_000).await;
        assert_eq!(desk.ids(), after, "{point:?}");
        assert!(desk.taken.lock().iter().all(|got| !got.unrecorded), "{point:?}");
        assert_eq!(process.shelf.of(DocumentKind::Due), [], "{point:?}");
        // What comes now is later than all that was restored.
        process.tell("ops", "c");
        pass(1_000).await;
        assert_eq!(desk.ids().last().map(String::as_str), Some("c1"), "{point:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_that_follows_a_crash_repeats_the_same_one_again_and_none_is_overtaken() {
    let (mut shelf, _) = until(Point::AfterTaken).await;
    for _ in 0..3 {
        let desk = Desk::new(Answer::TakeAndHang);
        let process = Process::start(shelf, &[("ops", &desk)]);
        // Later than all that was restored, in the next process too.
        process.tell("ops", "c");
        pass(100).await;
        assert_eq!(desk.ids(), ["n1"]);
        shelf = process.crash();
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_decided_by_the_end_of_the_process_is_due_at_the_next_start() {
    let (slow, dead) = (Desk::new(Answer::Slowly(Duration::from_secs(1))), Desk::new(Answer::Hang));
    let mut process = Process::start(Shelf::default(), &[("slow", &slow), ("dead", &dead)]);
    for _ in 0..3 {
        process.tell("slow", "s");
    }
    process.tell("dead", "d");
    pass(100).await;
    let began = tokio::time::Instant::now();
    process.end.cancel();
    process.sending.join_next().await.unwrap().unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    pass(100).await;
    assert_eq!(slow.ids(), ["s1", "s2"]);
    let shelf = process.crash();
    let (slow, dead) = (Desk::new(Answer::Take), Desk::new(Answer::Take));
    let _process = Process::start(shelf, &[("slow", &slow), ("dead", &dead)]);
    pass(100).await;
    assert_eq!((slow.ids(), dead.ids()), (vec!["s3".to_owned()], vec!["d4".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn an_end_with_nothing_to_send_takes_no_time() {
    let ops = Desk::new(Answer::Fail);
    let mut process = Process::start(Shelf::default(), &[("ops", &ops)]);
    process.tell("ops", "a");
    // It waits for its second try by then, or a third.
    pass(600_000).await;
    let began = tokio::time::Instant::now();
    process.end.cancel();
    process.sending.join_next().await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_millis(5));
    assert_eq!(process.shelf.of(DocumentKind::Due).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_days_before_the_start_is_tried_for_an_hour_all_the_same() {
    let (shelf, _) = until(Point::AfterCommit).await;
    let ops = Desk::new(Answer::Fail);
    let process = Process::start(shelf, &[("ops", &ops)]);
    pass(3_590_000).await;
    assert_eq!(process.records(), [""; 0]);
    pass(400_000).await;
    assert_eq!(process.records()[0], "dead/n1/");
    // One tries to send each, at least.
    pass(400_000).await;
    assert_eq!(process.records(), ["dead/n1/", "dead/n2/"]);
    assert!(ops.tried.lock().iter().any(|got| got.id == "n2"));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_sends_what_is_due_and_its_record_is_kept() {
    let supervisor = Supervisor::new(Budgets::default());
    let handle = supervisor.handle();
    let shelf = Arc::new(Shelf::default());
    let (journal, writer) = journal::open(Arc::clone(&shelf) as Arc<dyn Store>, &Restored::default());
    let (flush, mut writing) = (CancellationToken::new(), JoinSet::new());
    writing.spawn(writer.run(flush.clone()));
    handle.cleanup("store", Duration::from_secs(4), move || async move {
        flush.cancel();
        writing.join_next().await.unwrap().unwrap()
    });
    let ops = Desk::new(Answer::Slowly(Duration::from_millis(500)));
    let store = Arc::clone(&shelf) as Arc<dyn Store>;
    let dispatcher = Dispatcher::new(journal.clone(), store, Arc::new(Told::default()));
    dispatcher.set_receivers(receivers(&[("ops", &ops)]));
    dispatcher.run(&handle);
    // The last words come when others are cleaned up already.
    let late = dispatcher.clone();
    handle.cleanup("late", Duration::from_secs(1), move || async move {
        let due = late.due(message("ops", "c", "n"));
        let number = journal.documents(vec![due.put()]);
        late.push(due, number);
    });
    handle.shutdown("a test");
    let report = supervisor.run().await;
    assert_eq!((report.code, &report.stragglers[..], &report.failures[..]), (0, &[][..], &[][..]));
    assert_eq!(ops.ids(), ["n"]);
    assert_eq!(shelf.of(DocumentKind::Due), []);
    assert_eq!(shelf.of(DocumentKind::Notice).len(), 1);
}
