//! The agents' protocol spoken by hand: a test knows every number that it sends and every acknowledgement that
//! comes back. Keeps no ring and never reconnects by itself.

use anyhow::{Context, Result, bail, ensure};
use farol_health::Status;
use farol_health::clock::boot_ms;
use farol_series::{Columns, Encoding};
use farol_wire::proto::fleet_client::FleetClient;
use farol_wire::proto::{self, AgentMessage, agent_message, monitor_message};
use farol_wire::{
    Boot, ComponentDef, ComponentReport, Definition, Hello, Role, SeriesDef, SeriesType, SourceDef,
};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// How long a monitor may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who speaks.
#[derive(Clone, Debug)]
pub struct Person {
    /// Its id.
    pub id: String,
    /// Its start.
    pub boot: Boot,
    /// What it runs beside.
    pub role: Role,
    /// Its report interval.
    pub interval: Duration,
    /// What its component's check says, whatever its status.
    pub words: String,
}

impl Person {
    /// An agent at its first start.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let number = u64::try_from(wall_ms()).unwrap_or(1);
        let boot = Boot { number, nonce: number.rotate_left(17) | 1 };
        Self {
            id: id.to_owned(),
            boot,
            role: Role::Host,
            interval: Duration::from_secs(1),
            words: String::new(),
        }
    }

    fn hello(&self) -> proto::Hello {
        Hello {
            agent: self.id.clone(),
            role: self.role,
            boot: self.boot,
            spooled: vec![self.boot],
            labels: [("spoken".to_owned(), "by-hand".to_owned())].into(),
            version: "test".into(),
            protocol: (1, 1),
            interval_ms: u32::try_from(self.interval.as_millis()).unwrap_or(1_000),
            wall_ms: u64::try_from(wall_ms()).unwrap_or(0),
            clock_ms: boot_ms(),
            scope: String::new(),
            accept_drain: false,
        }
        .into()
    }

    /// One component `part` of `service`, and two series of one source.
    #[must_use]
    pub fn definition(service: &str) -> Definition {
        let series = |id, name: &str, kind| SeriesDef {
            id,
            source: 1,
            name: name.to_owned(),
            labels: Default::default(),
            kind,
            encoding: Encoding::Float.to_wire(),
            unit: String::new(),
        };
        Definition {
            sources: vec![SourceDef { id: 1, name: "by-hand".into(), interval_ms: 1_000 }],
            series: vec![
                series(1, "spoken_value", SeriesType::Gauge),
                series(2, "spoken_total", SeriesType::Counter),
            ],
            components: vec![ComponentDef {
                id: 1,
                service: service.to_owned(),
                name: "part".into(),
                required: true,
                readiness: true,
                ttl_ms: 60_000,
                kind: "custom".into(),
                labels: Default::default(),
            }],
        }
    }
}

/// An open stream.
pub struct Speaker {
    out: mpsc::Sender<AgentMessage>,
    answers: Streaming<proto::MonitorMessage>,
    /// What the monitor welcomed it with.
    pub welcome: proto::Welcome,
    columns: Columns,
    key_next: bool,
    words: String,
}

impl Speaker {
    /// Opens a stream, says Hello and waits for Welcome.
    ///
    /// # Errors
    /// The monitor does not welcome it.
    pub async fn open(agents: SocketAddr, person: &Person) -> Result<Self> {
        let mut client = FleetClient::new(crate::watch::channel(agents).await?);
        let (out, receive) = mpsc::channel(64);
        out.send(message(agent_message::Kind::Hello(person.hello()))).await?;
        let mut answers = client.stream(ReceiverStream::new(receive)).await?.into_inner();
        let first = tokio::time::timeout(PATIENCE, answers.message()).await.context("no Welcome")??;
        let Some(monitor_message::Kind::Welcome(welcome)) = first.and_then(|m| m.kind) else {
            bail!("the first answer is not Welcome");
        };
        let columns = Columns::new(vec![Encoding::Float; 2]);
        Ok(Self { out, answers, welcome, columns, key_next: true, words: person.words.clone() })
    }

    /// The last committed number of a boot, as Welcome told it.
    #[must_use]
    pub fn resume_after(&self, boot: Boot) -> u64 {
        let known = self.welcome.resume.iter().find(|ack| ack.boot == Some(boot.into()));
        known.map_or(0, |ack| ack.seq)
    }

    /// Says its whole set.
    ///
    /// # Errors
    /// The stream is over.
    pub async fn define(&self, definition: &Definition) -> Result<()> {
        self.say(agent_message::Kind::Define(definition.into())).await
    }

