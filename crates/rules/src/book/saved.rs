//! The book over a restart.

use super::alert::{self, Alert};
use super::element::Element;
use super::{Book, Due, Talk};
use crate::incident::Incident;
use crate::output::{ConversationId, ElementId, SavedAlert, SavedElement};
use crate::step::Life;
use crate::{Acknowledgement, AlertId, Conversation, Ending, Moment, SavedConversation, Silence, Window};
use std::sync::Arc;

/// What was kept of a book.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Elements that are not as any element is at first.
    pub elements: Vec<(ElementId, SavedElement)>,
    /// Alerts that fire or did a moment ago.
    pub alerts: Vec<(AlertId, SavedAlert)>,
    /// What receivers were told.
    pub conversations: Vec<(ConversationId, SavedConversation)>,
    /// Incidents that are not over.
    pub incidents: Vec<Incident>,
    /// Silences.
    pub silences: Vec<Silence>,
    /// Maintenance windows.
    pub windows: Vec<Window>,
    /// Acknowledgements.
    pub acknowledgements: Vec<Acknowledgement>,
}

impl Book {
    /// Takes in what was kept, as it was when the monitor was last alive (unix milliseconds). Timers stand still until
    /// there is news of what they measure; nothing that was told is told again. What lives under a rule that is gone or
    /// another ends as removed.
    pub fn restore(&mut self, saved: Saved, alive_until_wall_ms: i64, now: Moment) {
        let mutes = &mut self.mutes;
        (mutes.silences, mutes.windows) = (saved.silences, saved.windows);
        mutes.acknowledgements =
            saved.acknowledgements.into_iter().map(|ack| (ack.alert.clone(), ack)).collect();
        for incident in saved.incidents.into_iter().filter(|incident| incident.ended_ms.is_none()) {
            self.incidents.insert(Arc::clone(&incident.id), incident);
        }
        for (id, saved) in saved.conversations {
            let conversation = Conversation::restored(saved, alive_until_wall_ms, now);
            self.plan(conversation.due_ms().map(|due| due.max(now.run_ms)), Due::Talk(id.clone()));
            self.talks.insert(id, Talk::new(conversation));
        }
        for (id, saved) in &saved.alerts {
            let mut alert = Alert::restored(saved);
            alert.shown_until_ms = saved.ended.is_some().then(|| alert::shown_until_ms(now));
            alert.talks = self.talks_about(id);
            self.alerts.insert(id.clone(), alert);
        }
        let (known, gone): (Vec<_>, Vec<_>) = saved.elements.into_iter().partition(|(id, saved)| {
            let number = self.orders.rules.number(&id.rule);
            number.is_some_and(|number| self.orders.rules.fingerprint(number) == saved.fingerprint)
        });
        for (id, saved) in known {
            self.bring_back(id, saved, alive_until_wall_ms);
        }
        for (id, _) in gone {
            self.outputs.push(crate::Output::Keep(crate::Keep::Element(id, None)));
        }
        self.mutes.changed_by(i64::MAX);
        self.recount(now);
    }

    fn bring_back(&mut self, id: ElementId, saved: SavedElement, alive_until_wall_ms: i64) {
        let Some(number) = self.orders.rules.number(&id.rule) else { return };
        let element = Element {
            rule: number,
            fingerprint: saved.fingerprint,
            life: Life::restored(saved.life, alive_until_wall_ms),
            seen: saved.seen,
            fresh_until_ms: None,
            quiet_at_ms: None,
            ended: None,
        };
        if element.is_active() {
            self.suppressor.active(&id.rule, &id.labels);
        }
        if let Some(agent) = id.labels.get("agent") {
            self.by_agent.entry(Arc::clone(agent)).or_default().insert(id.clone());
        }
        self.elements.insert(id, element);
    }

    /// The parts of every alert from the elements that were brought back. An alert whose elements are all gone ends.
    fn recount(&mut self, now: Moment) {
        let active: Vec<ElementId> =
            self.elements.iter().filter(|(_, e)| e.is_active()).map(|(id, _)| id.clone()).collect();
        for id in active {
            let Some(element) = self.elements.get(&id) else { continue };
            let alert = alert::id_of(self.rule(element.rule), &id.labels);
            self.join(&alert, &id, true, now);
        }
        for (id, alert) in &mut self.alerts {
            if alert.parts.is_empty() {
                alert.last_ending = Some(Ending::Removed);
            }
            self.dirty.insert(id.clone());
        }
        self.flush(now);
    }

    fn talks_about(&self, id: &AlertId) -> std::collections::BTreeSet<ConversationId> {
        let about = self.talks.iter().filter(|(_, t)| t.conversation.told().any(|belief| belief.id == id));
        about.map(|(talk, _)| talk.clone()).collect()
    }
}
