//! A TCP connection between two others that can be cut and mended, as a network can.

use anyhow::Result;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Passes everything on to one address, until it is cut.
pub struct Proxy {
    address: SocketAddr,
    /// False while it is cut: open connections break, new ones are closed at once.
    whole: watch::Sender<bool>,
    _running: JoinSet<()>,
}

impl Proxy {
    /// A way to `target`.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn to(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let whole = watch::Sender::new(true);
        let state = whole.subscribe();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((from, _)) = listener.accept().await else { continue };
                connections.spawn(pass(from, target, state.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, whole, _running: running })
    }

    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks everything that is open, and whatever is opened.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn pass(mut from: TcpStream, target: SocketAddr, mut whole: watch::Receiver<bool>) {
    if !*whole.borrow_and_update() {
        return;
    }
    let Ok(mut to) = TcpStream::connect(target).await else { return };
    // Small messages must not wait for each other on the way.
    drop((from.set_nodelay(true), to.set_nodelay(true)));
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
        _ = whole.wait_for(|whole| !*whole) => {}
    }
}
