//! One component of one agent as the monitor knows it, and which status it shows. When it becomes stale is decided
//! by its agent's presence and by its own time to live.

use super::agent::Presence;
use super::effects::{Event, EventKind};
use super::planned::Until;
use crate::clock::Moment;
use crate::store::{ComponentKey, ComponentRecord, StatusChange};
use farol_health::Status;
use farol_health::aggregate::{Aggregate, Part};
use farol_rules::{ComponentSeen, Evidence, Labels, Observation, WindowMode};
use farol_wire::{ComponentDef, ComponentReport};
use std::sync::Arc;

/// What the monitor knows of a component.
#[derive(Clone, Debug)]
pub struct Component {
    /// The service, scope included.
    pub service: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Whether the instance depends on it.
    pub required: bool,
    /// Whether readiness asks it.
    pub readiness: bool,
    /// A status older than this is stale.
    pub ttl_ms: u32,
    /// The kind of its check.
    pub kind: Arc<str>,
    /// The last status that counted: it stays true beneath staleness and maintenance.
    pub hard: Status,
    /// What the last result said.
    pub soft: Status,
    /// The last result's code.
    pub reason: Arc<str>,
    /// The last result's words.
    pub message: Arc<str>,
    /// When the last result came, on the running clock: ages are measured from here.
    pub checked_run_ms: Option<u64>,
    /// The same on the wall clock, for people.
    pub checked_wall_ms: Option<i64>,
    /// When what it shows last changed.
    pub changed_wall_ms: i64,
    /// Nothing was heard of it for too long.
    pub stale: bool,
    /// The agent holds it under maintenance.
    pub maintenance: bool,
    /// The maintenance window that holds for it.
    pub(crate) planned: Option<Until>,
    /// A new boot says `starting`: until here on the running clock the last status stands.
    pub held_until_ms: Option<u64>,
    /// How bad it was when it was last known: what is bad does not go bad again.
    pub(crate) bad: Bad,
}

/// In what ways a component is bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bad {
    /// It is unhealthy, and not meant to be so.
    pub(crate) unhealthy: bool,
    /// Its agent is lost.
    pub(crate) lost: bool,
}

impl Bad {
    /// What is known of it by now; whether it went bad. Without evidence of now it is what it was.
    fn becomes(&mut self, presence: Presence, evidence: Evidence, hard: Status) -> bool {
        let before = *self;
        if let Evidence::Now | Evidence::Excused = evidence {
            self.unhealthy = evidence == Evidence::Now && hard == Status::Unhealthy;
        }
        if !matches!(presence, Presence::Restored { .. }) {
            self.lost = matches!(presence, Presence::Lost { .. });
        }
        (self.unhealthy && !before.unhealthy) || (self.lost && !before.lost)
    }
}

/// What others have been told of a component: when one part of it changes, they must hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// What it shows.
    pub(crate) shown: Aggregate,
    required: bool,
    readiness: bool,
    ttl_ms: u32,
    planned: Option<Until>,
}

impl Known {
    /// Whether a window mutes it.
    pub(crate) fn is_muted(self) -> bool {
        self.planned.is_some_and(|until| until.mode == WindowMode::Mute)
    }
}

impl Component {
    /// A component that was just defined and has said nothing.
    pub(crate) fn defined(def: &ComponentDef, service: Arc<str>, now: Moment) -> Self {
        Self {
            service,
            name: def.name.as_str().into(),
            required: def.required,
            readiness: def.readiness,
            ttl_ms: def.ttl_ms,
            kind: def.kind.as_str().into(),
            hard: Status::Unknown,
            soft: Status::Unknown,
            reason: "never_seen".into(),
            message: "".into(),
            checked_run_ms: None,
            checked_wall_ms: None,
            changed_wall_ms: now.wall_ms,
            stale: false,
            maintenance: false,
            planned: None,
            held_until_ms: None,
            bad: Bad::default(),
        }
    }

    /// Takes over what a Define says of a component known already; whether its check is of another kind now.
    pub(crate) fn redefine(&mut self, def: &ComponentDef) -> bool {
        self.required = def.required;
        self.readiness = def.readiness;
        self.ttl_ms = def.ttl_ms;
        let other_kind = *self.kind != *def.kind;
        if other_kind {
            self.kind = def.kind.as_str().into();
        }
        other_kind
    }

