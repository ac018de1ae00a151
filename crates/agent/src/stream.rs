//! Keeps one stream open to one of the monitors: connects in turn, waits in between, and tells how it stands. What is
//! said on a stream is `session`'s, what there is to say the recorder's.

mod backoff;
mod connect;
mod drains;
mod renewal;
mod session;
#[cfg(test)]
mod tests;
mod verdict;

pub use connect::{Connect, Duplex, Io, Network};
pub(crate) use drains::Drains;
pub(crate) use verdict::Code;

use crate::boot::random;
use crate::config::{Identity, Monitor};
use crate::link::{self, Link};
use crate::recorder::{Feed, Now, Recorder};
use backoff::Backoff;
use farol_health::Checker;
use farol_logging::correlation::CorrelationId;
use farol_logging::trace;
use farol_shutdown::Handle;
use farol_wire::limits::SPOOLED_BOOTS;
use farol_wire::proto::fleet_client::FleetClient;
use farol_wire::proto::{AgentMessage, MonitorMessage, Welcome, agent_message, goodbye, monitor_message};
use farol_wire::{Boot, Hello, Limits, PROTOCOL, Role};
use session::Session;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Streaming};
use tracing::Instrument as _;

/// A connection, and then Welcome, must be there within these.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// And what is on disk must be known, or is brought by a later stream.
const SPOOL_READ_WITHIN: Duration = Duration::from_secs(5);
/// Messages handed to HTTP/2 ahead; all others wait in the ring, so that a status change overtakes the backlog.
const AHEAD: usize = 1;
/// A monitor's messages are short.
const HEARD_BYTES: usize = 1 << 20;
/// Report intervals a monitor may decide.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3_600));

/// How a stream ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The agent ends.
    Finished,
    /// Anything that passes: tried again soon.
    Broken(String),
    /// Somebody has to act: tried again seldom.
    Refused(Code, String),
    /// The monitor asked for a new stream: connected anew after this time.
    Reconnect(Duration),
}

impl From<tonic::Status> for End {
    fn from(status: tonic::Status) -> Self {
        let said = if status.message().is_empty() { "no reason given" } else { status.message() };
        match Code::of(status.code()) {
            Some(code) => Self::Refused(code, said.to_owned()),
            None => {
                let cause = std::error::Error::source(&status).map_or_else(|| said.to_owned(), chain);
                Self::Broken(format!("{}: {cause}", status.code()))
            }
        }
    }
}

/// What the stream needs of the agent.
pub(crate) struct Streamer {
    pub(crate) identity: Identity,
    pub(crate) boot: Boot,
    pub(crate) monitors: Vec<Monitor>,
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) checker: Checker,
    pub(crate) link: Arc<Link>,
    /// Turns true when it is known what earlier boots left on disk; without a spool there is nothing to know.
    pub(crate) spool: Option<watch::Receiver<bool>>,
    /// What the agent asks for; what the monitor decides goes out.
    pub(crate) wished: Duration,
    pub(crate) interval: watch::Sender<Duration>,
    /// Cancelled when the agent is asked to say Goodbye and run on.
    pub(crate) drained: CancellationToken,
    /// What drains because the monitor says so.
    pub(crate) drains: Drains,
    pub(crate) handle: Handle,
}

impl Streamer {
    /// Until the cleanups begin and the last report is acknowledged, or its time is over.
    pub(crate) async fn run(self) {
        let drains = self.drains.run(&self.checker, &self.recorder, &self.drained);
        tokio::select! {
            () = self.streams() => {}
            () = drains => {}
        }
    }

