//! A TCP connection between two others on which the answers may get lost, as behind a firewall that forgot one half:
//! what is sent arrives, what comes back does not, and nobody is told.

use anyhow::Result;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the way does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Held,
    Whole,
    Mute,
    Cut,
}

/// A way to one address. At first it holds what comes: connections are taken, and nothing passes.
pub struct Mute {
    address: SocketAddr,
    state: watch::Sender<State>,
    _running: JoinSet<()>,
}

impl Mute {
    /// A way to `target`, held.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn to(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = watch::Sender::new(State::Held);
        let seen = state.subscribe();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((from, _)) = listener.accept().await else { continue };
                connections.spawn(pass(from, target, seen.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, state, _running: running })
    }

    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything passes.
    pub fn mend(&self) {
        self.state.send_replace(State::Whole);
    }

    /// From here on nothing that the target says comes back.
    pub fn mute(&self) {
        self.state.send_replace(State::Mute);
    }

    /// Breaks everything that is open, and whatever is opened.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }
}

async fn pass(from: TcpStream, target: SocketAddr, mut state: watch::Receiver<State>) {
    let Ok(now) = state.wait_for(|state| *state != State::Held).await.map(|now| *now) else { return };
    if now == State::Cut {
        return;
    }
    let Ok(to) = TcpStream::connect(target).await else { return };
    // Small messages must not wait for each other on the way.
    drop((from.set_nodelay(true), to.set_nodelay(true)));
    let mut ends = state.clone();
    let ((said, answered), (answers, heard)) = (from.into_split(), to.into_split());
    let is_mute = || *state.borrow() == State::Mute;
    tokio::select! {
        () = pump(said, heard, || false) => {}
        () = pump(answers, answered, is_mute) => {}
        _ = ends.wait_for(|state| *state == State::Cut) => {}
    }
}

/// Passes on what comes, or swallows it.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, swallows: impl Fn() -> bool) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(n @ 1..) = from.read(&mut bytes).await {
        if !swallows() && to.write_all(&bytes[..n]).await.is_err() {
            return;
        }
    }
}
