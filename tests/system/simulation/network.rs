//! The simulated network behind the two seams, and the clock of a host that joins it. Decides nothing.

use farol_agent::{Connect, Io, Monitor};
use farol_health::clock::boot_ms;
use farol_shutdown::listener::Accept;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use turmoil::net::{TcpListener, TcpStream};

/// Of the monitor.
pub(crate) const HTTP: u16 = 8_501;
pub(crate) const AGENTS: u16 = 8_502;
pub(crate) const HEALTH: u16 = 8_503;

/// Where connections come from.
pub(crate) struct Listener(TcpListener);

impl Listener {
    pub(crate) async fn bind(port: u16) -> io::Result<Self> {
        Ok(Self(TcpListener::bind(("0.0.0.0", port)).await?))
    }
}

impl Accept for Listener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.accept().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// And where they go.
pub(crate) struct Ways;

impl Connect for Ways {
    fn connect<'a>(&'a self, to: &'a Monitor) -> BoxFuture<'a, io::Result<Io>> {
        let open = async { Ok(Box::new(TcpStream::connect((to.host.as_str(), to.port)).await?) as Io) };
        open.boxed()
    }
}

/// When a simulation begins on every host's boot clock: a whole hour that is not over yet, so that ticks fall on the
/// same moments of it whenever the test is run.
#[derive(Clone, Copy)]
pub(crate) struct Epoch(u64);

impl Epoch {
    pub(crate) fn next() -> Self {
        const HOUR_MS: u64 = 3_600_000;
        Self((boot_ms() / HOUR_MS + 1) * HOUR_MS)
    }

    /// Sets the clock of the host that calls to the simulation's; first of all on each host, for one that starts
    /// anew begins with the machine's. By whole milliseconds: turns would last longer on a host that is between two.
    pub(crate) async fn join(self) {
        let elapsed = turmoil::sim_elapsed().expect("called in the simulation");
        let target = self.0 + u64::try_from(elapsed.as_millis()).expect("not so long");
        tokio::time::advance(Duration::from_millis(target.saturating_sub(boot_ms()))).await;
    }
}
