//! The agent beside the monitor: over loopback, as any other agent. Decides that its last word comes before the
//! monitor stops to listen, by a supervisor of its own inside the process's.

use farol_agent::{Addresses, Agent, Config, Network, Running};
use farol_shutdown::{Budgets, DataDir, Delay, Handle, Supervisor};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

/// All of it fits into the time that the process waits before it drains. The process keeps the delay for load
/// balancers, so the agent keeps none.
const BUDGETS: Budgets = Budgets {
    stop_accepting: Duration::ZERO,
    delay: Delay::WhenExposed,
    drain: Duration::from_millis(500),
    cleanup: Duration::from_millis(3_750),
    last: Duration::from_millis(500),
};

/// The agent with its sockets open.
pub(super) struct Companion {
    agent: Agent,
    /// Where it will stream to.
    pub(super) monitors: Vec<farol_agent::Monitor>,
    supervisor: Supervisor,
}

impl Companion {
    /// Opens its sockets. It will stream to the monitor that listens on `agents`.
    pub(super) fn bind(
        mut config: Config,
        monitor: &farol_monitor::Config,
        agents: SocketAddr,
        data_dir: &DataDir,
    ) -> anyhow::Result<Self> {
        let monitors = vec![way(agents, monitor.tls.agents.is_some())];
        config.monitors.clone_from(&monitors);
        let supervisor = Supervisor::new(BUDGETS);
        let network = Arc::new(Network::new(config.tls.clone()));
        let agent = Agent::bind(config, Some(data_dir), &supervisor.handle(), network)?;
        Ok(Self { agent, monitors, supervisor })
    }

    /// Where it listens; nowhere unless its file says so.
    pub(super) fn addresses(&self) -> Addresses {
        self.agent.addresses()
    }

    /// Runs it inside the process that `handle` belongs to, which drains when it has ended.
    pub(super) fn run(self, handle: &Handle) -> Running {
        let Self { agent, supervisor, .. } = self;
        let its = supervisor.handle();
        let running = agent.start();
        let last_word = handle.before_draining("agent");
        let process = handle.clone();
        let life = async move {
            let told = async {
                process.stopping().cancelled().await;
                // The agent's last word depends on why: a part that failed is no planned end.
                its.shutdown(process.reason().unwrap_or_else(|| "the process stops".into()));
                std::future::pending().await
            };
            let report = tokio::select! {
                report = supervisor.run() => report,
                never = told => never,
            };
            drop(last_word);
            let failures = report.failures.into_iter().chain(report.stragglers).collect::<Vec<_>>();
            if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
        };
        handle.spawn("agent", life.instrument(tracing::info_span!("agent", part = "agent")));
        running
    }
}

/// How this machine reaches its own listener. A certificate is verified for `localhost`.
fn way(agents: SocketAddr, tls: bool) -> farol_agent::Monitor {
    let ip = if agents.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { agents.ip() };
    let host = if tls && ip.is_loopback() { "localhost".to_owned() } else { ip.to_string() };
    farol_agent::Monitor { host, port: agents.port(), tls }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_agent::Surroundings;
    use farol_config::{Map, Sources};
    use farol_shutdown::Reason;

    #[test]
    fn the_agent_reaches_a_listener_on_all_addresses_over_loopback() {
        for (agents, tls, expected) in [
            ("127.0.0.1:8502", false, "http://127.0.0.1:8502"),
            ("[::]:8502", false, "http://127.0.0.1:8502"),
            ("0.0.0.0:8502", true, "https://localhost:8502"),
            ("[::1]:8502", false, "http://[::1]:8502"),
            ("10.0.0.5:8502", true, "https://10.0.0.5:8502"),
        ] {
            assert_eq!(way(agents.parse().unwrap(), tls).to_string(), expected);
        }
    }

    #[tokio::test]
    async fn the_agent_hears_why_the_process_stops() {
        let config = Sources::new().text("farol.yaml", "agent: {name: web-1}").load().unwrap();
        let read = |m: &mut Map<'_>| {
            let monitor = m.section("monitor", farol_monitor::Config::read);
            (monitor, m.section("agent", |m| Config::read(m, &Surroundings::default())))
        };
        let (monitor, agent) = config.read(read).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::lock(dir.path(), "a test").unwrap();
        let nobody = "127.0.0.1:9".parse().unwrap();
        let companion = Companion::bind(agent, &monitor, nobody, &data_dir).unwrap();
        let its = companion.supervisor.handle();
        let process = Supervisor::new(Budgets::default());
        companion.run(&process.handle());
        process.handle().spawn("store", async { Err("the disk is gone") });
        let report = process.run().await;
        let reason = Reason::Task { name: "store".to_owned(), why: "the disk is gone".to_owned() };
        assert_eq!((its.reason().as_ref(), &report.reason), (Some(&reason), &reason));
    }

    #[test]
    fn the_agents_whole_end_fits_into_the_time_before_draining() {
        assert!(BUDGETS.total() < Budgets::default().stop_accepting);
    }
}
