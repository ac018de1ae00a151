//! The protocol on a real socket, spoken by the generated client.

mod client;
mod process;
mod server;

use super::pb::health_check_response::ServingStatus as Wire;
use super::pb::health_client::HealthClient;
use super::{Limits, ServingStatus, Statuses, pb, server as health_server};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// Nothing here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// A source of any names. Without `notice` nobody is told of changes.
struct Table {
    names: Mutex<BTreeMap<String, ServingStatus>>,
    changed: watch::Sender<u64>,
    notice: bool,
    looks: AtomicUsize,
    broken: AtomicBool,
}

impl Table {
    fn new(names: &[(&str, ServingStatus)]) -> Arc<Self> {
        Arc::new(Self::with_notice(names, true))
    }

    fn with_notice(names: &[(&str, ServingStatus)], notice: bool) -> Self {
        Self {
            names: Mutex::new(names.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect()),
            changed: watch::channel(0).0,
            notice,
            looks: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        }
    }

    fn set(&self, name: &str, status: impl Into<Option<ServingStatus>>) {
        match status.into() {
            Some(status) => self.names.lock().insert(name.to_owned(), status),
            None => self.names.lock().remove(name),
        };
        self.changed.send_modify(|generation| *generation += 1);
    }
}

impl Statuses for Table {
    fn check(&self, name: &str) -> Option<ServingStatus> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        assert!(!self.broken.load(Ordering::Relaxed), "the source is made to break");
        self.names.lock().get(name).copied()
    }
    fn list(&self) -> Vec<(String, ServingStatus)> {
        self.names.lock().iter().map(|(name, status)| (name.clone(), *status)).collect()
    }
    fn changed(&self) -> watch::Receiver<u64> {
        if self.notice { self.changed.subscribe() } else { watch::channel(0).1 }
    }
}

/// A served source.
struct Served {
    address: String,
    draining: CancellationToken,
    /// Closes the listener and, once their streams have ended, the connections.
    closing: CancellationToken,
    _tasks: JoinSet<()>,
}

async fn serve(statuses: Arc<dyn Statuses>) -> Served {
    serve_with(statuses, Limits::default()).await
}

async fn serve_with(statuses: Arc<dyn Statuses>, limits: Limits) -> Served {
    let draining = CancellationToken::new();
    let service = health_server(statuses, draining.clone(), limits);
    serve_routes(tonic::service::Routes::new(service), draining).await
}

async fn serve_routes(routes: tonic::service::Routes, draining: CancellationToken) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let closing = CancellationToken::new();
    let closed = closing.clone().cancelled_owned();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let server = tonic::transport::Server::builder().add_routes(routes);
        let incoming = TcpListenerStream::new(listener);
        server.serve_with_incoming_shutdown(incoming, closed).await.unwrap();
    });
    Served { address, draining, closing, _tasks: tasks }
}

impl Served {
    async fn channel(&self) -> Channel {
        Endpoint::from_shared(self.address.clone()).unwrap().connect().await.unwrap()
    }

    async fn client(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel().await)
    }
}

fn asked(service: &str) -> pb::HealthCheckRequest {
    pb::HealthCheckRequest { service: service.to_owned() }
}

async fn watch_name(
    client: &mut HealthClient<Channel>,
    service: &str,
) -> tonic::Streaming<pb::HealthCheckResponse> {
    client.watch(asked(service)).await.unwrap().into_inner()
}

/// The next message, `None` at the proper end.
async fn next(watch: &mut tonic::Streaming<pb::HealthCheckResponse>) -> Option<Wire> {
    let message = timeout(PATIENCE, watch.message()).await.expect("a message in time").unwrap();
    message.map(|message| message.status())
}
