//! Reports come back whole, once, in order, and so that they can be decoded.

use super::{AgentKey, BOOT, Case, Place, group, layout, read, report, seqs};
use farol_monitor::store::{Group, LayoutKey, ReportRecord};
use farol_wire::Boot;
use futures::FutureExt;
use std::ops::ControlFlow;

pub(super) const CASES: &[Case] = &[
    ("reports come back as they were", |place| as_they_were(place).boxed()),
    ("a range begins with the key report it needs", |place| ranges(place).boxed()),
    ("agents and boots come one after another", |place| in_order(place).boxed()),
    ("a report that was committed twice comes once", |place| once(place).boxed()),
    ("what has no key report is left out", |place| without_key(place).boxed()),
    ("a layout that comes later belongs to later reports", |place| layouts(place).boxed()),
    ("a visitor that has seen enough sees no more", |place| enough(place).boxed()),
];

async fn as_they_were(place: &dyn Place) {
    let store = place.open().await;
    let mut all: Vec<ReportRecord> = (1..=300)
        .map(|seq| report(1, BOOT, seq, 1_760_000_000_000 + seq as i64 * 10_000, seq % 60 == 1))
        .collect();
    all[250].blocks.clear();
    all[251].blocks[0].data = vec![0xee; 70_000].into();
    // Times may go back a little when a clock is mapped anew.
    all[100].at_ms -= 15_000;
    for some in all.chunks(7) {
        store.commit(&group(some.to_vec())).await.unwrap();
    }
    for again in [false, true] {
        let store = if again { place.open().await } else { store.clone() };
        let found = read(&*store, &[1], i64::MIN, i64::MAX).await;
        assert!(found.iter().all(|stored| stored.layout == layout(1)));
        assert_eq!(found.into_iter().map(|stored| stored.report).collect::<Vec<_>>(), all);
    }
}

async fn ranges(place: &dyn Place) {
    let store = place.open().await;
    // Key reports are 1, 11, 21 …; report n is made at n seconds; three reports a group.
    let all: Vec<ReportRecord> =
        (1..=60).map(|seq| report(1, BOOT, seq, seq as i64 * 1_000, seq % 10 == 1)).collect();
    for some in all.chunks(3) {
        store.commit(&group(some.to_vec())).await.unwrap();
    }
    for (from_ms, to_ms, in_range) in [
        (0, 100_000, 1..=60),
        (15_000, 16_000, 15..=16),
        (11_000, 11_000, 11..=11),
        (20_001, 31_999, 21..=31),
        (59_500, 100_000, 60..=60),
    ] {
        let found = seqs(&*store, 1, from_ms, to_ms).await;
        let key = (in_range.start() - 1) / 10 * 10 + 1;
        assert!(found.contains(&key), "{from_ms}..={to_ms}: {found:?} has no key report {key}");
        assert!(
            found.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{from_ms}..={to_ms}: {found:?} has a hole"
        );
        let inside: Vec<u64> =
            found.into_iter().filter(|seq| (from_ms..=to_ms).contains(&(*seq as i64 * 1_000))).collect();
        assert_eq!(inside, in_range.collect::<Vec<_>>(), "{from_ms}..={to_ms}");
    }
    assert_eq!(seqs(&*store, 1, 61_000, 90_000).await, [0u64; 0]);
    assert_eq!(seqs(&*store, 2, 0, 90_000).await, [0u64; 0]);
}

async fn in_order(place: &dyn Place) {
    let store = place.open().await;
    let boots = [3, 1, 2].map(|number| Boot { number, nonce: 10 - number });
    for seq in 1..=3 {
        let reports = [2, 1].into_iter().flat_map(|agent| boots.map(|boot| (agent, boot)));
        let reports = reports.map(|(agent, boot)| report(agent, boot, seq, 1_000, seq == 1)).collect();
        store.commit(&group(reports)).await.unwrap();
    }
    let found = read(&*store, &[2, 1, 3], 0, 5_000).await;
    let found: Vec<_> =
        found.iter().map(|s| (s.report.agent.0, s.report.boot.number, s.report.seq)).collect();
    let expected: Vec<_> =
        [2, 1].into_iter().flat_map(|a| (1..=3).flat_map(move |b| (1..=3).map(move |s| (a, b, s)))).collect();
    assert_eq!(found, expected);
}

async fn once(place: &dyn Place) {
    let store = place.open().await;
    let of =
        |seqs: &[u64]| group(seqs.iter().map(|seq| report(1, BOOT, *seq, *seq as i64, *seq == 1)).collect());
    store.commit(&of(&[1, 2, 3])).await.unwrap();
    store.commit(&of(&[2, 3, 4, 4])).await.unwrap();
    store.commit(&of(&[1, 5])).await.unwrap();
    assert_eq!(seqs(&*store, 1, 0, 10).await, [1, 2, 3, 4, 5]);
}

async fn without_key(place: &dyn Place) {
    let store = place.open().await;
    for seq in 5..=9 {
        store.commit(&group(vec![report(1, BOOT, seq, seq as i64, seq == 8)])).await.unwrap();
    }
    assert_eq!(seqs(&*store, 1, 0, 100).await, [8, 9]);
    assert_eq!(seqs(&*store, 1, 0, 6).await, [0u64; 0]);
    assert_eq!(seqs(&*store, 1, 9, 9).await, [8, 9]);
}

async fn layouts(place: &dyn Place) {
    let store = place.open().await;
    store.commit(&group(vec![report(1, BOOT, 1, 1, true), report(1, BOOT, 2, 2, false)])).await.unwrap();
    let with = |seq: u64, layout: u32| ReportRecord {
        layout: LayoutKey(layout),
        ..report(1, BOOT, seq, seq as i64, true)
    };
    let reports = vec![with(3, 1), with(4, 2), with(5, 1), with(6, 2)];
    store.commit(&Group { layouts: vec![layout(2)], reports, ..Group::default() }).await.unwrap();
    store.close().await.unwrap();
    let found = read(&*place.open().await, &[1], 0, 10).await;
    let found: Vec<_> = found.iter().map(|s| (s.report.seq, s.report.layout.0, s.layout.key.0)).collect();
    assert_eq!(found, [(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 2, 2), (5, 1, 1), (6, 2, 2)]);
}

async fn enough(place: &dyn Place) {
    let store = place.open().await;
    let reports =
        (1..=3).flat_map(|agent| (1..=3).map(move |seq| report(agent, BOOT, seq, 0, seq == 1))).collect();
    store.commit(&group(reports)).await.unwrap();
    let mut seen = Vec::new();
    let mut visit = |stored: super::StoredReport| {
        seen.push((stored.report.agent.0, stored.report.seq));
        if seen.len() == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.reports(&[AgentKey(1), AgentKey(2), AgentKey(3)], 0, 0, &mut visit).await.unwrap();
    assert_eq!(seen, [(1, 1), (1, 2), (1, 3), (2, 1)]);
}
