//! Phases, cleanups and tasks, whatever they do.

use std::sync::Arc;
use std::time::Duration;

use farol_shutdown::{Budgets, Phase, Reason, Supervisor, exit};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::rig::{ms, short};

fn breaks(text: &str) {
    panic!("{text}");
}

#[tokio::test]
async fn phases_come_in_order_and_tokens_with_them() {
    let supervisor = Supervisor::new(Budgets { stop_accepting: ms(100), ..short() });
    let handle = supervisor.handle();
    let seen: Arc<Mutex<Vec<(&str, Phase)>>> = Arc::default();
    for (name, token) in
        [("stopping", handle.stopping()), ("draining", handle.draining()), ("cleaning", handle.cleaning())]
    {
        let (seen, handle) = (seen.clone(), handle.clone());
        let guard = (name == "draining").then(|| handle.drains("a stream"));
        handle.clone().spawn(name, async move {
            token.cancelled().await;
            seen.lock().push((name, handle.phase()));
            drop(guard);
        });
    }
    handle.cleanup("store", ms(100), || async { tokio::time::sleep(ms(20)).await });
    let (report, ()) = tokio::join!(supervisor.run(), async {
        assert_eq!(handle.reason(), None);
        handle.shutdown("enough");
        handle.shutdown("and again");
    });
    assert_eq!(handle.reason(), Some(Reason::Requested("enough".to_owned())));
    assert_eq!(
        *seen.lock(),
        [
            ("stopping", Phase::StopAcceptingRequests),
            ("draining", Phase::DrainConnections),
            ("cleaning", Phase::CleanupResources)
        ]
    );
    let order: Vec<_> = report.phases.iter().map(|took| took.phase.as_str()).collect();
    assert_eq!(
        order,
        ["STOP_ACCEPTING_REQUESTS", "DRAIN_CONNECTIONS", "CLEANUP_RESOURCES", "FINAL_SHUTDOWN"]
    );
    assert!(report.phases[0].took >= ms(100));
    assert_eq!((report.code, report.reason), (exit::OK, Reason::Requested("enough".into())));
}

