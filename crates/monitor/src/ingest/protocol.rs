//! The order and the meaning of an agent's messages (DESIGN: Hello → Welcome → Defines → State → backlog → live
//! Reports). A message out of order, or one that no honest agent sends, ends the stream with a clear error.

mod course;
mod live;
mod opening;

use super::defined::DefinedSet;
use super::pace::{Allowance, ClockMap, Keys, Wish};
use super::{Counters, Ingest, backlog};
use crate::clock::Moment;
use crate::fleet::{Agent, Compiled, Drains, Effects, Event, EventKind, Farewell, Live, StreamLink, Told};
use crate::nudges::Nudges;
use course::Course;
use farol_rules::AgentCondition;
use farol_shutdown::listener::Peer;
use farol_wire::proto::{self, AgentMessage, agent_message, monitor_message};
use farol_wire::{Boot, Hello, Refused};
use futures::future::BoxFuture;
pub(super) use live::blocks;
use parking_lot::MutexGuard;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use tonic::Status;

/// What to do after a message.
pub(super) enum Next {
    /// Go on.
    Go,
    /// The agent was welcomed: its set and State must come now.
    Welcomed,
}

/// One stream's protocol.
pub(super) struct Protocol {
    ingest: Arc<Ingest>,
    peer: Peer,
    /// What others want of the stream.
    nudges: Arc<Nudges>,
    /// There from Hello on.
    open: Option<Open>,
}

/// A stream whose agent is known.
pub(super) struct Open {
    pub(super) agent: Arc<Agent>,
    link: Arc<StreamLink>,
    /// The current boot's reports.
    pub(super) course: Course,
    pub(super) hello: Hello,
    /// The monitor's wall clock when Hello came.
    pub(super) hello_wall_ms: i64,
    set: DefinedSet,
    /// The set as the current segment has it.
    layout: Option<Arc<Compiled>>,
    /// State has come: what follows is live.
    live: bool,
    /// The last sequence number seen.
    last_seq: u64,
    pub(super) clock: ClockMap,
    allowance: Allowance,
    pub(super) backlog_allowance: Allowance,
    /// Sets that nobody had before.
    pub(super) new_sets: Allowance,
    /// What Welcome told to be committed of each boot in Hello.
    resumed: BTreeMap<Boot, u64>,
    /// Reports of other boots, from their backlog.
    backlog: BTreeMap<Boot, Course>,
    /// Something that the backlog defines was refused.
    pub(super) backlog_refused: bool,
    /// The set of the next segment of the backlog, as far as it came before it.
    pub(super) parts: Option<(Boot, DefinedSet)>,
    /// The last report of the backlog: the next one tells of the time since.
    pub(super) past: backlog::Last,
    /// The first State: what the backlog tells of the time since, was told live.
    pub(super) opened: backlog::Opened,
    /// The set changed: the next report must start a segment.
    must_start: bool,
    /// A key frame was asked for and has not come.
    asked_for_key: bool,
    /// When one is due all the same.
    keys: Keys,
    /// What it was told to drain on this stream.
    told_to_drain: Option<Drains>,
}

impl Protocol {
    pub(super) fn new(ingest: Arc<Ingest>, peer: Peer, nudges: Arc<Nudges>) -> Self {
        Self { ingest, peer, nudges, open: None }
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer.addr
    }

    /// The agent's id, for the log.
    pub(super) fn name(&self) -> &str {
        self.open.as_ref().map_or("", |open| &open.agent.id)
    }

