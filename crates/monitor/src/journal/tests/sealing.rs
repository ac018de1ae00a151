//! Sealed records on their way into a group.

use super::{BOOT, Bench, layout, refused, report};
use crate::store::{LayoutKey, ReportRecord};

/// Each number under another layout than the one before: the run before it is over.
fn under(layout: u32, seq: u64) -> ReportRecord {
    ReportRecord { layout: LayoutKey(layout), key: true, ..report(seq, 10) }
}

fn sealed(bench: &Bench) -> Vec<Vec<u64>> {
    let groups = bench.store.groups.lock();
    groups.iter().map(|(_, group)| group.sealed.iter().map(|record| record.last_seq).collect()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_committed_is_sealed_and_goes_with_a_later_group() {
    let bench = Bench::new([]);
    let follower = bench.follow();
    assert!(bench.journal.layout(&layout(1)) && bench.journal.layout(&layout(2)));
    bench.journal.report(&follower, under(1, 1), false);
    bench.journal.report(&follower, under(1, 2), false);
    bench.journal.report(&follower, under(2, 3), false);
    bench.pass(150).await;
    assert_eq!(sealed(&bench), [[0_u64; 0]; 0]);
    bench.pass(500).await;
    assert_eq!(sealed(&bench), [vec![], vec![2]]);
    let groups = bench.store.groups.lock();
    let record = &groups[1].1.sealed[0];
    assert_eq!((record.boot, record.first_seq, record.layout), (BOOT, 1, LayoutKey(1)));
}

#[tokio::test(start_paused = true)]
async fn a_sealed_record_that_is_refused_comes_again_before_later_ones() {
    let bench = Bench::new([]);
    let follower = bench.follow();
    assert!(bench.journal.layout(&layout(1)) && bench.journal.layout(&layout(2)));
    bench.journal.report(&follower, under(1, 1), false);
    bench.journal.report(&follower, under(2, 2), false);
    bench.pass(190).await;
    bench.store.answers.lock().clear();
    bench.pass(20).await;
    // The first group is committed; the one with the sealed record is refused.
    bench.store.answers.lock().push_back(refused());
    bench.pass(300).await;
    bench.pass(3_000).await;
    let all: Vec<u64> = sealed(&bench).concat();
    assert_eq!(all, [1, 1], "refused, and taken");
    assert_eq!(bench.journal.health().refusing, None);
    assert_eq!(follower.committed(), 2);
}
