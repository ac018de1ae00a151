//! Clients that behave badly, byte by byte.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::rig::PATIENCE;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
pub(crate) const SETTINGS_ACK: &[u8] = &[0, 0, 0, 4, 1, 0, 0, 0, 0];

/// Says this, and then nothing more.
pub(crate) async fn says(addr: SocketAddr, parts: &[&[u8]]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(&parts.concat()).await.unwrap();
    stream
}

/// Says this and waits for the first bytes of an answer.
pub(crate) async fn hears(addr: SocketAddr, parts: &[&[u8]]) -> TcpStream {
    let mut stream = says(addr, parts).await;
    let mut buffer = [0; 4096];
    let read = timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
    assert!(read > 0, "an answer must begin");
    stream
}

/// How long until the server closes the connection; what it still sends is thrown away.
pub(crate) async fn closed_after(stream: &mut TcpStream) -> Duration {
    let began = Instant::now();
    let mut buffer = vec![0; 64 << 10];
    let end = async { while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {} };
    timeout(PATIENCE, end).await.expect("the server must close the connection");
    began.elapsed()
}

/// A HEADERS frame that asks for `path` on stream 1.
pub(crate) fn asks_for(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x44, path.len() as u8];
    block.extend_from_slice(path.as_bytes());
    block.extend_from_slice(&[0x41, 1, b'x']);
    let mut frame = vec![0, 0, block.len() as u8, 1, 0x5, 0, 0, 0, 1];
    frame.extend_from_slice(&block);
    frame
}

/// The seven that must not delay a shutdown, and whether they have to be cut.
pub(crate) const SEVEN: [(&str, bool); 7] = [
    ("silent", false),
    ("half a preface", false),
    ("half a header", true),
    ("never acknowledges", true),
    ("open stream", true),
    ("slow body", true),
    ("idle keep-alive", false),
];

pub(crate) async fn bad_client(name: &str, addr: SocketAddr) -> TcpStream {
    match name {
        "silent" => says(addr, &[]).await,
        "half a preface" => says(addr, &[&PREFACE[..10]]).await,
        "half a header" => says(addr, &[b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "]).await,
        "never acknowledges" => hears(addr, &[PREFACE, SETTINGS, &asks_for("/stream")]).await,
        "open stream" => hears(addr, &[b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"]).await,
        "slow body" => {
            says(addr, &[b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"]).await
        }
        "idle keep-alive" => hears(addr, &[b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]).await,
        other => unreachable!("no client {other}"),
    }
}
