//! What the SQLite store costs: a commit per report, a restart, a question about the past. Prints a table; wall and
//! processor time are of the whole process, upkeep included. Parts by name: commit, full, statuses, restart, memory,
//! question.
#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use farol_health::Status;
use farol_monitor::history::{Past, Query, query};
use farol_monitor::recent::{self, Recent};
use farol_monitor::store::{
    AgentKey, AgentRecord, BlockRecord, ComponentKey, ComponentRecord, Durability, Group, Layout, LayoutKey,
    ReportRecord, Retention, Settings, SqliteStore, StatusChange, Store,
};
use farol_series::{Columns, Encoding, Reduce};
use farol_wire::{Boot, Definition, Role, SeriesDef, SeriesType, SourceDef};
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::time::Instant;

const BOOT: Boot = Boot { number: 1_760_000_000_000, nonce: 7 };
const SERIES: usize = 100;

#[tokio::main]
async fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|word| part.contains(word.as_str()));
    println!("{:<44} {:>12} {:>12}", "", "wall", "processor");
    if wanted("commit") {
        commits(Durability::Normal).await;
    }
    if wanted("full") {
        commits(Durability::Full).await;
    }
    if wanted("statuses") {
        statuses().await;
    }
    if wanted("restart") {
        restarts().await;
    }
    if wanted("memory") {
        in_memory().await;
    }
    if wanted("question") {
        questions(1).await;
        questions(1_000).await;
    }
}

async fn open(dir: &Path, durability: Durability) -> SqliteStore {
    SqliteStore::open(Settings { path: dir.join("farol.db"), durability }).await.expect("a store")
}

fn cpu_us() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}

/// Wall and processor time of something, in microseconds.
struct Stopwatch(Instant, f64);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now(), cpu_us())
    }

    fn print(&self, what: &str, per: f64, unit: &str) {
        let (wall, cpu) = (self.0.elapsed().as_secs_f64() * 1e6 / per, (cpu_us() - self.1) / per);
        println!("{what:<44} {wall:>9.2} {unit} {cpu:>9.2} {unit}");
    }
}

/// An hour of one agent in memory: 100 series of one metric each 10 s; sealed for the most part.
async fn in_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), Durability::Normal).await;
    let recent = Recent::new(recent::Settings::default(), &store.restore().await.expect("a new store"));
    let (known, mut set) = (agents(1, 0), layout(1).set.clone());
    for (at, series) in set.series.iter_mut().enumerate() {
        series.name = "metric".to_owned();
        series.labels = BTreeMap::from([("n".to_owned(), at.to_string())]);
    }
    let layout = Arc::new(Layout { key: LayoutKey(1), set });
    let now_ms = 1_760_003_600_000;
    store.commit(&known).await.expect("room");
    recent.take(&Group { layouts: vec![layout], ..known }, now_ms);
    let mut sender = Sender::new(1);
    let reports: Vec<_> = (0..360).map(|n| sender.report(1, 1, 1_760_000_000_000 + n * 10_000)).collect();
    let watch = Stopwatch::start();
    recent.take(&Group { reports, ..Group::default() }, now_ms);
    watch.print("a report into memory", 360.0, "µs");
    let watch = Stopwatch::start();
    let sealed = recent.seal(std::time::Duration::from_secs(60), usize::MAX);
    let samples: u64 = sealed.iter().map(|record| record.samples).sum();
    let bytes: usize = sealed.iter().map(|record| record.bytes.len()).sum();
    watch.print(
        &format!("{samples} samples sealed, {:.2} bytes each", bytes as f64 / samples as f64),
        1.0,
        "µs",
    );
    let question = Query {
        agent: Some("shop:payments-1".to_owned()),
        metric: "metric".to_owned(),
        labels: BTreeMap::new(),
        from_ms: 1_760_000_000_000,
        to_ms: now_ms,
        step_ms: 15_000,
        reduce: Reduce::Avg,
    };
    for again in ["", ", again", ", once more"] {
        let watch = Stopwatch::start();
        let found = query(Past { store: &store, recent: Some(&recent) }, &question).await.expect("an answer");
        let points: usize = found.series.iter().map(|series| series.points.len()).sum();
        watch.print(&format!("1 h in memory, {points} points{again}"), 1_000.0, "ms");
    }
}

/// One agent's blocks: integers that move by a little, some that stand still, some decimals.
struct Sender {
    columns: Columns,
    row: Vec<Option<f64>>,
    seed: u64,
    seq: u64,
}

impl Sender {
    fn new(seed: u64) -> Self {
        let encoding = |n: usize| if n.is_multiple_of(5) { Encoding::Decimal(2) } else { Encoding::Integer };
        let row = (0..SERIES).map(|n| Some(1_000.0 * n as f64)).collect();
        Self { columns: Columns::new((0..SERIES).map(encoding).collect()), row, seed, seq: 0 }
    }

