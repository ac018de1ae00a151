//! From Hello to State: who it is, what it defines, how it all stands.

use super::super::backlog::Opened;
use super::super::identify;
use super::super::pace::{Allowance, ClockMap, Keys};
use super::course::Course;
use super::{Ingest, Open, Protocol, refusal};
use crate::clock::Moment;
use crate::fleet::{Agent, Connection, Effects, Event, EventKind, StreamLink};
use crate::nudges::{Nudges, Want};
use farol_rules::AgentCondition;
use farol_wire::proto::{self, monitor_message};
use farol_wire::{Boot, ComponentReport, Hello, PROTOCOL, component_report};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tonic::Status;

/// An open stream of another start must say something within this, or it is dead.
const PING_WITHIN: Duration = Duration::from_secs(2);

impl Protocol {
    /// Establishes who speaks, and welcomes it.
    pub(super) async fn hello(
        &mut self,
        hello: proto::Hello,
        outbox: &mut VecDeque<monitor_message::Kind>,
    ) -> Result<(), Status> {
        if self.open.is_some() {
            return Err(Status::invalid_argument("a second Hello on one stream"));
        }
        let mut hello = Hello::try_from(hello)?;
        let protocol = negotiate(hello.protocol)?;
        let ingest = Arc::clone(&self.ingest);
        let policy = ingest.policy.load_full();
        let id = identify(&self.peer, &hello.agent, &policy.trust)?;
        let (least, most) = policy.interval;
        let millis = |d: Duration| u32::try_from(d.as_millis()).unwrap_or(u32::MAX);
        hello.interval_ms = hello.interval_ms.clamp(millis(least), millis(most));
        if !hello.spooled.contains(&hello.boot) {
            hello.spooled.push(hello.boot);
        }
        // Before the place is taken: the one who has it may be waited for, and clocks are mapped by when Hello came.
        let heard = ingest.clock.now();
        let (agent, link) = connect(&ingest, id.as_str(), &hello, &self.nudges).await?;
        let now = ingest.clock.now();
        let resumed: BTreeMap<Boot, u64> =
            hello.spooled.iter().map(|boot| (*boot, ingest.journal.mark(agent.key, *boot))).collect();
        let resume = resumed.iter().map(|(boot, seq)| proto::Ack { boot: Some((*boot).into()), seq: *seq });
        outbox.push_back(monitor_message::Kind::Welcome(proto::Welcome {
            protocol,
            store_id: ingest.store_id.to_string(),
            resume: resume.collect(),
            limits: Some(policy.limits.into()),
            interval_ms: hello.interval_ms,
        }));
        let follower = ingest.journal.follow(agent.key, hello.boot);
        let mark = resumed.get(&hello.boot).copied().unwrap_or(0);
        tracing::debug!(agent.id = &*agent.id, agent.version = hello.version, peer.address = %self.peer.addr, "agent connected");
        self.open = Some(Open {
            clock: ClockMap::new(hello.clock_ms, heard.boot_ms),
            allowance: Allowance::of_messages(now.boot_ms),
            backlog_allowance: Allowance::of_backlog(now.boot_ms),
            new_sets: Allowance::of_new_sets(now.boot_ms),
            agent,
            link,
            course: Course::new(hello.boot, follower, mark, now.boot_ms),
            resumed,
            hello,
            hello_wall_ms: heard.wall_ms,
            set: Default::default(),
            layout: None,
            live: false,
            last_seq: 0,
            backlog: BTreeMap::new(),
            backlog_refused: false,
            parts: None,
            past: Default::default(),
            opened: Default::default(),
            must_start: true,
            asked_for_key: false,
            keys: Keys::default(),
            told_to_drain: None,
        });
        Ok(())
    }
}

