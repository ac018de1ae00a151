//! What a standalone says on a terminal: what it watches, and where to look. Comes when the log of the start has
//! gone by, so that it stays in sight.

use farol_agent::Running;
use farol_monitor::Addresses;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// The greeting waits no longer than this.
const AT_MOST: Duration = Duration::from_secs(1);
/// And so long after the first results: the monitor logs what it makes of them.
const AFTER: Duration = Duration::from_millis(150);

/// Waits until each check has told its first result to the monitor.
pub(super) async fn after_the_first_lines(agent: &Running) {
    let told = async {
        let all_told = || agent.snapshot().components.iter().all(|component| component.checked_ms.is_some());
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while !agent.problem().is_empty() || !all_told() {
            look.tick().await;
        }
        tokio::time::sleep(AFTER).await;
    };
    // A check that hangs is no reason to say nothing.
    drop(tokio::time::timeout(AT_MOST, told).await);
}

/// What the greeting names.
pub(super) struct Greeting<'a> {
    /// The agent's name.
    pub(super) agent: &'a str,
    /// The names of its checks.
    pub(super) checks: &'a [String],
    /// Where the monitor listens.
    pub(super) addresses: Addresses,
    /// REST speaks TLS.
    pub(super) https: bool,
    /// Where it keeps what lasts.
    pub(super) data_dir: &'a Path,
}

impl Greeting<'_> {
    /// The lines.
    pub(super) fn text(&self) -> String {
        let base = format!("{}://{}", if self.https { "https" } else { "http" }, near(self.addresses.http));
        let status = if base == "http://127.0.0.1:8501" {
            "farol status".to_owned()
        } else {
            format!("farol status --url {base}")
        };
        let checks = if self.checks.is_empty() { "no checks".to_owned() } else { self.checks.join(", ") };
        format!(
            "Farol {version} watches {agent}: {checks}\n\
             \n\
             \x20 fleet     {status}\n\
             \x20           {base}/api/v1/fleet\n\
             \x20 probes    {base}/health  /health/ready  /health/live  /health/detailed\n\
             \x20 metrics   {base}/metrics  /metrics/fleet\n\
             \x20 gRPC      {health} (grpc.health.v1)\n\
             \x20 agents    {agents}\n\
             \x20 data      {data}\n\
             \n\
             Ctrl-C ends it.\n",
            version = env!("CARGO_PKG_VERSION"),
            agent = self.agent,
            health = near(self.addresses.health),
            agents = self.addresses.agents,
            data = self.data_dir.display(),
        )
    }
}

/// The address under which this machine reaches a listener on all addresses.
fn near(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(http: &str, https: bool, checks: &[String]) -> String {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        Greeting {
            agent: "web-1",
            checks,
            addresses: Addresses {
                http: address(http),
                agents: address("[::]:8502"),
                health: address("0.0.0.0:8503"),
            },
            https,
            data_dir: Path::new("/var/lib/farol"),
        }
        .text()
    }

    #[test]
    fn it_says_where_to_look_with_addresses_that_work_here() {
        let text = greeting("127.0.0.1:8501", false, &["disk".to_owned(), "memory".to_owned()]);
        for word in [
            "watches web-1: disk, memory\n",
            "  farol status\n".trim_start(),
            "http://127.0.0.1:8501/metrics",
            " 127.0.0.1:8503 (",
            " [::]:8502\n",
            " /var/lib/farol\n",
        ] {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
        let text = greeting("[::]:9000", true, &[]);
        assert!(text.contains("farol status --url https://127.0.0.1:9000\n"), "{text}");
        assert!(text.contains(": no checks\n"), "{text}");
    }
}
