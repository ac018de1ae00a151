//! What goes when it is too old or too much, and where the borders of what is left lie.

use super::{HOUR_MS, Monitor, count, kept, known, now_ms, questions, reports};
use crate::store::history::Sender;
use crate::store::{AgentKey, Place, seqs};
use farol_monitor::history::Query;
use farol_monitor::store::{DAY_MS, Level, Piece, Retention, StoredBlock};
use farol_wire::Boot;
use std::ops::ControlFlow;

pub(super) async fn retention(place: &dyn Place) {
    let monitor = Monitor::open(place).await;
    let today_ms = now_ms() / DAY_MS * DAY_MS;
    for (number, days) in [(1, 2), (2, 1), (3, 0)] {
        let mut sender = Sender::new(1, Boot { number, nonce: 1 }, 1);
        monitor.commit(known(reports(&mut sender, today_ms - days * DAY_MS, 1_000, 100))).await;
        monitor.seal().await;
    }
    let raw = async || {
        let of_day = |first_ms: i64| (today_ms - first_ms / DAY_MS * DAY_MS) / DAY_MS;
        let mut days: Vec<i64> = kept(&*monitor.store, Level::Raw).await.into_iter().map(of_day).collect();
        days.dedup();
        days
    };
    assert_eq!(monitor.store.cuts().of(Level::Raw), i64::MIN);
    monitor.tidy(today_ms + DAY_MS - 1, &Retention { raw_ms: DAY_MS, ..Retention::default() }).await;
    assert_eq!(raw().await, [1, 0], "a block goes when its whole day is too old");
    assert_eq!(monitor.store.cuts().of(Level::Raw), today_ms - DAY_MS);
    monitor.tidy(today_ms + DAY_MS + 120_000, &Retention { raw_ms: DAY_MS, ..Retention::default() }).await;
    assert_eq!(raw().await, [0]);
    let reopened = place.open().await;
    assert_eq!(reopened.cuts().of(Level::Raw), today_ms, "a cut is remembered");
}

pub(super) async fn budget(place: &dyn Place) {
    let monitor = Monitor::open(place).await;
    let today_ms = now_ms() / DAY_MS * DAY_MS;
    for (number, hours) in [(1, 50), (2, 40), (3, 30)] {
        let mut sender = Sender::new(1, Boot { number, nonce: 1 }, 1);
        monitor.commit(known(reports(&mut sender, today_ms - hours * HOUR_MS, 1_000, 300))).await;
        monitor.seal().await;
    }
    let none = Retention { raw_ms: 30 * DAY_MS, five_minutes_ms: 30 * DAY_MS, ..Retention::default() };
    monitor.tidy(now_ms() + HOUR_MS, &none).await;
    let before = monitor.store.sizes();
    assert!(before.levels.iter().all(|bytes| *bytes > 0), "{before:?}");
    assert_eq!((before.journal, before.over_budget), (0, 0));
    // Room for all but a little: the oldest block of samples goes.
    monitor.tidy(now_ms() + 2 * HOUR_MS, &Retention { budget: before.total() - 1, ..none }).await;
    let cuts = monitor.store.cuts();
    assert_eq!(cuts.of(Level::Raw), today_ms - 49 * HOUR_MS);
    assert_eq!(cuts.of(Level::FiveMinutes), i64::MIN);
    let after = monitor.store.sizes();
    assert!(after.levels[0] < before.levels[0] && after.levels[1] == before.levels[1], "{after:?}");
    assert_eq!(after.over_budget, 1);
    for level in Level::ALL {
        let mut bytes = 0;
        let mut visit = |block: StoredBlock| {
            bytes += block.bytes.len() as u64 + 256;
            ControlFlow::Continue(())
        };
        monitor.store.blocks(&[AgentKey(1)], 0, i64::MAX, level, &mut visit).await.unwrap();
        assert_eq!(after.levels[level as usize], bytes, "{level:?}: what is counted is what there is");
    }
    // Room for nothing: roll-ups go last.
    monitor.tidy(now_ms() + 3 * HOUR_MS, &Retention { budget: 0, ..none }).await;
    assert_eq!(monitor.store.sizes().levels[0], 0);
    assert!(monitor.store.cuts().of(Level::FiveMinutes) > i64::MIN);
    // What is not sealed is never cut.
    let mut sender = Sender::new(1, Boot { number: 9, nonce: 1 }, 1);
    monitor.commit(known(reports(&mut sender, now_ms(), 1_000, 20))).await;
    monitor.tidy(now_ms() + 4 * HOUR_MS, &Retention { budget: 0, ..none }).await;
    assert_eq!(seqs(&*monitor.store, 1, 0, i64::MAX).await.len(), 20);
}