#[tokio::test]
async fn draining_waits_for_those_who_need_the_listeners_yet_not_for_ever() {
    for (says, least, most) in [(ms(60), ms(60), ms(250)), (ms(5_000), ms(300), ms(1_000))] {
        let supervisor = Supervisor::new(Budgets { stop_accepting: ms(300), ..short() });
        let handle = supervisor.handle();
        let guard = handle.before_draining("last word");
        let draining = handle.draining();
        let word = async move {
            tokio::time::sleep(says).await;
            drop(guard);
        };
        handle.shutdown("enough");
        let began = Instant::now();
        let drains = async {
            draining.cancelled().await;
            began.elapsed()
        };
        let (report, drained) = tokio::select! {
            both = async { tokio::join!(supervisor.run(), drains) } => both,
            never = async { word.await; std::future::pending().await } => never,
        };
        assert!(drained >= least && drained < most, "{drained:?}");
        assert_eq!(report.code, exit::OK);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_cleanup_skips_the_next_and_the_last_registered_runs_first() {
    let supervisor = Supervisor::new(Budgets { cleanup: ms(6_000), ..short() });
    let handle = supervisor.handle();
    let ran: Arc<Mutex<Vec<&str>>> = Arc::default();
    let note = |name: &'static str| {
        let ran = ran.clone();
        move || ran.lock().push(name)
    };
    let first = note("store");
    handle.cleanup("store", ms(200), || async move { first() });
    let stuck = note("stuck");
    handle.cleanup("stuck", Duration::from_secs(60), || async move {
        stuck();
        std::future::pending::<()>().await;
    });
    let blocks = note("blocks");
    let (_never, wait) = std::sync::mpsc::channel::<()>();
    handle.cleanup("blocks", ms(100), || async move {
        blocks();
        // A mistake that happens: blocking code on a worker.
        assert!(wait.recv_timeout(Duration::from_secs(2)).is_err());
    });
    let panics = note("panics");
    // A panic that prints its backtrace takes its time on a busy machine.
    handle.cleanup("panics", ms(3_000), || async move {
        panics();
        breaks("no such table");
    });
    let fails = note("fails");
    handle.cleanup("fails", ms(100), || async move {
        fails();
        Err::<(), _>("disk full")
    });
    handle.shutdown("enough");
    let began = Instant::now();
    let report = supervisor.run().await;
    assert!(began.elapsed() < ms(6_700), "{:?}", began.elapsed());
    assert_eq!(*ran.lock(), ["fails", "panics", "blocks", "stuck", "store"]);
    assert_eq!(report.code, exit::CUT);
    let [fails, panics, blocks, stuck] = &report.failures[..] else { panic!("{report:?}") };
    assert_eq!((&fails[..], &panics[..]), ("fails: disk full", "panics: panicked: no such table"));
    assert!(blocks.starts_with("blocks: cut after"), "{blocks}");
    assert!(stuck.starts_with("stuck: cut after"), "{stuck}");
}

#[tokio::test]
async fn a_task_that_ends_fails_or_panics_shuts_the_process_down() {
    type Start = fn(&farol_shutdown::Handle);
    let cases: [(Start, &str); 3] = [
        (|handle| handle.spawn("ingest", async {}), "ended before the shutdown"),
        (|handle| handle.spawn("ingest", async { Err::<(), _>("socket gone") }), "socket gone"),
        (|handle| handle.spawn("ingest", async { breaks("index 7") }), "panicked: index 7"),
    ];
    for (start, expected) in cases {
        let supervisor = Supervisor::new(short());
        start(&supervisor.handle());
        let report = supervisor.run().await;
        assert_eq!(report.code, exit::CUT, "{expected}");
        assert_eq!(report.reason, Reason::Task { name: "ingest".into(), why: expected.into() });
        assert_eq!(report.failures, [format!("ingest: {expected}")]);
        assert!(report.stragglers.is_empty());
    }
}

#[tokio::test]
async fn tasks_that_never_end_are_named_and_dropped() {
    let supervisor = Supervisor::new(short());
    let handle = supervisor.handle();
    let dropped = Arc::new(());
    let held = dropped.clone();
    handle.spawn("forgetful", async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    let cleaning = handle.cleaning();
    handle.spawn("orderly", async move { cleaning.cancelled().await });
    handle.shutdown("enough");
    let began = Instant::now();
    let report = supervisor.run().await;
    assert!(began.elapsed() < short().total());
    assert_eq!((report.code, &report.stragglers[..]), (exit::CUT, &["forgetful".to_owned()][..]));
    assert_eq!(Arc::strong_count(&dropped), 1, "what it held is free");
}

#[tokio::test]
async fn a_stop_during_start_up_is_seen_by_the_start_up() {
    let supervisor = Supervisor::new(Budgets { stop_accepting: Duration::from_secs(60), ..short() });
    let handle = supervisor.handle();
    let (started, ()) = tokio::join!(handle.unless_stopping(std::future::pending::<()>()), async {
        handle.shutdown("too early")
    });
    assert!(started.is_none());
    let began = Instant::now();
    let report = supervisor.run().await;
    assert!(began.elapsed() < ms(500), "nothing was served, so no delay is due");
    assert_eq!(report.code, exit::OK);
}

#[tokio::test]
async fn several_supervisors_in_one_process_do_not_know_each_other() {
    let (one, two) = (Supervisor::new(short()), Supervisor::new(short()));
    let handle = two.handle();
    one.handle().shutdown("one");
    let report = one.run().await;
    assert_eq!(report.reason, Reason::Requested("one".into()));
    assert_eq!(handle.phase(), Phase::Running);
    assert!(!handle.stopping().is_cancelled());
    drop(two);
}