fn negotiate((least, most): (u32, u32)) -> Result<u32, Status> {
    let best = most.min(*PROTOCOL.end());
    if best < least.max(*PROTOCOL.start()) {
        return Err(Status::failed_precondition(format!(
            "this monitor speaks protocol {} to {}, the agent {least} to {most}; upgrade the older one",
            PROTOCOL.start(),
            PROTOCOL.end()
        )));
    }
    Ok(best)
}

/// Takes the agent's place in the fleet. Another start that is alive keeps it.
async fn connect(
    ingest: &Ingest,
    id: &str,
    hello: &Hello,
    nudges: &Arc<Nudges>,
) -> Result<(Arc<Agent>, Arc<StreamLink>), Status> {
    let mut dead = None;
    loop {
        match ingest.fleet.connect(id, hello, ingest.clock.now(), nudges, dead) {
            Connection::Open(agent, link) => return Ok((agent, link)),
            Connection::Occupied(other) => {
                let before = other.heard.load(Ordering::Relaxed);
                other.nudges.want(Want::Ping);
                if answers(&other, before).await {
                    return Err(conflict(ingest, id));
                }
                dead = Some(other.number);
            }
        }
    }
}

async fn answers(link: &StreamLink, before: u64) -> bool {
    let heard = async {
        while link.heard.load(Ordering::Relaxed) == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PING_WITHIN, heard).await.is_ok()
}

fn conflict(ingest: &Ingest, id: &str) -> Status {
    let why = "two processes speak for this agent; give each its own `name`";
    let event =
        Event::new(EventKind::IdentityConflict, ingest.clock.now().wall_ms).agent(&id.into()).message(why);
    let now = ingest.clock.now();
    ingest.outlet.publish(&Effects { events: vec![event], ..Effects::default() }, now);
    if let Some(agent) = ingest.fleet.agent(id) {
        ingest.fleet.happened(&agent, AgentCondition::IdentityConflict, now);
    }
    Status::already_exists(format!("agent {id} has an open stream that answers: {why}"))
}

impl Open {
    pub(super) fn define(
        &mut self,
        ingest: &Ingest,
        define: proto::Define,
        outbox: &mut VecDeque<monitor_message::Kind>,
        now: Moment,
    ) -> Result<(), Status> {
        let (definition, refused) = farol_wire::define(define)?;
        let components = definition.components.clone();
        let refused = self.set.add(definition, refused, &ingest.policy.load().limits)?;
        outbox.extend(refusal(ingest, &self.agent.id, refused));
        self.must_start = true;
        if self.live {
            let taken: Vec<_> =
                components.into_iter().filter(|c| self.set.component(c.id) == Some(c)).collect();
            ingest.fleet.define(&self.agent, self.link.number, &taken, now);
        }
        Ok(())
    }

    /// Every component now. The first one ends the opening.
    pub(super) fn state(&mut self, ingest: &Ingest, state: proto::State, now: Moment) -> Result<(), Status> {
        if state.as_of < self.last_seq {
            return Err(Status::invalid_argument(format!(
                "State as of {} after report {}",
                state.as_of, self.last_seq
            )));
        }
        let statuses = self.statuses(state.components)?;
        let set = self.set.components();
        ingest.fleet.adopt(&self.agent, self.link.number, &set, statuses, self.told(now));
        if !self.live {
            self.opened = Opened { as_of: state.as_of, at_ms: now.wall_ms };
        }
        self.last_seq = state.as_of;
        self.live = true;
        Ok(())
    }

    /// Statuses of components that are defined. Those of refused ones go nowhere: the agent may not have heard of
    /// the refusal yet.
    pub(super) fn statuses(
        &self,
        entries: Vec<proto::ComponentStatus>,
    ) -> Result<Vec<ComponentReport>, Status> {
        entries
            .into_iter()
            .map(component_report)
            .filter(|report| !self.set.is_refused(report.id))
            .map(|report| match self.set.has_component(report.id) {
                true => Ok(report),
                false => Err(Status::invalid_argument(format!("component {} is not defined", report.id))),
            })
            .collect()
    }
}
