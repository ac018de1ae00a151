//! The one suite of stores: what every store must do, on the real ones and on the double. What only one of them has
//! (a file, its modes, a full disk) is tested beside it.

mod agreement;
mod backup;
mod damage;
mod documents;
mod history;
mod in_postgres;
mod postgres;
mod reports;
mod restart;
mod sealed;
mod statuses;
mod upkeep;

use farol_health::Status;
use farol_monitor::store::{
    AgentKey, AgentRecord, BlockRecord, ComponentKey, ComponentRecord, Durability, Group, Layout, LayoutKey,
    ReportRecord, Settings, SqliteStore, StatusChange, Store, StoredReport,
};
use farol_tests::memory_store::MemoryStore;
use farol_wire::{Boot, Definition, Role, SeriesDef, SeriesType, SourceDef};
use futures::FutureExt;
use futures::future::BoxFuture;
use in_postgres::Databases;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use tempfile::TempDir;

/// Somewhere a store is, over restarts.
trait Place: Send + Sync {
    /// Opens the store, also again.
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>>;
}

struct OnDisk {
    dir: TempDir,
    durability: Durability,
}

impl Place for OnDisk {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        async {
            let path = self.dir.path().join("farol.db");
            let store = SqliteStore::open(Settings { path, durability: self.durability }).await.unwrap();
            Arc::new(store) as Arc<dyn Store>
        }
        .boxed()
    }
}

struct InMemory(MemoryStore);

impl Place for InMemory {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        async { Arc::new(self.0.reopened()) as Arc<dyn Store> }.boxed()
    }
}

/// A promise, and how it is tried on an empty place.
type Case = (&'static str, for<'a> fn(&'a dyn Place) -> BoxFuture<'a, ()>);

fn cases() -> Vec<Case> {
    [
        restart::CASES,
        reports::CASES,
        statuses::CASES,
        upkeep::CASES,
        history::CASES,
        sealed::CASES,
        documents::CASES,
    ]
    .concat()
}

async fn keeps_every_promise(place: impl Fn() -> Box<dyn Place>) {
    for (promise, case) in cases() {
        eprintln!("{promise}");
        case(&*place()).await;
    }
}

fn on_disk(durability: Durability) -> Box<dyn Place> {
    Box::new(OnDisk { dir: tempfile::tempdir().unwrap(), durability })
}

#[tokio::test]
async fn sqlite_keeps_every_promise_of_a_store() {
    keeps_every_promise(|| on_disk(Durability::Normal)).await;
}

#[tokio::test]
async fn sqlite_with_full_durability_keeps_every_promise_of_a_store() {
    keeps_every_promise(|| on_disk(Durability::Full)).await;
}

#[tokio::test]
async fn postgresql_keeps_every_promise_of_a_store() {
    let databases = Databases::start().await;
    for (promise, case) in cases() {
        eprintln!("{promise}");
        case(&databases.place()).await;
    }
}

#[tokio::test]
async fn the_double_keeps_every_promise_of_a_store() {
    keeps_every_promise(|| Box::new(InMemory(MemoryStore::default()))).await;
}

const BOOT: Boot = Boot { number: 1_760_000_000_000, nonce: u64::MAX };

fn agent(key: u32, id: &str) -> AgentRecord {
    AgentRecord {
        key: AgentKey(key),
        id: id.into(),
        role: Role::Pod,
        labels: Arc::new(BTreeMap::from([("cluster".to_owned(), "eu \"1\" ü\n".to_owned())])),
        version: "1.0.0".into(),
        interval_ms: 10_000,
        last_seen_ms: 1_000,
        boot: BOOT,
    }
}

fn layout(key: u32) -> Arc<Layout> {
    let series = |id: u32, encoding| SeriesDef {
        id,
        source: 1,
        name: format!("metric_{key}"),
        labels: BTreeMap::from([("n".to_owned(), id.to_string())]),
        kind: SeriesType::Counter,
        encoding,
        unit: "bytes".to_owned(),
    };
    let set = Definition {
        sources: vec![SourceDef { id: 1, name: "system".to_owned(), interval_ms: 10_000 }],
        series: vec![series(1, (1, 0)), series(2, (2, 3)), series(3, (3, 0))],
        components: Vec::new(),
    };
    Arc::new(Layout { key: LayoutKey(key), set })
}

/// A report whose block is as long as its number says, so that mix-ups are seen.
fn report(agent: u32, boot: Boot, seq: u64, at_ms: i64, key: bool) -> ReportRecord {
    let data = vec![seq as u8; (seq % 200) as usize];
    ReportRecord {
        agent: AgentKey(agent),
        boot,
        seq,
        layout: LayoutKey(1),
        at_ms,
        key,
        blocks: vec![
            BlockRecord { source: 1, before_ms: 0, data: data.into() },
            BlockRecord { source: 1 << 24, before_ms: u32::MAX, data: bytes::Bytes::new() },
        ],
    }
}

fn component_key(agent: &str, component: &str) -> ComponentKey {
    ComponentKey { agent: agent.into(), service: "shop.payments".into(), component: component.into() }
}

fn component(agent: &str, name: &str) -> ComponentRecord {
    ComponentRecord {
        key: component_key(agent, name),
        required: true,
        readiness: false,
        ttl_ms: u32::MAX,
        kind: "postgres".into(),
        hard: Status::Degraded,
        soft: Status::Unhealthy,
        reason: "slow".into(),
        message: "it's \"slow\" \u{0} \u{1F6A6}\n".into(),
        checked_ms: None,
        changed_ms: -5,
        stale: true,
    }
}

fn change(component: &str, at_ms: i64, status: Option<Status>, stale: bool) -> StatusChange {
    StatusChange {
        key: component_key("one", component),
        at_ms,
        status,
        maintenance: at_ms % 2 == 1,
        muted: matches!(status, Some(Status::Degraded | Status::Unhealthy)),
        stale,
        reason: format!("r{at_ms}").as_str().into(),
    }
}

/// The reports of some agents in a time.
async fn read(store: &dyn Store, agents: &[u32], from_ms: i64, to_ms: i64) -> Vec<StoredReport> {
    let agents: Vec<AgentKey> = agents.iter().copied().map(AgentKey).collect();
    let mut all = Vec::new();
    let mut visit = |stored| {
        all.push(stored);
        ControlFlow::Continue(())
    };
    store.reports(&agents, from_ms, to_ms, &mut visit).await.unwrap();
    all
}

/// Their numbers.
async fn seqs(store: &dyn Store, agent: u32, from_ms: i64, to_ms: i64) -> Vec<u64> {
    read(store, &[agent], from_ms, to_ms).await.iter().map(|stored| stored.report.seq).collect()
}

/// A group of reports, with the layout and the agent that they need.
fn group(reports: Vec<ReportRecord>) -> Group {
    Group { agents: vec![agent(1, "one")], layouts: vec![layout(1)], reports, ..Group::default() }
}
