//! What a refusal costs, what it does not, and how it ends.

use super::{BOOT, Bench, changed, component, key, layout, refused, report};
use crate::fleet::Effects;
use crate::journal::Submitted;
use crate::store::{AgentKey, StoreError};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_refused_group_is_dropped_its_streams_break_and_its_effects_stay() {
    let bench = Bench::new([refused(), refused()]);
    let recovered = bench.journal.recovered();
    let follower = bench.follow();
    assert!(bench.journal.layout(&layout(1)));
    bench.journal.report(&follower, report(1, 10), false);
    bench
        .journal
        .effects(&Effects { components: vec![component("a", 1), component("b", 1)], ..changed("a", 1) });
    bench.journal.blind(3, 4);
    bench.pass(100).await;
    assert!(follower.is_broken());
    let health = bench.journal.health();
    assert_eq!((health.dropped_reports, health.queued_reports), (1, 0));
    assert!(health.refusing.is_some_and(|(_, why)| why.contains("the disk is full")));
    assert_eq!(bench.send(&follower, 2), Submitted::Dropped);
    // Meanwhile life goes on.
    bench.journal.effects(&Effects { components: vec![component("a", 2)], ..changed("a", 2) });
    bench.journal.effects(&Effects { removed: vec![key("b")], ..Effects::default() });
    assert!(!recovered.has_changed().unwrap());
    bench.pass(4_000).await;

    // Tried at once, after one second, after two more.
    assert_eq!(bench.store.times(), [0, 1_000, 3_000]);
    let last = bench.store.last();
    assert_eq!(last.reports, []);
    assert_eq!(last.layouts, [layout(1)], "reports of other streams may use it");
    assert_eq!(last.changes.iter().map(|c| c.at_ms).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((last.components, last.removed), (vec![component("a", 2)], vec![key("b")]));
    assert_eq!(last.blind, [(3, 4)]);
    assert!(recovered.has_changed().unwrap());
    assert_eq!(bench.journal.health().refusing, None);

    // The stream stays broken; a new one sends the same again.
    assert_eq!(bench.send(&follower, 2), Submitted::Dropped);
    let again = bench.follow();
    assert_eq!(bench.send(&again, 1), Submitted::Taken);
    assert_eq!(bench.send(&again, 2), Submitted::Taken);
    bench.pass(300).await;
    assert_eq!(again.committed(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refused_only_reports_is_asked_again_too() {
    let bench = Bench::new([refused()]);
    let follower = bench.follow();
    bench.send(&follower, 1);
    bench.pass(1_500).await;
    assert_eq!(bench.store.seqs(), [vec![1], vec![]]);
    assert_eq!(bench.journal.health().refusing, None);
    assert_eq!(*bench.journal.recovered().borrow(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_nobody_writes_to_is_asked_whether_it_would_take() {
    let bench = Bench::new([refused()]);
    bench.pass(4_000).await;
    assert_eq!((bench.store.times(), bench.journal.health().refusing), (vec![], None));
    bench.pass(1_500).await;
    assert!(bench.journal.health().refusing.is_some(), "{:?}", bench.store.times());
    bench.pass(2_000).await;
    assert_eq!(bench.journal.health().refusing, None);
}

#[tokio::test(start_paused = true)]
async fn tries_come_at_growing_distances_up_to_half_a_minute() {
    let bench = Bench::new((0..8).map(|_| refused()));
    let follower = bench.follow();
    bench.send(&follower, 1);
    bench.pass(200_000).await;
    let times = bench.store.times();
    let waits: Vec<u64> = times.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
    assert_eq!(waits[..8], [1, 2, 4, 8, 16, 30, 30, 30]);
    // It took an empty group: what it does with reports remains to be seen, so the wait is not short again yet.
    bench.store.answers.lock().extend([refused(), refused()]);
    let again = bench.follow();
    let before = bench.store.since_start();
    bench.send(&again, 1);
    bench.pass(100_000).await;
    let waits: Vec<u64> = bench
        .store
        .times()
        .into_iter()
        .filter(|at_ms| *at_ms > before)
        .map(|at_ms| (at_ms - before) / 1_000)
        .collect();
    assert_eq!(waits[..3], [0, 30, 60]);
    bench.send(&bench.follow(), 1);
    bench.pass(1_000).await;
    bench.store.answers.lock().push_back(refused());
    bench.send(&bench.follow(), 2);
    bench.pass(1_500).await;
    assert_eq!(
        bench.journal.health().refusing,
        None,
        "after a group with reports it is asked again after a second"
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_words_of_a_broken_stream_do_not_break_the_next_one() {
    let bench = Bench::new([refused()]);
    let old = bench.follow();
    bench.send(&old, 1);
    bench.pass(2_000).await;
    let new = bench.follow();
    assert_eq!(bench.send(&old, 2), Submitted::Dropped);
    assert!(!new.is_broken());
    assert_eq!(bench.send(&new, 1), Submitted::Taken);
}

#[tokio::test(start_paused = true)]
async fn reports_that_come_while_a_group_is_refused_are_dropped_with_it() {
    let bench = Bench::new([refused()]);
    *bench.store.takes.lock() = Duration::from_millis(500);
    let (one, two) = (bench.follow(), bench.journal.follow(AgentKey(2), BOOT));
    bench.send(&one, 1);
    bench.pass(400).await;
    assert_eq!(bench.send(&one, 2), Submitted::Taken);
    let of_two = crate::store::ReportRecord { agent: AgentKey(2), ..report(1, 10) };
    assert_eq!(bench.journal.report(&two, of_two, false), Submitted::Taken);
    bench.pass(3_000).await;
    assert!(one.is_broken() && two.is_broken());
    assert_eq!(bench.journal.health().dropped_reports, 3);
    assert_eq!(bench.store.seqs(), [vec![1], vec![]]);
    assert_eq!((one.committed(), two.committed()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_fatal_error_ends_the_writer_and_nothing_is_taken_any_more() {
    let mut bench = Bench::new([StoreError::Fatal("the sync failed".to_owned())]);
    let follower = bench.follow();
    bench.send(&follower, 1);
    let ended = bench.writer.join_next().await.unwrap().unwrap();
    assert!(matches!(ended, Err(StoreError::Fatal(why)) if why == "the sync failed"));
    assert!(follower.is_broken());
    assert_eq!(follower.committed(), 0);
    assert_eq!(bench.send(&bench.follow(), 1), Submitted::Dropped);
    let health = bench.journal.health();
    assert!(health.failed && health.refusing.is_some_and(|(_, why)| why.contains("the sync failed")));
    assert!(!*bench.store.closed.lock(), "closing would sync once more");
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_a_store_that_refuses() {
    let bench = Bench::new((0..9).map(|_| refused()));
    let follower = bench.follow();
    bench.send(&follower, 1);
    bench.pass(20_000).await;
    let before = bench.store.since_start();
    let store = std::sync::Arc::clone(&bench.store);
    bench.end().await.unwrap();
    assert_eq!(store.since_start(), before);
    assert!(*store.closed.lock());
    assert_eq!(follower.committed(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_does_not_end_is_seen_by_its_age() {
    let bench = Bench::new([]);
    assert_eq!(bench.journal.health().busy, None);
    *bench.store.takes.lock() = Duration::from_secs(60);
    let follower = bench.follow();
    bench.send(&follower, 1);
    bench.pass(12_200).await;
    let health = bench.journal.health();
    assert!(health.busy.is_some_and(|busy| busy >= Duration::from_secs(12)), "{health:?}");
    assert!(!health.dropping && health.refusing.is_none());
    let large = |seq| bench.journal.report(&follower, report(seq, 1 << 20), false);
    assert_eq!(
        (2..100).map(large).filter(|s| *s == Submitted::Taken).count(),
        63,
        "as many as there is room for"
    );
    assert!(bench.journal.health().dropping, "it is said while it goes on");
    *bench.store.takes.lock() = Duration::ZERO;
    bench.pass(120_000).await;
    let health = bench.journal.health();
    assert!(health.busy.is_none() && !health.dropping, "{health:?}");
}