    async fn streams(&self) {
        let cleaning = self.handle.cleaning();
        cleaning.run_until_cancelled(self.spool_is_read()).await;
        let mut backoff = Backoff::default();
        // Agents begin at different monitors and take them in turn.
        let mut turn = crate::reporter::offset_of(&self.identity.id) as usize;
        while !cleaning.is_cancelled() {
            let at = turn % self.monitors.len().max(1);
            turn = turn.wrapping_add(1);
            let Some(monitor) = self.monitors.get(at) else { return cleaning.cancelled().await };
            let mut acked = false;
            // One id for all that is said of this stream, here and at the monitor. The trace is of its opening alone.
            let trace = trace::Span::client("farol.v1.Fleet", "Stream");
            let id = CorrelationId::of_trace(&trace);
            let span = id.span(&trace);
            let end = self.attempt(monitor, &id, &trace, &mut acked).instrument(span.clone()).await;
            if let End::Broken(why) | End::Refused(_, why) = &end {
                trace.fail(why);
            }
            trace.end();
            if acked {
                backoff.reset();
            }
            let Some(wait) = span.in_scope(|| self.after(end, monitor, &mut backoff)) else { return };
            if cleaning.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                break;
            }
        }
        let left = self.recorder.counts().unacked;
        if left > 0 && self.spool.is_none() {
            tracing::warn!(reports = left, "the agent ends without a monitor; these reports are lost");
        } else if left > 0 {
            tracing::info!(
                reports = left,
                "the agent ends without a monitor; these reports are left on disk"
            );
        }
    }

    /// Hello names the boots whose reports are on disk. A disk that hangs does not keep what is live waiting.
    async fn spool_is_read(&self) {
        if let Some(mut ready) = self.spool.clone() {
            timeout(SPOOL_READ_WITHIN, ready.wait_for(|ready| *ready)).await.ok();
        }
    }

    /// One connection and its stream; `acked` when the monitor acknowledged something.
    async fn attempt(
        &self,
        monitor: &Monitor,
        id: &CorrelationId,
        trace: &trace::Span,
        acked: &mut bool,
    ) -> End {
        trace.set("farol.agent.id", &self.identity.id);
        let cleaning = self.handle.cleaning();
        let opened = match cleaning.run_until_cancelled(self.open(monitor, id, trace)).await {
            None => return End::Finished,
            Some(Err(end)) => return end,
            Some(Ok(opened)) => opened,
        };
        let Opened { out, incoming, welcome, client: _client } = opened;
        let limits = limits_of(&welcome);
        let marks: Vec<(Boot, u64)> =
            welcome.resume.iter().filter_map(|ack| Some((ack.boot?.into(), ack.seq))).collect();
        let mark = marks.iter().find(|(boot, _)| *boot == self.boot).map_or(0, |(_, seq)| *seq);
        self.take_interval(welcome.interval_ms);
        if self.link.welcomed(&welcome.store_id) {
            tracing::debug!("the second store was told");
        }
        tracing::info!(
            monitor = %monitor, store.id = welcome.store_id, resume = mark, "the stream to the monitor is open"
        );
        self.look_at_link();
        let feed = Feed { recorder: &self.recorder, boot: self.boot };
        let opening = feed.open(&self.checker.snapshot(), mark, &marks, &limits);
        let end = Session::new(self, feed, out, incoming, opening, &limits).traced(trace).run(acked).await;
        Feed { recorder: &self.recorder, boot: self.boot }.close();
        end
    }

    async fn open(&self, monitor: &Monitor, id: &CorrelationId, trace: &trace::Span) -> Result<Opened, End> {
        let broken = |what: &str, why: &dyn std::fmt::Display| End::Broken(format!("{what}: {why}"));
        let connecting = trace.child("connect");
        let io = match timeout(CONNECT_WITHIN, self.connect.connect(monitor)).await {
            Ok(Ok(io)) => io,
            Ok(Err(error)) => return Err(broken("cannot connect", &chain(&error))),
            Err(_) => return Err(End::Broken("cannot connect: no answer in time".to_owned())),
        };
        connecting.end();
        let (out, messages) = mpsc::channel(AHEAD);
        let hello = AgentMessage { kind: Some(agent_message::Kind::Hello(self.hello().into())) };
        out.try_send(hello).expect("a new channel has room");
        let opening = async {
            let channel = connect::channel(io, monitor).await.map_err(|e| broken("no HTTP/2", &chain(&e)))?;
            let mut client = FleetClient::new(channel).max_decoding_message_size(HEARD_BYTES);
            let mut incoming = client.stream(call(messages, id, trace)).await?.into_inner();
            let welcome = match incoming.message().await? {
                Some(MonitorMessage { kind: Some(monitor_message::Kind::Welcome(welcome)) }) => welcome,
                Some(_) => return Err(End::Broken("the monitor's first message was not Welcome".to_owned())),
                None => return Err(End::Broken("the monitor ended the stream before Welcome".to_owned())),
            };
            Ok((client, incoming, welcome))
        };
        let late = || End::Broken("no Welcome in time".to_owned());
        let (client, incoming, welcome) = timeout(WELCOME_WITHIN, opening).await.map_err(|_| late())??;
        if !PROTOCOL.contains(&welcome.protocol) {
            let why =
                format!("the monitor chose protocol {}, which this agent does not speak", welcome.protocol);
            return Err(End::Refused(Code::FailedPrecondition, why));
        }
        trace.event("Welcome came");
        Ok(Opened { out, incoming, welcome, client })
    }

    fn hello(&self) -> Hello {
        let now = Now::read();
        let Identity { id, role, scope, labels, accept_drain, .. } = &self.identity;
        let mut spooled = self.recorder.list_past(SPOOLED_BOOTS - 1);
        spooled.push(self.boot);
        Hello {
            agent: id.clone(),
            role: *role,
            boot: self.boot,
            spooled,
            labels: labels.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: (*PROTOCOL.start(), *PROTOCOL.end()),
            interval_ms: u32::try_from(self.wished.as_millis()).unwrap_or(u32::MAX),
            wall_ms: u64::try_from(now.wall_ms).unwrap_or(0),
            clock_ms: now.boot_ms,
            scope: scope.clone().unwrap_or_default(),
            accept_drain: *accept_drain,
        }
    }

    /// The monitor's word counts, within reason.
    fn take_interval(&self, interval_ms: u32) {
        let decided = match interval_ms {
            0 => self.wished,
            ms => Duration::from_millis(u64::from(ms)).clamp(INTERVALS.0, INTERVALS.1),
        };
        self.interval.send_if_modified(|interval| std::mem::replace(interval, decided) != decided);
    }

    /// Tells how a stream ended, once, and how long to wait. `None` at the agent's end.
    fn after(&self, end: End, monitor: &Monitor, backoff: &mut Backoff) -> Option<Duration> {
        let chance = chance();
        let wait = match &end {
            End::Finished => return None,
            End::Refused(code, why) => {
                let wait = backoff.after_refusal(chance);
                if self.link.refused(*code, why) {
                    tracing::error!(monitor = %monitor, reason = code.reason(), error = why, "the monitor refuses this agent");
                }
                wait
            }
            End::Broken(why) => self.broken(why, monitor, backoff, chance),
            End::Reconnect(wait) => {
                self.link.down("the monitor asked for a new stream");
                *wait
            }
        };
        self.look_at_link();
        Some(wait)
    }

    fn broken(&self, why: &str, monitor: &Monitor, backoff: &mut Backoff, chance: f64) -> Duration {
        let wait = backoff.after_failure(chance);
        if self.link.down(why) {
            tracing::warn!(monitor = %monitor, error = why, "there is no stream to the monitor; it is tried again");
        } else {
            tracing::debug!(monitor = %monitor, error = why, wait_ms = wait.as_millis(), "still no stream");
        }
        wait
    }

    /// The agent's own probes show the link without waiting for the next turn.
    fn look_at_link(&self) {
        self.checker.check_now(&[link::COMPONENT]);
    }
}

