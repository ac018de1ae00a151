//! What a monitor says while its store takes its time to open, and from the moment it is open.

use farol_config::Sources;
use farol_health::grpc::ServingStatus::{NotServing, Serving, Unknown};
use farol_monitor::store::Store;
use farol_monitor::{Addresses, Config, Monitor};
use farol_shutdown::{Budgets, Delay, Supervisor};
use farol_tests::memory_store::MemoryStore;
use farol_tests::process::get;
use farol_tests::speaker::{Person, Speaker};
use farol_tests::stack::SOON;
use farol_tests::wait::until;
use farol_tests::watch::{self, Watch};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const CONFIG: &str = "listen: {http: \"127.0.0.1:0\", agents: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}\n\
                      services: {shop: {}}";

/// A monitor in this process whose store opens when the test says so.
pub(super) struct Slow {
    pub(super) at: Addresses,
    pub(super) open: oneshot::Sender<anyhow::Result<Arc<dyn Store>>>,
    supervisor: Supervisor,
    pub(super) starting: JoinSet<anyhow::Result<()>>,
    _data_dir: TempDir,
}

impl Slow {
    pub(super) async fn start() -> Self {
        let tree = Sources::new().text("monitor.yaml", CONFIG).load().unwrap();
        let config = tree.read(Config::read).unwrap();
        let budgets = Budgets { stop_accepting: Duration::ZERO, delay: Delay::Always, ..Budgets::default() };
        let supervisor = Supervisor::new(budgets);
        let data_dir = tempfile::tempdir().unwrap();
        let monitor = Monitor::bind(config, data_dir.path(), &supervisor.handle()).unwrap();
        let at = monitor.addresses().unwrap();
        let (open, opened) = oneshot::channel();
        let mut starting = JoinSet::new();
        starting.spawn(async move { monitor.run_over(async { opened.await? }).await.map(drop) });
        let slow = Self { at, open, supervisor, starting, _data_dir: data_dir };
        until("probes are answered", SOON, async || get(at.http, "/health/live").await.is_ok())
            .await
            .unwrap();
        slow
    }

    async fn json(&self, path: &str) -> (u16, Value) {
        json(self.at.http, path).await
    }
}

pub(super) async fn json(http: SocketAddr, path: &str) -> (u16, Value) {
    let (code, body) = get(http, path).await.unwrap();
    (code, serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {code} {body}")))
}

#[tokio::test]
async fn probes_are_answered_before_the_store_is_open_and_everything_else_is_told_to_come_back() {
    let mut slow = Slow::start().await;
    let (code, live) = slow.json("/health/live").await;
    assert_eq!((code, &live["alive"]), (200, &true.into()), "{live}");
    until("the first look at the store", SOON, async || {
        slow.json("/health/detailed").await.1["components"]["database"]["message"] != Value::Null
    })
    .await
    .unwrap();
    let (code, ready) = slow.json("/health/ready").await;
    assert_eq!((code, &ready["ready"]), (503, &false.into()));
    assert_eq!(ready["dependencies"]["database"], "starting", "{ready}");
    assert_eq!(slow.json("/health").await.0, 503);
    let (code, detailed) = slow.json("/health/detailed").await;
    let database = &detailed["components"]["database"];
    assert_eq!((code, &database["status"]), (503, &"starting".into()), "{detailed}");
    assert!(database["message"].as_str().unwrap().contains("not open yet"), "{detailed}");
    for path in ["/api/v1/fleet", "/metrics", "/health/services/shop", "/api/v1/history?metric=x"] {
        let (code, problem) = slow.json(path).await;
        assert_eq!((code, &problem["code"]), (503, &"starting".into()), "{path}: {problem}");
    }
    assert_eq!(watch::check(slow.at.health, "").await.unwrap(), NotServing);
    for name in ["shop", "nobody", "shop/database@a"] {
        assert_eq!(watch::check(slow.at.health, name).await.unwrap(), Unknown, "{name}");
    }
    let mut watch = Watch::begin(slow.at.health, "").await.unwrap();
    watch.becomes(NotServing, &[], SOON).await.unwrap();
    let refused = Speaker::open(slow.at.agents, &Person::new("a")).await.err().unwrap();
    let refused = refused.downcast::<tonic::Status>().unwrap();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused}");
    assert!(refused.message().contains("starting"), "{refused}");

    assert!(slow.open.send(Ok(Arc::new(MemoryStore::default()))).is_ok());
    slow.starting.join_next().await.unwrap().unwrap().unwrap();
    let (code, ready) = json(slow.at.http, "/health/ready").await;
    assert_eq!((code, &ready["dependencies"]["database"]), (200, &"connected".into()), "{ready}");
    watch.becomes(Serving, &[NotServing], SOON).await.unwrap();
    assert_eq!(watch::check(slow.at.health, "shop").await.unwrap(), Unknown);
    assert!(watch::check(slow.at.health, "nobody").await.is_err());
    assert_eq!(json(slow.at.http, "/api/v1/fleet").await.0, 200);
    drop(Speaker::open(slow.at.agents, &Person::new("a")).await.unwrap());
    let metrics = get(slow.at.http, "/metrics").await.unwrap().1;
    for stage in ["listen", "store", "restore", "first_look"] {
        let line = format!("farol_start_stage_seconds{{stage=\"{stage}\"}} ");
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
    slow.supervisor.handle().shutdown("the test is over");
    assert_eq!(slow.supervisor.run().await.code, 0);
}

#[tokio::test]
async fn an_agent_that_comes_a_moment_too_early_is_held_and_not_sent_away() {
    let slow = Slow::start().await;
    let person = Person::new("early");
    let (agents, opened) = (slow.at.agents, slow.open);
    let (speaker, ()) = tokio::join!(Speaker::open(agents, &person), async {
        until("the agent is connected", SOON, async || {
            let listeners = slow.supervisor.handle().listeners();
            listeners.iter().any(|(name, stats)| *name == "agents" && stats.open() == 1)
        })
        .await
        .unwrap();
        assert!(opened.send(Ok(Arc::new(MemoryStore::default()))).is_ok());
    });
    speaker.unwrap();
}

#[tokio::test]
async fn a_monitor_that_stops_before_its_store_is_open_ends_in_order() {
    let slow = Slow::start().await;
    let handle = slow.supervisor.handle();
    handle.shutdown("it takes too long");
    let report = tokio::time::timeout(SOON, slow.supervisor.run()).await.unwrap();
    assert_eq!((report.code, report.stragglers), (0, vec![]));
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_why_the_start_fails() {
    let mut slow = Slow::start().await;
    assert!(slow.open.send(Err(anyhow::anyhow!("the disk is gone"))).is_ok());
    let error = slow.starting.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
}
