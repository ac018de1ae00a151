//! Lines go to a GELF input. While it cannot be reached they wait in the queue, which is bounded; standard error is
//! told when that begins and when it ends.

use std::io::{self, ErrorKind, Read as _, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::datagram::datagrams;
use crate::config::{Gelf, Transport};
use crate::queue::State;
use crate::record::{Record, Severity, Value};
use crate::render::Style;

/// A connection, or one write into it, takes no longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between attempts: doubled up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// So soon a wait sees that the log is closing.
const LOOK: Duration = Duration::from_millis(25);
/// Datagrams are answered by refusals only: so long without one means that they arrive again.
const QUIET: Duration = Duration::from_secs(5);

/// Takes whole lines, each one record, and returns when they are sent or when the log is closing.
pub(crate) struct Sink {
    to: Gelf,
    /// Tells that the log is closing, and counts what is too long.
    state: Arc<State>,
    /// How standard error is told.
    style: Style,
    link: Link,
    /// Since when, and how long to wait before the next attempt.
    outage: Option<Outage>,
    /// Message ids of chunks: a random start, then counted.
    next_id: u64,
}

enum Link {
    Down,
    Udp(UdpSocket),
    Tcp(TcpStream),
}

struct Outage {
    since: Instant,
    last: Instant,
    wait: Duration,
}

impl Sink {
    pub(crate) fn new(to: Gelf, state: Arc<State>, style: Style) -> Self {
        let next_id = uuid::Uuid::new_v4().as_u64_pair().0;
        Self { to, state, style, link: Link::Down, outage: None, next_id }
    }

    /// Sends the first of these lines, over TCP all of them. Gives how many bytes of them are done.
    fn attempt(&mut self, lines: &[u8]) -> io::Result<usize> {
        if matches!(self.link, Link::Down) {
            self.link = connect(&self.to)?;
        }
        let id = self.next_id;
        match &mut self.link {
            Link::Down => Err(ErrorKind::NotConnected.into()),
            Link::Tcp(stream) => send_frames(stream, lines),
            Link::Udp(socket) => {
                let end = lines.iter().position(|byte| *byte == b'\n').unwrap_or(lines.len());
                self.next_id = id.wrapping_add(1);
                match datagrams(&lines[..end], self.to.compression, self.to.chunk_bytes, id) {
                    Some(all) => all.iter().try_for_each(|one| send(socket, one))?,
                    None => self.state.lose(1),
                }
                Ok(lines.len().min(end + 1))
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        let now = Instant::now();
        // A refusal answers an earlier datagram: the socket itself is good.
        if !(matches!(self.link, Link::Udp(_)) && error.kind() == ErrorKind::ConnectionRefused) {
            self.link = Link::Down;
        }
        match &mut self.outage {
            Some(outage) => {
                outage.wait = (outage.wait * 2).min(LONGEST_WAIT);
                outage.last = now;
            }
            None => {
                self.outage = Some(Outage { since: now, last: now, wait: FIRST_WAIT });
                let error = Value::Text(error.to_string());
                let message = "the log cannot be sent; records wait, and are dropped when the queue is full";
                self.tell(Severity::Error, message, &[("error", error)]);
            }
        }
    }

    fn succeeded(&mut self) {
        let udp = matches!(self.link, Link::Udp(_));
        if let Some(outage) = self.outage.take_if(|outage| !udp || outage.last.elapsed() >= QUIET) {
            let seconds = Value::Number((outage.since.elapsed().as_secs_f64() * 10.0).round() / 10.0);
            let dropped = Value::Unsigned(self.state.dropped());
            self.tell(
                Severity::Warning,
                "the log is sent again",
                &[("outage_seconds", seconds), ("dropped_total", dropped)],
            );
        }
    }

    /// A standard error that is closed is no reason to end.
    fn tell(&self, severity: Severity, message: &str, fields: &[(&'static str, Value)]) {
        let to = Value::Text(format!("{}:{}", self.to.host, self.to.port));
        let mut shown = vec![("log.output", &to)];
        shown.extend(fields.iter().map(|(name, value)| (*name, value)));
        let line = self.style.line(&Record {
            at: Timestamp::now(),
            severity,
            target: module_path!(),
            correlation_id: None,
            message,
            fields: shown,
        });
        io::stderr().write_all(line.as_bytes()).ok();
    }

    /// Waits for the next attempt. False when the log is closing.
    fn wait(&self) -> bool {
        let Some(outage) = &self.outage else { return true };
        // Refused datagrams are lost one by one, and the queue is not held up for them.
        let wait = if matches!(self.link, Link::Udp(_)) { Duration::ZERO } else { outage.wait };
        let started = Instant::now();
        while started.elapsed() < wait && !self.state.is_closing() {
            std::thread::park_timeout(LOOK.min(wait));
        }
        !self.state.is_closing()
    }
}

impl Write for Sink {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let mut refused = false;
        loop {
            match self.attempt(lines) {
                Ok(sent) => {
                    if !refused {
                        self.succeeded();
                    }
                    return Ok(sent);
                }
                Err(error) => {
                    refused = true;
                    self.failed(&error);
                    if !self.wait() {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tries every address of the name.
fn connect(to: &Gelf) -> io::Result<Link> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (to.host.as_str(), to.port).to_socket_addrs()? {
        match open(to.transport, address) {
            Ok(link) => return Ok(link),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn open(transport: Transport, address: SocketAddr) -> io::Result<Link> {
    match transport {
        Transport::Udp => {
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any)?;
            socket.connect(address)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(Link::Udp(socket))
        }
        Transport::Tcp => {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Link::Tcp(stream))
        }
    }
}

fn send(socket: &UdpSocket, datagram: &[u8]) -> io::Result<()> {
    socket.send(datagram).map(drop)
}

/// Lines become frames. What is done counts in whole lines; of the last one of a broken connection the rest is sent
/// anew on the next.
fn send_frames(stream: &mut TcpStream, lines: &[u8]) -> io::Result<usize> {
    if is_closed(stream)? {
        return Err(io::Error::new(ErrorKind::BrokenPipe, "the input has closed the connection"));
    }
    let frames: Vec<u8> = lines.iter().map(|byte| if *byte == b'\n' { 0 } else { *byte }).collect();
    let mut sent = 0;
    while sent < frames.len() {
        match stream.write(&frames[sent..]) {
            Ok(0) => break,
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                let whole = frames[..sent].iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1);
                if whole == 0 {
                    return Err(error);
                }
                // The next attempt finds the connection broken.
                stream.shutdown(std::net::Shutdown::Both).ok();
                return Ok(whole);
            }
        }
    }
    Ok(sent)
}

/// A write into a connection that the other end has closed would seem to succeed once.
fn is_closed(stream: &mut TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let closed = match stream.read(&mut [0; 256]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    };
    stream.set_nonblocking(false)?;
    Ok(closed)
}
