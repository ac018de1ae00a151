//! What is too old goes, and nothing else.

use super::{
    AgentKey, AgentRecord, BOOT, Case, Group, Place, agent, change, component_key, group, layout, report,
    seqs,
};
use farol_health::Status::{Healthy, Unhealthy};
use farol_monitor::store::{
    ComponentFilter, JOURNAL_KEPT_MS, LayoutKey, ReportRecord, Retention, STATUS_KEPT_MS, StatusChange, Store,
};
use farol_wire::Boot;
use futures::FutureExt;

pub(super) const CASES: &[Case] = &[
    ("reports that were never sealed go half a day after their age, with what only they needed", |place| {
        raw_reports(place).boxed()
    }),
    ("the last status before the limit stays", |place| statuses(place).boxed()),
    ("layouts that nobody uses go with the last report", |place| layouts(place).boxed()),
    ("upkeep comes to an end", |place| ends(place).boxed()),
    ("until when somebody watched is known without a commit", |place| watched(place).boxed()),
];

const UNSEALED_KEPT_MS: i64 = JOURNAL_KEPT_MS + 12 * 3_600_000;

async fn tidy(store: &dyn Store, now_ms: i64) {
    for _ in 0..10_000 {
        if !store.tidy(now_ms, &Retention::default()).await.unwrap().more {
            return;
        }
    }
    panic!("the upkeep does not come to an end");
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

async fn raw_reports(place: &dyn Place) {
    let store = place.open().await;
    let old = Boot { number: 1, nonce: 1 };
    let mut first = group(vec![report(1, old, 1, 1_000, true), report(2, BOOT, 1, 1_000, true)]);
    first.agents.push(AgentRecord { boot: BOOT, ..agent(2, "two") });
    store.commit(&first).await.unwrap();
    for seq in 1..=200 {
        store.commit(&group(vec![report(1, BOOT, seq, seq as i64 * 1_000, seq % 50 == 1)])).await.unwrap();
    }
    store.commit(&Group { forgotten: vec![AgentKey(2)], ..Group::default() }).await.unwrap();
    tidy(&*store, now_ms() + UNSEALED_KEPT_MS - 60_000).await;
    assert_eq!(seqs(&*store, 1, 0, i64::MAX).await.len(), 201);
    tidy(&*store, now_ms() + UNSEALED_KEPT_MS + 60_000).await;
    assert_eq!(seqs(&*store, 1, 0, i64::MAX).await.len(), 0);
    let known: Vec<u32> = store.agents().await.unwrap().iter().map(|a| a.key.0).collect();
    assert_eq!(known, [1], "a forgotten agent goes with its last report");
    // It goes on, and what was given is not given again.
    store.commit(&group(vec![report(1, BOOT, 201, 1_000, true)])).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    assert_eq!(seqs(&*store, 1, 0, i64::MAX).await, [201]);
    let restored = store.restore().await.unwrap();
    assert_eq!(restored.marks, [(AgentKey(1), BOOT, 201)]);
    assert_eq!(restored.last_agent_key, 2);
}

async fn layouts(place: &dyn Place) {
    let store = place.open().await;
    let with = |seq: u64, key: u32| ReportRecord {
        layout: LayoutKey(key),
        ..report(1, BOOT, seq, seq as i64, true)
    };
    let layouts = vec![layout(2), layout(3)];
    let first = Group { layouts, ..group(vec![with(1, 1), with(2, 2)]) };
    let layouts = [first.layouts.clone(), group(Vec::new()).layouts].concat();
    store.commit(&Group { layouts, ..first }).await.unwrap();
    // Three waits for its first report.
    store.commit(&Group { unused: vec![LayoutKey(2)], ..Group::default() }).await.unwrap();
    let keys = async || store.restore().await.unwrap().layouts.iter().map(|l| l.key.0).collect::<Vec<_>>();
    tidy(&*store, now_ms() + 60_000).await;
    assert_eq!(keys().await, [1, 2, 3], "reports are there");
    assert_eq!(seqs(&*store, 1, 0, i64::MAX).await, [1, 2]);
    tidy(&*store, now_ms() + UNSEALED_KEPT_MS + 120_000).await;
    assert_eq!(keys().await, [1, 3], "agents may go on to use the others");
    store.commit(&group(vec![with(3, 3)])).await.unwrap();
    assert_eq!(seqs(&*store, 1, 0, i64::MAX).await, [3]);
}

async fn statuses(place: &dyn Place) {
    let store = place.open().await;
    let now_ms = now_ms();
    let limit_ms = now_ms - STATUS_KEPT_MS;
    let at = |component: &str, ms: i64, status| change(component, limit_ms + ms, status, false);
    let changes = vec![
        at("steady", -9_000, Some(Healthy)),
        at("moving", -9_000, Some(Healthy)),
        at("moving", -5_000, Some(Unhealthy)),
        at("moving", -4_000, Some(Healthy)),
        at("moving", 5_000_000, Some(Unhealthy)),
        at("gone", -8_000, Some(Healthy)),
        at("gone", -7_000, None),
    ];
    let kept = [changes[0].clone(), changes[3].clone(), changes[4].clone()];
    let blind = vec![(limit_ms - 10_000, limit_ms - 9_000), (limit_ms, limit_ms + 5_000_000)];
    store.commit(&Group { changes, blind: blind.clone(), ..Group::default() }).await.unwrap();
    tidy(&*store, now_ms).await;
    let found = store.status_changes(ComponentFilter::default(), 0, i64::MAX).await.unwrap();
    assert_eq!(found, kept);
    assert_eq!(store.blind(0, i64::MAX).await.unwrap(), blind[1..]);
    // A component that comes again is known again.
    let back =
        StatusChange { key: component_key("one", "gone"), ..change("gone", now_ms, Some(Healthy), false) };
    store.commit(&Group { changes: vec![back.clone()], ..Group::default() }).await.unwrap();
    let gone = ComponentFilter { component: Some("gone".to_owned()), ..ComponentFilter::default() };
    assert_eq!(store.status_changes(gone, 0, i64::MAX).await.unwrap(), [back]);
}

async fn ends(place: &dyn Place) {
    let store = place.open().await;
    tidy(&*store, now_ms()).await;
    for seq in 1..=20 {
        let mut large = report(1, BOOT, seq, 0, seq == 1);
        large.blocks[0].data = vec![3; 600_000].into();
        store.commit(&group(vec![large])).await.unwrap();
        tidy(&*store, now_ms() + seq as i64 * 1_000_000).await;
    }
    assert_eq!(seqs(&*store, 1, 0, 1).await.len(), 20);
}

async fn watched(place: &dyn Place) {
    let store = place.open().await;
    store.commit(&Group::default()).await.unwrap();
    tidy(&*store, now_ms() + 3_600_000).await;
    // The one that was opened last is the one that writes.
    let store = place.open().await;
    let found = store.restore().await.unwrap().last_commit_ms.unwrap();
    assert!(found >= now_ms() + 3_500_000, "upkeep says it");
    let before = now_ms();
    store.close().await.unwrap();
    let found = place.open().await.restore().await.unwrap().last_commit_ms.unwrap();
    assert!((before..=now_ms()).contains(&found), "the closing says it");
}
