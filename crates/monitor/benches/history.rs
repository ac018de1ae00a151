//! A sample's way through the monitor, piece by piece: blocks applied to the fleet, a group of 2 000 reports committed
//! to SQLite, and an hour asked for, out of memory and out of the store. The rows are the recorded ones of
//! `tests/bench/rows.tsv`, one every 10 s, walked forth and back where there are too few.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use farol_health::clock::wall_ms;
use farol_monitor::clock::Clock;
use farol_monitor::fleet::{Agent, Compiled, Connection, Effects, Fleet, Outlet};
use farol_monitor::history::{Past, Query, query};
use farol_monitor::journal::{self, Journal, Submitted};
use farol_monitor::store::{
    AgentKey, AgentRecord, BlockRecord, Durability, Group, Layout, ReportRecord, Settings, SqliteStore, Store,
};
use farol_series::{Columns, Encoding, Reduce};
use farol_wire::{Boot, Definition, Hello, Role, SeriesDef, SeriesType, SourceDef};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const AGENTS: u32 = 100;
/// Reports of an hour.
const ROUNDS: usize = 360;
const STEP_MS: i64 = 10_000;
/// A key frame comes so often.
const SEGMENT: usize = 64;
const GROUP: usize = 2_000;

/// The recording as the blocks of one agent's hour.
struct Tape {
    names: Vec<String>,
    encodings: Vec<Encoding>,
    /// Whether it is a key frame, and the block.
    blocks: Vec<(bool, Bytes)>,
}

impl Tape {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/bench/rows.tsv");
        let text = std::fs::read_to_string(&path).expect("the recording is there");
        let names = text.lines().filter_map(|line| line.strip_prefix("S\t"));
        let names: Vec<String> = names.map(|line| line.replace('\t', " ")).collect();
        let row = |line: &str| line.split('\t').map(|value| value.parse().ok()).collect();
        let rows: Vec<Vec<Option<f64>>> =
            text.lines().filter_map(|line| line.strip_prefix("R\t")).map(row).collect();
        let widest = |at: usize| {
            let values = rows.iter().filter_map(|row| row[at]);
            values.fold(Encoding::Integer, |encoding, value| encoding.widen(value))
        };
        let encodings: Vec<Encoding> = (0..names.len()).map(widest).collect();
        let mut columns = Columns::new(encodings.clone());
        let turn = 2 * (rows.len() - 1);
        let blocks = (0..ROUNDS).map(|round| {
            let (key, place) = (round % SEGMENT == 0, round % turn);
            if key {
                columns.reset();
            }
            let mut data = Vec::new();
            columns.encode(&rows[place.min(turn - place)], &mut data).expect("held");
            (key, data.into())
        });
        Self { blocks: blocks.collect(), names, encodings }
    }

    /// The set that all agents share: each series is named by its whole line, the last one is asked for.
    fn definition(&self) -> Definition {
        let series =
            self.names.iter().zip(&self.encodings).zip(1..).map(|((name, encoding), id)| SeriesDef {
                id,
                source: 1,
                name: format!("metric_{id}"),
                labels: BTreeMap::from([("of".to_owned(), name.clone())]),
                kind: SeriesType::Gauge,
                encoding: encoding.to_wire(),
                unit: String::new(),
            });
        let sources = vec![SourceDef { id: 1, name: "system".into(), interval_ms: 10_000 }];
        Definition { sources, series: series.collect(), components: Vec::new() }
    }

    fn report(&self, agent: u32, round: usize, layout: &Layout, from_ms: i64, seq: u64) -> ReportRecord {
        let (key, data) = &self.blocks[round];
        ReportRecord {
            agent: AgentKey(agent),
            boot: boot(agent),
            seq,
            layout: layout.key,
            at_ms: from_ms + round as i64 * STEP_MS,
            key: *key,
            blocks: vec![BlockRecord { source: 1, before_ms: 0, data: data.clone() }],
        }
    }
}

fn boot(agent: u32) -> Boot {
    Boot { number: 1, nonce: u64::from(agent) }
}

/// Nobody listens.
struct Nowhere;

impl Outlet for Nowhere {
    fn publish(&self, _: &Effects, _: farol_monitor::clock::Moment) {}
}

fn compiled(fleet: &Fleet, tape: &Tape) -> Arc<Compiled> {
    let Ok(interned) = fleet.layouts.intern(tape.definition(), |_| Ok::<_, Infallible>(()));
    interned.compiled
}

fn connected(fleet: &Fleet, clock: &Clock, number: u32) -> Arc<Agent> {
    let id = format!("agent-{number:05}");
    let hello = Hello {
        agent: id.clone(),
        role: Role::Host,
        boot: boot(number),
        spooled: Vec::new(),
        labels: BTreeMap::new(),
        version: "1".into(),
        protocol: (1, 1),
        interval_ms: 10_000,
        wall_ms: 0,
        clock_ms: 0,
        scope: String::new(),
        accept_drain: false,
    };
    match fleet.connect(&id, &hello, clock.now(), &Arc::default(), None) {
        Connection::Open(agent, _) => agent,
        Connection::Occupied(_) => panic!("ids differ"),
    }
}

/// A segment of every agent, agent after agent in each tick, as they come.
fn apply(criterion: &mut Criterion) {
    let (tape, clock, fleet) = (Tape::read(), Clock::start(), Fleet::new(Arc::new(Nowhere)));
    let layout = compiled(&fleet, &tape);
    let agents: Vec<_> = (0..1_000).map(|number| connected(&fleet, &clock, number)).collect();
    let now = clock.now();
    let samples = agents.len() * SEGMENT * tape.names.len();
    let mut group = criterion.benchmark_group("fleet");
    group.sample_size(20).throughput(Throughput::Elements(samples as u64));
    group.bench_function("apply, 1 000 agents in turn", |bencher| {
        bencher.iter(|| {
            for (key, block) in &tape.blocks[..SEGMENT] {
                for agent in &agents {
                    let samples = &mut agent.live.lock().samples;
                    if *key {
                        samples.start(Arc::clone(&layout));
                    }
                    samples.apply(1, block, (now.run_ms, now.wall_ms)).expect("a sound block");
                }
            }
        });
    });
    group.finish();
}

