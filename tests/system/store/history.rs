//! From real blocks through a store and back to points.

use super::{AgentKey, BOOT, Case, Group, Place, agent, layout};
use farol_monitor::history::{self, HistoryError, Past, Query, SeriesPoints};
use farol_monitor::store::{AgentRecord, BlockRecord, LayoutKey, ReportRecord, Store};
use farol_series::{Columns, Encoding, RangeError, Reduce};
use farol_wire::Boot;
use futures::FutureExt;
use std::collections::BTreeMap;

pub(super) const CASES: &[Case] = &[
    ("history is what was measured", |place| measured(place).boxed()),
    ("history goes on over boots, layouts and gaps", |place| over_boots(place).boxed()),
    ("questions that are too large are refused", |place| refused(place).boxed()),
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
