//! One stream from its first message to its end: waits for whatever comes next and sends what is due. What each
//! message means is in `protocol`. There is no task behind it: the response polls the request.

use super::protocol::{Next, Protocol, replaced};
use super::{Counters, Ingest};
use crate::nudges::{Nudges, Want, Wants};
use farol_logging::{event, trace};
use farol_shutdown::listener::Peer;
use farol_wire::proto::{AgentMessage, MonitorMessage, NeedKeyFrame, Reconnect, monitor_message};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};
use tonic::{Code, Status, Streaming};

/// Hello, and then the whole set with its State, must come within these.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
const STATE_WITHIN: Duration = Duration::from_secs(30);
/// How long an end waits for the last commit.
const LAST_ACK_WITHIN: Duration = Duration::from_secs(2);
/// Over this time agents that must connect anew are spread.
const RECONNECT_WITHIN_MS: u32 = 60_000;

/// What a stream waits for.
#[allow(clippy::large_enum_variant, reason = "a message is moved once and never kept")]
enum Comes {
    /// Others want something of it.
    Wants(Wants),
    /// Hello or State did not come in time.
    Late,
    /// The agent says something; nothing when it has closed its half.
    Message(Option<Result<AgentMessage, Status>>),
    /// The time of a message that waits has come.
    Turn,
}

pub(super) struct Session {
    ingest: Arc<Ingest>,
    incoming: Streaming<AgentMessage>,
    protocol: Protocol,
    /// A message that waits for its turn: nothing more is read meanwhile, and the agent is held back by that.
    held: Option<(AgentMessage, BoxFuture<'static, ()>)>,
    /// What is to be sent, in order.
    outbox: VecDeque<monitor_message::Kind>,
    /// Hello or State must have come by then; nothing once the stream is live.
    opening: Option<Pin<Box<Sleep>>>,
    /// What others want of it, and its number among the open streams.
    nudges: Arc<Nudges>,
    number: u64,
    /// The stream's end, after the outbox.
    end: Option<Result<(), Status>>,
    /// Of the opening: it ends when State has come.
    trace: Option<trace::Span>,
}

impl Session {
    pub(super) fn new(
        ingest: Arc<Ingest>,
        peer: Peer,
        incoming: Streaming<AgentMessage>,
        trace: trace::Span,
    ) -> Self {
        trace.keep();
        ingest.counters.streams.fetch_add(1, Ordering::Relaxed);
        let nudges = Arc::new(Nudges::default());
        let number = ingest.streams.add(Arc::clone(&nudges));
        if ingest.draining.is_cancelled() {
            nudges.want(Want::End);
        }
        Self {
            protocol: Protocol::new(Arc::clone(&ingest), peer, Arc::clone(&nudges)),
            ingest,
            incoming,
            held: None,
            outbox: VecDeque::new(),
            opening: Some(Box::pin(sleep(HELLO_WITHIN))),
            nudges,
            number,
            end: None,
            trace: Some(trace),
        }
    }

    pub(super) fn into_stream(self) -> BoxStream<'static, Result<MonitorMessage, Status>> {
        futures::stream::unfold(Some(self), |session| async move {
            let mut session = session?;
            loop {
                if let Some(kind) = session.outbox.pop_front() {
                    return Some((Ok(MonitorMessage { kind: Some(kind) }), Some(session)));
                }
                match session.end.take() {
                    Some(Ok(())) => return None,
                    Some(Err(status)) => return Some((Err(status), None)),
                    None => session.step().await,
                }
            }
        })
        .boxed()
    }

    /// Waits for one thing and does it.
    async fn step(&mut self) {
        match poll_fn(|context| self.poll_what_comes(context)).await {
            Comes::Wants(wants) => self.heed(wants),
            Comes::Late => {
                self.finish(Status::deadline_exceeded(
                    "Hello, the definitions and State did not come in time",
                ));
            }
            Comes::Message(message) => self.read(message).await,
            Comes::Turn => {
                if let Some((message, _)) = self.held.take() {
                    self.take(message).await;
                }
            }
        }
    }

