//! What agents keep on disk while no monitor takes it: it comes later, in order and once, whatever happened meanwhile.

mod clock;
mod disk;
mod killed;
mod many;

use super::refusing::{items, metric};
use super::starting::Slow;
use farol_monitor::store::Store;
use farol_tests::memory_store::MemoryStore;
use farol_tests::process::Process;
use farol_tests::stack::SOON;
use farol_tests::wait::until;
use farol_wire::Boot;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// A real monitor in this process over a store in memory, which tells every single report.
struct Scene {
    slow: Slow,
    store: Arc<MemoryStore>,
}

/// Every report that is committed, by boot and number: its blocks.
type Kept = BTreeMap<Boot, BTreeMap<u64, Vec<(u32, bytes::Bytes)>>>;

impl Scene {
    async fn start() -> Self {
        let mut slow = Slow::start().await;
        let store = Arc::new(MemoryStore::default());
        let (open, _) = tokio::sync::oneshot::channel();
        let open = std::mem::replace(&mut slow.open, open);
        assert!(open.send(Ok(Arc::clone(&store) as Arc<dyn Store>)).is_ok());
        slow.starting.join_next().await.unwrap().unwrap().unwrap();
        Self { slow, store }
    }

    fn http(&self) -> SocketAddr {
        self.slow.at.http
    }

    fn agents(&self) -> SocketAddr {
        self.slow.at.agents
    }

    async fn kept(&self) -> Kept {
        let mut kept = Kept::new();
        for report in self.store.committed() {
            let blocks = report.blocks.into_iter().map(|block| (block.source, block.data)).collect();
            kept.entry(report.boot).or_default().insert(report.seq, blocks);
        }
        kept
    }

    /// How many of these events there are of an agent.
    async fn events(&self, agent: &str, kind: &str) -> usize {
        let all = items(self.http(), "/api/v1/events?limit=1000").await;
        super::kinds_of(&all, agent).into_iter().filter(|of| *of == kind).count()
    }
}

/// From 1 to this one, each of them.
fn is_whole<T>(reports: &BTreeMap<u64, T>) -> bool {
    reports.keys().copied().eq(1..=reports.len() as u64)
}

/// A process that reports about ten times a second: one of its checks always changes its mind.
async fn restless(folder: &Path, way: SocketAddr, further: &str) -> Process {
    fs::create_dir_all(folder).unwrap();
    let flag = folder.join("flag");
    let turn = format!("if [ -e {0} ]; then rm {0}; exit 2; else : > {0}; fi", flag.display());
    let config = format!(
        "name: web-1\nmonitors: [\"http://{way}\"]\ninterval: 1s\n\
         listen: {{http: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}}\n{further}checks:\n  \
         - {{name: door, service: shop, command: {{argv: [sh, -c, \"test -e {} || exit 2\"]}}, interval: 200ms, deadline: 200ms, \
         failure_threshold: 1, success_threshold: 1}}\n  \
         - {{name: turn, service: shop, required: false, command: {{argv: [sh, -c, \"{turn}\"]}}, interval: 100ms, \
         deadline: 100ms, failure_threshold: 1, success_threshold: 1, start_grace: 0s}}\n",
        folder.join("door").display()
    );
    let path = folder.join("agent.yaml");
    fs::write(&path, config).unwrap();
    Process::start("farol-agent", &["--config", path.to_str().unwrap()], folder).await.unwrap()
}

/// A figure of the agent's own page.
async fn own(agent: &Process, name: &str) -> f64 {
    metric(agent.address("agent_http"), name).await
}

/// Waits until the agent has made so many reports since its start.
async fn makes(agent: &Process, reports: f64) {
    let made = async || own(agent, "farol_agent_reports_total").await >= reports;
    until("reports are made", SOON, made).await.unwrap();
}

/// Waits until all that an agent has on disk is committed.
async fn is_empty(agent: &Process) {
    until("the spool is empty", SOON, async || own(agent, "farol_spool_segments").await == 0.0)
        .await
        .unwrap();
}
