//! One open stream from State to its end: sends what the recorder has in the protocol's order, and does what the
//! monitor says. One loop; nothing of it waits for anything else.

use super::renewal::Renewal;
use super::{End, Streamer, chance};
use crate::recorder::{Feed, Made, Now, Opening};
use crate::ring::{Next, Piece};
use farol_logging::trace;
use farol_shutdown::Reason;
use farol_wire::proto::{AgentMessage, Goodbye, MonitorMessage, agent_message, goodbye, monitor_message};
use farol_wire::{Boot, Limits, Role, proto};
use prost::Message;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tonic::{Status, Streaming};

/// A backlog message is at most so long, and leaves room for its frame.
const BACKLOG_BYTES: usize = 1 << 20;
const BACKLOG_SPARE: usize = 4 << 10;
/// How long the stream waits for the disk, until it leaves an earlier start's reports to another stream, or this start's
/// for lost: so long memory holds what is new, and statuses go out all the while.
pub(super) const READ_WITHIN: Duration = Duration::from_secs(30);
const OWN_READ_WITHIN: Duration = Duration::from_secs(300);
/// Smaller messages are padded: servers cut peers that flood them with tiny frames.
const LEAST_BYTES: usize = 64;
/// How long the stream's end waits for its last acknowledgement.
const LAST_ACK_WITHIN: Duration = Duration::from_secs(2);
/// What a Goodbye promises: the whole shutdown fits into it.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(30);
/// And one that was asked for: the workload ends first, in its own time. Where it takes longer the monitor takes the
/// agent out, and a new stream says Goodbye again.
const DRAIN_DEADLINE: Duration = Duration::from_secs(600);
/// Key frames are made at most so often, whatever is asked.
const KEY_EVERY: Duration = Duration::from_millis(100);
/// A monitor forgets retired series only with the stream: one that retired so many begins anew.
const RETIRED_AT_MOST: usize = 90_000;

pub(super) struct Session<'a> {
    agent: &'a Streamer,
    feed: Feed<'a>,
    /// Gone when the agent's half is closed.
    out: Option<mpsc::Sender<AgentMessage>>,
    incoming: Streaming<MonitorMessage>,
    /// Taken out of the record and not sent yet; filled only when empty, but for what goes first.
    queue: VecDeque<agent_message::Kind>,
    /// The backlog is sent.
    live: bool,
    /// Taken out up to this sequence number.
    cursor: u64,
    /// Bytes of a backlog message.
    budget: usize,
    /// The disk is waited for, for reports of this start, until then.
    read_by: Option<(Boot, Instant)>,
    /// Something changed while the backlog flows.
    state_due: bool,
    /// All was taken out; the recorder says when there is more.
    idle: bool,
    said_goodbye: bool,
    warned_refused: bool,
    last_key: Option<Instant>,
    /// One was asked for too soon after the last: it is made when its time has come.
    key_at: Option<Instant>,
    /// Series retired on this stream.
    retired: usize,
    /// The monitor asked for a new stream: this one goes on until its moment has come.
    renewal: Renewal,
    ending: Option<Ending>,
    /// The opening's, until State is sent.
    trace: Option<trace::Span>,
}

/// The stream is to end.
struct Ending {
    why: End,
    /// Up to this one everything goes out before, and is waited for; nothing more for `None`.
    last: Option<u64>,
    deadline: Instant,
}

