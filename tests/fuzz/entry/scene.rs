//! A monitor and an agent in one thread, with a stream between them, over a network in memory. What is sent to a port
//! goes through the whole way: listener, HTTP, handler. Decides what must hold of every answer.

use super::memory_store::MemoryStore;
use farol_agent::{Agent, Connect, Io, Running, Surroundings};
use farol_config::Sources;
use farol_monitor::store::Store;
use farol_monitor::{Listeners, Monitor};
use farol_shutdown::listener::Accept;
use farol_shutdown::{Budgets, Handle, Supervisor};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// An answer that takes longer is a hang: the listener's own deadlines are shorter.
const PATIENCE: Duration = Duration::from_secs(15);
/// A client listens for so many turns of the one thread before it hangs up.
const TURNS: usize = 40;
/// Components that may be told: each has a rate of its own.
const TOLD: usize = 256;

const EVENTS: &[u8] = b"content-type: text/event-stream";

const MONITOR: &str =
    "services: {payments: {at_least: 1}, kestra: {}}\ngroups: {checkout: [payments, kestra]}\n";

/// One end of the network.
struct Wire {
    incoming: mpsc::Receiver<(DuplexStream, SocketAddr)>,
    at: SocketAddr,
}

impl Accept for Wire {
    type Stream = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
        match self.incoming.recv().await {
            Some(connection) => Ok(connection),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.at)
    }
}

/// The other end.
#[derive(Clone)]
struct Dial(mpsc::Sender<(DuplexStream, SocketAddr)>);

impl Dial {
    async fn open(&self, peer: SocketAddr) -> io::Result<DuplexStream> {
        let (mine, theirs) = tokio::io::duplex(64 * 1024);
        self.0.send((theirs, peer)).await.map_err(io::Error::other)?;
        Ok(mine)
    }
}

impl Connect for Dial {
    fn connect<'a>(&'a self, _: &'a farol_agent::Monitor) -> BoxFuture<'a, io::Result<Io>> {
        async move { Ok(Box::new(self.open(([127, 0, 0, 1], 50_000).into()).await?) as Io) }.boxed()
    }
}

fn wire(port: u16) -> (Dial, Wire) {
    let (dial, incoming) = mpsc::channel(8);
    (Dial(dial), Wire { incoming, at: ([127, 0, 0, 1], port).into() })
}

/// Which port something is sent to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Port {
    /// The monitor's.
    Http,
    Agents,
    Health,
    /// The agent's.
    AgentHttp,
    AgentHealth,
    Local,
}

/// Both, running.
pub(crate) struct Scene {
    runtime: Runtime,
    http: Dial,
    agents: Dial,
    health: Dial,
    agent_http: SocketAddr,
    agent_health: SocketAddr,
    local: PathBuf,
    /// The operator's.
    pub(crate) token: String,
    _running: Running,
    _handles: (Supervisor, Handle),
    _folder: TempDir,
}

