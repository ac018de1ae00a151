//! Sealed blocks and roll-ups: what was measured is read from them as it was from the journal, whatever happens in
//! between, and goes when it is too old.

mod cuts;
mod model;

use super::history::{Sender, question};
use super::{AgentKey, AgentRecord, Case, Group, Place, agent, layout, seqs};
use farol_monitor::history::{self, Answer, HistoryError, Past, Query};
use farol_monitor::recent::{Keep, Recent, Settings};
use farol_monitor::store::{DAY_MS, LayoutKey, Level, ReportRecord, Retention, Store};
use farol_series::Reduce;
use farol_wire::Boot;
use futures::FutureExt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
    ("what is sealed gives the same answers", |place| same_answers(place).boxed()),
    ("what was sealed and not committed is sealed again", |place| interrupted(place).boxed()),
    ("what comes twice is sealed once", |place| twice(place).boxed()),
    ("roll-ups of a day are merged, also with what comes late", |place| late(place).boxed()),
    ("blocks go with their day", |place| cuts::retention(place).boxed()),
    ("the budget takes the oldest first", |place| cuts::budget(place).boxed()),
    ("the budget leaves the last hour, and a quarter of itself", |place| cuts::floor(place).boxed()),
    ("what comes too late is counted by the hour before it goes", |place| cuts::too_late(place).boxed()),
    ("a clock that was ahead hides nothing that roll-ups tell", |place| {
        cuts::ahead_of_roll_ups(place).boxed()
    }),
    ("a border that a clock made which was ahead is put right", |place| cuts::ahead(place).boxed()),
    ("layouts, boots and agents stay for as long as their blocks", |place| needed(place).boxed()),
];

const HOUR_MS: i64 = 3_600_000;

/// A store with the memory of a monitor, driven by hand.
struct Monitor {
    store: Arc<dyn Store>,
    recent: Recent,
}

impl Monitor {
    /// Opens the store, and replays its journal as a start does.
    async fn open(place: &dyn Place) -> Self {
        let store = place.open().await;
        let settings = Settings { keep: Keep(vec!["metric_".to_owned()]), ..Settings::default() };
        let recent = Recent::new(settings, &store.restore().await.unwrap());
        let monitor = Self { store, recent };
        let mut after = 0;
        loop {
            let mut visit = |stored: super::StoredReport| {
                monitor.recent.replay(&stored.report, &stored.layout);
                ControlFlow::Continue(())
            };
            match monitor.store.unsealed(after, &mut visit).await.unwrap() {
                Some(next) => after = next,
                None => break,
            }
        }
        monitor.recent.replay_is_over();
        monitor
    }

    async fn commit(&self, group: Group) {
        self.store.commit(&group).await.unwrap();
        self.recent.take(&group, now_ms());
    }

    /// Ends all runs and seals them; the records are not committed.
    fn sealed(&self) -> Group {
        // After a start boots have some time to come back.
        self.recent.sweep(now_ms(), |_, _| false);
        self.recent.sweep(now_ms() + 20 * 60_000, |_, _| false);
        Group { sealed: self.recent.seal(Duration::from_secs(5), usize::MAX), ..Group::default() }
    }

    async fn seal(&self) -> usize {
        let group = self.sealed();
        let count = group.sealed.len();
        self.commit(group).await;
        count
    }

    async fn ask(&self, query: &Query) -> Result<Answer, HistoryError> {
        history::query(Past { store: &*self.store, recent: Some(&self.recent) }, query).await
    }

    /// What memory and store say together, which is what the store says alone.
    async fn answer(&self, query: &Query) -> Answer {
        let answer = self.ask(query).await.unwrap();
        let alone = history::query(Past { store: &*self.store, recent: None }, query).await.unwrap();
        assert_eq!(answer, alone);
        answer
    }

