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
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            stream.write_all(beginning).await?;
            all.push(Self { stream, what });
        }
        Ok(all)
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
