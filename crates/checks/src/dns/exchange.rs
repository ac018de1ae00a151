//! One question and its answer: over UDP, and over TCP when the answer was cut. An answer to another question, or of
//! another sender, is passed over, so nobody can answer for the server by guessing.

use super::message::{Answer, Question, Wrong};
use crate::failure::Failure;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// A server that is silent for so long is given up for the next; a packet may be lost, so it is asked twice.
const PATIENCE: Duration = Duration::from_secs(1);
const TRIES: u32 = 2;
/// The largest answer over UDP that anyone sends to a question like ours is 512 bytes.
const MAX_UDP: usize = 4096;
/// So many foreign packets are passed over.
const MAX_FOREIGN: usize = 64;

/// What should listen, in messages.
const THING: &str = "the DNS server";

/// Asks one server.
pub(super) async fn ask(server: SocketAddr, question: &Question) -> Result<Answer, Failure> {
    let target = server.to_string();
    let mut silent = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..TRIES {
        match timeout(PATIENCE, once(server, question)).await {
            Ok(Ok(answer)) => return answer.checked(&target),
            Ok(Err(Broken::Io(error))) if error.kind() == io::ErrorKind::TimedOut => silent = error,
            Ok(Err(Broken::Io(error))) => return Err(Failure::io(&error, &target, THING)),
            Ok(Err(Broken::Wrong(wrong))) => return Err(wrong.failure(&target)),
            Err(_) => {}
        }
    }
    Err(Failure::io(&silent, &target, THING))
}

/// Why no answer came about.
enum Broken {
    Io(io::Error),
    Wrong(Wrong),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

async fn once(server: SocketAddr, question: &Question) -> Result<Answer, Broken> {
    let answer = datagram(server, question).await?;
    if answer.cut { stream(server, question).await } else { Ok(answer) }
}

async fn datagram(server: SocketAddr, question: &Question) -> Result<Answer, Broken> {
    let any: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await?;
    // From here on only the server's packets come in, and its refusal is told.
    socket.connect(server).await?;
    let id = number();
    socket.send(&question.encode(id)).await?;
    let mut buffer = [0; MAX_UDP];
    for _ in 0..MAX_FOREIGN {
        let length = socket.recv(&mut buffer).await?;
        match question.decode(id, &buffer[..length]) {
            Ok(answer) => return Ok(answer),
            Err(Wrong::Foreign) => {}
            Err(wrong) => return Err(Broken::Wrong(wrong)),
        }
    }
    Err(Broken::Wrong(Wrong::Foreign))
}

async fn stream(server: SocketAddr, question: &Question) -> Result<Answer, Broken> {
    let mut stream = TcpStream::connect(server).await?;
    let id = number();
    let packet = question.encode(id);
    // A question is far below 64 KiB: its names are at most 255 bytes.
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes(), packet.as_slice()].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    question.decode(id, &answer).map_err(Broken::Wrong)
}

/// A number that nobody can guess.
fn number() -> u16 {
    let [a, b, ..] = RandomState::new().hash_one(0_u8).to_be_bytes();
    u16::from_be_bytes([a, b])
}