    async fn tidy(&self, now_ms: i64, retention: &Retention) {
        for _ in 0..10_000 {
            if !self.store.tidy(now_ms, retention).await.unwrap().more {
                return;
            }
        }
        panic!("the upkeep does not come to an end");
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn known(reports: Vec<ReportRecord>) -> Group {
    Group { agents: vec![agent(1, "one")], layouts: vec![layout(1)], reports, ..Group::default() }
}

/// So many reports a second apart, a key report every eighth.
fn reports(sender: &mut Sender, from_ms: i64, each_ms: i64, count: i64) -> Vec<ReportRecord> {
    let row = |n: i64| {
        let there = n % 5 != 3;
        [Some((n * 7 % 50) as f64), there.then_some(n as f64 / 8.0), Some(f64::from_bits(n as u64 * 99))]
    };
    (0..count).map(|n| sender.report(from_ms + n * each_ms + 500, row(n), n % 8 == 0)).collect()
}

/// Several questions about a time.
fn questions(from_ms: i64, to_ms: i64, step_ms: i64) -> Vec<Query> {
    let all = [Reduce::Avg, Reduce::Last, Reduce::Count, Reduce::Rate, Reduce::P95];
    all.map(|how| Query {
        agent: Some("one".to_owned()),
        ..question("metric_1", from_ms, to_ms, step_ms, how)
    })
    .to_vec()
}

fn count(answer: &Answer) -> f64 {
    answer.series.iter().flat_map(|s| &s.points).filter_map(|point| point.value).sum()
}

async fn same_answers(place: &dyn Place) {
    let monitor = Monitor::open(place).await;
    let base_ms = now_ms() / HOUR_MS * HOUR_MS - 2 * HOUR_MS;
    let mut sender = Sender::new(1, Boot { number: 5, nonce: 5 }, 1);
    let all = reports(&mut sender, base_ms, 1_000, 600);
    for (n, some) in all.chunks(7).enumerate() {
        let group =
            if n == 0 { known(some.to_vec()) } else { Group { reports: some.to_vec(), ..Group::default() } };
        monitor.commit(group).await;
    }
    let questions = questions(base_ms - 7_000, base_ms + 700_000, 15_000);
    let mut expected = Vec::new();
    for question in &questions {
        expected.push(monitor.answer(question).await);
    }
    assert_eq!(count(&expected[2]), 600.0 + 480.0 + 600.0);
    assert_eq!(expected[0].resolution, [(base_ms - 7_000, Level::Raw)]);
    assert!(monitor.seal().await >= 1);
    monitor.tidy(now_ms() + HOUR_MS, &Retention::default()).await;
    assert_eq!(
        seqs(&*monitor.store, 1, 0, i64::MAX).await,
        [0_u64; 0],
        "the journal has nothing of it any more"
    );
    let mut monitor = monitor;
    for again in [false, true] {
        if again {
            monitor.store.close().await.unwrap();
            monitor = Monitor::open(place).await;
            let restored = monitor.store.restore().await.unwrap();
            assert_eq!(restored.marks, [(AgentKey(1), Boot { number: 5, nonce: 5 }, 600)]);
            assert_eq!(restored.sealed, restored.marks);
        }
        for (question, expected) in questions.iter().zip(&expected) {
            assert_eq!(&monitor.answer(question).await, expected, "again: {again}");
        }
    }
    assert_eq!(monitor.seal().await, 0, "nothing is left to be sealed");
    // It goes on, over the seam.
    let more = reports(&mut sender, base_ms + 600_000, 1_000, 40);
    monitor.commit(Group { reports: more, ..Group::default() }).await;
    assert_eq!(count(&monitor.answer(&questions[2]).await), 1_680.0 + 40.0 + 32.0 + 40.0);
}

async fn interrupted(place: &dyn Place) {
    let monitor = Monitor::open(place).await;
    let base_ms = now_ms() - HOUR_MS;
    let mut sender = Sender::new(1, Boot { number: 5, nonce: 5 }, 1);
    monitor.commit(known(reports(&mut sender, base_ms, 1_000, 100))).await;
    let lost = monitor.sealed();
    assert!(!lost.sealed.is_empty());
    let how_many = Query {
        labels: [("n".to_owned(), "1".to_owned())].into(),
        ..questions(base_ms, base_ms + HOUR_MS, HOUR_MS)[2].clone()
    };
    assert_eq!(count(&monitor.answer(&how_many).await), 100.0);
    // As after `kill -9`: neither closed nor committed.
    let monitor = Monitor::open(place).await;
    assert_eq!(count(&monitor.answer(&how_many).await), 100.0);
    monitor
        .commit(Group { reports: reports(&mut sender, base_ms + 100_000, 1_000, 20), ..Group::default() })
        .await;
    assert_eq!(count(&monitor.answer(&how_many).await), 120.0);
    monitor.seal().await;
    // What was lost comes after all, as from a commit whose answer was lost: it is sealed already.
    monitor.store.commit(&lost).await.unwrap();
    monitor.tidy(now_ms() + HOUR_MS, &Retention::default()).await;
    for again in [false, true] {
        let monitor = if again {
            Monitor::open(place).await
        } else {
            Monitor { store: monitor.store.clone(), recent: monitor.recent.clone() }
        };
        assert_eq!(count(&monitor.answer(&how_many).await), 120.0, "again: {again}");
        let mut blocks = 0;
        let mut visit = |_| {
            blocks += 1;
            ControlFlow::Continue(())
        };
        monitor.store.blocks(&[AgentKey(1)], 0, i64::MAX, Level::Raw, &mut visit).await.unwrap();
        assert!(
            (1..=2).contains(&blocks),
            "{blocks}: the run goes on over the restart, and ends before a key report"
        );
    }
}

async fn twice(place: &dyn Place) {
    let monitor = Monitor::open(place).await;
    let base_ms = now_ms() - HOUR_MS;
    let mut sender = Sender::new(1, Boot { number: 5, nonce: 5 }, 1);
    let all = reports(&mut sender, base_ms, 1_000, 64);
    monitor.commit(known(all[..40].to_vec())).await;
    monitor.commit(Group { reports: all[24..].to_vec(), ..Group::default() }).await;
    monitor.seal().await;
    // And once more, after they were sealed.
    monitor.commit(Group { reports: all[56..].to_vec(), ..Group::default() }).await;
    for again in [false, true] {
        let monitor = if again {
            Monitor::open(place).await
        } else {
            Monitor { store: monitor.store.clone(), recent: monitor.recent.clone() }
        };
        for step_ms in [HOUR_MS, 2_000] {
            let question = Query {
                labels: [("n".to_owned(), "1".to_owned())].into(),
                ..questions(base_ms, base_ms + HOUR_MS, step_ms)[2].clone()
            };
            assert_eq!(count(&monitor.answer(&question).await), 64.0, "again: {again}");
        }
        monitor.seal().await;
        monitor.tidy(now_ms() + HOUR_MS, &Retention::default()).await;
    }
}

/// Raw history is gone; these are answered by roll-ups.
async fn late(place: &dyn Place) {
    let monitor = Monitor::open(place).await;
    let day_ms = (now_ms() / DAY_MS - 3) * DAY_MS;
    let boot = |number| Boot { number, nonce: 1 };
    let mut first = Sender::new(1, boot(1), 1);
    monitor.commit(known(reports(&mut first, day_ms + HOUR_MS, 10_000, 400))).await;
    monitor.seal().await;
    let short = Retention { raw_ms: HOUR_MS, ..Retention::default() };
    let question = |from_ms: i64, step_ms: i64, how| Query {
        agent: Some("one".to_owned()),
        labels: [("n".to_owned(), "1".to_owned())].into(),
        ..question("metric_1", from_ms, day_ms + DAY_MS, step_ms, how)
    };
    let raw = monitor.answer(&question(day_ms, HOUR_MS, Reduce::Avg)).await;
    let rate = monitor.answer(&question(day_ms, HOUR_MS, Reduce::Rate)).await;
    monitor.tidy(now_ms() + HOUR_MS, &short).await;
    let rolled = monitor.answer(&question(day_ms, HOUR_MS, Reduce::Avg)).await;
    assert_eq!(rolled.series, raw.series, "roll-ups say the same");
    assert_eq!(monitor.answer(&question(day_ms, HOUR_MS, Reduce::Rate)).await.series, rate.series);
    assert_eq!(rolled.resolution, [(day_ms, Level::FiveMinutes)]);
    let p95 = monitor.ask(&question(day_ms, HOUR_MS, Reduce::P95)).await.unwrap_err();
    assert!(matches!(p95, HistoryError::NeedsSamples { .. }), "{p95}");
    assert!(p95.to_string().contains("kept from 20"), "{p95}");

    // The day is merged; what comes late, from another start, makes it due again.
    let mut second = Sender::new(1, boot(2), 1);
    monitor
        .commit(Group {
            reports: reports(&mut second, day_ms + 5 * HOUR_MS + 3, 10_000, 100),
            ..Group::default()
        })
        .await;
    monitor.seal().await;
    assert_eq!(count(&monitor.answer(&question(day_ms, HOUR_MS, Reduce::Count)).await), 500.0);
    monitor.tidy(now_ms() + 2 * HOUR_MS, &short).await;
    assert_eq!(count(&monitor.answer(&question(day_ms, HOUR_MS, Reduce::Count)).await), 500.0);
    // By the hour, once the finer ones are gone too; over a restart.
    let shorter = Retention { five_minutes_ms: HOUR_MS, ..short };
    monitor.tidy(now_ms() + 3 * HOUR_MS, &shorter).await;
    let monitor = Monitor::open(place).await;
    let hours = monitor.answer(&question(day_ms, HOUR_MS, Reduce::Count)).await;
    assert_eq!(hours.resolution, [(day_ms, Level::OneHour)]);
    assert_eq!(count(&hours), 500.0);
}

/// Seals what a fleet of one agent measured; how many samples, and the bytes of their blocks.
pub(super) async fn fill(store: &dyn Store) -> (u64, u64) {
    let settings = Settings { keep: Keep(vec!["metric_".to_owned()]), ..Settings::default() };
    let recent = Recent::new(settings, &store.restore().await.unwrap());
    recent.replay_is_over();
    let mut sender = Sender::new(1, Boot { number: 1, nonce: 1 }, 1);
    let group = known(reports(&mut sender, now_ms() - HOUR_MS, 1_000, 600));
    store.commit(&group).await.unwrap();
    recent.take(&group, now_ms());
    recent.sweep(now_ms(), |_, _| false);
    recent.sweep(now_ms() + 20 * 60_000, |_, _| false);
    let sealed = recent.seal(Duration::from_secs(5), usize::MAX);
    let sums = sealed.iter().fold((0, 0), |(samples, bytes), record| {
        (samples + record.samples, bytes + record.bytes.len() as u64)
    });
    store.commit(&Group { sealed, ..Group::default() }).await.unwrap();
    sums
}

/// Times of the blocks that are there.
async fn kept(store: &dyn Store, level: Level) -> Vec<i64> {
    let mut found = Vec::new();
    let mut visit = |block: farol_monitor::store::StoredBlock| {
        found.push(block.first_ms);
        ControlFlow::Continue(())
    };
    store.blocks(&[AgentKey(1)], 0, i64::MAX, level, &mut visit).await.unwrap();
    found
}

async fn needed(place: &dyn Place) {
    let monitor = Monitor::open(place).await;
    let today_ms = now_ms() / DAY_MS * DAY_MS;
    let mut sender = Sender::new(2, Boot { number: 1, nonce: 1 }, 2);
    let two = AgentRecord { key: AgentKey(2), ..agent(2, "one") };
    let layouts = vec![layout(2)];
    let group = Group {
        agents: vec![two],
        layouts,
        reports: reports(&mut sender, today_ms, 1_000, 50),
        ..Group::default()
    };
    monitor.commit(group).await;
    monitor.seal().await;
    let gone = Group { unused: vec![LayoutKey(2)], forgotten: vec![AgentKey(2)], ..Group::default() };
    monitor.commit(gone).await;
    let ask = Query {
        metric: "metric_2".to_owned(),
        ..questions(today_ms, today_ms + HOUR_MS, HOUR_MS)[2].clone()
    };
    for again in [false, true] {
        monitor.tidy(now_ms() + HOUR_MS, &Retention::default()).await;
        let monitor = if again {
            Monitor::open(place).await
        } else {
            Monitor { store: monitor.store.clone(), recent: monitor.recent.clone() }
        };
        assert_eq!(
            count(&monitor.answer(&ask).await),
            140.0,
            "a forgotten agent's history stays; again: {again}"
        );
        let restored = monitor.store.restore().await.unwrap();
        assert_eq!(restored.layouts.len(), 1);
        assert_eq!(
            restored.marks,
            [(AgentKey(2), Boot { number: 1, nonce: 1 }, 50)],
            "its boot is known for a while"
        );
        let known: Vec<AgentKey> = restored.forgotten.iter().map(|agent| agent.key).collect();
        assert_eq!(known, [AgentKey(2)], "and so is its key, should it come back");
    }
    let monitor = Monitor::open(place).await;
    monitor.commit(Group { unused: vec![LayoutKey(2)], ..Group::default() }).await;
    let short = Retention { raw_ms: 0, five_minutes_ms: 0, one_hour_ms: 0, ..Retention::default() };
    for days in [33, 34, 35] {
        monitor.tidy(now_ms() + days * DAY_MS, &short).await;
    }
    let restored = monitor.store.restore().await.unwrap();
    assert!(restored.layouts.is_empty() && restored.marks.is_empty(), "{restored:?}");
    assert!(monitor.store.agents().await.unwrap().is_empty());
}
