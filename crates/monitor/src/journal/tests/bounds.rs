//! What happens when too much waits.

use super::{AGENT, Bench, changed, component, key, refused, report};
use crate::fleet::Effects;
use crate::journal::queue::{BACKLOG_BYTES_AT_MOST, CHANGES_AT_MOST, REPORT_BYTES_AT_MOST};
use crate::journal::{AGENTS_AT_MOST, BOOTS_AT_MOST, Handed, Submitted};
use crate::store::{AgentKey, Covered, Layout, LayoutKey, ReportRecord, Restored};
use farol_wire::{Boot, Definition, SourceDef};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

#[tokio::test(start_paused = true)]
async fn a_report_for_which_there_is_no_room_breaks_its_stream_until_there_is_room() {
    let bench = Bench::new([]);
    *bench.store.takes.lock() = Duration::from_secs(5);
    let recovered = bench.journal.recovered();
    let (small, large) = (bench.follow(), bench.journal.follow(AgentKey(2), super::BOOT));
    bench.journal.report(&small, report(1, 10), true);
    bench.pass(10).await;
    // The store is slow: what comes now waits.
    let of_large = |seq| crate::store::ReportRecord { agent: AgentKey(2), ..report(seq, 1 << 20) };
    let room = (REPORT_BYTES_AT_MOST >> 20) as u64;
    let mut seq = 1;
    while bench.journal.report(&large, of_large(seq), false) == Submitted::Taken {
        seq += 1;
        assert!(seq <= room, "no bound");
    }
    assert_eq!(seq, room);
    assert!(large.is_broken() && !small.is_broken());
    assert_eq!(bench.send(&small, 2), Submitted::Taken, "a small one still has room");
    assert!(!recovered.has_changed().unwrap());
    assert_eq!(bench.journal.health().refusing, None);
    bench.pass(20_000).await;
    assert!(recovered.has_changed().unwrap(), "the broken stream is told that there is room again");
    assert_eq!(large.committed(), room - 1);
    let again = bench.journal.follow(AgentKey(2), super::BOOT);
    assert_eq!(bench.journal.report(&again, of_large(seq), false), Submitted::Taken);
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_meets_the_bound_keeps_the_changes_of_what_was_taken_in_the_same_group() {
    let bench = Bench::new([]);
    *bench.store.takes.lock() = Duration::from_secs(5);
    let follower = bench.follow();
    bench.send(&follower, 1);
    bench.send(&follower, 2);
    bench.pass(300).await;
    let room = (BACKLOG_BYTES_AT_MOST >> 20) as u64 - 1;
    let records = (2..room + 10).map(|seq| report(seq, 1 << 20)).collect();
    let mut told = None;
    let handed = bench.journal.segment(&follower, records, false, |taken| {
        told = Some(taken);
        changed("of the segment", 7)
    });
    assert_eq!(handed, Handed { taken: 1..room as usize + 1, dropped: true });
    assert_eq!(told, Some(handed.taken));
    assert!(follower.is_broken());
    bench.pass(20_000).await;
    let last = bench.store.last();
    assert_eq!((last.reports.len(), last.changes.len()), (room as usize, 1));
    assert_eq!(follower.committed(), room + 2, "what was taken is acknowledged");
    let again = bench.follow();
    let handed = bench.journal.segment(&again, vec![report(1, 10), report(2, 10)], true, |taken| {
        assert!(taken.is_empty());
        Effects::default()
    });
    assert_eq!(handed, Handed { taken: 2..2, dropped: false });
}

/// A backlog of so many MiB, of another agent each time.
fn backlog(bench: &Bench, agent: u32, mebibytes: u64) -> Handed {
    let follower = bench.journal.follow(AgentKey(agent), super::BOOT);
    let of_agent = |seq| ReportRecord { agent: AgentKey(agent), ..report(seq, 1 << 20) };
    bench.journal.segment(&follower, (1..=mebibytes).map(of_agent).collect(), false, |_| Effects::default())
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_backlog_waits_and_leaves_half_of_the_room_to_what_is_of_now() {
    let bench = Bench::new([]);
    *bench.store.takes.lock() = Duration::from_secs(5);
    let live = bench.follow();
    bench.journal.report(&live, report(1, 10), true);
    bench.pass(10).await;
    let (mut agent, mut dropped) = (2, 0);
    while bench.journal.has_room() {
        assert!(!backlog(&bench, agent, 1).dropped);
        agent += 1;
    }
    assert_eq!(agent, 2 + 16, "it is told to wait when a quarter is full");
    let mut waits = JoinSet::new();
    waits.spawn(bench.journal.room());
    for agent in agent..1_000 {
        dropped += u32::from(backlog(&bench, agent, 1).dropped);
    }
    assert!(dropped > 900 && waits.try_join_next().is_none(), "{dropped}");
    for seq in 2..=30 {
        let taken = bench.journal.report(&live, report(seq, 1 << 20), false);
        assert_eq!(taken, Submitted::Taken, "{seq}");
    }
    bench.pass(5_000).await;
    assert!(waits.try_join_next().is_some(), "the queue was emptied");
    bench.pass(5_000).await;
    assert_eq!(live.committed(), 30, "with the very next group");
}

#[tokio::test(start_paused = true)]
async fn what_a_backlog_changed_pushes_out_nothing_that_changes_now() {
    let bench = Bench::new([]);
    *bench.store.takes.lock() = Duration::from_secs(5);
    bench.journal.effects(&changed("first", -1));
    bench.pass(10).await;
    let some = Effects { changes: vec![changed("a", 1).changes.remove(0); 10_000], ..Effects::default() };
    for agent in 2..1_000 {
        let follower = bench.journal.follow(AgentKey(agent), super::BOOT);
        let report = ReportRecord { agent: AgentKey(agent), ..report(1, 10) };
        bench.journal.segment(&follower, vec![report], false, |taken| {
            if taken.is_empty() { Effects::default() } else { some.clone() }
        });
    }
    assert!(!bench.journal.has_room());
    assert_eq!(bench.journal.health().dropped_changes, 0);
}

#[tokio::test(start_paused = true)]
async fn layouts_count_too_and_one_without_room_is_not_taken() {
    let bench = Bench::new([refused(), refused()]);
    bench.journal.effects(&changed("a", 1));
    bench.pass(10).await;
    let large = |key| {
        let source = SourceDef { id: 1, name: "s".repeat(1 << 20), interval_ms: 1_000 };
        let set = Definition { sources: vec![source], ..Definition::default() };
        Arc::new(Layout { key: LayoutKey(key), set })
    };
    let room = (REPORT_BYTES_AT_MOST >> 20) as u32 - 1;
    for key in 1..=room {
        assert!(bench.journal.layout(&large(key)), "{key}");
    }
    assert!(!bench.journal.layout(&large(room + 1)));
    bench.journal.let_go(vec![LayoutKey(3), LayoutKey(4)]);
    bench.pass(5_000).await;
    let last = bench.store.last();
    assert_eq!(last.layouts.len(), room as usize, "what was taken is kept through refusals");
    assert_eq!(last.unused, [LayoutKey(3), LayoutKey(4)]);
    assert!(bench.journal.layout(&large(room + 1)), "there is room again");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_agents_lost_at_once_lose_no_status_change() {
    let bench = Bench::new([]);
    *bench.store.takes.lock() = Duration::from_secs(5);
    bench.journal.effects(&changed("first", -1));
    bench.pass(10).await;
    let one = changed("a", 1).changes.remove(0);
    let covered = Covered { key: key("a"), from_ms: 1, to_ms: 2, stale_after: false };
    let of_agent = Effects { changes: vec![one; 10], covered: vec![covered; 10], ..Effects::default() };
    for _ in 0..100_000 {
        bench.journal.effects(&of_agent);
    }
    bench.pass(20_000).await;
    let last = bench.store.last();
    assert_eq!((last.changes.len(), last.covered.len()), (1_000_000, 1_000_000));
    assert_eq!(bench.journal.health().dropped_changes, 0);
}

#[tokio::test(start_paused = true)]
async fn of_too_many_changes_the_oldest_go_and_the_last_word_on_each_component_stays() {
    let bench = Bench::new([refused(), refused()]);
    bench.journal.effects(&changed("first", -1));
    bench.pass(10).await;
    let over = 10;
    let all: Vec<i64> = (0..(CHANGES_AT_MOST + over) as i64).collect();
    for some in all.chunks(1_000) {
        let name = |n: i64| ["a", "b", "c"][n as usize % 3];
        let changes = some.iter().flat_map(|n| changed(name(*n), *n).changes).collect();
        let components = some.iter().rev().take(3).rev().map(|n| component(name(*n), *n)).collect();
        bench.journal.effects(&Effects { changes, components, ..Effects::default() });
    }
    bench.journal.effects(&Effects { removed: vec![key("c")], ..Effects::default() });
    bench.pass(5_000).await;
    let last = bench.store.last();
    assert_eq!(last.changes.len(), CHANGES_AT_MOST);
    assert_eq!(last.changes[0].at_ms, over as i64);
    // The first one, put back, was the oldest of all.
    assert_eq!(bench.journal.health().dropped_changes, over as u64 + 1);
    let mut components = last.components;
    components.sort_by(|a, b| a.key.cmp(&b.key));
    let names: Vec<&str> = components.iter().map(|c| &*c.key.component).collect();
    assert_eq!((names, last.removed), (vec!["a", "b"], vec![key("c")]));
    assert!(components.iter().all(|c| c.changed_ms >= CHANGES_AT_MOST as i64), "{components:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_removed_and_comes_again_is_not_removed() {
    let bench = Bench::new([]);
    bench.journal.effects(&Effects { components: vec![component("a", 1)], ..Effects::default() });
    bench.journal.effects(&Effects { removed: vec![key("a"), key("b")], ..Effects::default() });
    bench.journal.effects(&Effects { components: vec![component("b", 2)], ..Effects::default() });
    bench.pass(300).await;
    let last = bench.store.last();
    assert_eq!((last.components, last.removed), (vec![component("b", 2)], vec![key("a")]));
}

#[tokio::test(start_paused = true)]
async fn blind_times_that_wait_are_bounded() {
    let bench = Bench::new([refused(), refused()]);
    bench.journal.blind(-5, -1);
    bench.pass(300).await;
    (0..5_000).for_each(|n| bench.journal.blind(n * 10, n * 10 + 5));
    bench.pass(5_000).await;
    let blind = bench.store.last().blind;
    assert_eq!(blind.len(), 1_000);
    assert_eq!((blind[0], blind[999].1), ((-5, -1), 49_995), "the last one covers what had no room");
}

#[tokio::test(start_paused = true)]
async fn the_progress_of_old_boots_is_let_go_of_and_that_of_a_forgotten_agent_stays_until_many_went_after_it()
{
    let boot = |number| Boot { number, nonce: 0 };
    let marks = (0..300).map(|number| (AGENT, boot(number), 5)).collect();
    let bench = Bench::restored([], &Restored { marks, ..Restored::default() });
    let kept = bench.journal.follow(AGENT, boot(0));
    for number in 300..600 {
        let _ended = bench.journal.follow(AGENT, boot(number));
    }
    assert_eq!(bench.journal.mark(AGENT, boot(0)), 5, "one that is followed stays");
    assert_eq!(bench.journal.mark(AGENT, boot(1)), 0);
    let known = bench.journal.0.state.lock().progress[&AGENT].len();
    assert!((BOOTS_AT_MOST..=300).contains(&known), "{known}");
    bench.journal.effects(&Effects { forgotten: vec![AGENT], ..Effects::default() });
    bench.pass(300).await;
    assert_eq!(bench.journal.mark(AGENT, boot(0)), 5);
    assert_eq!(kept.committed(), 5);
    let others: Vec<AgentKey> = (10..10 + AGENTS_AT_MOST as u32).map(AgentKey).collect();
    for other in &others {
        let _ended = bench.journal.follow(*other, boot(0));
    }
    bench.journal.effects(&Effects { forgotten: others, ..Effects::default() });
    bench.pass(300).await;
    let known = bench.journal.0.state.lock().progress.len();
    assert!((AGENTS_AT_MOST..=AGENTS_AT_MOST + 1).contains(&known), "{known}");
}
