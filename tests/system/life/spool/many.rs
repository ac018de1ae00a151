//! A thousand reports wait on disk. The agent is the library with a report interval that no configuration allows, so
//! that they are made within seconds.

use super::{Kept, Scene, is_whole, items, metric};
use farol_agent::{Agent, Config, Network, Running, Surroundings};
use farol_config::Sources;
use farol_shutdown::{Budgets, DataDir, ExitReport, Handle, Supervisor};
use farol_tests::mute::Mute;
use farol_tests::proxy::Proxy;
use farol_tests::stack::SOON;
use farol_tests::wait::{holds, until};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinSet;

const REPORTS: u64 = 1_000;
/// What memory holds: less than half of them.
const RING: usize = 48 << 10;
/// So often the answers get lost.
const ROUNDS: usize = 3;
/// Disk for all of them, and for few.
const ROOMY: u64 = 64 << 20;
const SCARCE: u64 = 32 << 10;
/// Until a monitor says another one.
const INTERVAL: Duration = Duration::from_millis(5);

struct Fast {
    http: SocketAddr,
    running: Running,
    handle: Handle,
    ended: JoinSet<ExitReport>,
    _data_dir: (DataDir, TempDir),
}

impl Fast {
    fn start(way: SocketAddr, disk: u64) -> Self {
        let text = format!(
            "name: web-1\nmonitors: [\"http://{way}\"]\n\
             listen: {{http: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}}\n"
        );
        let tree = Sources::new().text("agent.yaml", &text).load().unwrap();
        let mut config = tree.read(|m| Config::read_alone(m, &Surroundings::default())).unwrap();
        (config.interval, config.ring_bytes, config.spool.max_bytes) = (INTERVAL, RING, disk);
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::lock(folder.path(), "a test").unwrap();
        let supervisor = Supervisor::new(Budgets::default());
        let handle = supervisor.handle();
        let network = Arc::new(Network::new(None));
        let agent = Agent::bind(config, Some(&data_dir), &handle, network).unwrap();
        let (http, running) = (agent.addresses().http.unwrap(), agent.start());
        let mut ended = JoinSet::new();
        ended.spawn(supervisor.run());
        Self { http, running, handle, ended, _data_dir: (data_dir, folder) }
    }

    /// Waits until a thousand reports are made. Memory holds only some of them.
    async fn makes_them(&self) {
        let made = async || self.running.counts().reports >= REPORTS;
        until("the reports are made", SOON, made).await.unwrap();
        let counts = self.running.counts();
        assert!(counts.ring_bytes <= RING, "{counts:?}");
        assert_eq!(counts.unacked + counts.lost, counts.reports);
    }

    async fn end(mut self) {
        self.handle.shutdown("the test is over");
        assert_eq!(self.ended.join_next().await.unwrap().unwrap().code, 0);
    }
}

fn count(kept: &Kept) -> usize {
    kept.values().map(|reports| reports.len()).sum()
}

#[tokio::test]
async fn a_thousand_reports_that_waited_on_disk_arrive_in_order_and_once() {
    let scene = Scene::start().await;
    let way = Proxy::to(scene.agents()).await.unwrap();
    way.cut();
    let agent = Fast::start(way.address(), ROOMY);
    agent.makes_them().await;
    way.mend();
    until("all are acknowledged", SOON, async || agent.running.counts().acked >= REPORTS).await.unwrap();
    let kept = scene.kept().await;
    assert_eq!(kept.len(), 1);
    // The journal takes no report of a boot after a later one: what is there came in order.
    assert!(kept.values().all(is_whole), "{:?}", kept.values().map(|r| r.keys().collect::<Vec<_>>()));
    assert!(count(&kept) as u64 >= REPORTS);
    assert_eq!(metric(scene.http(), "farol_ingest_duplicates_total").await, 0.0);
    assert_eq!(metric(scene.http(), "farol_ingest_reports_lost_total").await, 0.0);
    agent.end().await;
}

#[tokio::test]
async fn a_thousand_reports_whose_acknowledgements_get_lost_are_kept_once() {
    let scene = Scene::start().await;
    let way = Mute::to(scene.agents()).await.unwrap();
    let agent = Fast::start(way.address(), ROOMY);
    agent.makes_them().await;
    for _ in 0..ROUNDS {
        if count(&scene.kept().await) >= REPORTS as usize {
            break;
        }
        let before = count(&scene.kept().await);
        // A message of the backlog is longer than what passes without an answer: so the first one has to be heard of.
        way.mend();
        until("some are committed", SOON, async || count(&scene.kept().await) > before).await.unwrap();
        way.mute();
        // What is on its way arrives and is committed, and the agent never hears of it.
        let mut last = 0;
        let rests = async || {
            let now = count(&scene.kept().await);
            holds("nothing more comes", Duration::from_millis(300), async || {
                count(&scene.kept().await) == now
            })
            .await
            .is_ok()
                && std::mem::replace(&mut last, now) == now
        };
        until("it rests", SOON, rests).await.unwrap();
        way.cut();
        until("the stream is broken", SOON, async || {
            items(scene.http(), "/api/v1/agents").await.iter().all(|agent| agent["connected"] == false)
        })
        .await
        .unwrap();
    }
    let (before, committed) = (agent.running.counts(), count(&scene.kept().await));
    println!("{committed} of {} are committed, {} acknowledged", before.reports, before.acked);
    assert!(committed > 0, "{before:?}");
    way.mend();
    until("all are acknowledged", SOON, async || agent.running.counts().acked >= REPORTS).await.unwrap();
    let kept = scene.kept().await;
    assert_eq!(kept.len(), 1);
    assert!(kept.values().all(is_whole), "exactly once: {}", count(&kept));
    assert_eq!(agent.running.counts().lost, 0);
    agent.end().await;
}

#[tokio::test]
async fn an_agent_that_is_alone_for_long_keeps_the_newest_within_its_limits_and_tells_exactly_what_it_dropped()
 {
    let scene = Scene::start().await;
    let way = Mute::to(scene.agents()).await.unwrap();
    let agent = Fast::start(way.address(), SCARCE);
    agent.makes_them().await;
    let (disk, lost) = (metric(agent.http, "farol_spool_bytes").await, agent.running.counts().lost);
    assert!(disk > 0.0 && disk <= SCARCE as f64 && lost > 100, "{disk} bytes, {lost} lost");
    way.mend();
    until("all that is left is acknowledged", SOON, async || agent.running.counts().acked >= REPORTS)
        .await
        .unwrap();
    let (kept, lost) = (scene.kept().await, agent.running.counts().lost);
    let reports = kept.values().next().unwrap();
    let newest = *reports.keys().next_back().unwrap();
    assert!(reports.keys().copied().eq(lost + 1..=newest), "the oldest {lost} are gone, and no others");
    let told = async || metric(scene.http(), "farol_ingest_reports_lost_total").await == lost as f64;
    until("the monitor knows how many", SOON, told).await.unwrap();
    assert_eq!(scene.events("web-1", "reports_dropped").await, 1);
    agent.end().await;
}
