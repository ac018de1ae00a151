//! One connection of a simulated agent: what it says of itself, its reports as they are on the wire, and what comes
//! back. Keeps nothing.

use super::ledger::{self, payload};
use anyhow::{Context, Result, bail};
use farol_health::Status;
use farol_health::clock::boot_ms;
use farol_series::{Columns, Encoding};
use farol_wire::proto::fleet_client::FleetClient;
use farol_wire::proto::{self, AgentMessage, MonitorMessage, agent_message, monitor_message};
use farol_wire::{
    Bitmap, Boot, ComponentDef, ComponentReport, Definition, Hello, Role, SeriesDef, SeriesType, SourceDef,
};
use hyper_util::rt::TokioIo;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Endpoint, Uri};

/// The service that all of them belong to.
pub(super) const SERVICE: &str = "oracle";
/// The two series.
pub(super) const NUMBER: &str = "oracle_number";
pub(super) const MARK: &str = "oracle_mark";

/// A connection, and each answer of an opening, must come within this.
const PATIENCE: Duration = Duration::from_secs(5);
/// A peer that says nothing is asked so often, and must answer as soon.
const ALIVE: Duration = Duration::from_secs(2);
/// Reports of one segment, and of one message.
const SEGMENT: usize = 64;
const MESSAGE: usize = 2_048;

/// A report that is not acknowledged yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) seq: u64,
    pub(super) at_ms: u64,
    /// It told of this status.
    pub(super) changed: Option<Status>,
}

/// Whose reports they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose {
    pub(super) seed: u64,
    pub(super) agent: u32,
    /// The place of the start among the agent's.
    pub(super) start: u32,
    pub(super) boot: Boot,
    /// The agent's wall clock minus the boot clock, as the agent believes.
    pub(super) wall_offset_ms: i64,
    /// After so many reports the definitions change.
    pub(super) redefine_in: u64,
}

impl Whose {
    /// Which definitions a report is made with.
    fn face(&self, seq: u64) -> Face {
        let part = seq.saturating_sub(1) / self.redefine_in.max(1);
        Face { turned: self.start % 2 == 1, slow: part % 2 == 1 }
    }

    /// The values of a report in the order of its definitions.
    fn values(&self, seq: u64) -> [Option<f64>; 2] {
        let [number, mark] = payload(self.seed, self.agent, self.start, seq).map(Some);
        if self.face(seq).turned { [mark, number] } else { [number, mark] }
    }
}

/// One of the sets of definitions that are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Face {
    /// The series stand the other way round: so it is for a whole start.
    turned: bool,
    /// The source says that it ticks less often.
    slow: bool,
}

/// An open stream.
pub(super) struct Link {
    out: mpsc::Sender<AgentMessage>,
    answers: Streaming<MonitorMessage>,
    columns: Columns,
    key_next: bool,
    /// Reports since the last key frame.
    in_segment: usize,
    /// What was defined last.
    face: Option<Face>,
}

fn hello(whose: &Whose, spooled: Vec<Boot>) -> proto::Hello {
    let clock_ms = boot_ms();
    let wall_ms = i64::try_from(clock_ms).unwrap_or(0) + whose.wall_offset_ms;
    Hello {
        agent: ledger::id(whose.agent),
        role: Role::Host,
        boot: whose.boot,
        spooled,
        labels: [("told".to_owned(), "by-the-oracle".to_owned())].into(),
        version: "oracle".into(),
        protocol: (1, 1),
        interval_ms: 1_000,
        wall_ms: u64::try_from(wall_ms).unwrap_or(0),
        clock_ms,
        scope: String::new(),
        accept_drain: false,
    }
    .into()
}

fn definition(face: Face) -> Definition {
    let series = |id, name: &str| SeriesDef {
        id,
        source: 1,
        name: name.to_owned(),
        labels: Default::default(),
        kind: SeriesType::Gauge,
        encoding: Encoding::Integer.to_wire(),
        unit: String::new(),
    };
    let (first, second) = if face.turned { (MARK, NUMBER) } else { (NUMBER, MARK) };
    Definition {
        sources: vec![SourceDef {
            id: 1,
            name: "oracle".into(),
            interval_ms: if face.slow { 2_000 } else { 1_000 },
        }],
        series: vec![series(1, first), series(2, second)],
        components: vec![ComponentDef {
            id: 1,
            service: SERVICE.into(),
            name: "part".into(),
            required: true,
            readiness: false,
            ttl_ms: 600_000,
            kind: "custom".into(),
            labels: Default::default(),
        }],
    }
}

fn columns() -> Columns {
    Columns::new(vec![Encoding::Integer; 2])
}

fn told(status: Status) -> proto::ComponentStatus {
    ComponentReport {
        id: 1,
        hard: status,
        soft: status,
        reason: "told".into(),
        message: String::new(),
        checked_ms: Some(boot_ms()),
        maintenance: false,
    }
    .into()
}

/// Connects from an address that other programs do not use: a free port of the monitor's own address could be the very
/// one that it is to come back to.
async fn connect(to: SocketAddr) -> std::io::Result<TokioIo<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 2, 1), 0)))?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

impl Link {
    /// Says Hello and waits for Welcome, which tells what is committed of each start.
    pub(super) async fn open(
        to: SocketAddr,
        whose: Whose,
        spooled: Vec<Boot>,
    ) -> Result<(Self, proto::Welcome)> {
        timeout(PATIENCE, Self::try_open(to, whose, spooled))
            .await
            .context("the monitor does not welcome it")?
    }

