//! What applications tell an agent on their machine, with real agents and monitors: how soon the fleet knows, what
//! silence means, who is refused, and that commands leave nothing behind.

#![allow(clippy::unwrap_used, reason = "what a helper cannot do fails its test")]

mod commands;
mod drain;
mod refused;
mod told;

use farol_tests::process::Process;
use farol_tests::stack::Stack;
use reqwest::{Client, Response};
use std::net::SocketAddr;
use std::time::Duration;

/// A component that is told and a job that beats, both of the service `shop`.
const DECLARED: &str = "checks:\n\
    - {name: queue, service: shop, push: {ttl: 1m}}\n\
    - {name: nightly, service: jobs, heartbeat: {ttl: 1h}}\n";

/// An agent with a local API there.
async fn agent(stack: &Stack, name: &str, local: &str, checks: &str) -> Process {
    let folder = stack.path(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("local.yaml"), format!("listen: {{local: \"{local}\"}}\n")).unwrap();
    stack.agent(name, &format!("include: local.yaml\n{checks}")).await.unwrap()
}

/// A program beside the agent.
struct Application {
    client: Client,
    base: String,
}

impl Application {
    fn at(address: SocketAddr) -> Self {
        // A server closes after a body that it refused to read; each request has a connection of its own.
        let client = Client::builder().timeout(Duration::from_secs(5)).pool_max_idle_per_host(0);
        let client = client.build().unwrap();
        Self { client, base: format!("http://{address}") }
    }

    async fn put(&self, path: &str, body: &str) -> Response {
        self.client.put(format!("{}{path}", self.base)).body(body.to_owned()).send().await.unwrap()
    }

    /// Tells how `queue` is; it is taken.
    async fn tell(&self, status: &str) {
        let answer = self.put("/v1/components/queue", &format!(r#"{{"status":"{status}"}}"#)).await;
        assert_eq!(answer.status(), 204);
    }
}
