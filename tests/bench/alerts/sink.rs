//! The server that is told: takes webhooks, notes when the first byte of each came, answers 200 at once.

use crate::clock::now_ns;
use anyhow::Context;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// No webhook is longer.
const LONGEST: usize = 4 << 20;
/// Webhooks that wait to be looked at; the monitor waits when they are more.
const WAITING: usize = 1_024;

/// What a webhook says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) component: String,
    pub(super) ended: bool,
}

/// One webhook.
#[derive(Clone, Debug)]
pub(super) struct Posted {
    pub(super) first_byte_ns: u64,
    /// When the monitor decided on it, Unix milliseconds.
    pub(super) decided_ms: i64,
    words: Vec<Word>,
}

/// The running server; it ends with this.
pub(super) struct Sink {
    address: SocketAddr,
    posted: mpsc::Receiver<anyhow::Result<Posted>>,
    /// Webhooks that said something else than what was waited for.
    strays: usize,
    _server: JoinSet<()>,
}

impl Sink {
    pub(super) async fn listen() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, (note, posted)) = (listener.local_addr()?, mpsc::channel(WAITING));
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(take(connection, note.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, posted, strays: 0, _server: server })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn strays(&self) -> usize {
        self.strays
    }

    /// Waits for this word.
    pub(super) async fn next(&mut self, wanted: &Word) -> anyhow::Result<Posted> {
        loop {
            let posted = self.posted.recv().await.context("the sink has ended")??;
            if posted.words.contains(wanted) {
                return Ok(posted);
            }
            self.strays += 1;
        }
    }
}

/// Webhooks of one connection, one after the other.
async fn take(mut connection: TcpStream, note: mpsc::Sender<anyhow::Result<Posted>>) {
    // What comes with the end of a webhook is the next one's beginning: no sender does that before it has its answer.
    while let Some((first_byte_ns, request)) = request(&mut connection).await {
        let posted = read(first_byte_ns, &request);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        if connection.write_all(answer).await.is_err() || note.send(posted).await.is_err() {
            return;
        }
    }
}

/// When a request began, and its body. Nothing where the connection ends or what comes is no request.
async fn request(connection: &mut (impl AsyncRead + Unpin)) -> Option<(u64, Vec<u8>)> {
    let (mut got, mut first_byte_ns) = (Vec::new(), 0);
    loop {
        let read = connection.read_buf(&mut got).await.ok()?;
        if read == 0 || got.len() > LONGEST {
            return None;
        }
        if first_byte_ns == 0 {
            first_byte_ns = now_ns();
        }
        let Some(head) = got.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&got[..head]).ok()?.to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"))?;
        if got.len() >= head + 4 + length.trim().parse::<usize>().ok()? {
            return Some((first_byte_ns, got.split_off(head + 4)));
        }
    }
}

fn read(first_byte_ns: u64, body: &[u8]) -> anyhow::Result<Posted> {
    let body: Value = serde_json::from_slice(body).context("a webhook that is no JSON")?;
    let alerts = body["alerts"].as_array().context("a webhook without alerts")?;
    let word = |alert: &Value| Word {
        component: alert["labels"]["component"].as_str().unwrap_or_default().to_owned(),
        ended: !alert["ended"].is_null(),
    };
    Ok(Posted {
        first_byte_ns,
        decided_ms: body["at_ms"].as_i64().context("a webhook without its time")?,
        words: alerts.iter().map(word).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(component: &str, ended: &str) -> String {
        let alert = format!(r#"{{"labels": {{"component": "{component}"}}, "ended": {ended}}}"#);
        let body = format!(r#"{{"at_ms": 7, "alerts": [{alert}]}}"#);
        format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn what_was_not_waited_for_is_a_stray() {
        let mut sink = Sink::listen().await.unwrap();
        let mut connection = TcpStream::connect(sink.address()).await.unwrap();
        let mut answer = [0; 64];
        for webhook in [webhook("b", r#""recovered""#), webhook("a", "null"), webhook("a", r#""recovered""#)]
        {
            connection.write_all(webhook.as_bytes()).await.unwrap();
            assert!(connection.read(&mut answer).await.unwrap() > 0);
        }
        let posted = sink.next(&Word { component: "a".to_owned(), ended: true }).await.unwrap();
        assert_eq!((posted.decided_ms, sink.strays()), (7, 2));
    }

    #[tokio::test]
    async fn a_webhook_counts_from_its_first_byte() {
        // There is room for one byte: the second is not taken before the first was read.
        let (mut here, mut there) = tokio::io::duplex(1);
        let mut reader = JoinSet::new();
        reader.spawn(async move { request(&mut there).await });
        let (wanted, before) = (webhook("a", "null"), now_ns());
        here.write_all(&wanted.as_bytes()[..2]).await.unwrap();
        let begun = now_ns();
        here.write_all(&wanted.as_bytes()[2..]).await.unwrap();
        let (first_byte_ns, body) = reader.join_next().await.unwrap().unwrap().unwrap();
        assert!((before..=begun).contains(&first_byte_ns), "{before} {first_byte_ns} {begun}");
        assert!(wanted.ends_with(std::str::from_utf8(&body).unwrap()));
    }
}