    /// Takes an agent's word. `checked` is the time of its last result on both clocks. A `starting` of a new boot
    /// changes nothing while the last status is held.
    pub(crate) fn tell(
        &mut self,
        report: ComponentReport,
        checked: Option<(u64, i64)>,
        restart_grace_ms: u64,
    ) {
        let knew = !matches!(self.hard, Status::Unknown | Status::Starting);
        if report.hard == Status::Starting && knew {
            let since = self.checked_run_ms.unwrap_or(0);
            let until = *self.held_until_ms.get_or_insert(since + restart_grace_ms);
            if checked.is_none_or(|(run_ms, _)| run_ms < until) && !self.stale {
                self.soft = report.soft;
                return;
            }
        }
        self.held_until_ms = None;
        self.hard = report.hard;
        self.soft = report.soft;
        if *self.reason != *report.reason {
            self.reason = report.reason.into();
        }
        if *self.message != *report.message {
            self.message = report.message.into();
        }
        self.maintenance = report.maintenance;
        match checked {
            Some((run_ms, wall_ms)) => {
                self.checked_run_ms = self.checked_run_ms.max(Some(run_ms));
                self.checked_wall_ms = self.checked_wall_ms.max(Some(wall_ms));
            }
            // A new boot that has no result yet: the age of the old one says nothing of it.
            None => self.checked_run_ms = None,
        }
    }

    /// The last status was held for long enough: what the new boot says counts.
    pub(crate) fn release(&mut self) {
        self.held_until_ms = None;
        self.hard = self.soft;
        self.reason = self.soft.as_str().into();
        self.message = "".into();
        self.checked_run_ms = None;
    }

