//! From real blocks through a store and back to points.

use super::{AgentKey, BOOT, Case, Group, Place, agent, layout};
use farol_monitor::history::{self, HistoryError, Past, Query, SeriesPoints};
use farol_monitor::recent::{Recent, Settings};
use farol_monitor::store::{
    AgentRecord, BlockRecord, Blocks, Layout, LayoutKey, Level, ReportRecord, Restored, SealedRecord, Store,
    StoredBlock,
};
use farol_series::{Columns, Encoding, RangeError, Reduce};
use farol_tests::memory_store::MemoryStore;
use farol_wire::Boot;
use futures::FutureExt;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(super) const CASES: &[Case] = &[
    ("history is what was measured", |place| measured(place).boxed()),
    ("history goes on over boots, layouts and gaps", |place| over_boots(place).boxed()),
    ("questions that are too large are refused", |place| refused(place).boxed()),
    ("only blocks of layouts that are wanted are read", |place| wanted(place).boxed()),
];

/// One agent's sender: makes reports as an agent does.
pub(super) struct Sender {
    columns: Columns,
    agent: u32,
    boot: Boot,
    layout: u32,
    seq: u64,
}

impl Sender {
    pub(super) fn new(agent: u32, boot: Boot, layout: u32) -> Self {
        let columns = Columns::new(vec![Encoding::Integer, Encoding::Decimal(3), Encoding::Float]);
        Self { columns, agent, boot, layout, seq: 0 }
    }

    pub(super) fn report(&mut self, at_ms: i64, row: [Option<f64>; 3], key: bool) -> ReportRecord {
        if key {
            self.columns.reset();
        }
        let mut data = Vec::new();
        self.columns.encode(&row, &mut data).unwrap();
        self.seq += 1;
        ReportRecord {
            agent: AgentKey(self.agent),
            boot: self.boot,
            seq: self.seq,
            layout: LayoutKey(self.layout),
            at_ms,
            key,
            blocks: vec![BlockRecord { source: 1, before_ms: 500, data: data.into() }],
        }
    }
}

/// What the store alone says.
async fn query(store: &dyn Store, question: &Query) -> Result<Vec<SeriesPoints>, HistoryError> {
    history::query(Past { store, recent: None }, question).await.map(|answer| answer.series)
}

pub(super) fn question(metric: &str, from_ms: i64, to_ms: i64, step_ms: i64, reduce: Reduce) -> Query {
    Query { agent: None, metric: metric.to_owned(), labels: BTreeMap::new(), from_ms, to_ms, step_ms, reduce }
}

pub(super) fn values(series: &SeriesPoints) -> Vec<Option<f64>> {
    series.points.iter().map(|point| point.value).collect()
}

async fn measured(place: &dyn Place) {
    let store = place.open().await;
    let mut sender = Sender::new(1, BOOT, 1);
    let mut all = Vec::new();
    for n in 0..100_i64 {
        let there = (n / 10 % 2 == 0).then_some(0.125 * n as f64);
        let row = [Some((n * 3) as f64), Some(n as f64 / 1_000.0), there];
        all.push(sender.report(n * 1_000 + 500, row, n % 25 == 0));
    }
    for (n, some) in all.chunks(9).enumerate() {
        let agents = if n == 0 { vec![agent(1, "one"), agent(2, "two")] } else { Vec::new() };
        let layouts = if n == 0 { vec![layout(1)] } else { Vec::new() };
        store.commit(&Group { agents, layouts, reports: some.to_vec(), ..Group::default() }).await.unwrap();
    }
    for again in [false, true] {
        let store = if again { place.open().await } else { store.clone() };
        let found = query(&*store, &question("metric_1", 33_000, 37_000, 1_000, Reduce::Last)).await.unwrap();
        let labels: Vec<&str> = found.iter().map(|series| series.labels["n"].as_str()).collect();
        assert_eq!(labels, ["1", "2"], "the third was absent all the time");
        assert_eq!(values(&found[0]), [99.0, 102.0, 105.0, 108.0].map(Some));
        assert_eq!(values(&found[1]), [0.033, 0.034, 0.035, 0.036].map(Some));
        assert_eq!((&*found[0].agent, &*found[0].unit), ("one", "bytes"));

        let mut third = question("metric_1", 0, 40_000, 5_000, Reduce::Count);
        third.labels =
            BTreeMap::from([("n".to_owned(), "3".to_owned()), ("absent".to_owned(), String::new())]);
        let found = query(&*store, &third).await.unwrap();
        assert_eq!(values(&found[0]), [Some(5.0), Some(5.0), None, None, Some(5.0), Some(5.0), None, None]);

        let mut rate = question("metric_1", 50_000, 60_000, 5_000, Reduce::Rate);
        rate.labels = BTreeMap::from([("n".to_owned(), "1".to_owned())]);
        assert_eq!(values(&query(&*store, &rate).await.unwrap()[0]), [Some(3.0), Some(3.0)]);

        rate.agent = Some("two".to_owned());
        assert_eq!(query(&*store, &rate).await.unwrap(), []);
        assert_eq!(query(&*store, &question("metric_9", 0, 90_000, 1_000, Reduce::Avg)).await.unwrap(), []);
    }
}

