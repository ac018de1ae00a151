//! A store refuses for a moment and takes again: agents bring what it missed, and are there all the while.

use super::starting::{Slow, json};
use super::{Target, kinds_of};
use farol_monitor::store::{Store, StoreError};
use farol_tests::crowd::Crowd;
use farol_tests::memory_store::MemoryStore;
use farol_tests::process::get;
use farol_tests::proxy::Proxy;
use farol_tests::stack::SOON;
use farol_tests::wait::{holds, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

const AGENTS: usize = 8;
/// Agents report every second: lost after three, and told so a moment later.
const LOST_TIMES: Duration = Duration::from_secs(9);

/// What a monitor's own page says.
pub(super) async fn metric(http: SocketAddr, name: &str) -> f64 {
    let (_, page) = get(http, "/metrics").await.unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
}

pub(super) async fn items(http: SocketAddr, path: &str) -> Vec<Value> {
    json(http, path).await.1["items"].as_array().unwrap().clone()
}

/// The numbers of the reports that are kept, by agent.
async fn kept(store: &MemoryStore) -> BTreeMap<u32, Vec<u64>> {
    let keys: Vec<_> = store.agents().await.unwrap().iter().map(|agent| agent.key).collect();
    // Up to its mark in blocks, then in the journal; each agent has one start.
    let sealed = store.restore().await.unwrap().sealed;
    let mut found: BTreeMap<u32, Vec<u64>> =
        sealed.into_iter().map(|(agent, _, last)| (agent.0, (1..=last).collect())).collect();
    let mut visit = |stored: farol_monitor::store::StoredReport| {
        found.entry(stored.report.agent.0).or_default().push(stored.report.seq);
        ControlFlow::Continue(())
    };
    store.reports(&keys, i64::MIN, i64::MAX, &mut visit).await.unwrap();
    found
}

#[tokio::test]
async fn no_agent_is_lost_while_a_store_that_refused_gets_what_it_missed() {
    let target = Target::open().await;
    let mut slow = Slow::start().await;
    let http = slow.at.http;
    let store = Arc::new(MemoryStore::default());
    assert!(slow.open.send(Ok(Arc::clone(&store) as Arc<dyn Store>)).is_ok());
    slow.starting.join_next().await.unwrap().unwrap().unwrap();
    let way = Proxy::to(slow.at.agents).await.unwrap();
    let mut crowd = Crowd::default();
    for number in 0..AGENTS {
        let check = target.check("door", "shop");
        let config = format!(
            "name: agent-{number}\nmonitors: [\"http://{}\"]\ninterval: 1s\nchecks:\n{check}\
             listen: {{http: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}}\n",
            way.address()
        );
        crowd.add(&config).unwrap();
    }
    until("all report", SOON, async || kept(&store).await.len() == AGENTS).await.unwrap();

    store.refuse(Some(StoreError::Refused("the disk is full".to_owned())));
    // More than one of each on average, and each agent has its own second.
    until("reports of all agents are dropped", SOON, async || {
        metric(http, "farol_journal_dropped_reports_total").await >= 2.0 * AGENTS as f64
    })
    .await
    .unwrap();
    let before = kept(&store).await;
    store.refuse(None);
    until("the store takes again", SOON, async || metric(http, "farol_journal_refusing").await == 0.0)
        .await
        .unwrap();
    let all_here = async || {
        let agents = items(http, "/api/v1/agents").await;
        agents.len() == AGENTS && agents.iter().all(|agent| agent["presence"] == "here")
    };
    holds("all agents speak", LOST_TIMES, all_here).await.unwrap();
    assert_eq!(json(http, "/health/services/shop").await.1["status"], "healthy");

    // Those whose moment is still to come are brought by a break of their streams.
    way.cut();
    until("all streams are broken", SOON, async || {
        items(http, "/api/v1/agents").await.iter().all(|agent| agent["connected"] == false)
    })
    .await
    .unwrap();
    way.mend();
    until("all that was missed is kept", SOON, async || {
        let kept = kept(&store).await;
        let whole = |seqs: &[u64]| seqs.iter().copied().eq(1..=seqs.len() as u64);
        let grown = |(agent, seqs): (&u32, &Vec<u64>)| seqs.len() >= before[agent].len() + 10;
        kept.values().all(|seqs| whole(seqs)) && kept.iter().all(grown)
    })
    .await
    .unwrap();
    let history = items(http, "/api/v1/events?limit=1000").await;
    for number in 0..AGENTS {
        let kinds = kinds_of(&history, &format!("agent-{number}"));
        assert!(!kinds.contains(&"agent_lost"), "{kinds:?}");
        assert!(kinds.iter().filter(|kind| **kind == "agent_connected").count() >= 2, "{kinds:?}");
    }
    let reports = crowd.stop().await.unwrap();
    assert!(reports.iter().all(|report| report.code == 0), "{reports:?}");
}