/// What the loop woke up for.
enum Step {
    Goodbye,
    Last,
    Heard(Result<Option<MonitorMessage>, Status>),
    Sent,
    Closed,
    Fresh,
    /// What it waits for was read from disk.
    Loaded,
    /// It takes too long.
    Hangs,
    Key,
    Renew,
    Over,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        agent: &'a Streamer,
        feed: Feed<'a>,
        out: mpsc::Sender<AgentMessage>,
        incoming: Streaming<MonitorMessage>,
        opening: Opening,
        limits: &Limits,
    ) -> Self {
        Self {
            agent,
            feed,
            out: Some(out),
            incoming,
            queue: opening.messages.into(),
            live: false,
            cursor: opening.cursor,
            budget: BACKLOG_BYTES.min(limits.max_message_bytes) - BACKLOG_SPARE,
            read_by: None,
            state_due: false,
            idle: false,
            said_goodbye: false,
            warned_refused: false,
            last_key: None,
            key_at: None,
            retired: 0,
            renewal: Renewal::default(),
            ending: None,
            trace: None,
        }
    }

    /// Ends this span when the stream is open.
    pub(super) fn traced(self, trace: &trace::Span) -> Self {
        Self { trace: Some(trace.clone()), ..self }
    }

    pub(super) async fn run(mut self, acked: &mut bool) -> End {
        let (stopping, cleaning) = (self.agent.handle.stopping(), self.agent.handle.cleaning());
        let drained = self.agent.drained.clone();
        loop {
            if let Some(end) = self.fill() {
                return end;
            }
            let over = self.ending.as_ref().map(|ending| ending.deadline);
            let renew = self.renewal.at().filter(|_| self.ending.is_none());
            let read_by = self.read_by.map(|(_, at)| at);
            let step = tokio::select! {
                biased;
                () = stopping.cancelled(), if !self.said_goodbye && self.out.is_some() => Step::Goodbye,
                () = drained.cancelled(), if !self.said_goodbye && self.out.is_some() => Step::Goodbye,
                () = cleaning.cancelled(), if !self.is_finishing() => Step::Last,
                () = sleep_until(over.unwrap_or_else(Instant::now)), if over.is_some() => Step::Over,
                () = sleep_until(renew.unwrap_or_else(Instant::now)), if renew.is_some() => Step::Renew,
                () = sleep_until(self.key_at.unwrap_or_else(Instant::now)), if self.key_at.is_some() => Step::Key,
                message = self.incoming.message() => Step::Heard(message),
                () = self.agent.recorder.fresh.notified() => Step::Fresh,
                () = self.agent.recorder.loaded.notified() => Step::Loaded,
                () = sleep_until(read_by.unwrap_or_else(Instant::now)), if read_by.is_some() => Step::Hangs,
                room = reserve(self.out.as_ref()), if self.out.is_some() && !self.queue.is_empty() => match room {
                    Some(room) => {
                        room.send(AgentMessage { kind: self.queue.pop_front().map(padded) });
                        Step::Sent
                    }
                    None => Step::Closed,
                },
            };
            if let Some(end) = self.take(step, acked) {
                return end;
            }
        }
    }

    fn take(&mut self, step: Step, acked: &mut bool) -> Option<End> {
        match step {
            Step::Goodbye => self.goodbye(),
            Step::Last => self.last(),
            Step::Heard(Ok(Some(message))) => return self.heard(message, acked),
            Step::Heard(Ok(None)) => return Some(self.ended(None)),
            Step::Heard(Err(status)) => return Some(self.ended(Some(status))),
            Step::Sent | Step::Loaded => {}
            Step::Hangs => {
                self.read_by = None;
                self.feed.give_up_reading();
            }
            // The request is gone; why is said by the answer, which is read next.
            Step::Closed => self.out = None,
            Step::Fresh => {
                self.idle = false;
                self.state_due = !self.live;
            }
            Step::Key => self.key(),
            Step::Renew => self.end(End::Reconnect(Duration::ZERO), None),
            Step::Over => return self.ending.take().map(|ending| ending.why),
        }
        None
    }

    fn is_finishing(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.why == End::Finished)
    }

    /// Takes the next messages out of the record, when those before are sent.
    fn fill(&mut self) -> Option<End> {
        if !self.queue.is_empty() || self.out.is_none() {
            return None;
        }
        if let Some(trace) = self.trace.take() {
            trace.event("State is sent");
            trace.end();
        }
        if self.ending.as_ref().is_some_and(|ending| ending.last.is_none_or(|last| self.cursor >= last)) {
            self.out = None;
            return None;
        }
        if self.state_due {
            self.state_due = false;
            self.queue.extend(self.feed.state(&self.agent.checker.snapshot()));
        } else if !self.live {
            self.fill_backlog();
        }
        if self.live && self.ending.is_none() && self.feed.others_wait() {
            tracing::info!(
                "reports of earlier starts wait that this stream cannot bring; a new one is opened"
            );
            self.end(End::Reconnect(Duration::ZERO), None);
            self.out = None;
            return None;
        }
        if self.live && !self.idle && self.queue.is_empty() {
            let (said, next) = self.feed.next(self.cursor);
            self.queue.extend(said);
            match next {
                Next::Report(announce, report) => {
                    self.cursor = report.seq;
                    self.queue.extend(announce);
                    self.queue.push_back(agent_message::Kind::Report(*report));
                }
                Next::Nothing => self.idle = true,
                Next::Gone => return Some(End::Broken("the monitor takes reports too slowly".to_owned())),
            }
        }
        self.count_retired()
    }

    fn fill_backlog(&mut self) {
        match self.feed.backlog(self.cursor, self.budget) {
            Piece::Chunk(chunk) => {
                self.read_by = None;
                if chunk.boot == self.feed.boot {
                    self.cursor = chunk.last;
                }
                self.queue.extend(Feed::messages(chunk.segments, self.budget));
            }
            Piece::Wait(boot) => {
                let within = if boot == self.feed.boot { OWN_READ_WITHIN } else { READ_WITHIN };
                if self.read_by.is_none_or(|(of, _)| of != boot) {
                    self.read_by = Some((boot, Instant::now() + within));
                }
            }
            Piece::Nothing => {
                self.read_by = None;
                if let Some((said, cursor)) = self.feed.go_live(&self.agent.checker.snapshot(), self.cursor) {
                    self.queue.extend(said);
                    (self.live, self.cursor) = (true, cursor);
                    self.agent.link.live();
                }
            }
        }
    }

    fn count_retired(&mut self) -> Option<End> {
        let retired = self.queue.iter().map(|kind| match kind {
            agent_message::Kind::Retire(retire) => retire.series.len(),
            _ => 0,
        });
        self.retired += retired.sum::<usize>();
        (self.retired > RETIRED_AT_MOST).then_some(End::Reconnect(Duration::ZERO))
    }

    /// The first act of a shutdown, or what was asked for before it.
    fn goodbye(&mut self) {
        let kind = match self.agent.handle.reason() {
            // Nobody planned this end.
            Some(Reason::Task { .. }) => goodbye::Kind::Failing,
            _ => goodbye_of(self.agent.identity.role),
        };
        let is_shutdown = self.agent.handle.stopping().is_cancelled();
        let deadline = if is_shutdown { GOODBYE_DEADLINE } else { DRAIN_DEADLINE };
        let deadline_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
        self.queue.push_front(agent_message::Kind::Goodbye(Goodbye { kind: kind.into(), deadline_ms }));
        self.said_goodbye = true;
    }

    /// The last report, and the end of the stream after it.
    fn last(&mut self) {
        let seq = self.feed.finish(&self.agent.checker.snapshot(), Now::read());
        self.idle = false;
        self.end(End::Finished, Some(seq));
    }

    fn end(&mut self, why: End, last: Option<u64>) {
        self.ending = Some(Ending { why, last, deadline: Instant::now() + LAST_ACK_WITHIN });
    }

    /// The monitor's half is over.
    fn ended(&mut self, status: Option<Status>) -> End {
        match (self.ending.take(), status) {
            (Some(ending), _) => ending.why,
            (None, Some(status)) => self.renewal.broke(status.into(), Instant::now()),
            (None, None) => {
                let end = End::Broken("the monitor ended the stream".to_owned());
                self.renewal.broke(end, Instant::now())
            }
        }
    }

    fn heard(&mut self, message: MonitorMessage, acked: &mut bool) -> Option<End> {
        use monitor_message::Kind;
        match message.kind? {
            Kind::Ack(ack) => return self.acknowledged(ack, acked),
            Kind::NeedKeyFrame(_) => self.key(),
            Kind::Refused(refused) => self.refused(&refused),
            Kind::Reconnect(reconnect) if self.ending.is_none() => {
                tracing::info!(reason = reconnect.reason, "the monitor asks for a new stream");
                let within = Duration::from_millis(u64::from(reconnect.within_ms.min(600_000)));
                self.renewal.asked(Instant::now(), within, chance());
            }
            Kind::CheckNow(wanted) => {
                self.agent.checker.check_now(&self.feed.names(&wanted.components));
            }
            Kind::Maintenance(maintenance) => self.maintenance(&maintenance),
            Kind::Reconnect(_) | Kind::Welcome(_) => {}
        }
        None
    }

    fn acknowledged(&mut self, ack: proto::Ack, acked: &mut bool) -> Option<End> {
        let known = match ack.boot.map(Boot::from) {
            Some(boot) if boot == self.feed.boot => ack.seq <= self.cursor,
            Some(boot) => self.feed.acknowledge_past(boot, ack.seq),
            None => false,
        };
        if !known {
            tracing::warn!(
                seq = ack.seq,
                "the monitor acknowledges what was not sent to it; this is ignored"
            );
            return None;
        }
        *acked = true;
        if ack.boot.map(Boot::from) != Some(self.feed.boot) {
            return None;
        }
        self.feed.acknowledge(ack.seq);
        let done = self.ending.as_ref().is_some_and(|e| e.last.is_some_and(|last| ack.seq >= last));
        if done { self.ending.take().map(|ending| ending.why) } else { None }
    }

    /// The monitor wants a key frame, or a sign of life.
    fn key(&mut self) {
        let now = Instant::now();
        self.key_at = self.last_key.map(|last| last + KEY_EVERY).filter(|at| now < *at);
        if self.key_at.is_some() || self.ending.is_some() {
            return;
        }
        self.last_key = Some(now);
        if self.live {
            self.feed.report(&self.agent.checker.snapshot(), Now::read(), Made::Key);
            self.idle = false;
        } else {
            self.state_due = true;
        }
    }

    fn refused(&mut self, refused: &proto::Refused) {
        if !std::mem::replace(&mut self.warned_refused, true) {
            tracing::warn!(
                series = refused.series.len(),
                components = refused.components.len(),
                reason = refused.reason,
                "the monitor does not take all series and components; those are no longer sent"
            );
        }
        self.feed.refuse(&refused.series, &refused.components);
        self.last_key = None;
        self.key();
    }

    fn maintenance(&self, maintenance: &proto::Maintenance) {
        let identity = &self.agent.identity;
        let is_any =
            maintenance.drain || !maintenance.services.is_empty() || !maintenance.components.is_empty();
        if !identity.accept_drain {
            if is_any {
                tracing::info!("a drain window came, but `accept_drain` is not set; it is not applied");
            }
            return;
        }
        let checker = &self.agent.checker;
        let scoped = |service: &str| identity.scope.as_ref().map(|scope| format!("{scope}.{service}"));
        let snapshot = checker.snapshot();
        let drained = snapshot.components.iter().filter(|view| {
            let scoped = scoped(&view.service);
            maintenance.components.iter().any(|name| **name == *view.name)
                || maintenance.services.iter().any(|s| **s == *view.service || Some(s) == scoped.as_ref())
        });
        let names: Vec<String> = drained.map(|view| view.name.to_string()).collect();
        tracing::info!(
            drain = maintenance.drain,
            components = names.len(),
            reason = maintenance.reason,
            "drain windows are applied"
        );
        let all = maintenance.drain || self.agent.drained.is_cancelled();
        let remaining = Duration::from_millis(if is_any { maintenance.remaining_ms } else { 0 });
        self.agent.drains.take(checker, &self.agent.recorder, (&names, all), remaining);
    }
}