impl Scene {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let supervisor = Supervisor::new(Budgets::default());
        let handle = supervisor.handle();
        let (http, http_wire) = wire(8501);
        let (agents, agents_wire) = wire(8502);
        let (health, health_wire) = wire(8503);
        let local = folder.path().join("local.sock");
        let (running, addresses) = runtime.block_on(async {
            let listeners = Listeners { http: http_wire, agents: agents_wire, health: health_wire };
            let config = Sources::new().text("monitor.yaml", MONITOR).load().expect("it is YAML");
            let config = config.read(farol_monitor::Config::read).expect("it is sound");
            let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
            let monitor = Monitor::with(config, folder.path(), &handle, listeners).expect("a monitor");
            // Wishes for a reload are refused, because nobody takes them over.
            drop(monitor.run_over(async { Ok(store) }).await.expect("it is ready"));
            let config = Sources::new().text("agent.yaml", &agent(&local)).load().expect("it is YAML");
            let config = config
                .read(|m| farol_agent::Config::read_alone(m, &Surroundings::default()))
                .expect("it is sound");
            let agent = Agent::bind(config, None, &handle, Arc::new(agents.clone())).expect("an agent");
            let addresses = agent.addresses();
            (agent.start(), addresses)
        });
        let token = std::fs::read_to_string(folder.path().join("operator.token")).expect("a token");
        let scene = Self {
            runtime,
            http,
            agents,
            health,
            agent_http: addresses.http.expect("it listens"),
            agent_health: addresses.health.expect("it listens"),
            local,
            token: token.trim().to_owned(),
            _running: running,
            _handles: (supervisor, handle),
            _folder: folder,
        };
        scene.wait_for_the_agent();
        scene
    }

    /// What is asked of an empty fleet finds little.
    fn wait_for_the_agent(&self) {
        let ask = b"GET /api/v1/components?limit=1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        for _ in 0..1_000 {
            let answer = self.send(Port::Http, ask, true);
            if String::from_utf8_lossy(&answer).contains("\"agent\":\"agent-1\"") {
                return;
            }
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(10)).await });
        }
        panic!("the agent never reached the monitor");
    }

    /// Sends it, ends the sending half, and gives all that comes back.
    pub(crate) fn send(&self, port: Port, bytes: &[u8], here: bool) -> Vec<u8> {
        let peer: SocketAddr = if here { ([127, 0, 0, 1], 40_000) } else { ([10, 0, 0, 7], 40_000) }.into();
        let talk = async {
            match port {
                Port::Http => talk(self.http.open(peer).await, bytes).await,
                Port::Agents => talk(self.agents.open(peer).await, bytes).await,
                Port::Health => talk(self.health.open(peer).await, bytes).await,
                Port::AgentHttp => talk(TcpStream::connect(self.agent_http).await, bytes).await,
                Port::AgentHealth => talk(TcpStream::connect(self.agent_health).await, bytes).await,
                Port::Local => talk(UnixStream::connect(&self.local).await, bytes).await,
            }
        };
        let answer = self.runtime.block_on(async { timeout(PATIENCE, talk).await });
        let answer = answer.unwrap_or_else(|_| panic!("{port:?} does not end within {PATIENCE:?}"));
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.contains("\"code\":\"internal\""), "a bug in a handler: {text}");
        assert!(!text.starts_with("HTTP/1.1 500"), "a bug: {text}");
        answer
    }
}

async fn talk(stream: io::Result<impl AsyncRead + AsyncWrite + Unpin>, bytes: &[u8]) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(stream.expect("a connection"));
    let mut answer = Vec::new();
    // A server may end before it has taken or given all; that is its right.
    let sending = async {
        if write.write_all(bytes).await.is_ok() {
            // Who hangs up at once gets no answer: each turn lets the others do what they can.
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            write.shutdown().await.ok();
        }
    };
    let reading = async {
        while let Ok(1..) = read.read_buf(&mut answer).await {
            // A stream of events has no end of its own, and with another request behind it nobody sees this client's.
            if answer.windows(EVENTS.len()).any(|part| part == EVENTS) {
                break;
            }
        }
    };
    let ((), ()) = tokio::join!(sending, reading);
    answer
}

fn agent(local: &std::path::Path) -> String {
    let mut text = format!(
        "name: agent-1\nservice: payments\ninterval: 1s\nmonitors: [\"http://127.0.0.1:8502\"]\n\
         listen: {{http: \"127.0.0.1:0\", health: \"127.0.0.1:0\", local: \"unix:{}\"}}\nchecks:\n\
         - {{name: nightly, heartbeat: {{ttl: 25h}}}}\n- {{name: queue, push: {{ttl: 1h}}, readiness: true}}\n",
        local.display()
    );
    for n in 0..TOLD {
        text.push_str(&format!("- {{name: c{n}, push: {{ttl: 1h}}}}\n"));
    }
    text
}