    /// What it shows: unknown when stale.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.stale { Status::Unknown } else { self.hard }
    }

    /// A window drains it.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.planned.is_some_and(|until| until.mode == WindowMode::Drain)
    }

    /// A window mutes it: what it shows is true, and its uptime is not counted.
    #[must_use]
    pub fn is_muted(&self) -> bool {
        self.planned.is_some_and(|until| until.mode == WindowMode::Mute)
    }

    /// Whether it is under maintenance: its agent says so, or leaves, or a window drains it.
    #[must_use]
    pub fn is_left_out(&self, draining: bool) -> bool {
        self.maintenance || draining || self.is_drained()
    }

    /// What it shows, maintenance included. `draining` is the agent's.
    #[must_use]
    pub fn shown(&self, draining: bool) -> Aggregate {
        match self.is_left_out(draining) {
            true => Aggregate::Maintenance,
            false => Aggregate::Status(self.status()),
        }
    }

    /// What the alert rules are told of it. `evidence` is what its agent's presence makes of it.
    pub(crate) fn seen(&self, agent: &Labels, evidence: Evidence) -> Observation {
        Observation::Component(ComponentSeen {
            agent: agent.clone(),
            service: Arc::clone(&self.service),
            component: Arc::clone(&self.name),
            kind: Arc::clone(&self.kind),
            status: self.hard,
            evidence,
            reason: Arc::clone(&self.reason),
            message: Arc::clone(&self.message),
        })
    }

    /// Whether it went bad since this was asked last.
    pub(crate) fn goes_bad(&mut self, presence: Presence, evidence: Evidence) -> bool {
        self.bad.becomes(presence, evidence, self.hard)
    }

    /// What there is to tell of it.
    pub(crate) fn known(&self, draining: bool) -> Known {
        let Self { required, readiness, ttl_ms, planned, .. } = *self;
        Known { shown: self.shown(draining), required, readiness, ttl_ms, planned }
    }

    /// Whether its own time to live has passed. A result is told with the next report only, so that much later is not
    /// too late: a component may be checked more often than its agent reports.
    pub(crate) fn has_expired(&self, run_ms: u64, report_interval_ms: u32) -> bool {
        let lasts = u64::from(self.ttl_ms) + u64::from(report_interval_ms);
        self.checked_run_ms.is_some_and(|checked| run_ms.saturating_sub(checked) > lasts)
    }

    /// When time changes what it is, on the running clock, if nothing is heard of it until then.
    /// Only while its agent is there it expires by itself.
    pub(crate) fn due_ms(&self, is_here: bool, report_interval_ms: u32) -> u64 {
        let lasts = u64::from(self.ttl_ms) + u64::from(report_interval_ms);
        match (self.held_until_ms, self.checked_run_ms) {
            (Some(until_ms), _) => until_ms,
            (None, Some(checked_ms)) if is_here && !self.stale => {
                checked_ms.saturating_add(lasts).saturating_add(1)
            }
            _ => u64::MAX,
        }
    }

    pub(crate) fn part(&self, draining: bool) -> Part {
        Part { status: self.status(), required: self.required, drained: self.is_left_out(draining) }
    }

    pub(crate) fn key(&self, agent: &Arc<str>) -> ComponentKey {
        ComponentKey {
            agent: Arc::clone(agent),
            service: Arc::clone(&self.service),
            component: Arc::clone(&self.name),
        }
    }

    pub(crate) fn record(&self, agent: &Arc<str>) -> ComponentRecord {
        ComponentRecord {
            key: self.key(agent),
            required: self.required,
            readiness: self.readiness,
            ttl_ms: self.ttl_ms,
            kind: Arc::clone(&self.kind),
            hard: self.hard,
            soft: self.soft,
            reason: Arc::clone(&self.reason),
            message: Arc::clone(&self.message),
            checked_ms: self.checked_wall_ms,
            changed_ms: self.changed_wall_ms,
            stale: self.stale,
        }
    }

    /// That it shows something else now; `None` before its first word.
    pub(crate) fn event(
        &self,
        agent: &Arc<str>,
        from: Option<Aggregate>,
        to: Aggregate,
        at_ms: i64,
    ) -> Event {
        let from = from.map_or("none", Aggregate::as_str);
        let mut event = Event::new(EventKind::ComponentStatus, at_ms).agent(agent).change(from, to.as_str());
        event.service = Some(Arc::clone(&self.service));
        event.component = Some(Arc::clone(&self.name));
        // They are the last result's: where that does not count yet, they would tell why it is something else.
        if self.stale || self.soft == self.hard {
            event.reason = Some(self.shown_reason());
            event.message = (!self.message.is_empty()).then(|| Arc::clone(&self.message));
        }
        event
    }

    /// Why it shows what it shows.
    fn shown_reason(&self) -> Arc<str> {
        if self.stale { "stale".into() } else { Arc::clone(&self.reason) }
    }

    pub(crate) fn change(&self, agent: &Arc<str>, at_ms: i64, draining: bool) -> StatusChange {
        StatusChange {
            key: self.key(agent),
            at_ms,
            status: Some(self.status()),
            maintenance: self.is_left_out(draining),
            muted: self.is_muted(),
            stale: self.stale,
            reason: self.shown_reason(),
        }
    }

    /// As a restarting monitor finds it, whose agent was heard last at `last_seen_ms`.
    pub(crate) fn restored(record: &ComponentRecord, last_seen_ms: i64, report_interval_ms: u32) -> Self {
        // A record is written when a status changes, not at each check. One that was not stale when its agent was heard
        // last had been checked shortly before: within a report, or within the check's interval where that is longer,
        // which is a third of the time to live unless somebody decided otherwise.
        let ago_ms = i64::from(report_interval_ms.max(record.ttl_ms / 3));
        let is_known = !matches!(record.hard, Status::Unknown | Status::Starting);
        let since_ms = if record.stale || !is_known { i64::MIN } else { last_seen_ms.saturating_sub(ago_ms) };
        Self {
            service: Arc::clone(&record.key.service),
            name: Arc::clone(&record.key.component),
            required: record.required,
            readiness: record.readiness,
            ttl_ms: record.ttl_ms,
            kind: Arc::clone(&record.kind),
            hard: record.hard,
            soft: record.soft,
            reason: Arc::clone(&record.reason),
            message: Arc::clone(&record.message),
            checked_run_ms: None,
            checked_wall_ms: record.checked_ms.map(|at_ms| at_ms.max(since_ms)),
            changed_wall_ms: record.changed_ms,
            stale: record.stale,
            maintenance: false,
            planned: None,
            held_until_ms: None,
            bad: Bad { unhealthy: record.hard == Status::Unhealthy, lost: false },
        }
    }
}
