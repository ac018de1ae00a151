//! A small authoritative DNS server on UDP and TCP: a double, written with a foreign implementation of the messages.

use anyhow::{Context, Result};
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::{Name, RData, Record};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// What a name does besides being there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// Answers as it should.
    #[default]
    Plain,
    /// Over UDP the answer is always cut.
    Cut,
    /// No answer comes.
    Silent,
    /// The first question gets no answer.
    Lost,
    /// Before the answer come others: of another id, to another question, and no message at all.
    Forged,
    /// This error.
    Error(u8),
}

/// A name of the zone.
#[derive(Clone, Debug, Default)]
struct Entry {
    manner: Manner,
    records: Vec<RData>,
    /// How often it was asked for.
    asked: u32,
}

/// The names; all others do not exist.
#[derive(Clone, Debug, Default)]
pub struct Zone(BTreeMap<String, Entry>);

impl Zone {
    /// Adds a name with its records.
    ///
    /// # Panics
    /// It is no name.
    #[must_use]
    pub fn with(mut self, name: &str, manner: Manner, records: Vec<RData>) -> Self {
        self.0.insert(parsed(name).to_lowercase().to_string(), Entry { manner, records, asked: 0 });
        self
    }
}

/// A name, for records.
///
/// # Panics
/// It is none.
#[must_use]
pub fn parsed(name: &str) -> Name {
    let mut name: Name = name.parse().expect("a test gives a name");
    name.set_fqdn(true);
    name
}

/// A running server.
pub struct Dns {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    _running: JoinSet<()>,
}

impl Dns {
    /// Serves this zone on a free port, the same for UDP and TCP.
    ///
    /// # Errors
    /// There is none.
    pub async fn start(zone: Zone) -> Result<Self> {
        let (udp, tcp) = sockets().await?;
        let address = tcp.local_addr()?;
        let zone = Arc::new(Mutex::new(zone));
        let mut running = JoinSet::new();
        running.spawn(datagrams(udp, Arc::clone(&zone)));
        running.spawn(streams(tcp, Arc::clone(&zone)));
        Ok(Self { address, zone, _running: running })
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How often a name was asked for.
    #[must_use]
    pub fn asked(&self, name: &str) -> u32 {
        self.zone.lock().0.get(&parsed(name).to_lowercase().to_string()).map_or(0, |entry| entry.asked)
    }
}

async fn sockets() -> Result<(UdpSocket, TcpListener)> {
    for _ in 0..20 {
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr()?).await {
            return Ok((udp, tcp));
        }
    }
    None.context("no port is free for both UDP and TCP")
}

async fn datagrams(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
        for packet in answers(&question, &zone, false) {
            drop(socket.send_to(&packet, from).await);
        }
    }
}

async fn streams(listener: TcpListener, zone: Arc<Mutex<Zone>>) {
    let mut open = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        open.spawn(one_stream(stream, Arc::clone(&zone)));
        while open.try_join_next().is_some() {}
    }
}

async fn one_stream(mut stream: TcpStream, zone: Arc<Mutex<Zone>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut buffer = vec![0; usize::from(length)];
        if stream.read_exact(&mut buffer).await.is_err() {
            return;
        }
        let Ok(question) = Message::from_vec(&buffer) else { return };
        for packet in answers(&question, &zone, true) {
            let length = u16::try_from(packet.len()).expect("answers of a test are short");
            // In one piece and in two: a reader must take both.
            drop(stream.write_all(&length.to_be_bytes()).await);
            drop(stream.write_all(&packet).await);
        }
    }
}

/// The packets that go back.
fn answers(question: &Message, zone: &Mutex<Zone>, over_tcp: bool) -> Vec<Vec<u8>> {
    let Some(query) = question.queries.first() else { return Vec::new() };
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    let mut zone = zone.lock();
    let mut manner = Manner::Plain;
    match zone.0.get_mut(&query.name.to_lowercase().to_string()) {
        None => answer.metadata.response_code = ResponseCode::NXDomain,
        Some(entry) => {
            entry.asked += 1;
            manner = entry.manner;
            if manner == Manner::Silent || (manner == Manner::Lost && entry.asked == 1) {
                return Vec::new();
            }
        }
    }
    fill(&mut answer, query.name.clone(), &zone);
    match manner {
        Manner::Error(code) => {
            answer.answers.clear();
            answer.metadata.response_code = ResponseCode::from(0, code);
        }
        Manner::Cut if !over_tcp => {
            answer.answers.clear();
            answer.metadata.truncation = true;
        }
        _ => {}
    }
    let bytes = |message: &Message| message.to_vec().expect("an answer can be written");
    let mut packets = vec![bytes(&answer)];
    if manner == Manner::Forged {
        let (mut other_id, mut other_question) = (answer.clone(), answer);
        other_id.metadata.id = other_id.metadata.id.wrapping_add(1);
        other_question.queries[0].name = parsed("elsewhere.test");
        packets.splice(0..0, [bytes(&other_id), bytes(&other_question), b"junk".to_vec()]);
    }
    packets
}

/// The records of the name and of those it stands for.
fn fill(answer: &mut Message, mut name: Name, zone: &Zone) {
    for _ in 0..8 {
        let Some(entry) = zone.0.get(&name.to_lowercase().to_string()) else { return };
        let mut alias = None;
        for data in &entry.records {
            if let RData::CNAME(target) = data {
                alias = Some(target.0.clone());
            }
            let wanted = answer.queries[0].query_type;
            if data.record_type() == wanted || matches!(data, RData::CNAME(_)) {
                answer.add_answer(Record::from_rdata(name.clone(), 60, data.clone()));
            }
        }
        match alias {
            Some(target) => name = target,
            None => return,
        }
    }
}