async fn over_boots(place: &dyn Place) {
    let store = place.open().await;
    let row = |n: i64| [Some(n as f64), None, None];
    let mut first = Sender::new(1, Boot { number: 1, nonce: 9 }, 1);
    let mut reports: Vec<ReportRecord> = (0..10).map(|n| first.report(n * 1_000, row(n), n == 0)).collect();
    // A hole: reports 4 to 6 were dropped, and the next key report is the ninth.
    reports.drain(3..6);
    reports[5] = {
        // the ninth, made anew as a key report
        let mut again = Sender { seq: 8, ..Sender::new(1, Boot { number: 1, nonce: 9 }, 1) };
        again.report(8_000, row(8), true)
    };
    reports.truncate(6);
    // The next start defines the same series under another layout; the same agent was forgotten in between.
    let mut second = Sender::new(2, Boot { number: 2, nonce: 1 }, 2);
    reports.extend((10..15).map(|n| second.report(n * 1_000, row(n), n == 10)));
    let again = AgentRecord { key: AgentKey(2), ..agent(2, "one") };
    let mut other = (*layout(1)).clone();
    other.key = LayoutKey(2);
    let layouts = vec![layout(1), other.into()];
    store
        .commit(&Group { agents: vec![agent(1, "one"), again], layouts, reports, ..Group::default() })
        .await
        .unwrap();
    store.commit(&Group { forgotten: vec![AgentKey(1)], ..Group::default() }).await.unwrap();
    let mut of_one = question("metric_1", -500, 14_500, 1_000, Reduce::Last);
    of_one.agent = Some("one".to_owned());
    let found = query(&*store, &of_one).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let expected: Vec<Option<f64>> =
        (0..15).map(|n| (!(3..8).contains(&n) && n != 9).then_some(f64::from(n))).collect();
    assert_eq!(values(&found[0]), expected);
}

async fn refused(place: &dyn Place) {
    let store = place.open().await;
    store
        .commit(&Group { agents: vec![agent(1, "one")], layouts: vec![layout(1)], ..Group::default() })
        .await
        .unwrap();
    let ask = async |query_: Query| query(&*store as &dyn Store, &query_).await;
    let backwards = ask(question("m", 10, 5, 1, Reduce::Avg)).await;
    assert!(matches!(backwards, Err(HistoryError::Range(RangeError::Backwards(5)))), "{backwards:?}");
    let no_step = ask(question("m", 0, 5, 0, Reduce::Avg)).await;
    assert!(matches!(no_step, Err(HistoryError::Range(RangeError::NoStep))), "{no_step:?}");
    let long = ask(question("m", 0, 86_400_000, 1_000, Reduce::Avg)).await;
    assert!(long.unwrap_err().to_string().contains("ask for a step of at least"));

    // More series than an answer may have; and fewer, but with too many points.
    let many = |count: u32| {
        let mut set = layout(7).set.clone();
        let like = set.series[0].clone();
        set.series = (1..=count).map(|id| like_with(&like, id)).collect();
        set
    };
    for (key, count, step_ms) in [(20, 1_001, 60_000), (21, 201, 1)] {
        let layout =
            std::sync::Arc::new(farol_monitor::store::Layout { key: LayoutKey(key), set: many(count) });
        let reports = vec![ReportRecord {
            agent: AgentKey(1),
            boot: Boot { number: u64::from(key), nonce: 0 },
            seq: 1,
            layout: LayoutKey(key),
            at_ms: 5_000 * i64::from(key),
            key: true,
            blocks: Vec::new(),
        }];
        store.commit(&Group { layouts: vec![layout], reports, ..Group::default() }).await.unwrap();
        let mut all = question("metric_7", 0, 10_000, step_ms, Reduce::Avg);
        if step_ms == 1 {
            all.labels = BTreeMap::from([("few".to_owned(), String::new())]);
        }
        let error = ask(all).await.unwrap_err().to_string();
        let words = if step_ms == 1 { "2 000 000 points" } else { "more than 1000 series of metric_7" };
        assert!(error.contains(words), "{error}");
    }
}

