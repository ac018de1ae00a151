//! One simulated agent: the real protocol and the real codec, on recorded rows.

use crate::rows::Recording;
use farol_health::Status;
use farol_health::clock::boot_ms;
use farol_series::{Columns, Encoding};
use farol_wire::proto::fleet_client::FleetClient;
use farol_wire::proto::{self, AgentMessage, agent_message, monitor_message};
use farol_wire::{
    Bitmap, Boot, ComponentDef, ComponentReport, Definition, Hello, Role, SeriesDef, SeriesType, SourceDef,
};
use hyper_util::rt::TokioIo;
use prost::Message;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Uri};

const COMPONENTS: u32 = 10;
/// A new segment begins after so many reports, as the real agent does.
const SEGMENT: u64 = 64;

pub(crate) struct Plan {
    pub(crate) number: usize,
    pub(crate) monitor: SocketAddr,
    pub(crate) interval: Duration,
    pub(crate) recording: Arc<Recording>,
}

/// What all agents did.
#[derive(Default)]
pub(crate) struct Tally {
    streams: AtomicU64,
    reports: AtomicU64,
    bytes: AtomicU64,
    acks: AtomicU64,
    errors: AtomicU64,
}

impl Tally {
    pub(crate) fn reports(&self) -> u64 {
        self.reports.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn acks(&self) -> u64 {
        self.acks.load(Ordering::Relaxed)
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    pub(crate) async fn wait_for_streams(&self, n: usize, within: Duration) -> anyhow::Result<()> {
        let all = async {
            while self.streams.load(Ordering::Relaxed) < n as u64 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let open = || self.streams.load(Ordering::Relaxed);
        let late = tokio::time::timeout(within, all).await;
        late.map_err(|_| anyhow::anyhow!("only {} of {n} agents have an open stream", open()))
    }
}

/// Streams until stopped. An error is counted and ends the agent.
pub(crate) async fn run(plan: Plan, tally: Arc<Tally>, stop: CancellationToken) {
    let number = plan.number;
    if let Err(error) = stream(plan, &tally, stop).await {
        if tally.errors.fetch_add(1, Ordering::Relaxed) < 3 {
            #[allow(clippy::print_stderr, reason = "the first errors of a load are worth seeing")]
            {
                eprintln!("agent {number}: {error:#}");
            }
        }
    }
}

async fn stream(plan: Plan, tally: &Tally, stop: CancellationToken) -> anyhow::Result<()> {
    let channel = connect(&plan).await?;
    let (send, receive) = mpsc::channel(16);
    let say = |kind| AgentMessage { kind: Some(kind) };
    let mut replay = Replay::new(&plan.recording, plan.number);
    send.send(say(agent_message::Kind::Hello(hello(&plan)))).await?;
    let mut client = FleetClient::new(channel);
    let mut answers = client.stream(ReceiverStream::new(receive)).await?.into_inner();
    answers.message().await?;
    send.send(say(agent_message::Kind::Define((&definition(&plan.recording, &replay.encodings)).into())))
        .await?;
    let components = (1..=COMPONENTS).map(status).collect();
    send.send(say(agent_message::Kind::State(proto::State { as_of: 0, components }))).await?;
    tally.streams.fetch_add(1, Ordering::Relaxed);
    // Spread over the interval, as real agents are.
    tokio::time::sleep(plan.interval.mul_f64((plan.number % 997) as f64 / 997.0)).await;
    let mut ticks = tokio::time::interval(plan.interval);
    let mut seq = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                seq += 1;
                let message = say(agent_message::Kind::Report(replay.report(seq)?));
                tally.bytes.fetch_add(message.encoded_len() as u64 + 5, Ordering::Relaxed);
                tally.reports.fetch_add(1, Ordering::Relaxed);
                send.send(message).await?;
            }
            answer = answers.message() => match answer?.and_then(|m| m.kind) {
                Some(monitor_message::Kind::Ack(_)) => { tally.acks.fetch_add(1, Ordering::Relaxed); }
                Some(_) => {}
                None => anyhow::bail!("the monitor ended the stream"),
            },
            () = stop.cancelled() => return Ok(()),
        }
    }
}

