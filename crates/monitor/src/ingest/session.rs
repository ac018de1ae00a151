//! One stream from its first message to its end: waits for whatever comes next and sends what is due. What each
//! message means is in `protocol`. There is no task behind it: the response polls the request.

use super::protocol::{Next, Protocol, replaced};
use super::{Counters, Ingest};
use farol_logging::{event, trace};
use farol_shutdown::listener::Peer;
use farol_wire::proto::{AgentMessage, MonitorMessage, NeedKeyFrame, Reconnect, monitor_message};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

/// Hello, and then the whole set with its State, must come within these.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
const STATE_WITHIN: Duration = Duration::from_secs(30);
/// How long an end waits for the last commit.
const LAST_ACK_WITHIN: Duration = Duration::from_secs(2);
/// Over this time agents that must connect anew are spread.
const RECONNECT_WITHIN_MS: u32 = 60_000;

pub(super) struct Session {
    ingest: Arc<Ingest>,
    incoming: Streaming<AgentMessage>,
    protocol: Protocol,
    /// What is to be sent, in order.
    outbox: VecDeque<monitor_message::Kind>,
    /// Hello or State must have come by then.
    deadline: Instant,
    /// How often the store has recovered; a change asks broken streams to connect anew.
    recovered: tokio::sync::watch::Receiver<u64>,
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
        Self {
            protocol: Protocol::new(Arc::clone(&ingest), peer),
            recovered: ingest.journal.recovered(),
            ingest,
            incoming,
            outbox: VecDeque::new(),
            deadline: Instant::now() + HELLO_WITHIN,
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
        let link = self.protocol.link();
        let acks = self.protocol.next_ack();
        tokio::select! {
            // In this order: what ends the stream is not kept waiting by what the agent still says.
            biased;
            () = link.replaced() => self.finish(replaced()),
            () = self.ingest.draining.cancelled() => self.drain(),
            () = tokio::time::sleep_until(self.deadline), if !self.protocol.is_live() => {
                self.finish(Status::deadline_exceeded("Hello, the definitions and State did not come in time"));
            }
            Ok(()) = self.recovered.changed() => self.reconnect_if_broken(),
            () = link.pinged() => self.outbox.push_back(monitor_message::Kind::NeedKeyFrame(NeedKeyFrame {})),
            () = acks.wait() => self.acknowledge(),
            message = self.incoming.next() => self.take(message).await,
        }
    }

    async fn take(&mut self, message: Option<Result<AgentMessage, Status>>) {
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(status)) => return self.lost(&status),
            None => return self.closed().await,
        };
        match self.protocol.take(message, &mut self.outbox).await {
            Ok(Next::Go) => {
                if self.trace.is_some() && self.protocol.is_live() {
                    self.opened();
                }
                self.acknowledge();
            }
            Ok(Next::Welcomed) => {
                self.deadline = Instant::now() + STATE_WITHIN;
                if let Some(trace) = &self.trace {
                    trace.set("farol.agent.id", self.protocol.name());
                    trace.event("Hello came");
                }
            }
            Err(status) => self.finish(status),
        }
    }

    fn opened(&mut self) {
        if let Some(trace) = self.trace.take() {
            trace.event("State came");
            trace.end();
        }
    }

    fn acknowledge(&mut self) {
        for ack in self.protocol.acks_due() {
            self.outbox.push_back(monitor_message::Kind::Ack(ack));
        }
    }

    /// The agent closed its half: it gets its last acknowledgement.
    async fn closed(&mut self) {
        let last = tokio::time::timeout(LAST_ACK_WITHIN, self.protocol.all_committed());
        let acks = last.await.unwrap_or_default();
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
            return self.finish(Status::invalid_argument(why));
        }
        tracing::debug!(agent.id = self.protocol.name(), error = %status.message(), "the stream broke");
        self.end = Some(Ok(()));
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
            Code::ResourceExhausted | Code::OutOfRange => Some("oversize"),
            _ => None,
        };
        if let Some(name) = refused {
            let peer = self.protocol.peer().ip();
            let event = event::security(name).outcome("refused").peer(peer).subject(self.protocol.name());
            event.detail(status.message()).log();
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
        self.ingest.counters.streams.fetch_sub(1, Ordering::Relaxed);
        self.protocol.disconnected();
    }
}
