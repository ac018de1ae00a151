//! Where everything goes that the fleet brings about: the ring of events, the journal, the log, and those who watch
//! statuses. Decides only how loud a line of the log is.

use crate::alerting::Alerting;
use crate::clock::Moment;
use crate::events::Events;
use crate::fleet::{Effects, Event, EventKind, Outlet};
use crate::journal::Journal;
use std::sync::Arc;
use tokio::sync::watch;

/// The monitor's outlet.
pub struct Publisher {
    events: Arc<Events>,
    journal: Journal,
    /// Rises when any status may read differently: gRPC watchers look then.
    generation: watch::Sender<u64>,
    /// What the alert rules make of it.
    alerting: Arc<Alerting>,
}

impl Publisher {
    /// Publishes to these; `generation` moves when any status may read differently.
    #[must_use]
    pub fn new(
        events: Arc<Events>,
        journal: Journal,
        generation: watch::Sender<u64>,
        alerting: Arc<Alerting>,
    ) -> Self {
        Self { events, journal, generation, alerting }
    }
}

impl Outlet for Publisher {
    fn publish(&self, effects: &Effects, now: Moment) {
        self.journal.effects(effects);
        self.events.push(effects);
        if effects.shown_changed || !effects.changes.is_empty() {
            self.generation.send_modify(|generation| *generation += 1);
        }
        for event in &effects.events {
            log(event);
        }
        self.alerting.observe(effects, now);
    }
}

/// Whether someone should look at it.
fn is_bad(event: &Event) -> bool {
    match event.kind {
        EventKind::AgentLost
        | EventKind::IdentityConflict
        | EventKind::ReportsDropped
        | EventKind::AlertFired => true,
        EventKind::Reload => event.message.is_some(),
        EventKind::ComponentStatus | EventKind::ServiceStatus | EventKind::GroupStatus => {
            // A component that was just defined is unknown until its first word.
            event.from != Some("none") && matches!(event.to, Some("unhealthy" | "unknown" | "degraded"))
        }
        _ => false,
    }
}

/// What the line says; constant for each kind.
fn words(kind: EventKind) -> &'static str {
    match kind {
        EventKind::AgentConnected => "an agent connected",
        EventKind::AgentDisconnected => "an agent disconnected",
        EventKind::AgentLost => "an agent is lost: what it said is stale",
        EventKind::AgentBack => "a lost agent is back",
        EventKind::AgentLeft => "an agent left with its workload",
        EventKind::AgentGoodbye => "an agent says that it stops",
        EventKind::AgentForgotten => "an agent is forgotten",
        EventKind::IdentityConflict => "two processes speak for one agent",
        EventKind::ClockMapped => "an agent's clock is mapped anew",
        EventKind::ReportsDropped => "reports of an agent are lost",
        EventKind::ComponentStatus => "a component shows another status",
        EventKind::ComponentRemoved => "a component is gone",
        EventKind::ServiceStatus => "a service shows another status",
        EventKind::GroupStatus => "a group shows another status",
        EventKind::Blind => "the monitor did not run for a while",
        EventKind::Store => "the store",
        EventKind::Reload => "the configuration was read again",
        EventKind::AlertFired => "an alert fires",
        EventKind::AlertSeverity => "an alert is worse or less bad",
        EventKind::AlertResolved => "an alert is over",
        EventKind::AlertHeld => "an alert is held back, or not any more",
    }
}

/// One line of the log for an event.
pub(crate) fn log(event: &Event) {
    let (agent, service) = (event.agent.as_deref(), event.service.as_deref());
    let (component, group) = (event.component.as_deref(), event.group.as_deref());
    let Event { kind, from, to, .. } = event;
    let (from, to, reason, detail) = (*from, *to, event.reason.as_deref(), event.message.as_deref());
    // Each problem of a refused configuration has a line of its own already.
    let refused = *kind == EventKind::Reload && reason == Some("refused");
    let (words, detail) = if refused {
        ("the configuration is refused; the old one stays", None)
    } else {
        (words(*kind), detail)
    };
    if is_bad(event) {
        tracing::warn!(
            agent.id = agent,
            service.name = service,
            component.name = component,
            group.name = group,
            from,
            to,
            reason,
            detail,
            "{words}"
        );
    } else {
        tracing::info!(
            agent.id = agent,
            service.name = service,
            component.name = component,
            group.name = group,
            from,
            to,
            reason,
            detail,
            "{words}"
        );
    }
}