/// Connects from an address of its own group of 256, as agents on many hosts would.
async fn connect(plan: &Plan) -> anyhow::Result<Channel> {
    let group = u8::try_from(plan.number / 256 % 250)?;
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 1, group + 1), 0));
    let to = plan.monitor;
    let connector = tower::service_fn(move |_: Uri| async move {
        let socket = TcpSocket::new_v4()?;
        socket.bind(from)?;
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok::<_, std::io::Error>(TokioIo::new(stream))
    });
    Ok(Endpoint::from_static("http://monitor").connect_with_connector(connector).await?)
}

fn hello(plan: &Plan) -> proto::Hello {
    let wall = u64::try_from(std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_millis())).unwrap_or(0);
    Hello {
        agent: format!("bench:pod-{}", plan.number),
        role: Role::Pod,
        boot: Boot { number: wall, nonce: plan.number as u64 + 1 },
        spooled: Vec::new(),
        labels: [("pod".to_owned(), format!("pod-{}", plan.number))].into(),
        version: "bench".into(),
        protocol: (1, 1),
        interval_ms: u32::try_from(plan.interval.as_millis()).unwrap_or(10_000),
        wall_ms: wall,
        clock_ms: boot_ms(),
        scope: String::new(),
        accept_drain: false,
    }
    .into()
}

fn status(id: u32) -> proto::ComponentStatus {
    ComponentReport {
        id,
        hard: Status::Healthy,
        soft: Status::Healthy,
        reason: "ok".into(),
        message: String::new(),
        checked_ms: Some(boot_ms()),
        maintenance: false,
    }
    .into()
}

fn definition(recording: &Recording, encodings: &[Encoding]) -> Definition {
    let series =
        recording.series.iter().zip(encodings).enumerate().map(|(i, (series, encoding))| SeriesDef {
            id: i as u32 + 1,
            source: 1,
            name: series.name.clone(),
            labels: series.labels.clone(),
            kind: if series.counter { SeriesType::Counter } else { SeriesType::Gauge },
            encoding: encoding.to_wire(),
            unit: String::new(),
        });
    let components = (1..=COMPONENTS).map(|id| ComponentDef {
        id,
        service: format!("service-{}", id % 3),
        name: format!("component-{id}"),
        required: true,
        readiness: id == 1,
        ttl_ms: 60_000,
        kind: "tcp".into(),
        labels: Default::default(),
    });
    Definition {
        sources: vec![SourceDef { id: 1, name: "system".into(), interval_ms: 10_000 }],
        series: series.collect(),
        components: components.collect(),
    }
}

/// Walks over the recording, forth and back, so that no step is larger than a real one.
struct Replay {
    recording: Arc<Recording>,
    encodings: Vec<Encoding>,
    columns: Columns,
    at: usize,
    forth: bool,
}

impl Replay {
    fn new(recording: &Arc<Recording>, number: usize) -> Self {
        let encodings: Vec<Encoding> = (0..recording.series.len())
            .map(|i| {
                recording
                    .rows
                    .iter()
                    .filter_map(|row| row[i])
                    .fold(Encoding::Integer, |e, value| e.widen(value))
            })
            .collect();
        Self {
            recording: Arc::clone(recording),
            columns: Columns::new(encodings.clone()),
            encodings,
            at: number % recording.rows.len(),
            forth: true,
        }
    }

    fn report(&mut self, seq: u64) -> anyhow::Result<proto::Report> {
        let last = self.recording.rows.len() - 1;
        self.forth = if self.at == 0 {
            true
        } else if self.at == last {
            false
        } else {
            self.forth
        };
        self.at = if self.forth { self.at + 1 } else { self.at - 1 };
        let key = seq % SEGMENT == 1;
        if key {
            self.columns.reset();
        }
        let mut data = Vec::new();
        self.columns.encode(&self.recording.rows[self.at], &mut data)?;
        let mut checked = Bitmap::default();
        (0..COMPONENTS as usize).for_each(|i| checked.set(i));
        Ok(proto::Report {
            seq,
            at_ms: boot_ms(),
            key,
            changed: if key { (1..=COMPONENTS).map(status).collect() } else { Vec::new() },
            checked: checked.into_bytes(),
            blocks: vec![proto::Block { source: 1, before_ms: 0, data: data.into() }],
            ack_now: false,
            padding: Vec::new(),
        })
    }
}