    async fn try_open(to: SocketAddr, whose: Whose, spooled: Vec<Boot>) -> Result<(Self, proto::Welcome)> {
        let endpoint = Endpoint::from_static("http://monitor")
            .http2_keep_alive_interval(ALIVE)
            .keep_alive_timeout(ALIVE)
            .keep_alive_while_idle(true);
        let connector = tower::service_fn(move |_: Uri| connect(to));
        let mut client = FleetClient::new(endpoint.connect_with_connector(connector).await?);
        let (out, receive) = mpsc::channel(64);
        out.send(message(agent_message::Kind::Hello(hello(&whose, spooled)))).await?;
        let mut answers = client.stream(ReceiverStream::new(receive)).await?.into_inner();
        let first = answers.message().await?.and_then(|message| message.kind);
        let Some(monitor_message::Kind::Welcome(welcome)) = first else {
            bail!("the first answer is not Welcome");
        };
        Ok((Self { out, answers, columns: columns(), key_next: true, in_segment: 0, face: None }, welcome))
    }

    /// The whole set, and how it all stands.
    pub(super) async fn introduce(&mut self, whose: &Whose, as_of: u64, status: Status) -> Result<()> {
        self.define(whose.face(as_of + 1)).await?;
        self.state(as_of, status).await
    }

    async fn define(&mut self, face: Face) -> Result<()> {
        (self.face, self.key_next) = (Some(face), true);
        self.say(agent_message::Kind::Define((&definition(face)).into())).await
    }

    /// How it all stands.
    pub(super) async fn state(&self, as_of: u64, status: Status) -> Result<()> {
        self.say(agent_message::Kind::State(proto::State { as_of, components: vec![told(status)] })).await
    }

    /// What is not acknowledged of a start; the last of it asks to be.
    pub(super) async fn backlog(&self, whose: &Whose, kept: &[Kept]) -> Result<()> {
        for part in kept.chunks(MESSAGE) {
            let mut segments: Vec<_> = segments(whose, part).map(|kept| segment(whose, kept)).collect();
            if let Some(last) = segments.last_mut().and_then(|segment| segment.reports.last_mut()) {
                last.ack_now = true;
            }
            self.say(agent_message::Kind::Backlog(proto::Backlog { segments })).await?;
        }
        Ok(())
    }

    /// A live report.
    pub(super) async fn report(&mut self, whose: &Whose, kept: Kept, ack_now: bool) -> Result<()> {
        let face = whose.face(kept.seq);
        if self.face != Some(face) {
            self.define(face).await?;
        }
        let key = std::mem::take(&mut self.key_next) || self.in_segment >= SEGMENT;
        if key {
            self.columns.reset();
            self.in_segment = 0;
        }
        self.in_segment += 1;
        let mut report = report(&mut self.columns, whose, kept, key);
        report.ack_now = ack_now;
        self.say(agent_message::Kind::Report(report)).await
    }

    /// The next report begins a segment.
    pub(super) fn begin_segment(&mut self) {
        self.key_next = true;
    }

    /// What the monitor says next.
    pub(super) async fn answer(&mut self) -> Result<monitor_message::Kind> {
        let answer = self.answers.message().await?.context("the monitor ended the stream")?;
        answer.kind.context("an answer without content")
    }

    async fn say(&self, kind: agent_message::Kind) -> Result<()> {
        let sent = timeout(2 * PATIENCE, self.out.send(message(kind))).await.context("nobody listens")?;
        sent.context("the stream is over")
    }
}

fn message(kind: agent_message::Kind) -> AgentMessage {
    AgentMessage { kind: Some(kind) }
}

/// Parts that are made with the same definitions, and are not too long.
fn segments<'k>(whose: &Whose, kept: &'k [Kept]) -> impl Iterator<Item = &'k [Kept]> {
    let same = move |a: &Kept, b: &Kept| whose.face(a.seq) == whose.face(b.seq);
    kept.chunk_by(same).flat_map(|kept| kept.chunks(SEGMENT))
}

fn segment(whose: &Whose, kept: &[Kept]) -> proto::Segment {
    let mut columns = columns();
    let reports = kept.iter().enumerate().map(|(at, kept)| report(&mut columns, whose, *kept, at == 0));
    proto::Segment {
        reports: reports.collect(),
        boot: Some(whose.boot.into()),
        define: kept.first().map(|kept| (&definition(whose.face(kept.seq))).into()),
        wall_offset_ms: whose.wall_offset_ms,
    }
}

fn report(columns: &mut Columns, whose: &Whose, kept: Kept, key: bool) -> proto::Report {
    let values = whose.values(kept.seq);
    let mut data = Vec::new();
    columns.encode(&values, &mut data).expect("the payload is whole numbers");
    let mut checked = Bitmap::default();
    checked.set(0);
    proto::Report {
        seq: kept.seq,
        at_ms: kept.at_ms,
        key,
        changed: kept.changed.map(told).into_iter().collect(),
        checked: checked.into_bytes(),
        blocks: vec![proto::Block { source: 1, before_ms: 0, data: data.into() }],
        ack_now: false,
        padding: Vec::new(),
    }
}
