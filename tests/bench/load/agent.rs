//! One simulated agent: a connection and a stream of its own, the real protocol, recorded rows.

use super::socket;
use super::tally::Tally;
use crate::tape::{self, Replay, Tape};
use anyhow::{Context, bail};
use farol_wire::proto::fleet_client::FleetClient;
use farol_wire::proto::{AgentMessage, MonitorMessage, agent_message, monitor_message};
use hyper_util::rt::TokioIo;
use prost::Message;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint, Uri};

/// gRPC's prefix of each message.
const PREFIX: usize = 5;
/// Messages that wait for the transport; when they are so many the agent waits, and its reports come late.
const QUEUE: usize = 16;
/// A monitor that does not commit the last report in this time has lost it.
const LAST_ACK_WITHIN: Duration = Duration::from_secs(20);

/// What an agent is to do.
pub(super) struct Plan {
    pub(super) number: usize,
    pub(super) monitor: SocketAddr,
    pub(super) interval: Duration,
    pub(super) tape: Arc<Tape>,
}

/// Streams until stopped, and then until its last report is committed. An error is counted and ends the agent.
pub(super) async fn run(plan: Plan, tally: Arc<Tally>, stop: CancellationToken) {
    if let Err(error) = stream(&plan, &tally, stop).await {
        tally.failed(plan.number, &error);
    }
}

async fn stream(plan: &Plan, tally: &Tally, stop: CancellationToken) -> anyhow::Result<()> {
    let mut link = Link::open(plan, tally).await?;
    tally.opened();
    let mut replay = Replay::new(&plan.tape, plan.number);
    // Spread over the interval, as real agents are by their names.
    let offset = plan.interval.mul_f64((plan.number % 997) as f64 / 997.0);
    let mut ticks = interval_at(Instant::now() + offset, plan.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            _ = ticks.tick() => link.report(&mut replay, &plan.tape, tally, false).await?,
            answer = link.answers.message() => link.take(answer?, tally)?,
            () = stop.cancelled() => break,
        }
    }
    link.report(&mut replay, &plan.tape, tally, true).await?;
    let committed = async {
        while link.acked < replay.seq() {
            let answer = link.answers.message().await?;
            link.take(answer, tally)?;
        }
        anyhow::Ok(())
    };
    timeout(LAST_ACK_WITHIN, committed).await.context("the last report is not acknowledged")?
}

/// An open stream.
struct Link {
    send: mpsc::Sender<AgentMessage>,
    answers: Streaming<MonitorMessage>,
    /// The last sequence number that is committed.
    acked: u64,
}

impl Link {
    /// Connects, says Hello, the definitions and the state.
    async fn open(plan: &Plan, tally: &Tally) -> anyhow::Result<Self> {
        let mut client = FleetClient::new(connect(plan, tally).await?);
        let (send, receive) = mpsc::channel(QUEUE);
        send.send(message(agent_message::Kind::Hello(tape::hello(plan.number, plan.interval, Vec::new()))))
            .await?;
        let mut answers = client.stream(ReceiverStream::new(receive)).await?.into_inner();
        let Some(monitor_message::Kind::Welcome(welcome)) = answers.message().await?.and_then(|m| m.kind)
        else {
            bail!("the monitor's first word is no Welcome");
        };
        if u128::from(welcome.interval_ms) != plan.interval.as_millis() {
            bail!(
                "the monitor decided on an interval of {} ms; allow {:?}",
                welcome.interval_ms,
                plan.interval
            );
        }
        let define = plan.tape.definition(plan.number, plan.interval);
        send.send(message(agent_message::Kind::Define(define))).await?;
        send.send(message(agent_message::Kind::State(tape::state()))).await?;
        Ok(Self { send, answers, acked: 0 })
    }

    async fn report(
        &mut self,
        replay: &mut Replay,
        tape: &Tape,
        tally: &Tally,
        ack_now: bool,
    ) -> anyhow::Result<()> {
        let (mut report, samples) = replay.next(tape);
        report.ack_now = ack_now;
        let message = message(agent_message::Kind::Report(report));
        tally.reported(replay.seq() == 2, samples, message.encoded_len() + PREFIX);
        self.send.send(message).await.context("the stream is closed")
    }

    /// What the monitor says. Anything but an acknowledgement would make the measurement one of something else.
    fn take(&mut self, answer: Option<MonitorMessage>, tally: &Tally) -> anyhow::Result<()> {
        match answer.context("the monitor ended the stream")?.kind {
            Some(monitor_message::Kind::Ack(ack)) => {
                tally.acked(ack.seq.saturating_sub(self.acked));
                self.acked = self.acked.max(ack.seq);
                Ok(())
            }
            other => bail!("the monitor said {other:?}"),
        }
    }
}

async fn connect(plan: &Plan, tally: &Tally) -> anyhow::Result<Channel> {
    let (to, number, traffic) = (plan.monitor, plan.number, Arc::clone(&tally.traffic));
    let connector = tower::service_fn(move |_: Uri| {
        let traffic = Arc::clone(&traffic);
        async move { socket::connect(to, number, traffic).await.map(TokioIo::new) }
    });
    Ok(Endpoint::from_static("http://monitor").connect_with_connector(connector).await?)
}

fn message(kind: agent_message::Kind) -> AgentMessage {
    AgentMessage { kind: Some(kind) }
}
