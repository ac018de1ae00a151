//! The way to a monitor: TCP, with TLS where the address says `https`. A seam: tests bring a simulated network.

use crate::config::{Monitor, TlsFiles};
use farol_shutdown::listener::client_tls;
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

/// HTTP/2: a ping after so long without traffic, and how long its answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// HTTP/2: what a monitor may send ahead. Its messages are small and few.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Both directions of a connection.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection.
pub type Io = Box<dyn Duplex>;

/// Opens connections to monitors.
pub trait Connect: Send + Sync + 'static {
    /// One new connection. Must lose nothing when dropped before it is ready.
    fn connect<'a>(&'a self, to: &'a Monitor) -> BoxFuture<'a, io::Result<Io>>;
}

/// The real network.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Read anew for each connection, so that replaced files count from the next one on.
    tls: Option<TlsFiles>,
}

impl Network {
    /// Connects over TLS with these files where the address asks for it.
    #[must_use]
    pub fn new(tls: Option<TlsFiles>) -> Self {
        Self { tls }
    }

    async fn open(&self, to: &Monitor) -> io::Result<Io> {
        let tcp = TcpStream::connect((to.host.as_str(), to.port)).await?;
        tcp.set_nodelay(true)?;
        if !to.tls {
            return Ok(Box::new(tcp));
        }
        let files = self.tls.as_ref().ok_or_else(|| io::Error::other("`tls: {ca}` is needed for https"))?;
        let identity = files.identity.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
        let config = client_tls(&files.ca, identity).map_err(io::Error::other)?;
        let name = ServerName::try_from(to.host.clone()).map_err(io::Error::other)?;
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        Ok(Box::new(stream))
    }
}

impl Connect for Network {
    fn connect<'a>(&'a self, to: &'a Monitor) -> BoxFuture<'a, io::Result<Io>> {
        self.open(to).boxed()
    }
}

/// gRPC over one connection. It is not opened again: a broken one ends its stream.
pub(super) async fn channel(io: Io, to: &Monitor) -> Result<Channel, tonic::transport::Error> {
    let mut one = Some(io);
    let connector = tower::service_fn(move |_: http::Uri| {
        let io = one.take().map(TokioIo::new);
        std::future::ready(io.ok_or_else(|| io::Error::other("the connection is gone")))
    });
    // TLS, if any, is below: the channel itself speaks plain HTTP/2.
    Endpoint::from_shared(format!("http://{}", to.authority()))?
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .buffer_size(4)
        .connect_with_connector(connector)
        .await
}