/// Any part of 1.
fn chance() -> f64 {
    random() as f64 / u64::MAX as f64
}

/// The word for what the agent says at a planned end.
pub(crate) fn goodbye_word(role: Role) -> &'static str {
    if session::goodbye_of(role) == goodbye::Kind::Workload { "workload" } else { "agent" }
}

/// The call tells the monitor the stream's correlation id and its trace.
fn call(
    messages: mpsc::Receiver<AgentMessage>,
    id: &CorrelationId,
    trace: &trace::Span,
) -> Request<ReceiverStream<AgentMessage>> {
    let mut call = Request::new(ReceiverStream::new(messages));
    for (name, value) in id.headers(trace) {
        let value = value.parse().expect("an id is letters, digits and hyphens");
        call.metadata_mut().insert(name, value);
    }
    call
}

/// A stream that was welcomed.
struct Opened {
    out: mpsc::Sender<AgentMessage>,
    incoming: Streaming<MonitorMessage>,
    welcome: Welcome,
    /// Keeps the connection.
    client: FleetClient<Channel>,
}

fn limits_of(welcome: &Welcome) -> Limits {
    let told = welcome.limits.map(Limits::from).unwrap_or_default();
    let default = Limits::default();
    let or = |told: usize, default: usize| if told == 0 { default } else { told };
    Limits {
        max_series: or(told.max_series, default.max_series),
        max_components: or(told.max_components, default.max_components),
        max_message_bytes: or(told.max_message_bytes, default.max_message_bytes).max(16 << 10),
    }
}

/// An error with its causes: tonic's own text says only that there was one.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