    pub(super) fn is_live(&self) -> bool {
        self.open.as_ref().is_some_and(Open::is_live)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.courses().any(|course| course.follower.is_broken()))
    }

    /// What comes before this message may be taken; nothing more is to be read until then. `None`: it may at once.
    pub(super) fn turn(&mut self, message: &AgentMessage) -> Option<BoxFuture<'static, ()>> {
        let (Some(open), Some(agent_message::Kind::Backlog(message))) = (&mut self.open, &message.kind)
        else {
            return None;
        };
        backlog::turn(&self.ingest, open, message, self.ingest.clock.now())
    }

    /// Takes one message.
    pub(super) async fn take(
        &mut self,
        message: AgentMessage,
        outbox: &mut VecDeque<monitor_message::Kind>,
    ) -> Result<Next, Status> {
        use agent_message::Kind;
        let kind = message.kind.ok_or_else(|| Status::invalid_argument("a message without content"))?;
        if let Kind::Hello(hello) = kind {
            return self.hello(hello, outbox).await.map(|()| Next::Welcomed);
        }
        let now = self.ingest.clock.now();
        let ingest = Arc::clone(&self.ingest);
        let open =
            self.open.as_mut().ok_or_else(|| Status::invalid_argument("the first message must be Hello"))?;
        open.link.note_message();
        if !matches!(kind, Kind::Backlog(_)) && !open.allowance.take(now.boot_ms) {
            return Err(Status::resource_exhausted("too many messages; at most 200 a second for long"));
        }
        match kind {
            Kind::Hello(_) => unreachable!("taken above"),
            Kind::Define(define) => open.define(&ingest, define, outbox, now)?,
            Kind::Retire(retire) => open.retire(&ingest, &retire, now)?,
            Kind::State(state) => open.state(&ingest, state, now)?,
            Kind::Backlog(message) => backlog::take(&ingest, open, message, now)?,
            Kind::Report(report) => open.report(&ingest, report, outbox, now)?,
            Kind::Dropped(dropped) => open.dropped(&ingest, &dropped, now)?,
            Kind::Goodbye(goodbye) => open.goodbye(&ingest, &goodbye, now)?,
        }
        Ok(Next::Go)
    }

    /// Asks for what is due now: a live stream must begin anew now and then.
    pub(super) fn ask(
        &mut self,
        outbox: &mut VecDeque<monitor_message::Kind>,
        now: Moment,
    ) -> Result<(), Status> {
        match self.open.as_mut().map_or(Wish::Nothing, |open| open.keys.look(now.run_ms)) {
            Wish::Nothing => {}
            Wish::Key => outbox.push_back(monitor_message::Kind::NeedKeyFrame(proto::NeedKeyFrame {})),
            Wish::End => {
                let why = "a key frame was asked for and did not come; without one nothing can be sealed";
                return Err(Status::deadline_exceeded(why));
            }
        }
        Ok(())
    }

    /// Tells the agent what of it is to drain, if that is something else than it was told last.
    pub(super) fn drain(&mut self, outbox: &mut VecDeque<monitor_message::Kind>) {
        let Some(open) = &mut self.open else { return };
        let drains = open.agent.live.lock().drains().clone();
        // One that takes it may have been told on an earlier stream.
        let is_known = match &open.told_to_drain {
            Some(told) => *told == drains,
            None => drains.is_empty() && !open.hello.accept_drain,
        };
        if is_known {
            return;
        }
        let left_ms = drains.to_ms.saturating_sub(self.ingest.clock.now().wall_ms).max(1).unsigned_abs();
        let names = |names: &[Arc<str>]| names.iter().map(|name| name.to_string()).collect();
        outbox.push_back(monitor_message::Kind::Maintenance(proto::Maintenance {
            drain: drains.whole,
            services: names(&drains.services),
            components: names(&drains.components),
            reason: drains.reason.to_string(),
            remaining_ms: if drains.is_empty() { 0 } else { left_ms },
        }));
        open.told_to_drain = Some(drains);
    }

    /// What is to be acknowledged now.
    pub(super) fn acks_due(&mut self, now: Moment) -> Vec<proto::Ack> {
        let Some(open) = &mut self.open else { return Vec::new() };
        let courses = std::iter::once(&mut open.course).chain(open.backlog.values_mut());
        let acks = courses.filter_map(|course| course.due(now.boot_ms, &self.nudges)).collect();
        let next_ms = open.courses().map(|course| course.acks.next_ms()).min();
        self.nudges.acknowledge_at(next_ms.unwrap_or(u64::MAX));
        acks
    }

    /// Waits until all that was handed in is committed.
    pub(super) async fn all_committed(&self) {
        for course in self.open.iter().flat_map(Open::courses) {
            course.all_committed().await;
        }
    }

    /// Acknowledges what is committed of each boot.
    pub(super) fn last_acks(&self) -> Vec<proto::Ack> {
        self.open.iter().flat_map(Open::courses).filter_map(Course::last_ack).collect()
    }

    /// The stream is gone.
    pub(super) fn disconnected(&self) {
        if let Some(open) = &self.open {
            let now = self.ingest.clock.now();
            self.ingest.fleet.disconnected(&open.agent, open.link.number, now);
        }
    }
}

impl Open {
    /// The reports of each boot that came on this stream.
    fn courses(&self) -> impl Iterator<Item = &Course> {
        std::iter::once(&self.course).chain(self.backlog.values())
    }

