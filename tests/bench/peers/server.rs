//! A server that is measured: how it is started, where it is asked, and how it is ended. Nothing of it outlives this
//! process or leaves its folder.

use crate::clock::{now_ns, sleep_until};
use crate::http::Client;
use crate::process::{self, Reading};
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How often it is asked whether it is ready.
const LOOK_NS: u64 = 200_000;
const READY_WITHIN_NS: u64 = 60_000_000_000;
const ENDED_WITHIN_NS: u64 = 60_000_000_000;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Farol,
    Prometheus,
    VictoriaMetrics,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Farol => "farol-monitor",
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
        }
    }

    /// Its cheapest probe.
    pub(super) fn ready_path(self) -> &'static str {
        match self {
            Self::Farol => "/health/ready",
            Self::Prometheus => "/-/ready",
            Self::VictoriaMetrics => "/health",
        }
    }

    /// The page with every series as it is now.
    pub(super) fn page(self) -> &'static str {
        match self {
            Self::Farol => "/metrics/fleet",
            Self::Prometheus | Self::VictoriaMetrics => "/federate?match[]=%7Bagent!=%22%22%7D",
        }
    }

    /// One metric of a rack over a time, in unix milliseconds.
    pub(super) fn range(self, metric: &str, rack: usize, from_ms: i64, to_ms: i64) -> String {
        let at = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
        let (from, to) = (from_ms / 1_000, to_ms / 1_000);
        let asked = format!("query={metric}%7Brack=%22{rack}%22%7D&start={from}&end={to}&step=15");
        match self {
            Self::Farol => format!(
                "/api/v1/history?metric={metric}&label=rack={rack}&from={}&to={}&step=15s&reduce=last",
                at(from_ms),
                at(to_ms)
            ),
            Self::Prometheus => format!("/api/v1/query_range?{asked}"),
            Self::VictoriaMetrics => format!("/api/v1/query_range?{asked}&nocache=1"),
        }
    }

    fn command(self, binary: &Path, folder: &Path, addresses: &[SocketAddr; 3]) -> anyhow::Result<Command> {
        let (data, [http, agents, health]) = (folder.join("data"), addresses);
        let mut command = Command::new(binary);
        match self {
            Self::Farol => {
                command.args(["--http", &http.to_string(), "--agents", &agents.to_string()]);
                command.args(["--health", &health.to_string(), "--data-dir"]).arg(data);
            }
            Self::Prometheus => {
                let config = folder.join("prometheus.yml");
                // Whoever wants another one has put it there.
                if !config.exists() {
                    std::fs::write(&config, "global: {}\n")?;
                }
                command.arg(format!("--config.file={}", config.display()));
                command.arg(format!("--storage.tsdb.path={}", data.display()));
                command.arg(format!("--web.listen-address={http}"));
                command.args(["--web.enable-remote-write-receiver", "--web.enable-admin-api"]);
                command.arg("--log.level=warn");
            }
            Self::VictoriaMetrics => {
                command.arg(format!("-storageDataPath={}", data.display()));
                command.arg(format!("-httpListenAddr={http}"));
                command.args(["-retentionPeriod=1", "-search.latencyOffset=0s", "-loggerLevel=WARN"]);
            }
        }
        Ok(command)
    }
}

/// A running server.
pub(super) struct Server {
    child: Child,
    pub(super) kind: Kind,
    pub(super) http: SocketAddr,
    pub(super) agents: SocketAddr,
    /// From the start until its own probe said 200.
    pub(super) ready_ms: f64,
    log: PathBuf,
}

impl Server {
    /// Starts it on its folder and waits until it is ready.
    pub(super) fn start(kind: Kind, binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (addresses, log) = (free_addresses()?, folder.join("log"));
        let out = File::create(&log)?;
        let mut command = kind.command(binary, folder, &addresses)?;
        command.env_clear().env("LOG_LEVEL", "warn").stdin(Stdio::null());
        command.stdout(out.try_clone()?).stderr(out);
        let [http, agents, _] = addresses;
        let began = now_ns();
        let child = command.spawn().with_context(|| binary.display().to_string())?;
        let mut server = Self { child, kind, http, agents, ready_ms: 0.0, log };
        while !Client::new(http).get(kind.ready_path()).is_ok_and(|answer| answer.status == 200) {
            server.must_run()?;
            anyhow::ensure!(now_ns() - began < READY_WITHIN_NS, "{} is not ready in time", kind.name());
            sleep_until(now_ns() + LOOK_NS);
        }
        server.ready_ms = (now_ns() - began) as f64 / 1e6;
        Ok(server)
    }

    fn must_run(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            bail!("{} ended with {status}: {log}", self.kind.name());
        }
        Ok(())
    }

    pub(super) fn reading(&self) -> anyhow::Result<Reading> {
        process::read(self.child.id())
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.http)
    }

    /// SIGTERM, and its end.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let began = now_ns();
        while self.child.try_wait()?.is_none() {
            anyhow::ensure!(now_ns() - began < ENDED_WITHIN_NS, "{} does not end", self.kind.name());
            sleep_until(now_ns() + 10 * LOOK_NS);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Not every peer takes port 0 and tells which one it got: these were free a moment ago.
fn free_addresses() -> anyhow::Result<[SocketAddr; 3]> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners = [bind()?, bind()?, bind()?];
    Ok([listeners[0].local_addr()?, listeners[1].local_addr()?, listeners[2].local_addr()?])
}