    /// What ends the stream is not kept waiting by what the agent still says. Looked at with each report: it waits for
    /// two things only, and allocates nothing.
    fn poll_what_comes(&mut self, context: &mut Context<'_>) -> Poll<Comes> {
        let wants = self.nudges.take(context);
        if !wants.is_none() {
            return Poll::Ready(Comes::Wants(wants));
        }
        if let Some(opening) = &mut self.opening
            && opening.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Comes::Late);
        }
        match &mut self.held {
            Some((_, turn)) => turn.poll_unpin(context).map(|()| Comes::Turn),
            None => self.incoming.poll_next_unpin(context).map(Comes::Message),
        }
    }

    fn heed(&mut self, wants: Wants) {
        if wants.has(Want::Replaced) {
            return self.finish(replaced());
        }
        if wants.has(Want::End) {
            return self.drain();
        }
        if wants.has(Want::Recovered) {
            self.reconnect_if_broken();
        }
        if wants.has(Want::Ping) {
            self.outbox.push_back(monitor_message::Kind::NeedKeyFrame(NeedKeyFrame {}));
        }
        if wants.has(Want::Acknowledge) {
            self.acknowledge();
        }
        if wants.has(Want::Drain) {
            self.protocol.drain(&mut self.outbox);
        }
    }

    async fn read(&mut self, message: Option<Result<AgentMessage, Status>>) {
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(status)) => return self.lost(&status),
            None => return self.closed().await,
        };
        match self.protocol.turn(&message) {
            Some(turn) => self.held = Some((message, turn)),
            None => self.take(message).await,
        }
    }

    async fn take(&mut self, message: AgentMessage) {
        match self.protocol.take(message, &mut self.outbox).await {
            Ok(Next::Go) => {
                if self.opening.is_some() && self.protocol.is_live() {
                    self.opened();
                }
                self.acknowledge();
            }
            Ok(Next::Welcomed) => {
                self.opening = Some(Box::pin(sleep(STATE_WITHIN)));
                if let Some(trace) = &self.trace {
                    trace.set("farol.agent.id", self.protocol.name());
                    trace.event("Hello came");
                }
            }
            Err(status) => self.finish(status),
        }
    }

    fn opened(&mut self) {
        self.opening = None;
        if let Some(trace) = self.trace.take() {
            trace.event("State came");
            trace.end();
        }
    }

    fn acknowledge(&mut self) {
        let now = self.ingest.clock.now();
        for ack in self.protocol.acks_due(now) {
            self.outbox.push_back(monitor_message::Kind::Ack(ack));
        }
        if let Err(status) = self.protocol.ask(&mut self.outbox, now) {
            self.finish(status);
        }
    }

    /// The agent closed its half: it gets its last acknowledgement.
    async fn closed(&mut self) {
        // One boot that is not committed by then does not keep the others from theirs.
        let _in_time = tokio::time::timeout(LAST_ACK_WITHIN, self.protocol.all_committed()).await;
        let acks = self.protocol.last_acks();
        self.outbox.extend(acks.into_iter().map(monitor_message::Kind::Ack));
        self.end = Some(Ok(()));
    }

    fn drain(&mut self) {
        self.outbox.push_back(monitor_message::Kind::Reconnect(Reconnect {
            within_ms: 1_000,
            reason: "the monitor is shutting down".to_owned(),
        }));
        self.end = Some(Err(Status::unavailable("the monitor is shutting down")));
    }

    fn reconnect_if_broken(&mut self) {
        if self.protocol.is_broken() {
            self.outbox.push_back(monitor_message::Kind::Reconnect(Reconnect {
                within_ms: RECONNECT_WITHIN_MS,
                reason: "the store takes again; send what was not acknowledged".to_owned(),
            }));
        }
    }

    /// The connection broke, or a message could not be read.
    fn lost(&mut self, status: &Status) {
        if is_unreadable(status) {
            let why = format!("a message cannot be read: {}", status.message());
            if status.code() == Code::OutOfRange {
                self.refused("oversize", &why);
            }
            return self.finish(Status::invalid_argument(why));
        }
        tracing::debug!(agent.id = self.protocol.name(), error = %status.message(), "the stream broke");
        self.end = Some(Ok(()));
    }

    fn refused(&self, name: &'static str, why: &str) {
        let peer = self.protocol.peer().ip();
        let event = event::security(name).outcome("refused").peer(peer).subject(self.protocol.name());
        event.detail(why).log();
    }

    /// Ends the stream with an error, logged once, here.
    fn finish(&mut self, status: Status) {
        if let Some(trace) = self.trace.take() {
            trace.fail(status.message());
            trace.end();
        }
        let counters = &self.ingest.counters;
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied | Code::AlreadyExists => {
                Counters::add(&counters.identities_refused, 1);
            }
            Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::DeadlineExceeded => Counters::add(&counters.violations, 1),
            _ => {}
        }
        let refused = match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Some("peer_refused"),
            Code::AlreadyExists => Some("identity_conflict"),
            Code::ResourceExhausted => Some("oversize"),
            _ => None,
        };
        if let Some(name) = refused {
            self.refused(name, status.message());
        }
        tracing::warn!(
            agent.id = self.protocol.name(),
            peer.address = %self.protocol.peer(),
            code = ?status.code(),
            error = status.message(),
            "an agent's stream is refused"
        );
        self.end = Some(Err(status));
    }
}

/// Whether what came was a message of ours gone wrong, and not a connection that broke.
fn is_unreadable(status: &Status) -> bool {
    match status.code() {
        Code::InvalidArgument | Code::OutOfRange | Code::ResourceExhausted | Code::Unimplemented => true,
        Code::Internal => {
            let why = status.message();
            why.starts_with("protocol error") || why.contains("decod")
        }
        _ => false,
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(trace) = self.trace.take() {
            trace.fail("the stream ended before State came");
            trace.end();
        }
        self.ingest.streams.remove(self.number);
        self.ingest.counters.streams.fetch_sub(1, Ordering::Relaxed);
        self.protocol.disconnected();
    }
}
