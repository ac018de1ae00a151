//! Random commits: each real store and the double must tell the same afterwards. The seed is printed on failure.

use super::{
    AgentKey, AgentRecord, Boot, Databases, Durability, Group, InMemory, MemoryStore, Place, agent, change,
    component, component_key, layout, on_disk, report,
};
use farol_health::Status;
use farol_monitor::store::{AgentRecord as Record, ComponentFilter, Covered, Restored, Store};

/// A small generator of numbers: the same seed, the same run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn random_group(dice: &mut Dice, next: &mut [[u64; 2]; 3]) -> Group {
    let mut group = Group { layouts: vec![layout(1)], ..Group::default() };
    for _ in 0..dice.roll(6) {
        let (who, which) = (dice.roll(3) as usize, dice.roll(2) as usize);
        let boot = Boot { number: which as u64, nonce: 3 };
        next[who][which] += 1;
        let seq = next[who][which];
        let at_ms = (seq * 1_000 + dice.roll(100)) as i64;
        group.reports.push(report(who as u32 + 1, boot, seq, at_ms, seq == 1 || dice.roll(5) == 0));
    }
    for _ in 0..dice.roll(3) {
        let key = dice.roll(3) as u32 + 1;
        group.agents.retain(|a| a.key.0 != key);
        group
            .agents
            .push(AgentRecord { last_seen_ms: dice.roll(90_000) as i64, ..agent(key, NAMES[key as usize]) });
    }
    let name = |dice: &mut Dice| NAMES[dice.roll(4) as usize];
    for _ in 0..dice.roll(4) {
        let status = [None, Some(Status::Healthy), Some(Status::Unhealthy)][dice.roll(3) as usize];
        let stale = status.is_some() && dice.roll(2) == 0;
        group.changes.push(change(name(dice), dice.roll(200) as i64, status, stale));
    }
    for _ in 0..dice.roll(3) {
        let from_ms = dice.roll(200) as i64;
        let to_ms = from_ms + dice.roll(60) as i64;
        let stale_after = dice.roll(2) == 0;
        group.covered.push(Covered { key: component_key("one", name(dice)), from_ms, to_ms, stale_after });
    }
    if dice.roll(3) == 0 {
        let from_ms = dice.roll(20) as i64 * 10;
        group.blind.push((from_ms, from_ms + 1 + dice.roll(9) as i64));
    }
    match dice.roll(3) {
        0 => group.components.push(component("one", name(dice))),
        1 => group.removed.push(component_key("one", name(dice))),
        _ => {}
    }
    if dice.roll(12) == 0 {
        group.forgotten.push(AgentKey(dice.roll(3) as u32 + 1));
    }
    group
}

fn sorted(mut restored: Restored) -> (Vec<Record>, String) {
    restored.components.sort_by(|a, b| a.key.cmp(&b.key));
    restored.marks.sort_unstable();
    let rest = (restored.components, restored.marks, restored.layouts, restored.last_agent_key);
    (restored.agents, format!("{rest:?}"))
}

async fn told(store: &dyn Store, dice: &mut Dice) -> String {
    let mut all = String::new();
    for _ in 0..4 {
        let (from_ms, length_ms) = (dice.roll(200) as i64, dice.roll(200) as i64);
        let name = NAMES[dice.roll(4) as usize];
        for component in [None, Some(name.to_owned())] {
            let filter = ComponentFilter { component, ..ComponentFilter::default() };
            let changes = store.status_changes(filter, from_ms, from_ms + length_ms).await.unwrap();
            all += &format!("{changes:?}\n");
        }
        all += &format!("{:?}\n", store.blind(from_ms, from_ms + length_ms).await.unwrap());
        let (from_ms, to_ms) = (from_ms * 100, (from_ms + length_ms) * 100);
        let reports = super::read(store, &[1, 2, 3, 4], from_ms, to_ms).await;
        let inside = reports.into_iter().filter(|s| (from_ms..=to_ms).contains(&s.report.at_ms));
        all += &format!("{:?}\n", inside.collect::<Vec<_>>());
    }
    all
}

#[tokio::test]
async fn the_double_and_sqlite_tell_the_same_after_any_commits() {
    for seed in 0..5 {
        agree(seed, [&*on_disk(Durability::Normal), &InMemory(MemoryStore::default())]).await;
    }
}

#[tokio::test]
async fn the_double_and_postgresql_tell_the_same_after_any_commits() {
    let databases = Databases::start().await;
    for seed in 0..3 {
        agree(seed, [&databases.place(), &InMemory(MemoryStore::default())]).await;
    }
}

async fn agree(seed: u64, places: [&dyn Place; 2]) {
    let [one, other] = places;
    let mut stores = [one.open().await, other.open().await];
    let (mut dice, mut next) = (Dice(seed), [[0; 2]; 3]);
    for step in 0..40 {
        let group = random_group(&mut dice, &mut next);
        for store in &stores {
            store.commit(&group).await.unwrap();
        }
        if dice.roll(8) == 0 {
            stores = [one.open().await, other.open().await];
            let [a, b] = [stores[0].restore().await.unwrap(), stores[1].restore().await.unwrap()];
            assert_eq!(sorted(a), sorted(b), "seed {seed}, step {step}");
        }
        let same = dice.roll(1 << 30);
        let [a, b] = [told(&*stores[0], &mut Dice(same)).await, told(&*stores[1], &mut Dice(same)).await];
        assert_eq!(a, b, "seed {seed}, step {step}");
    }
}