    fn report(&mut self, agent: u32, layout: u32, at_ms: i64) -> ReportRecord {
        self.seq += 1;
        let key = self.seq % 30 == 1;
        if key {
            self.columns.reset();
        }
        for (n, value) in self.row.iter_mut().enumerate() {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let step = (self.seed >> 40) % 200;
            if n % 2 == 0 || step < 20 {
                let fine = if n.is_multiple_of(5) { 0.01 } else { 1.0 };
                *value = value.map(|v| ((v + step as f64 * fine) * 100.0).round() / 100.0);
            }
        }
        let mut data = Vec::new();
        self.columns.encode(&self.row, &mut data).expect("made to fit");
        ReportRecord {
            agent: AgentKey(agent),
            boot: BOOT,
            seq: self.seq,
            layout: LayoutKey(layout),
            at_ms,
            key,
            blocks: vec![BlockRecord { source: 1, before_ms: 12, data: data.into() }],
        }
    }
}

fn layout(key: u32) -> Arc<Layout> {
    let series = |n: usize| SeriesDef {
        id: n as u32 + 1,
        source: 1,
        name: format!("system_metric_number_{}_{}_total", n / 4, key % 3),
        labels: BTreeMap::from([
            ("device".to_owned(), format!("dev{key}-{n}")),
            ("kind".to_owned(), "x".to_owned()),
        ]),
        kind: SeriesType::Gauge,
        encoding: if n.is_multiple_of(5) { (2, 2) } else { (1, 0) },
        unit: "bytes".to_owned(),
    };
    let sources = vec![SourceDef { id: 1, name: "system".to_owned(), interval_ms: 10_000 }];
    let set = Definition { sources, series: (0..SERIES).map(series).collect(), components: Vec::new() };
    Arc::new(Layout { key: LayoutKey(key), set })
}

fn agents(count: u32, layouts: u32) -> Group {
    let mut group = Group { layouts: (1..=layouts).map(layout).collect(), ..Group::default() };
    for key in 1..=count {
        let id: Arc<str> = format!("shop:payments-{key}").into();
        group.agents.push(AgentRecord {
            key: AgentKey(key),
            id: Arc::clone(&id),
            role: Role::Pod,
            labels: Arc::new(BTreeMap::from([("namespace".to_owned(), "shop".to_owned())])),
            version: "1.0.0".into(),
            interval_ms: 10_000,
            last_seen_ms: 0,
            boot: BOOT,
        });
        group.components.extend((0..10).map(|n| ComponentRecord {
            key: ComponentKey {
                agent: Arc::clone(&id),
                service: "payments".into(),
                component: format!("component-{n}").into(),
            },
            required: true,
            readiness: n == 0,
            ttl_ms: 30_000,
            kind: "tcp".into(),
            hard: Status::Healthy,
            soft: Status::Healthy,
            reason: "ok".into(),
            message: "".into(),
            checked_ms: Some(1_760_000_000_000),
            changed_ms: 1_760_000_000_000,
            stale: false,
        }));
    }
    group
}

async fn commits(durability: Durability) {
    for size in [20_u32, 100, 1_000, 2_000] {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path(), durability).await;
        store.commit(&agents(size, 1)).await.expect("room");
        let rounds = (60_000 / size).min(600);
        let mut senders: Vec<Sender> = (0..size).map(|n| Sender::new(u64::from(n))).collect();
        let groups: Vec<Group> = (0..rounds)
            .map(|round| {
                let at_ms = 1_760_000_000_000 + i64::from(round) * 10_000;
                let reports = senders.iter_mut().enumerate().map(|(n, s)| s.report(n as u32 + 1, 1, at_ms));
                Group { reports: reports.collect(), ..Group::default() }
            })
            .collect();
        let blocks: usize = groups.iter().flat_map(|g| &g.reports).map(|r| r.blocks[0].data.len()).sum();
        let watch = Stopwatch::start();
        for (round, group) in groups.iter().enumerate() {
            store.commit(group).await.expect("room");
            store.tidy(round as i64 * 200, &Retention::default()).await.expect("room");
        }
        let reports = f64::from(rounds * size);
        watch.print(&format!("commit, {durability:?}, groups of {size}: a report"), reports, "µs");
        store.close().await.expect("room");
        let file = std::fs::metadata(dir.path().join("farol.db")).expect("a file").len() as f64;
        let (block, disk) = (blocks as f64 / reports, file / reports);
        println!("{:<44} {block:>9.0} B in, {disk:.0} B on disk", "");
    }
}

