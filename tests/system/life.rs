//! The life of a monitor and its agents as real processes: what they tell while all is well, and what they say when
//! something stops, crashes, hangs, restarts or leaves.

#![allow(clippy::unwrap_used, reason = "what a helper cannot do fails its test")]

mod absence;
mod crowd;
mod cut;
mod drained;
mod first;
mod matrix;
mod outage;
mod pause;
mod refusing;
mod reload;
mod restart;
mod shutdown;
mod slow;
mod spine;
mod spool;
mod start;
mod starting;
mod starved;
mod stopped;
mod storm;

use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Something to check that is always there: a listener of ours that takes every connection.
struct Target {
    _accepting: JoinSet<()>,
    address: SocketAddr,
}

impl Target {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            loop {
                drop(listener.accept().await);
            }
        });
        Self { _accepting: accepting, address }
    }

    /// A check of it, every half second.
    fn check(&self, name: &str, service: &str) -> String {
        self.check_with(name, service, "deadline: 400ms")
    }

    /// The same with a further key.
    fn check_with(&self, name: &str, service: &str, further: &str) -> String {
        format!(
            "  - {{name: {name}, service: {service}, tcp: {{address: \"{}\"}}, interval: 500ms, {further}}}\n",
            self.address
        )
    }
}

/// What changed of statuses in these events: `component shop/database@a healthy>unhealthy`.
fn status_changes<'e>(events: impl IntoIterator<Item = &'e Value>) -> Vec<String> {
    let text = |event: &'e Value, key: &str| event[key].as_str().unwrap_or_default();
    let changes = events.into_iter().filter(|event| text(event, "kind").ends_with("_status"));
    changes
        .map(|event| {
            let about = match text(event, "kind") {
                "component_status" => {
                    format!(
                        "component {}/{}@{}",
                        text(event, "service"),
                        text(event, "component"),
                        text(event, "agent")
                    )
                }
                "service_status" => format!("service {}", text(event, "service")),
                _ => format!("group {}", text(event, "group")),
            };
            format!("{about} {}>{}", text(event, "from"), text(event, "to"))
        })
        .collect()
}

/// The kinds of the events that are about this agent.
pub(crate) fn kinds_of<'e>(events: impl IntoIterator<Item = &'e Value>, agent: &str) -> Vec<&'e str> {
    let of_agent = events.into_iter().filter(|event| event["agent"] == agent);
    let kinds = of_agent.filter_map(|event| event["kind"].as_str());
    kinds.filter(|kind| !kind.starts_with("alert_")).collect()
}

/// Waits until an agent's component is healthy, and its service, too.
async fn healthy(stack: &Stack, agent: &str, component: &str, service: &str) {
    stack.shows(agent, component, "healthy", SOON).await.unwrap();
    until("the service is healthy", SOON, async || stack.service(service).await.unwrap() == "healthy")
        .await
        .unwrap();
}