/// What a planned end means.
pub(super) fn goodbye_of(role: Role) -> goodbye::Kind {
    match role {
        Role::Pod => goodbye::Kind::Workload,
        Role::Node | Role::Host => goodbye::Kind::Agent,
    }
}

async fn reserve(out: Option<&mpsc::Sender<AgentMessage>>) -> Option<mpsc::Permit<'_, AgentMessage>> {
    out?.reserve().await.ok()
}

/// A report that would make a tiny frame gets padding.
fn padded(kind: agent_message::Kind) -> agent_message::Kind {
    let agent_message::Kind::Report(mut report) = kind else { return kind };
    // With the report's own tag and length in its message; the padding's come on top, and it is never empty.
    let length = report.encoded_len() + 2;
    if length < LEAST_BYTES {
        report.padding = vec![0; (LEAST_BYTES - length).saturating_sub(2).max(1)];
    }
    agent_message::Kind::Report(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_wire::proto::Report;

    #[test]
    fn no_report_makes_a_tiny_frame_whatever_its_length() {
        for checked in 0..100 {
            let report = Report { seq: 1, at_ms: 1, checked: vec![0; checked], ..Report::default() };
            let message = AgentMessage { kind: Some(padded(agent_message::Kind::Report(report))) };
            let length = message.encoded_len();
            assert!((LEAST_BYTES..LEAST_BYTES + 50).contains(&length), "{checked}: {length}");
        }
    }
}
