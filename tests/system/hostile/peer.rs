//! An agent whose every message the tests write themselves, over a real connection.

use anyhow::{Context, Result, bail, ensure};
use farol_series::{Columns, Encoding};
use farol_tests::process::Process;
use farol_wire::proto::fleet_client::FleetClient;
use farol_wire::proto::{self, AgentMessage, MonitorMessage, agent_message, monitor_message};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

pub(super) use agent_message::Kind;
pub(super) use monitor_message::Kind as Answer;

/// A monitor answers within this, its own deadlines included.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// One stream.
pub(super) struct Peer {
    say: mpsc::Sender<AgentMessage>,
    hear: Streaming<MonitorMessage>,
    /// The source's state, for blocks that are right.
    columns: Columns,
    pub(super) seq: u64,
    pub(super) boot: proto::Boot,
}

/// The sending half.
pub(super) struct Mouth(mpsc::Sender<AgentMessage>);

impl Mouth {
    pub(super) async fn say(&self, kind: Kind) -> Result<()> {
        let sent = self.0.send(AgentMessage { kind: Some(kind) });
        timeout(PATIENCE, sent).await.context("the monitor takes no more messages")?.ok();
        Ok(())
    }
}

/// What a stream does in order, and how it must end.
pub(super) type Steps = Vec<Kind>;

impl Peer {
    /// A stream that has said nothing.
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let channel = tonic::transport::Endpoint::new(format!("http://{address}"))?.connect().await?;
        let (say, said) = mpsc::channel(64);
        let hear = FleetClient::new(channel).stream(ReceiverStream::new(said)).await?.into_inner();
        let columns = Columns::new(vec![Encoding::Integer, Encoding::Float]);
        Ok(Self { say, hear, columns, seq: 0, boot: boot(1) })
    }

    /// A stream that was welcomed.
    pub(super) async fn connect(monitor: &Process, agent: &str) -> Result<Self> {
        let mut peer = Self::open(monitor.address("agents")).await?;
        peer.say(hello(agent)).await?;
        peer.welcome().await?;
        Ok(peer)
    }

    /// Waits for the monitor's Welcome.
    pub(super) async fn welcome(&mut self) -> Result<proto::Welcome> {
        match self.hear().await? {
            Answer::Welcome(welcome) => Ok(welcome),
            other => bail!("{other:?} in place of Welcome"),
        }
    }

    /// The whole opening, up to the first acknowledged report: from here on it is healthy.
    pub(super) async fn be_live(&mut self) -> Result<()> {
        self.say(define()).await?;
        self.say(state(0, healthy(1))).await?;
        self.report_is_acked().await
    }

    /// Says something. That the stream has ended meanwhile is no error: its end tells why.
    pub(super) async fn say(&self, kind: Kind) -> Result<()> {
        self.mouth().say(kind).await
    }

    /// The sending half, to speak and listen at once.
    pub(super) fn mouth(&self) -> Mouth {
        Mouth(self.say.clone())
    }

    /// Says a message without content.
    pub(super) async fn say_nothing(&self) -> Result<()> {
        self.say.send(AgentMessage { kind: None }).await?;
        Ok(())
    }

    /// What the monitor says next.
    pub(super) async fn hear(&mut self) -> Result<Answer> {
        let message = timeout(PATIENCE, self.hear.message()).await.context("the monitor says nothing")??;
        message.and_then(|m| m.kind).context("the stream ended without an error")
    }

    /// How the stream ends, whatever is said before.
    pub(super) async fn end(&mut self) -> Result<Status> {
        let ended = async {
            loop {
                match self.hear.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return Status::new(Code::Ok, ""),
                    Err(status) => return status,
                }
            }
        };
        timeout(PATIENCE, ended).await.context("the stream does not end")
    }

    /// The next report with a sample block is acknowledged.
    pub(super) async fn report_is_acked(&mut self) -> Result<()> {
        let report = self.next_report();
        let seq = report.seq;
        self.say(Kind::Report(report)).await?;
        self.is_acked(seq).await
    }

    /// A key frame without samples is acknowledged: the stream lives.
    pub(super) async fn lives(&mut self) -> Result<()> {
        self.seq += 1;
        self.say(Kind::Report(proto::Report { key: true, ack_now: true, ..report(self.seq) })).await?;
        self.is_acked(self.seq).await
    }

    async fn is_acked(&mut self, seq: u64) -> Result<()> {
        loop {
            match self.hear().await? {
                Answer::Ack(ack) if ack.seq >= seq => return Ok(()),
                Answer::Ack(_) | Answer::Refused(_) | Answer::NeedKeyFrame(_) => {}
                other => bail!("{other:?} in place of Ack {seq}"),
            }
        }
    }

    /// The next refusal.
    pub(super) async fn refused(&mut self) -> Result<proto::Refused> {
        loop {
            match self.hear().await? {
                Answer::Refused(refused) => return Ok(refused),
                Answer::Ack(_) | Answer::NeedKeyFrame(_) => {}
                other => bail!("{other:?} in place of Refused"),
            }
        }
    }

    /// The next honest report: a key frame first.
    pub(super) fn next_report(&mut self) -> proto::Report {
        self.seq += 1;
        let data = self.block();
        let key = self.seq == 1;
        proto::Report {
            key,
            checked: vec![1],
            ack_now: true,
            blocks: vec![proto::Block { source: 1, before_ms: 0, data: data.into() }],
            ..report(self.seq)
        }
    }

    fn block(&mut self) -> Vec<u8> {
        let mut data = Vec::new();
        let values = [Some(self.seq as f64), Some(0.5 + self.seq as f64)];
        self.columns.encode(&values, &mut data).expect("both encodings hold their values");
        data
    }

    /// Ends the sending half: all was said.
    pub(super) async fn hang_up(mut self) -> Result<Status> {
        let (nobody, _) = mpsc::channel(1);
        self.say = nobody;
        self.end().await
    }

    /// Ends the sending half: what is acknowledged then.
    pub(super) async fn last_acks(mut self) -> Result<Vec<proto::Ack>> {
        let (nobody, _) = mpsc::channel(1);
        self.say = nobody;
        let mut acks = Vec::new();
        while let Some(message) = timeout(PATIENCE, self.hear.message()).await?? {
            if let Some(Answer::Ack(ack)) = message.kind {
                acks.push(ack);
            }
        }
        Ok(acks)
    }

    /// The stream ends with this code and these words.
    pub(super) async fn ends_with(&mut self, code: Code, word: &str) -> Result<()> {
        let status = self.end().await?;
        ensure!(status.code() == code, "{code:?} was expected: {status:?}");
        ensure!(status.message().contains(word), "`{word}` was expected: {status:?}");
        Ok(())
    }
}