pub(super) async fn floor(place: &dyn Place) {
    let monitor = Monitor::open(place).await;
    let now_ms = now_ms();
    for (number, hours) in [(1, 50), (2, 1)] {
        let mut sender = Sender::new(1, Boot { number, nonce: 1 }, 1);
        monitor.commit(known(reports(&mut sender, now_ms - hours * HOUR_MS, 1_000, 100))).await;
        monitor.seal().await;
    }
    let all = kept(&*monitor.store, Level::Raw).await;
    // What is not sealed takes the whole budget.
    let large = |seq: u64| {
        let random = (0..1_000_000_u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15 + seq) >> 56) as u8);
        let mut report = crate::store::report(1, Boot { number: 9, nonce: 1 }, seq, now_ms, true);
        report.blocks[0].data = random.collect::<Vec<u8>>().into();
        report
    };
    monitor.store.commit(&known((1..=2).map(large).collect())).await.unwrap();
    let keeping = Retention { raw_ms: 30 * DAY_MS, budget: 200_000, ..Retention::default() };
    monitor.tidy(now_ms + 60_000, &keeping).await;
    let sizes = monitor.store.sizes();
    assert_eq!((kept(&*monitor.store, Level::Raw).await, sizes.over_budget), (all.clone(), 0), "{sizes:?}");
    // Nothing but the last hour fits.
    monitor.tidy(now_ms + 1_200_000, &Retention { budget: 0, ..keeping }).await;
    let late: Vec<i64> = all.into_iter().filter(|first_ms| *first_ms >= now_ms - HOUR_MS).collect();
    assert!(!late.is_empty());
    assert_eq!(kept(&*monitor.store, Level::Raw).await, late);
    assert!(monitor.store.cuts().of(Level::Raw) < now_ms - HOUR_MS);
}

pub(super) async fn ahead(place: &dyn Place) {
    let monitor = Monitor::open(place).await;
    let today_ms = now_ms() / DAY_MS * DAY_MS;
    let mut sender = Sender::new(1, Boot { number: 1, nonce: 1 }, 1);
    monitor.commit(known(reports(&mut sender, today_ms - 2 * DAY_MS, 1_000, 100))).await;
    monitor.seal().await;
    let keeping = Retention { raw_ms: DAY_MS, ..Retention::default() };
    monitor.tidy(now_ms() + 300 * DAY_MS, &keeping).await;
    assert!(monitor.store.cuts().of(Level::Raw) > now_ms() + 290 * DAY_MS);
    drop(monitor);
    // The clock is right again, in another start.
    let monitor = Monitor::open(place).await;
    let mut sender = Sender::new(1, Boot { number: 2, nonce: 1 }, 1);
    monitor.commit(known(reports(&mut sender, today_ms, 1_000, 100))).await;
    monitor.seal().await;
    let all = kept(&*monitor.store, Level::Raw).await;
    assert!(!all.is_empty());
    for (minutes, keeping) in [(2, Retention::FOR_EVER), (62, keeping)] {
        monitor.tidy(now_ms() + minutes * 60_000, &keeping).await;
        for level in [Level::Raw, Level::FiveMinutes] {
            assert_eq!(kept(&*monitor.store, level).await, all, "{level:?}");
        }
    }
    // It is where the samples begin.
    assert_eq!(monitor.store.cuts().of(Level::Raw), today_ms);
    assert_eq!(place.open().await.cuts().of(Level::Raw), today_ms);
}

/// Counts the samples of one series.
async fn samples(monitor: &Monitor, from_ms: i64, to_ms: i64) -> f64 {
    let labels = [("n".to_owned(), "1".to_owned())].into();
    let how_many = Query { labels, ..questions(from_ms, to_ms, HOUR_MS)[2].clone() };
    count(&monitor.answer(&how_many).await)
}

pub(super) async fn ahead_of_roll_ups(place: &dyn Place) {
    let monitor = Monitor::open(place).await;
    let hour_ms = now_ms() / HOUR_MS * HOUR_MS;
    let commit = async |monitor: &Monitor, number: u64, hours: i64| {
        let mut sender = Sender::new(1, Boot { number, nonce: 1 }, 1);
        let all = reports(&mut sender, hour_ms - hours * HOUR_MS, 1_000, 100);
        monitor.commit(known(all)).await;
        monitor.seal().await;
    };
    commit(&monitor, 1, 9).await;
    let keeping = Retention { raw_ms: DAY_MS, ..Retention::default() };
    // The clock is ahead for a while: samples go, and their roll-ups stay.
    monitor.tidy(now_ms() + 3 * DAY_MS, &keeping).await;
    assert!(kept(&*monitor.store, Level::Raw).await.is_empty());
    drop(monitor);
    let monitor = Monitor::open(place).await;
    commit(&monitor, 2, 2).await;
    monitor.tidy(now_ms() + 60_000, &keeping).await;
    assert_eq!(samples(&monitor, hour_ms - 10 * HOUR_MS, hour_ms + HOUR_MS).await, 200.0);
    assert_eq!(monitor.store.cuts().of(Level::Raw), hour_ms - 2 * HOUR_MS);
}

pub(super) async fn too_late(place: &dyn Place) {
    let monitor = Monitor::open(place).await;
    let day_ms = (now_ms() / DAY_MS - 20) * DAY_MS;
    let mut sender = Sender::new(1, Boot { number: 1, nonce: 1 }, 1);
    monitor.commit(known(reports(&mut sender, day_ms + HOUR_MS, 1_000, 100))).await;
    let (mut group, keeping) = (Some(monitor.sealed()), Retention::default());
    for round in 0..100 {
        let tidied = monitor.store.tidy(now_ms(), &keeping).await.unwrap();
        // It comes when roll-ups were just looked for, and before what is too old is.
        let is_time = tidied.did == Some(Piece::RollUps) || !tidied.more;
        if let Some(group) = group.take_if(|_| is_time) {
            monitor.commit(group).await;
        }
        if !tidied.more && group.is_none() {
            break;
        }
        assert!(round < 99, "the upkeep does not come to an end");
    }
    for minutes in [2, 4, 6] {
        monitor.tidy(now_ms() + minutes * 60_000, &keeping).await;
    }
    assert!(kept(&*monitor.store, Level::FiveMinutes).await.is_empty());
    assert_eq!(samples(&monitor, day_ms, day_ms + DAY_MS).await, 100.0);
}
