//! Clients that never finish what they began: each holds a connection open until it is dropped.

use anyhow::Result;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The beginning of an HTTP/2 connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client says before it falls silent.
pub const BEGINNINGS: [(&str, &[u8]); 5] = [
    ("a silent TCP client", b""),
    ("half an HTTP/2 preface", PREFACE.split_at(11).0),
    ("a whole preface and no SETTINGS", PREFACE),
    ("half a request header", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "),
    ("half a body", b"POST /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nhalf"),
];

/// A connection on which nothing more will be said.
pub struct Silent {
    stream: TcpStream,
    what: &'static str,
}

impl Silent {
    /// One connection for each beginning.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn all(address: SocketAddr) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for (what, beginning) in BEGINNINGS {
            all.push(Self::one(address, what, beginning).await?);
        }
        Ok(all)
    }

    /// One connection with this beginning.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn one(address: SocketAddr, what: &'static str, beginning: &[u8]) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(beginning).await?;
        Ok(Self { stream, what })
    }

    /// An HTTP/2 client that asks for `path` and then acknowledges and answers nothing any more.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn never_acknowledges(address: SocketAddr, path: &str) -> Result<Self> {
        let mut silent = Self::one(address, "an HTTP/2 client that acknowledges nothing", PREFACE).await?;
        silent.stream.write_all(&asks_for(&address.to_string(), path)?).await?;
        // The server's answer has begun, so that the stream is really open.
        silent.stream.read_u8().await?;
        Ok(silent)
    }

    /// What it said.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// Reads until the other side closes.
    pub async fn closed(mut self) {
        let mut bytes = Vec::new();
        // A reset is an end, too.
        drop(self.stream.read_to_end(&mut bytes).await);
    }
}

/// SETTINGS without a word, and a GET on stream 1 that is complete.
fn asks_for(authority: &str, path: &str) -> Result<Vec<u8>> {
    // From the static table: GET, http; then :path and :authority with values of their own.
    let mut block = vec![0x82, 0x86];
    for (name, value) in [(0x44, path), (0x41, authority)] {
        block.push(name);
        block.push(u8::try_from(value.len())?);
        block.extend(value.as_bytes());
    }
    let mut frames = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    frames.extend([0, 0, u8::try_from(block.len())?, 1, 0x5, 0, 0, 0, 1]);
    frames.extend(block);
    Ok(frames)
}