pub(super) fn boot(number: u64) -> proto::Boot {
    proto::Boot { number, nonce: number }
}

pub(super) fn clock_ms() -> u64 {
    farol_health::clock::boot_ms()
}

/// A Hello with nothing wrong.
pub(super) fn hello(agent: &str) -> Kind {
    Kind::Hello(hello_of(agent))
}

pub(super) fn hello_of(agent: &str) -> proto::Hello {
    proto::Hello {
        agent: agent.to_owned(),
        role: proto::Role::Host.into(),
        boot: Some(boot(1)),
        version: "1.0.0".into(),
        protocol_min: 1,
        protocol_max: 1,
        interval_ms: 10_000,
        wall_ms: 1_800_000_000_000,
        clock_ms: clock_ms(),
        ..proto::Hello::default()
    }
}

/// One source with two series, one component.
pub(super) fn define() -> Kind {
    Kind::Define(definition())
}

pub(super) fn definition() -> proto::Define {
    proto::Define {
        sources: vec![source(1)],
        series: vec![series(1), proto::Series { encoding: 3, ..series(2) }],
        components: vec![component(1, "database")],
    }
}

pub(super) fn source(id: u32) -> proto::Source {
    proto::Source { id, name: format!("source{id}"), interval_ms: 10_000 }
}

/// An integer series of source 1.
pub(super) fn series(id: u32) -> proto::Series {
    proto::Series {
        id,
        source: 1,
        name: format!("metric_{id}"),
        r#type: 1,
        encoding: 1,
        ..proto::Series::default()
    }
}

pub(super) fn component(id: u32, name: &str) -> proto::Component {
    proto::Component {
        id,
        service: "shop".into(),
        name: name.into(),
        required: true,
        ttl_ms: 600_000,
        kind: "tcp".into(),
        ..proto::Component::default()
    }
}

pub(super) fn healthy(id: u32) -> proto::ComponentStatus {
    proto::ComponentStatus {
        id,
        hard: proto::Status::Healthy.into(),
        soft: proto::Status::Healthy.into(),
        reason: "ok".into(),
        checked_ms: clock_ms(),
        ..proto::ComponentStatus::default()
    }
}

pub(super) fn state(as_of: u64, status: proto::ComponentStatus) -> Kind {
    Kind::State(proto::State { as_of, components: vec![status] })
}

/// A report without samples.
pub(super) fn report(seq: u64) -> proto::Report {
    proto::Report { seq, at_ms: clock_ms(), ..proto::Report::default() }
}

/// A report with one block.
pub(super) fn with_block(seq: u64, key: bool, source: u32, data: &[u8]) -> Kind {
    let block = proto::Block { source, before_ms: 0, data: data.to_vec().into() };
    Kind::Report(proto::Report { key, blocks: vec![block], ..report(seq) })
}

/// A block of the two series of source 1, from nothing.
pub(super) fn key_block() -> Vec<u8> {
    let mut columns = Columns::new(vec![Encoding::Integer, Encoding::Float]);
    let mut data = Vec::new();
    columns.encode(&[Some(7.0), Some(0.25)], &mut data).expect("both encodings hold their values");
    data
}