    /// Says how its one component is.
    ///
    /// # Errors
    /// The stream is over.
    pub async fn state(&self, as_of: u64, status: Status) -> Result<()> {
        let components = vec![ComponentReport { message: self.words.clone(), ..told(status) }.into()];
        self.say(agent_message::Kind::State(proto::State { as_of, components })).await
    }

    /// A live report of the two series.
    ///
    /// # Errors
    /// The stream is over.
    pub async fn report(&mut self, seq: u64, at_ms: u64, values: [f64; 2], ack_now: bool) -> Result<()> {
        let key = std::mem::take(&mut self.key_next);
        if key {
            self.columns.reset();
        }
        let report = report(&mut self.columns, seq, at_ms, values, key);
        self.say(agent_message::Kind::Report(proto::Report { ack_now, checked: vec![1], ..report })).await
    }

    /// Reports of before, as one segment.
    ///
    /// # Errors
    /// The stream is over.
    pub async fn backlog(
        &self,
        boot: Boot,
        definition: &Definition,
        reports: &[(u64, u64, [f64; 2])],
        ack_now: bool,
    ) -> Result<()> {
        let mut columns = Columns::new(vec![Encoding::Float; 2]);
        let mut all: Vec<proto::Report> = reports
            .iter()
            .enumerate()
            .map(|(n, (seq, at_ms, values))| report(&mut columns, *seq, *at_ms, *values, n == 0))
            .collect();
        if let Some(last) = all.last_mut() {
            last.ack_now = ack_now;
        }
        let offset = wall_ms() - i64::try_from(boot_ms())?;
        let segment = proto::Segment {
            boot: Some(boot.into()),
            define: Some(definition.into()),
            reports: all,
            wall_offset_ms: offset,
        };
        self.say(agent_message::Kind::Backlog(proto::Backlog { segments: vec![segment] })).await
    }

    /// Says anything.
    ///
    /// # Errors
    /// The stream is over.
    pub async fn say(&self, kind: agent_message::Kind) -> Result<()> {
        self.out.send(message(kind)).await.context("the stream is over")
    }

    /// Waits until this report of its boot is acknowledged, and gives the number of the acknowledgement.
    ///
    /// # Errors
    /// It is not within ten seconds, or the monitor ends the stream.
    pub async fn acknowledged(&mut self, seq: u64) -> Result<u64> {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = timeout_at(end, self.answers.message()).await;
            let answer = answer.with_context(|| format!("report {seq} is not acknowledged"))??;
            match answer.context("the monitor ended the stream")?.kind {
                Some(monitor_message::Kind::Ack(ack)) if ack.seq >= seq => return Ok(ack.seq),
                Some(monitor_message::Kind::Refused(refused)) => bail!("refused: {}", refused.reason),
                _ => {}
            }
        }
    }

    /// Waits until the stream is over, and gives how the monitor ended it.
    ///
    /// # Errors
    /// It is not over within `limit`.
    pub async fn ended(&mut self, limit: Duration) -> Result<tonic::Code> {
        let end = Instant::now() + limit;
        loop {
            match timeout_at(end, self.answers.message()).await.context("the stream stays open")? {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(tonic::Code::Ok),
                Err(status) => return Ok(status.code()),
            }
        }
    }

    /// Closes its half and waits for the end.
    ///
    /// # Errors
    /// The monitor does not end the stream.
    pub async fn close(self) -> Result<()> {
        let Self { out, mut answers, .. } = self;
        drop(out);
        let rest = async { while let Ok(Some(_)) = answers.message().await {} };
        ensure!(tokio::time::timeout(PATIENCE, rest).await.is_ok(), "the monitor does not end the stream");
        Ok(())
    }
}

fn message(kind: agent_message::Kind) -> AgentMessage {
    AgentMessage { kind: Some(kind) }
}

fn report(columns: &mut Columns, seq: u64, at_ms: u64, values: [f64; 2], key: bool) -> proto::Report {
    let mut data = Vec::new();
    columns.encode(&values.map(Some), &mut data).expect("floats hold everything");
    let block = proto::Block { source: 1, before_ms: 0, data: data.into() };
    proto::Report { seq, at_ms, key, blocks: vec![block], ..Default::default() }
}

/// The component's status, checked now.
fn told(status: Status) -> ComponentReport {
    ComponentReport {
        id: 1,
        hard: status,
        soft: status,
        reason: "ok".into(),
        message: String::new(),
        checked_ms: Some(boot_ms()),
        maintenance: false,
    }
}

fn wall_ms() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis())).unwrap_or(i64::MAX)
}
