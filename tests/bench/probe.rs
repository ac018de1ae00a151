//! Probes at a fixed rate over one connection, from a thread of its own. A probe's time counts from when it was due,
//! so that one slow answer also counts for those that had to wait behind it.

use crate::clock::{now_ns, sleep_until};
use anyhow::{Context, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer that takes longer is an error.
const PATIENCE: Duration = Duration::from_secs(5);
/// No probe's answer is longer.
const LONGEST: usize = 64 << 10;

/// How long probes took.
pub(crate) struct Latency {
    pub(crate) probes: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Answers that did not come or were not as expected.
    pub(crate) errors: usize,
}

/// A path of a server that is asked again and again.
pub(crate) struct Prober {
    address: SocketAddr,
    request: Vec<u8>,
    /// Kept open between probes; made anew after an error.
    connection: Option<TcpStream>,
    /// Whether it is kept at all.
    keeps: bool,
    /// The status that is no error.
    good: u16,
}

impl Prober {
    pub(crate) fn new(address: SocketAddr, path: &str) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
        Self { address, request, connection: None, keeps: true, good: 200 }
    }

    /// Makes a connection of its own for each probe.
    pub(crate) fn connecting_anew(mut self) -> Self {
        self.keeps = false;
        self
    }

    /// Takes this status for the right answer.
    pub(crate) fn expecting(mut self, status: u16) -> Self {
        self.good = status;
        self
    }

    /// Asks `rate` times a second for this long. Blocks.
    pub(crate) fn run(mut self, rate: u32, time: Duration) -> Latency {
        let period = 1_000_000_000 / u64::from(rate.max(1));
        let count = (time.as_nanos() / u128::from(period)).max(1) as u64;
        let (mut took, mut errors) = (Vec::new(), 0);
        let first = now_ns() + period;
        for number in 0..count {
            let due = first + number * period;
            sleep_until(due);
            match self.ask() {
                Ok(status) if status == self.good => took.push(now_ns() - due),
                Ok(_) | Err(_) => errors += 1,
            }
        }
        took.sort_unstable();
        let ms = |share| percentile(&took, share).map_or(f64::NAN, |ns| ns as f64 / 1e6);
        Latency { probes: took.len(), p50_ms: ms(0.50), p99_ms: ms(0.99), max_ms: ms(1.0), errors }
    }

    /// One request; the answer's status.
    pub(crate) fn ask(&mut self) -> anyhow::Result<u16> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        connection.write_all(&self.request)?;
        let status = answer(&mut connection)?;
        self.connection = self.keeps.then_some(connection);
        Ok(status)
    }

    fn connect(&self) -> anyhow::Result<TcpStream> {
        let connection = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(connection)
    }
}

/// The smallest value that is not exceeded by this share of them.
pub(crate) fn percentile(sorted: &[u64], share: f64) -> Option<u64> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Reads one whole answer with a known length.
fn answer(from: &mut impl Read) -> anyhow::Result<u16> {
    let (mut text, mut part) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(head) = text.windows(4).position(|w| w == b"\r\n\r\n") {
            let (status, length) = head_of(std::str::from_utf8(&text[..head])?)?;
            if text.len() >= head + 4 + length {
                return Ok(status);
            }
        }
        let read = from.read(&mut part)?;
        if read == 0 || text.len() > LONGEST {
            bail!("no whole answer");
        }
        text.extend_from_slice(&part[..read]);
    }
}

fn head_of(head: &str) -> anyhow::Result<(u16, usize)> {
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let mut length =
        length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, n)| n.trim());
    Ok((status, length.next_back().context("no Content-Length")?.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    #[test]
    fn a_percentile_is_the_value_at_its_rank() {
        let values: Vec<u64> = (1..=100).collect();
        for (share, expected) in [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)] {
            assert_eq!(percentile(&values, share), Some(expected), "{share}");
        }
        assert_eq!(percentile(&[7], 0.99), Some(7));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn an_answer_is_read_to_its_end_however_it_is_cut() {
        let text = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}";
        struct Bytewise<'a>(&'a [u8]);
        impl Read for Bytewise<'_> {
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
                (buf[0], self.0) = (*first, rest);
                Ok(1)
            }
        }
        assert_eq!(answer(&mut Bytewise(text)).unwrap(), 503);
        assert_eq!(answer(&mut &text[..]).unwrap(), 503);
        assert!(answer(&mut Bytewise(&text[..text.len() - 1])).is_err());
        assert!(answer(&mut Bytewise(b"HTTP/1.1 200 OK\r\n\r\n")).is_err());
    }

    #[test]
    fn probes_keep_their_rate_and_tell_errors() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            for number in 0..20 {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    connection.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                let status = if number % 10 == 0 { "500 No" } else { "200 OK" };
                write!(connection, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}").unwrap();
            }
        });
        let latency = Prober::new(address, "/health").run(200, Duration::from_millis(100));
        server.join().unwrap();
        assert_eq!((latency.probes, latency.errors), (18, 2));
        assert!(latency.p50_ms <= latency.p99_ms && latency.p99_ms <= latency.max_ms);
    }
}