    /// The reports of a boot.
    pub(super) fn course_of(&mut self, ingest: &Ingest, boot: Boot, now: Moment) -> &mut Course {
        if boot == self.hello.boot {
            return &mut self.course;
        }
        let key = self.agent.key;
        let resumed = self.resumed.get(&boot).copied().unwrap_or(0);
        let new = || Course::new(boot, ingest.journal.follow(key, boot), resumed, now.boot_ms);
        self.backlog.entry(boot).or_insert_with(new)
    }

    /// The agent, as long as this stream speaks for it; it does while this is held.
    pub(super) fn place<'a>(&self, agent: &'a Agent) -> Result<MutexGuard<'a, Live>, Status> {
        speaking(agent, &self.link)
    }

    /// State has come.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    pub(super) fn told(&self, now: Moment) -> Told {
        Told { now, offset_ms: self.clock.offset_ms }
    }

    fn retire(&mut self, ingest: &Ingest, retire: &proto::Retire, now: Moment) -> Result<(), Status> {
        self.set.retire(&retire.series, &retire.components, &retire.sources)?;
        self.must_start = true;
        if self.live {
            ingest.fleet.retire(&self.agent, self.link.number, &retire.components, now);
        }
        Ok(())
    }

    fn dropped(&mut self, ingest: &Ingest, dropped: &proto::Dropped, now: Moment) -> Result<(), Status> {
        if dropped.first == 0 || dropped.first > dropped.last {
            return Err(Status::invalid_argument("Dropped with first after last"));
        }
        let boot = dropped.boot.map_or(self.hello.boot, Boot::from);
        // Announced again where the agent does not know whether it was heard.
        let lost = self.agent.live.lock().losses.take(boot, dropped.first, dropped.last);
        if lost == 0 {
            return Ok(());
        }
        ingest.counters.lose_reports(lost);
        let event = Event::new(EventKind::ReportsDropped, now.wall_ms)
            .agent(&self.agent.id)
            .message(format!("the agent lost {lost} reports: {} to {}", dropped.first, dropped.last));
        tracing::warn!(agent.id = &*self.agent.id, lost, "an agent lost reports");
        ingest.outlet.publish(&Effects { events: vec![event], ..Effects::default() }, now);
        ingest.fleet.happened(&self.agent, AgentCondition::ReportsDropped, now);
        Ok(())
    }

    fn goodbye(&mut self, ingest: &Ingest, goodbye: &proto::Goodbye, now: Moment) -> Result<(), Status> {
        let kind = match goodbye.kind() {
            proto::goodbye::Kind::Workload => Farewell::Workload,
            proto::goodbye::Kind::Agent => Farewell::Agent,
            proto::goodbye::Kind::Failing => Farewell::Failing,
            proto::goodbye::Kind::Unspecified => {
                return Err(Status::invalid_argument("Goodbye without a kind"));
            }
        };
        let deadline_ms = goodbye.deadline_ms.min(600_000);
        ingest.fleet.goodbye(&self.agent, self.link.number, kind, deadline_ms, now);
        Ok(())
    }
}

/// The agent's live state, as long as this stream speaks for it.
fn speaking<'a>(agent: &'a Agent, link: &StreamLink) -> Result<MutexGuard<'a, Live>, Status> {
    let live = agent.live.lock();
    if live.is_linked(link.number) { Ok(live) } else { Err(replaced()) }
}

/// The end of a stream whose place was taken.
pub(super) fn replaced() -> Status {
    Status::aborted("another stream of this agent took its place, or the agent was forgotten")
}

/// The answer for entries that are not taken; counted and logged here.
fn refusal(ingest: &Ingest, agent: &str, refused: Vec<Refused>) -> Option<monitor_message::Kind> {
    if refused.is_empty() {
        return None;
    }
    Counters::add(&ingest.counters.definitions_refused, refused.len());
    let mut answer = proto::Refused::default();
    for entry in &refused {
        let (list, id, why) = match entry {
            Refused::Series { id, why, .. } => (&mut answer.series, id, why),
            Refused::Component { id, why } => (&mut answer.components, id, why),
        };
        list.push(*id);
        if answer.reason.is_empty() {
            answer.reason.clone_from(why);
        }
    }
    tracing::warn!(
        agent.id = agent,
        refused = refused.len(),
        reason = answer.reason,
        "definitions are refused"
    );
    Some(monitor_message::Kind::Refused(answer))
}

#[cfg(test)]
mod tests;