fn like_with(like: &farol_wire::SeriesDef, id: u32) -> farol_wire::SeriesDef {
    let mut series = like.clone();
    series.id = id;
    series.labels = BTreeMap::from([("n".to_owned(), id.to_string())]);
    series
}

/// Sees blocks of one layout, and notes what it was asked and shown.
#[derive(Default)]
struct OfOne {
    asked: Vec<LayoutKey>,
    seen: Vec<LayoutKey>,
}

impl Blocks for OfOne {
    fn wants(&mut self, layout: &Layout) -> bool {
        self.asked.push(layout.key);
        layout.key == LayoutKey(2)
    }

    fn take(&mut self, block: StoredBlock) -> ControlFlow<()> {
        self.seen.push(block.layout.key);
        ControlFlow::Continue(())
    }
}

/// A block that nobody opens.
fn sealed(first_seq: u64, layout: u32) -> SealedRecord {
    let first_ms = first_seq as i64 * 1_000;
    SealedRecord {
        agent: AgentKey(1),
        boot: BOOT,
        first_seq,
        last_seq: first_seq,
        first_ms,
        last_ms: first_ms,
        layout: LayoutKey(layout),
        samples: 1,
        bytes: vec![1, 2, 3].into(),
        rollup: bytes::Bytes::new(),
    }
}

async fn wanted(place: &dyn Place) {
    let store = place.open().await;
    let group = Group {
        agents: vec![agent(1, "one")],
        layouts: (1..=3).map(layout).collect(),
        reports: (1..=9).map(|seq| super::report(1, BOOT, seq, seq as i64 * 1_000, true)).collect(),
        ..Group::default()
    };
    store.commit(&group).await.unwrap();
    let sealed = (1..=9).map(|seq| sealed(seq, seq as u32 % 3 + 1)).collect();
    store.commit(&Group { sealed, ..Group::default() }).await.unwrap();
    let mut blocks = OfOne::default();
    store.blocks(&[AgentKey(1)], 0, 10_000, Level::Raw, &mut blocks).await.unwrap();
    assert_eq!(blocks.seen, [LayoutKey(2); 3]);
    blocks.asked.sort_unstable();
    blocks.asked.dedup();
    assert_eq!(blocks.asked.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_takes_too_long_is_refused_with_what_to_do() {
    let store = MemoryStore::default();
    store.commit(&Group { agents: vec![agent(1, "one")], ..Group::default() }).await.unwrap();
    store.read_within(Duration::from_secs(3_600));
    let began = Instant::now();
    let error = query(&store, &question("metric_1", 0, 90_000, 1_000, Reduce::Avg)).await.unwrap_err();
    assert!(matches!(error, HistoryError::TooLong), "{error}");
    assert!(error.to_string().contains("ask for a shorter one, or for one agent"), "{error}");
    assert_eq!(began.elapsed(), history::WITHIN);
}

#[tokio::test]
async fn others_have_their_turn_while_memory_answers_for_all_agents() {
    const AGENTS: u32 = 200;
    let store = MemoryStore::default();
    let recent = Recent::new(Settings::default(), &Restored::default());
    let reports = (1..=AGENTS).flat_map(|number| {
        let mut sender = Sender::new(number, BOOT, 1);
        (0..60).map(move |n| sender.report(n * 1_000 + 500, [Some(n as f64), None, None], n == 0))
    });
    let agents: Vec<_> = (1..=AGENTS).map(|number| agent(number, &format!("agent-{number}"))).collect();
    let group = Group { agents, layouts: vec![layout(1)], reports: reports.collect(), ..Group::default() };
    store.commit(&group).await.unwrap();
    recent.take(&group, 0);
    let turns = Arc::new(AtomicU64::new(0));
    let of_others = Arc::clone(&turns);
    let mut others = JoinSet::new();
    others.spawn(async move {
        loop {
            of_others.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let past = Past { store: &store, recent: Some(&recent) };
    let asked = question("metric_1", 0, 60_000, 1_000, Reduce::Last);
    let began = Instant::now();
    let answer = history::query(past, &asked).await.unwrap();
    let took = began.elapsed();
    assert_eq!(answer.series.len(), AGENTS as usize);
    let turns = turns.load(Ordering::Relaxed);
    assert!(u128::from(turns) * 10 >= took.as_millis(), "{turns} turns in {took:?}");
}
