//! What a listener grants its peers. Plain values; enforced by `serve`, `admission` and `pulse`.

use std::time::Duration;

/// What a listener grants its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections in all; more are closed at once.
    pub connections: usize,
    /// Open connections of one address; more are closed at once.
    pub per_address: usize,
    /// From accept until TLS is up and the first byte (HTTP/1) or the whole preface (HTTP/2) is there.
    pub handshake: Duration,
    /// From the first to the last byte of a request's head.
    pub header: Duration,
    /// How long an HTTP/1 connection may wait for its next request.
    pub idle: Duration,
    /// How long a peer may take nothing of what is written to it.
    pub stalled: Duration,
    /// HTTP/2: time between pings.
    pub keep_alive: Duration,
    /// HTTP/2: time until a ping must be answered.
    pub keep_alive_timeout: Duration,
    /// HTTP/2: streams open at once on a connection.
    pub streams: u32,
    /// HTTP/2: bytes a peer may send ahead on a stream.
    pub stream_window: u32,
    /// HTTP/2: bytes a peer may send ahead on a connection.
    pub connection_window: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 16_384,
            per_address: 1_024,
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(5),
            idle: Duration::from_secs(75),
            stalled: Duration::from_secs(30),
            keep_alive: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(10),
            streams: 200,
            stream_window: 64 << 10,
            connection_window: 1 << 20,
        }
    }
}