async fn open(folder: &Path) -> Arc<dyn Store> {
    let settings = Settings { path: folder.join("farol.db"), durability: Durability::Normal };
    Arc::new(SqliteStore::open(settings).await.expect("an empty folder"))
}

fn records() -> Vec<AgentRecord> {
    let record = |number: u32| AgentRecord {
        key: AgentKey(number),
        id: format!("agent-{number:05}").into(),
        role: Role::Host,
        labels: Arc::default(),
        version: "1".into(),
        interval_ms: 10_000,
        last_seen_ms: 0,
        boot: boot(number),
    };
    (1..=AGENTS).map(record).collect()
}

/// One transaction of 2 000 reports: a fifth of a second of 100 000 agents at 10 s.
fn commit(criterion: &mut Criterion) {
    let (tape, runtime) = (Tape::read(), runtime());
    let folder = tempfile::tempdir().expect("a folder for the store");
    let store = runtime.block_on(open(folder.path()));
    let layout = Arc::clone(&compiled(&Fleet::new(Arc::new(Nowhere)), &tape).layout);
    let first = Group { agents: records(), layouts: vec![Arc::clone(&layout)], ..Group::default() };
    runtime.block_on(store.commit(&first)).expect("room");
    let mut seq = 0;
    let mut next = || {
        let reports = (0..GROUP).map(|at| {
            let agent = at as u32 % AGENTS + 1;
            let round = at / AGENTS as usize;
            tape.report(agent, round, &layout, wall_ms(), seq + round as u64 + 1)
        });
        let group = Group { reports: reports.collect(), ..Group::default() };
        seq += (GROUP / AGENTS as usize) as u64;
        group
    };
    let mut bench = criterion.benchmark_group("journal");
    bench.sample_size(30).throughput(Throughput::Elements(GROUP as u64));
    bench.bench_function("commit of 2 000 reports, SQLite", |bencher| {
        bencher.iter_batched(
            &mut next,
            |group| runtime.block_on(store.commit(&group)).expect("room"),
            BatchSize::PerIteration,
        );
    });
    bench.finish();
    runtime.block_on(store.close()).expect("room");
}

/// An hour through the journal, so that what is old enough is sealed as it is in a monitor.
async fn an_hour(journal: &Journal, layout: &Arc<Layout>, tape: &Tape, from_ms: i64) {
    assert!(journal.layout(layout), "there is room");
    journal.effects(&Effects { agents: records(), ..Effects::default() });
    let followers: Vec<_> = (1..=AGENTS).map(|n| journal.follow(AgentKey(n), boot(n))).collect();
    for round in 0..ROUNDS {
        for (follower, agent) in followers.iter().zip(1..) {
            let record = tape.report(agent, round, layout, from_ms, round as u64 + 1);
            assert_eq!(journal.report(follower, record, false), Submitted::Taken);
        }
        let all = (round + 1) as u64 * u64::from(AGENTS);
        until(|| journal.health().committed_reports + GROUP as u64 >= all).await;
    }
    let all = ROUNDS as u64 * u64::from(AGENTS);
    until(|| journal.health().committed_reports == all).await;
    // Each agent has a run that is over, and one that is not.
    until(|| journal.recent().held().sealed_blocks >= u64::from(AGENTS)).await;
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn ranges(criterion: &mut Criterion) {
    let (tape, runtime) = (Tape::read(), runtime());
    let folder = tempfile::tempdir().expect("a folder for the store");
    let store = runtime.block_on(open(folder.path()));
    let restored = runtime.block_on(store.restore()).expect("a new store");
    let (journal, writer) = journal::open(Arc::clone(&store), &restored);
    let layout = Arc::clone(&compiled(&Fleet::new(Arc::new(Nowhere)), &tape).layout);
    let end = CancellationToken::new();
    let mut parts = JoinSet::new();
    parts.spawn_on(writer.run(end.clone()), runtime.handle());
    let from_ms = wall_ms() - ROUNDS as i64 * STEP_MS;
    runtime.block_on(an_hour(&journal, &layout, &tape, from_ms));
    let mut group = criterion.benchmark_group("an hour at 15 s");
    group.sample_size(20);
    let whole = [("out of memory", Some(journal.recent())), ("out of the store", None)];
    for (recent, (of, agent)) in whole.iter().flat_map(|from| {
        [("1 series", Some("agent-00007".to_owned())), ("100 series", None)].map(|asked| (from, asked))
    }) {
        let question = Query {
            agent,
            metric: "metric_17".to_owned(),
            labels: BTreeMap::new(),
            from_ms,
            to_ms: from_ms + ROUNDS as i64 * STEP_MS,
            step_ms: 15_000,
            reduce: Reduce::Last,
        };
        let ask = || {
            let past = Past { store: &*store, recent: recent.1 };
            runtime.block_on(query(past, &question)).expect("an answer").series.len()
        };
        assert_eq!(ask(), if question.agent.is_some() { 1 } else { AGENTS as usize });
        group.bench_function(format!("{of} {}", recent.0), |bencher| bencher.iter(ask));
    }
    group.finish();
    end.cancel();
    runtime.block_on(async { while parts.join_next().await.is_some() {} });
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

criterion_group!(benches, apply, commit, ranges);
criterion_main!(benches);
