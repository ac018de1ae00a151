//! A small HTTP client that blocks: one connection, whole answers, and when their first byte came. Costs little, so
//! that what is measured is the server.

use crate::clock::now_ns;
use anyhow::{Context, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer that takes longer is an error.
const PATIENCE: Duration = Duration::from_secs(60);
/// No answer that is asked for is longer.
const LONGEST: usize = 1 << 30;

/// A connection to one server, made when it is needed.
pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// An answer; its body is the client's until the next one.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    pub(crate) first_byte_ns: u64,
    pub(crate) whole_ns: u64,
}

/// How an answer's end is known.
enum Length {
    Known(usize),
    Chunked,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None, buffer: Vec::new() }
    }

    /// Asks for a page.
    pub(crate) fn get(&mut self, path: &str) -> anyhow::Result<Answer<'_>> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.ask(head.as_bytes(), &[]).with_context(|| path.to_owned())
    }

    /// The text of a page that must be there.
    pub(crate) fn text(&mut self, path: &str) -> anyhow::Result<String> {
        let answer = self.get(path)?;
        let text = String::from_utf8_lossy(answer.body).into_owned();
        anyhow::ensure!(answer.status == 200, "{path}: {} {text}", answer.status);
        Ok(text)
    }

    /// Posts; `fields` are lines of the head, each with its end.
    pub(crate) fn post(&mut self, path: &str, fields: &str, body: &[u8]) -> anyhow::Result<Answer<'_>> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\n{fields}Content-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.ask(head.as_bytes(), body).with_context(|| path.to_owned())
    }

    fn ask(&mut self, head: &[u8], body: &[u8]) -> anyhow::Result<Answer<'_>> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.address)?,
        };
        let began = now_ns();
        connection.write_all(head)?;
        if !body.is_empty() {
            connection.write_all(body)?;
        }
        self.buffer.clear();
        let read = read_answer(&mut connection, &mut self.buffer)?;
        let whole_ns = now_ns() - began;
        self.connection = Some(connection);
        let first_byte_ns = read.first_byte_at.saturating_sub(began);
        Ok(Answer { status: read.status, body: &self.buffer, first_byte_ns, whole_ns })
    }
}

/// One sample of a page in Prometheus' text format, without labels.
pub(crate) fn metric(page: &str, name: &str) -> Option<f64> {
    let of = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    page.lines().find_map(of)
}

fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let connection = TcpStream::connect_timeout(&address, PATIENCE)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    Ok(connection)
}

struct ReadAnswer {
    status: u16,
    first_byte_at: u64,
}

/// Leaves the body in the buffer.
fn read_answer(from: &mut impl Read, buffer: &mut Vec<u8>) -> anyhow::Result<ReadAnswer> {
    let mut part = vec![0; 64 << 10];
    more(from, &mut part, buffer)?;
    let first_byte_at = now_ns();
    let head = loop {
        match buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            Some(head) => break head,
            None => more(from, &mut part, buffer)?,
        }
    };
    let (status, length) = head_of(std::str::from_utf8(&buffer[..head])?)?;
    buffer.drain(..head + 4);
    match length {
        Length::Known(length) => {
            while buffer.len() < length {
                more(from, &mut part, buffer)?;
            }
        }
        Length::Chunked => {
            let raw = std::mem::take(buffer);
            dechunk(from, &mut part, raw, buffer)?;
        }
    }
    Ok(ReadAnswer { status, first_byte_at })
}

fn more(from: &mut impl Read, part: &mut [u8], buffer: &mut Vec<u8>) -> anyhow::Result<()> {
    let read = from.read(part)?;
    if read == 0 || buffer.len() > LONGEST {
        bail!("no whole answer");
    }
    buffer.extend_from_slice(&part[..read]);
    Ok(())
}

fn dechunk(
    from: &mut impl Read,
    part: &mut [u8],
    mut raw: Vec<u8>,
    body: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let mut at = 0;
    loop {
        let line = loop {
            match raw[at..].windows(2).position(|w| w == b"\r\n") {
                Some(line) => break line,
                None => more(from, part, &mut raw)?,
            }
        };
        let size = std::str::from_utf8(&raw[at..at + line])?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
        anyhow::ensure!(size <= LONGEST, "a chunk of {size} bytes");
        at += line + 2;
        while raw.len() < at + size + 2 {
            more(from, part, &mut raw)?;
        }
        body.extend_from_slice(&raw[at..at + size]);
        if size == 0 {
            return Ok(());
        }
        at += size + 2;
        if at > 1 << 20 {
            raw.drain(..at);
            at = 0;
        }
    }
}

fn head_of(head: &str) -> anyhow::Result<(u16, Length)> {
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let field = |wanted: &str| {
        let fields = head.lines().filter_map(|line| line.split_once(':'));
        fields
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim())
            .next_back()
    };
    let length = match field("content-length") {
        Some(length) => Length::Known(length.parse()?),
        None if field("transfer-encoding") == Some("chunked") => Length::Chunked,
        None if status == 204 => Length::Known(0),
        None => bail!("an answer without a length"),
    };
    Ok((status, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, rest) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = rest;
            Ok(count)
        }
    }

    #[test]
    fn an_answer_is_whole_however_it_is_sent_and_cut() {
        for (text, status, body) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200, "hello"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
                200,
                "hello",
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ] {
            for step in [1, 2, 7, 1000] {
                let mut buffer = Vec::new();
                let read = read_answer(&mut Dribble(text.as_bytes(), step), &mut buffer).unwrap();
                assert_eq!((read.status, buffer.as_slice()), (status, body.as_bytes()), "{text} {step}");
            }
        }
        for cut in ["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell", "HTTP/1.1 200 OK\r\n\r\n"] {
            assert!(read_answer(&mut Dribble(cut.as_bytes(), 9), &mut Vec::new()).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let page = "# HELP a x\na_more 1\na 2.5e1\n";
        assert_eq!(metric(page, "a"), Some(25.0));
        assert_eq!(metric(page, "b"), None);
    }
}
