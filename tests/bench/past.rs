//! Fills a monitor with an hour that is over: each agent brings the reports of an earlier start as its backlog, then
//! one report of now, and keeps its stream open.

use crate::load::socket;
use crate::tape::{self, Tape, Walk};
use anyhow::{Context, bail};
use farol_health::clock::boot_ms;
use farol_wire::Boot;
use farol_wire::proto::fleet_client::FleetClient;
use farol_wire::proto::{
    AgentMessage, Backlog, MonitorMessage, Report, Segment, agent_message, monitor_message,
};
use futures::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Endpoint, Uri};

/// Reports in a segment, as the real agent has them.
const SEGMENT: u64 = 64;
/// Agents that bring their backlog at once.
const AT_ONCE: usize = 8;
/// An agent's whole backlog must be committed in this time.
const COMMITTED_WITHIN: Duration = Duration::from_secs(60);
/// The agents say nothing more and are not lost meanwhile.
const INTERVAL: Duration = Duration::from_secs(300);

/// The past to bring.
#[derive(Clone)]
pub(crate) struct Past {
    pub(crate) tape: Arc<Tape>,
    pub(crate) agents: usize,
    /// Reports of each agent.
    pub(crate) rounds: u64,
    /// The time of the first one, unix milliseconds, and from one to the next.
    pub(crate) from_ms: i64,
    pub(crate) every_ms: i64,
}

/// A stream that stays open.
pub(crate) struct Open {
    send: mpsc::Sender<AgentMessage>,
    answers: Streaming<MonitorMessage>,
}

/// Brings all of it; the streams are open until they are dropped.
pub(crate) async fn fill(monitor: SocketAddr, past: &Past) -> anyhow::Result<Vec<Open>> {
    let agents = stream::iter(0..past.agents).map(|number| {
        let past = past.clone();
        async move {
            let brought = timeout(COMMITTED_WITHIN, bring(monitor, &past, number)).await;
            brought.context("it took too long")?.with_context(|| format!("agent {number}"))
        }
    });
    let open: Vec<anyhow::Result<Open>> = agents.buffer_unordered(AT_ONCE).collect().await;
    open.into_iter().collect()
}

async fn bring(monitor: SocketAddr, past: &Past, number: usize) -> anyhow::Result<Open> {
    use agent_message::Kind;
    let boot = Boot { number: u64::try_from(past.from_ms)?, nonce: number as u64 + 1 };
    let connector = tower::service_fn(move |_: Uri| async move {
        socket::connect(monitor, number, Arc::default()).await.map(TokioIo::new)
    });
    let channel = Endpoint::from_static("http://monitor").connect_with_connector(connector).await?;
    let (send, receive) = mpsc::channel(4);
    let hello = tape::hello(number, INTERVAL, vec![boot]);
    let now = hello.boot;
    send.send(message(Kind::Hello(hello))).await?;
    let answers = FleetClient::new(channel).stream(ReceiverStream::new(receive)).await?.into_inner();
    let mut open = Open { send, answers };
    let Some(monitor_message::Kind::Welcome(_)) = open.hear().await? else {
        bail!("the monitor's first word is no Welcome");
    };
    let define = past.tape.definition(number, INTERVAL);
    open.say(Kind::Define(define.clone())).await?;
    open.say(Kind::State(tape::state())).await?;
    let mut walk = Walk::new(&past.tape, number);
    let mut seq = 0;
    while seq < past.rounds {
        let count = SEGMENT.min(past.rounds - seq);
        let reports = (1..=count).map(|n| {
            let at_ms = (seq + n - 1) * past.every_ms.unsigned_abs();
            let mut report = walk.report(&past.tape, seq + n, at_ms, n == 1);
            report.ack_now = seq + n == past.rounds;
            report
        });
        let segment = Segment {
            boot: Some(boot.into()),
            define: Some(define.clone()),
            reports: reports.collect::<Vec<Report>>(),
            wall_offset_ms: past.from_ms,
        };
        seq += count;
        open.say(Kind::Backlog(Backlog { segments: vec![segment] })).await?;
    }
    if past.rounds > 0 {
        open.wait_for(Some(boot.into()), past.rounds).await?;
    }
    let mut report = walk.report(&past.tape, 1, boot_ms(), true);
    report.ack_now = true;
    open.say(Kind::Report(report)).await?;
    open.wait_for(now, 1).await?;
    Ok(open)
}

fn message(kind: agent_message::Kind) -> AgentMessage {
    AgentMessage { kind: Some(kind) }
}

impl Open {
    async fn say(&self, kind: agent_message::Kind) -> anyhow::Result<()> {
        self.send.send(message(kind)).await.context("the stream is closed")
    }

    async fn hear(&mut self) -> anyhow::Result<Option<monitor_message::Kind>> {
        Ok(self.answers.message().await?.context("the monitor ended the stream")?.kind)
    }

    /// Until this report is acknowledged.
    async fn wait_for(&mut self, boot: Option<farol_wire::proto::Boot>, seq: u64) -> anyhow::Result<()> {
        loop {
            match self.hear().await? {
                Some(monitor_message::Kind::Ack(ack)) if ack.boot == boot && ack.seq >= seq => return Ok(()),
                Some(monitor_message::Kind::Ack(_)) => {}
                other => bail!("the monitor said {other:?}"),
            }
        }
    }
}
