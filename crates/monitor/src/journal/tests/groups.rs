//! When a group closes, and what its end means for those who follow.

use super::{AGENT, BOOT, Bench, changed, key, layout, refused, report};
use crate::fleet::Effects;
use crate::journal::Submitted;
use crate::nudges::{Nudges, Want};
use crate::store::{AgentKey, Covered, ReportRecord, Restored, StoreError};
use farol_wire::Boot;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_group_closes_a_fifth_of_a_second_after_its_first_report() {
    let bench = Bench::new([]);
    let follower = bench.follow();
    bench.pass(3_050).await;
    for seq in 1..=3 {
        assert_eq!(bench.send(&follower, seq), Submitted::Taken);
        bench.pass(90).await;
    }
    bench.pass(500).await;
    bench.send(&follower, 4);
    bench.pass(500).await;
    assert_eq!(bench.store.seqs(), [vec![1, 2, 3], vec![4]]);
    assert_eq!(bench.store.times(), [3_250, 4_020]);
    assert_eq!((follower.committed(), bench.journal.mark(AGENT, BOOT)), (4, 4));
    let health = bench.journal.health();
    assert_eq!((health.committed_reports, health.committed_groups, health.queued_reports), (4, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_urgent_a_status_change_and_much_at_once_close_the_group_at_once() {
    let bench = Bench::new([]);
    let follower = bench.follow();
    bench.send(&follower, 1);
    bench.pass(50).await;
    bench.journal.report(&follower, report(2, 10), true);
    bench.pass(50).await;
    bench.journal.effects(&changed("a", 1));
    bench.pass(50).await;
    bench.journal.report(&follower, report(3, 2 << 20), false);
    bench.pass(50).await;
    assert_eq!(bench.store.seqs(), [vec![1, 2], vec![], vec![3]]);
    assert_eq!(bench.store.times(), [50, 100, 150]);
}

#[tokio::test(start_paused = true)]
async fn effects_without_a_status_change_wait_for_the_group() {
    let bench = Bench::new([]);
    bench.journal.effects(&Effects { shown_changed: true, ..Effects::default() });
    bench.pass(1_000).await;
    assert_eq!(bench.store.times(), [0_u64; 0], "nothing of it is for the store");
    bench.journal.effects(&Effects { forgotten: vec![AgentKey(3)], ..Effects::default() });
    bench.journal.blind(5, 9);
    bench.pass(1_000).await;
    assert_eq!(bench.store.times(), [1_200]);
    assert_eq!((bench.store.last().forgotten, bench.store.last().blind), (vec![AgentKey(3)], vec![(5, 9)]));
}

#[tokio::test(start_paused = true)]
async fn what_comes_during_a_slow_commit_goes_with_the_next_group_at_once() {
    let bench = Bench::new([]);
    *bench.store.takes.lock() = Duration::from_millis(1_000);
    let follower = bench.follow();
    bench.send(&follower, 1);
    bench.pass(300).await;
    bench.send(&follower, 2);
    bench.pass(2_500).await;
    assert_eq!(bench.store.seqs(), [vec![1], vec![2]]);
    assert_eq!(bench.store.times(), [200, 1_200]);
}

#[tokio::test(start_paused = true)]
async fn a_report_is_a_duplicate_as_soon_as_it_waits_also_on_another_stream() {
    let bench = Bench::new([]);
    let follower = bench.follow();
    assert_eq!(bench.send(&follower, 1), Submitted::Taken);
    assert_eq!(bench.send(&follower, 1), Submitted::Duplicate);
    let other = bench.follow();
    assert_eq!(bench.send(&other, 1), Submitted::Duplicate);
    assert_eq!(bench.send(&other, 2), Submitted::Taken);
    bench.pass(300).await;
    assert_eq!(bench.send(&follower, 2), Submitted::Duplicate);
    assert_eq!(bench.store.seqs(), [vec![1, 2]]);
}

#[tokio::test(start_paused = true)]
async fn marks_of_the_store_are_where_a_stream_goes_on() {
    let restored = Restored { marks: vec![(AGENT, BOOT, 7)], last_commit_ms: Some(5), ..Restored::default() };
    let bench = Bench::restored([], &restored);
    assert_eq!(bench.journal.mark(AGENT, BOOT), 7);
    assert_eq!(bench.journal.mark(AgentKey(2), BOOT), 0);
    assert_eq!(bench.journal.health().last_commit_ms, Some(5));
    let follower = bench.follow();
    assert_eq!(bench.send(&follower, 7), Submitted::Duplicate);
    assert_eq!(bench.send(&follower, 8), Submitted::Taken);
    assert_eq!(follower.beyond(7).await, 8);
}

#[tokio::test(start_paused = true)]
async fn a_report_is_dated_after_the_one_before_it_unless_a_clock_was_set() {
    let bench = Bench::new([]);
    // Both starts are followed from the first Hello on.
    let next = Boot { number: BOOT.number + 1, ..BOOT };
    let followers = [BOOT, next].map(|boot| (boot, bench.journal.follow(AGENT, boot)));
    let dated = async |boot: Boot, times: &[(u64, i64)]| {
        let (_, follower) = followers.iter().find(|(of, _)| *of == boot).unwrap();
        for (seq, at_ms) in times {
            let record = ReportRecord { boot, at_ms: *at_ms, ..report(*seq, 10) };
            bench.journal.report(follower, record, false);
        }
        bench.pass(300).await;
        bench.store.last().reports.iter().map(|report| report.at_ms).collect::<Vec<_>>()
    };
    let rising = [(1, 50_000), (2, 50_000), (3, 49_100), (4, 50_300)];
    assert_eq!(dated(BOOT, &rising).await, [50_000, 50_001, 50_002, 50_300]);
    assert_eq!(dated(BOOT, &[(5, 30_000), (6, 30_000)]).await, [30_000, 30_001]);
    // What the next start says came after it.
    assert_eq!(dated(next, &[(1, 29_900), (2, 30_500)]).await, [30_002, 30_500]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_again_after_a_refusal_is_dated_after_what_is_committed() {
    let bench = Bench::new([]);
    let send = |seq, at_ms| {
        let record = ReportRecord { at_ms, ..report(seq, 10) };
        assert_eq!(bench.journal.report(&bench.follow(), record, true), Submitted::Taken);
    };
    send(1, 50_000);
    bench.pass(300).await;
    bench.store.answers.lock().push_back(refused());
    send(2, 50_100);
    bench.pass(4_000).await;
    // On the new stream the agent's clock is mapped a little differently.
    send(2, 49_900);
    bench.pass(300).await;
    assert_eq!(bench.store.last().reports[0].at_ms, 50_001);
}

#[tokio::test(start_paused = true)]
async fn in_a_burst_each_block_ticked_after_the_report_before() {
    let bench = Bench::new([]);
    let follower = bench.follow();
    // Reports a second apart that all came at 50 s, and one that did not.
    for (seq, at_ms, before_ms) in [
        (1, 49_000, 500),
        (2, 50_000, 700),
        (3, 50_000, 701),
        (4, 50_000, 702),
        (5, 50_100, 400),
        (6, 51_100, 400),
    ] {
        let mut record = ReportRecord { at_ms, ..report(seq, 10) };
        record.blocks[0].before_ms = before_ms;
        bench.journal.report(&follower, record, false);
    }
    bench.pass(300).await;
    let last = bench.store.last();
    let ticked = last.reports.iter().map(|report| report.at_ms - i64::from(report.blocks[0].before_ms));
    assert_eq!(ticked.collect::<Vec<_>>(), [48_500, 49_300, 50_001, 50_002, 50_003, 50_700]);
}

#[tokio::test(start_paused = true)]
async fn a_commit_wakes_the_newest_stream_whoever_asked_last() {
    let bench = Bench::new([]);
    let [old, new] = [(); 2].map(|()| (bench.follow(), Arc::<Nudges>::default()));
    assert!(new.0.awaits(1, &new.1));
    assert!(old.0.awaits(9, &old.1));
    bench.send(&new.0, 1);
    bench.pass(300).await;
    assert!(new.1.is_wanted(Want::Acknowledge));
    assert!(!old.1.is_wanted(Want::Acknowledge));
}

#[tokio::test(start_paused = true)]
async fn a_layout_goes_with_the_reports_that_need_it_and_without_them() {
    let bench = Bench::new([]);
    let follower = bench.follow();
    assert!(bench.journal.layout(&layout(1)));
    bench.journal.report(&follower, report(1, 10), true);
    bench.pass(10).await;
    assert_eq!(bench.store.last().layouts, [layout(1)]);
    // Without one too: reports of other streams may use it.
    assert!(bench.journal.layout(&layout(2)));
    bench.pass(300).await;
    assert_eq!(bench.store.last().layouts, [layout(2)]);
}

#[tokio::test(start_paused = true)]
async fn the_end_commits_the_rest_and_closes_the_store() {
    let bench = Bench::new([]);
    let follower = bench.follow();
    bench.send(&follower, 1);
    bench.pass(10).await;
    bench.send(&follower, 2);
    let store = std::sync::Arc::clone(&bench.store);
    bench.end().await.unwrap();
    assert_eq!(store.seqs(), [vec![1, 2]]);
    assert_eq!(follower.committed(), 2);
    assert!(*store.closed.lock());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_idle_journal_commits_nothing() {
    let bench = Bench::new([]);
    bench.pass(10).await;
    let store = std::sync::Arc::clone(&bench.store);
    bench.end().await.unwrap();
    assert_eq!(store.times(), [0_u64; 0]);
    assert!(*store.closed.lock());
}

#[tokio::test(start_paused = true)]
async fn upkeep_goes_on_after_each_group_and_while_idle_and_at_once_when_more_is_due() {
    let bench = Bench::new([]);
    bench.store.tidied.lock().extend([Ok(false), Ok(true), Ok(true), Ok(false)]);
    bench.pass(2_500).await;
    assert_eq!(*bench.store.steps.lock(), [1_000, 2_000, 2_000, 2_000]);
    let follower = bench.follow();
    bench.send(&follower, 1);
    bench.pass(300).await;
    assert_eq!(bench.store.steps.lock().last(), Some(&2_700));
}

#[tokio::test(start_paused = true)]
async fn upkeep_that_is_refused_stops_nothing_and_upkeep_that_fails_ends_it() {
    let mut bench = Bench::new([]);
    bench.store.tidied.lock().extend([Err(super::refused()), Err(StoreError::Fatal("damaged".to_owned()))]);
    bench.pass(10_500).await;
    assert_eq!(bench.journal.health().refusing, None);
    assert_eq!(*bench.store.steps.lock(), [1_000], "it is not asked again at once");
    let ended = bench.writer.join_next().await.unwrap().unwrap();
    assert!(matches!(ended, Err(StoreError::Fatal(_))), "{ended:?}");
    assert!(bench.journal.health().failed);
    assert_eq!(*bench.store.steps.lock(), [1_000, 11_000]);
}

#[tokio::test(start_paused = true)]
async fn staleness_that_waits_gives_way_to_what_is_told_of_its_time_before_it_is_committed() {
    let bench = Bench::new([]);
    *bench.store.takes.lock() = Duration::from_secs(5);
    bench.journal.effects(&changed("first", -1));
    bench.pass(10).await;
    // While the store is slow agents are lost, come back, and tell what was.
    let stale = |name, at_ms| {
        let mut effects = changed(name, at_ms);
        effects.changes[0].stale = true;
        effects
    };
    for name in ["told", "told in part", "of another time"] {
        bench.journal.effects(&stale(name, 50));
        bench.journal.effects(&changed(name, 90));
    }
    let covered = |name, from_ms, to_ms, stale_after| Covered { key: key(name), from_ms, to_ms, stale_after };
    let all = vec![
        covered("told", 20, 90, false),
        covered("told in part", 20, 60, true),
        covered("told in part", 60, 70, true),
        covered("of another time", 10, 50, true),
    ];
    bench.journal.effects(&Effects { covered: all, ..Effects::default() });
    bench.pass(5_500).await;
    let changes = bench.store.last().changes;
    let left: Vec<_> = changes.iter().filter(|c| c.stale).map(|c| (&*c.key.component, c.at_ms)).collect();
    assert_eq!(left, [("told in part", 70), ("of another time", 50)]);
    assert_eq!(changes.len(), 5);
}