/// Agents that come all at once, and then change all at once: ten components each.
async fn statuses() {
    for count in [100, 10_000] {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path(), Durability::Normal).await;
        let known = agents(count, 1);
        for (at_ms, what) in [(1, "new"), (2, "changed")] {
            let change = |c: &ComponentRecord| StatusChange {
                key: c.key.clone(),
                at_ms,
                status: Some(c.hard),
                maintenance: false,
                muted: false,
                stale: false,
                reason: Arc::clone(&c.reason),
            };
            let group = Group { changes: known.components.iter().map(change).collect(), ..known.clone() };
            let watch = Stopwatch::start();
            store.commit(&group).await.expect("room");
            watch.print(
                &format!("{count} agents at once, {what}: a component"),
                f64::from(count) * 10.0,
                "µs",
            );
        }
    }
}

async fn restarts() {
    for layouts in [1, 1_000] {
        for clean in [true, false] {
            let dir = tempfile::tempdir().expect("a directory");
            let store = open(dir.path(), Durability::Normal).await;
            store.commit(&agents(1_000, layouts)).await.expect("room");
            let mut senders: Vec<Sender> = (0..1_000).map(Sender::new).collect();
            // A minute without saved marks, as it is at worst: 300 groups, each agent six times.
            for group in 0..300_usize {
                let at_ms = 1_760_000_000_000 + group as i64 * 200;
                let some = senders.iter_mut().enumerate().skip(group % 50 * 20).take(20);
                let reports =
                    some.map(|(n, s)| s.report(n as u32 + 1, n as u32 % layouts + 1, at_ms)).collect();
                store.commit(&Group { reports, ..Group::default() }).await.expect("room");
                store.tidy(1, &Retention::default()).await.expect("room");
            }
            if clean {
                store.close().await.expect("room");
            }
            let watch = Stopwatch::start();
            let again = open(dir.path(), Durability::Normal).await;
            let restored = again.restore().await.expect("sound");
            let how = if clean { "closed" } else { "killed" };
            watch.print(&format!("open, 1000 agents x 100, {layouts} layouts, {how}"), 1_000.0, "ms");
            assert_eq!((restored.marks.len(), restored.components.len()), (1_000, 10_000), "all is there");
        }
    }
    let dir = tempfile::tempdir().expect("a directory");
    let watch = Stopwatch::start();
    let _empty = open(dir.path(), Durability::Normal).await;
    watch.print("open, a new store", 1_000.0, "ms");
}

/// An hour at ten seconds, in groups of a fifth of a second.
async fn questions(count: u32) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), Durability::Normal).await;
    store.commit(&agents(count, 1)).await.expect("room");
    let mut senders: Vec<Sender> = (0..u64::from(count)).map(Sender::new).collect();
    for tick in 0..360_usize {
        for slot in 0..50_usize {
            let at_ms = 1_760_000_000_000 + tick as i64 * 10_000 + slot as i64 * 200;
            let of_slot = senders.iter_mut().enumerate().filter(|(n, _)| n % 50 == slot);
            let reports: Vec<_> = of_slot.map(|(n, s)| s.report(n as u32 + 1, 1, at_ms)).collect();
            if !reports.is_empty() {
                store.commit(&Group { reports, ..Group::default() }).await.expect("room");
                store.tidy(at_ms, &Retention::default()).await.expect("room");
            }
        }
    }
    let one = |device: &str| BTreeMap::from([("device".to_owned(), device.to_owned())]);
    let whose = Some("shop:payments-1".to_owned());
    for (what, agent, labels) in [
        ("4 series of one", whose.clone(), BTreeMap::new()),
        ("1 series of one", whose, one("dev1-13")),
        ("1 series of each", None, one("dev1-13")),
    ] {
        let question = Query {
            agent,
            metric: "system_metric_number_3_1_total".to_owned(),
            labels,
            from_ms: 1_760_000_000_000,
            to_ms: 1_760_003_600_000,
            step_ms: 15_000,
            reduce: Reduce::Avg,
        };
        for again in ["", ", again"] {
            let watch = Stopwatch::start();
            let found = query(Past { store: &store, recent: None }, &question).await;
            let points: usize = found.map_or(0, |all| all.series.iter().map(|s| s.points.len()).sum());
            watch.print(&format!("1 h of {count} agents, {what}, {points} points{again}"), 1_000.0, "ms");
        }
    }
    let mut reports = 0_u32;
    let watch = Stopwatch::start();
    let mut visit = |_| {
        reports += 1;
        std::ops::ControlFlow::Continue(())
    };
    store.reports(&[AgentKey(1)], 0, i64::MAX, &mut visit).await.expect("sound");
    watch.print(&format!("{reports} reports of one agent, not decoded"), 1_000.0, "ms");
}
