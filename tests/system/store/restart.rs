//! What a starting monitor finds.

use super::{
    AgentKey, BOOT, Case, Group, Place, agent, component, component_key, group, layout, report, seqs,
};
use farol_monitor::store::{AgentRecord, Retention, StoreError};
use farol_wire::{Boot, Role};
use futures::FutureExt;

pub(super) const CASES: &[Case] = &[
    ("a new store knows nothing", |place| new_store(place).boxed()),
    ("what was committed is found again", |place| found_again(place).boxed()),
    ("marks are the last committed numbers", |place| marks(place).boxed()),
    ("the last word counts", |place| last_word(place).boxed()),
    ("a closed store refuses", |place| closed(place).boxed()),
];

async fn new_store(place: &dyn Place) {
    let store = place.open().await;
    let restored = store.restore().await.unwrap();
    assert!(restored.agents.is_empty() && restored.marks.is_empty() && restored.components.is_empty());
    assert_eq!((restored.last_commit_ms, restored.last_agent_key), (None, 0));
    assert!(!store.id().is_empty());
    assert_eq!(seqs(&*store, 1, i64::MIN, i64::MAX).await, [0u64; 0]);
    store.commit(&Group::default()).await.unwrap();
    let id = store.id();
    store.close().await.unwrap();
    let again = place.open().await;
    assert_eq!(again.id(), id, "the id stays");
    assert!(again.restore().await.unwrap().last_commit_ms.is_some(), "an empty group is a commit");
}

async fn found_again(place: &dyn Place) {
    let store = place.open().await;
    let host = AgentRecord { role: Role::Host, last_seen_ms: 9_000, ..agent(7, "shop:two") };
    let mut first = group(vec![report(1, BOOT, 1, 5_000, true)]);
    first.agents.push(host.clone());
    first.components = vec![component("one", "database"), component("shop:two", "cache")];
    store.commit(&first).await.unwrap();
    for again in [false, true] {
        // Also without being closed: that is what `kill -9` leaves.
        let store = if again { place.open().await } else { store.clone() };
        let mut found = store.restore().await.unwrap();
        // The newest report is later than what the record says.
        let one = AgentRecord { last_seen_ms: 5_000, ..agent(1, "one") };
        assert_eq!(found.agents, [one, host.clone()]);
        found.components.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(found.components, first.components);
        assert_eq!(found.layouts, [layout(1)]);
        assert_eq!(found.marks, [(AgentKey(1), BOOT, 1)]);
        assert_eq!((found.last_agent_key, found.last_layout_key), (7, 1));
        let age_ms = jiff::Timestamp::now().as_millisecond() - found.last_commit_ms.unwrap();
        assert!((0..60_000).contains(&age_ms), "{age_ms}");
        let known = store.agents().await.unwrap();
        assert_eq!(
            known.iter().map(|a| (a.key.0, &*a.id)).collect::<Vec<_>>(),
            [(1, "one"), (7, "shop:two")]
        );
    }
}

async fn marks(place: &dyn Place) {
    let store = place.open().await;
    let boots = [
        Boot { number: 0, nonce: 0 },
        Boot { number: u64::MAX, nonce: 5 },
        Boot { number: u64::MAX, nonce: 1 },
    ];
    let mut expected = Vec::new();
    for (agent, boot) in [1, 2].into_iter().flat_map(|agent| boots.map(|boot| (agent, boot))) {
        expected.push((AgentKey(agent), boot, 4));
    }
    for seq in 1..=4 {
        let reports =
            expected.iter().map(|(agent, boot, _)| report(agent.0, *boot, seq, 1_000, seq == 1)).collect();
        store.commit(&group(reports)).await.unwrap();
        while store.tidy(seq as i64 * 100_000, &Retention::default()).await.unwrap().more {}
    }
    store.close().await.unwrap();
    for _ in 0..2 {
        let mut found = place.open().await.restore().await.unwrap().marks;
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

async fn last_word(place: &dyn Place) {
    let store = place.open().await;
    let mut first = group(Vec::new());
    first.agents = vec![agent(1, "one"), agent(2, "two"), agent(3, "three")];
    first.components = vec![component("one", "a"), component("one", "b"), component("two", "a")];
    store.commit(&first).await.unwrap();
    let mut changed = component("one", "a");
    (changed.required, changed.checked_ms, changed.reason) = (false, Some(77), "".into());
    let renamed = AgentRecord { interval_ms: 1, version: "2".into(), ..agent(1, "one") };
    let second = Group {
        agents: vec![renamed.clone()],
        components: vec![changed.clone()],
        removed: vec![component_key("two", "a"), component_key("never", "seen")],
        forgotten: vec![AgentKey(2), AgentKey(3), AgentKey(99)],
        ..Group::default()
    };
    store.commit(&second).await.unwrap();
    store.close().await.unwrap();
    let store = place.open().await;
    let mut found = store.restore().await.unwrap();
    found.components.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(found.agents, [renamed]);
    assert_eq!(found.components, [changed, component("one", "b")]);
    assert_eq!(found.last_agent_key, 3, "a key is never given again");
    let known: Vec<u32> = store.agents().await.unwrap().iter().map(|a| a.key.0).collect();
    assert_eq!(known, [1, 2, 3], "a forgotten agent's reports can still be asked for");
}

async fn closed(place: &dyn Place) {
    let store = place.open().await;
    store.commit(&group(vec![report(1, BOOT, 1, 0, true)])).await.unwrap();
    store.close().await.unwrap();
    let refused = store.commit(&group(vec![report(1, BOOT, 2, 0, false)])).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(seqs(&*place.open().await, 1, i64::MIN, i64::MAX).await, [1]);
}
