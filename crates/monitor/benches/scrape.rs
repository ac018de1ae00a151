//! How long a scrape of 100 000 series takes, from the request to the last byte: 1 000 agents of 100 series that share
//! one set of definitions, and the same with a set for each agent.

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use farol_health::probe::Source;
use farol_health::{Details, Snapshot, clock};
use farol_monitor::app::{App, Reloaded, Reloads};
use farol_monitor::clock::Clock;
use farol_monitor::events::Events;
use farol_monitor::fleet::{Connection, Fleet, Outlet};
use farol_monitor::http::{OperatorToken, Questions, router};
use farol_monitor::ingest::{Counters, Ingest, Policy, Trust};
use farol_monitor::journal;
use farol_monitor::outlet::Publisher;
use farol_monitor::scrape::Scrapes;
use farol_monitor::store::{Durability, Settings, SqliteStore, Store};
use farol_series::{Columns, Encoding};
use farol_shutdown::listener::{Access, Peer};
use farol_shutdown::{Budgets, Supervisor};
use farol_wire::{Boot, Definition, Hello, Role, SeriesDef, SeriesType, SourceDef};
use futures::StreamExt;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

const AGENTS: u32 = 1_000;
const SERIES: u32 = 100;

/// The monitor's own health, which a scrape does not ask.
struct Own;

impl Source for Own {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::default()
    }
    fn heartbeat_ms(&self) -> u64 {
        clock::boot_ms()
    }
    fn born_ms(&self) -> u64 {
        0
    }
    fn started(&self) -> bool {
        true
    }
    fn stopping(&self) -> bool {
        false
    }
    fn version(&self) -> &str {
        "1"
    }
}

async fn app(dir: &Path) -> Arc<App> {
    let settings = Settings { path: dir.join("farol.db"), durability: Durability::Normal };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(settings).await.expect("an empty directory"));
    let (journal, _) = journal::open(Arc::clone(&store), &store.restore().await.expect("a new store"));
    let clock = Arc::new(Clock::start());
    let events = Arc::new(Events::default());
    let handle = Supervisor::new(Budgets::default()).handle();
    let alerting = farol_monitor::alerting::without_rules(&journal, &events, &clock, &store)
        .expect("alerting without rules");
    let outlet: Arc<dyn Outlet> = Arc::new(Publisher::new(
        Arc::clone(&events),
        journal.clone(),
        tokio::sync::watch::Sender::new(0),
        Arc::clone(&alerting),
    ));
    let fleet = Arc::new(Fleet::new(Arc::clone(&outlet)));
    let interval = (Duration::from_secs(1), Duration::from_secs(60));
    let policy = Policy { trust: Trust::default(), limits: Default::default(), interval };
    let ingest = Arc::new(Ingest {
        fleet: Arc::clone(&fleet),
        journal: journal.clone(),
        clock: Arc::clone(&clock),
        outlet,
        policy: ArcSwap::from_pointee(policy),
        store_id: store.id(),
        draining: handle.draining(),
        streams: Default::default(),
        counters: Counters::default(),
    });
    Arc::new(App {
        fleet,
        journal,
        store,
        clock,
        events,
        alerting,
        ingest,
        own: Arc::new(Own),
        details: Details::Loopback,
        access: ArcSwap::from_pointee(Access::default()),
        token: OperatorToken::open(dir).expect("an empty directory"),
        scrapes: Scrapes::new(1_000_000),
        questions: Questions::default(),
        reload: Box::new(|| Box::pin(async { Ok(Reloaded::default()) })),
        reloads: Reloads::default(),
        traffic: farol_monitor::traffic::Traffic::default(),
        handle,
    })
}

fn definition(own: Option<u32>) -> Definition {
    let series = (1..=SERIES).map(|id| {
        let mut labels = BTreeMap::from([("device".to_owned(), format!("dev{}", id % 5))]);
        labels.extend(own.map(|agent| ("pod".to_owned(), format!("shop-{agent}"))));
        SeriesDef {
            id,
            source: 1,
            name: format!("system_metric_{}_bytes", id / 5),
            labels,
            kind: SeriesType::Gauge,
            encoding: Encoding::Float.to_wire(),
            unit: "bytes".into(),
        }
    });
    let sources = vec![SourceDef { id: 1, name: "system".into(), interval_ms: 3_600_000 }];
    Definition { sources, series: series.collect(), components: Vec::new() }
}

/// Every agent tells a row: half whole numbers, half fractions.
fn fill(app: &App, shared: bool) {
    let now = app.clock.now();
    for number in 0..AGENTS {
        let id = format!("agent-{number:05}");
        let hello = Hello {
            agent: id.clone(),
            role: Role::Host,
            boot: Boot { number: 1, nonce: 1 },
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
        let Connection::Open(agent, _) = app.fleet.connect(&id, &hello, now, &Arc::default(), None) else {
            panic!("ids differ");
        };
        let set = definition((!shared).then_some(number));
        let Ok(interned) = app.fleet.layouts.intern(set, |_| Ok::<_, Infallible>(()));
        let compiled = interned.compiled;
        let value = |at: u32| match at % 2 {
            0 => f64::from(at * 1_000_003 + number),
            _ => f64::from(at * 7 + number) / 3.0,
        };
        let row: Vec<_> = (0..SERIES).map(|at| Some(value(at))).collect();
        let mut block = Vec::new();
        let mut columns = Columns::new(vec![Encoding::Float; SERIES as usize]);
        columns.encode(&row, &mut block).expect("floats hold everything");
        let mut live = agent.live.lock();
        live.samples.start(compiled);
        live.samples.apply(1, &block, (now.run_ms, now.wall_ms)).expect("a block of its own making");
    }
}

async fn scrape(router: Router) -> usize {
    let peer = Peer { addr: ([127, 0, 0, 1], 1).into(), tls_identity: None };
    let request = Request::get("/metrics/fleet").header("host", "localhost").extension(peer);
    let request = request.body(Body::empty()).expect("a plain request");
    let response = router.oneshot(request).await.expect("routers do not fail");
    assert!(response.status().is_success(), "{}", response.status());
    let pieces = response.into_body().into_data_stream();
    pieces.fold(0, async |sum, piece| sum + piece.expect("a whole page").len()).await
}

fn bench(criterion: &mut Criterion) {
    let runtime: Runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("scrape of 100 000 series");
    group.sample_size(20).throughput(Throughput::Elements(u64::from(AGENTS * SERIES)));
    for (name, shared) in [("one layout", true), ("a layout for each agent", false)] {
        let dir = tempfile::tempdir().expect("a directory for the store");
        let app = runtime.block_on(app(dir.path()));
        fill(&app, shared);
        let router = router(app);
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(scrape(router.clone())));
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
