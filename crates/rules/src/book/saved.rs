//! The book over a restart.

use super::alert::{self, Alert};
use super::element::Element;
use super::hold::Hold;
use super::{Book, Due, Talk};
use crate::incident::Incident;
use crate::output::{ConversationId, ElementId, SavedAlert, SavedElement};
use crate::step::Life;
use crate::{
    Acknowledgement, AlertId, Conversation, Ending, Keep, Moment, SavedConversation, Severity, Silence,
    Standing, Subject, Window,
};
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

/// For how long the monitor was away, and what that means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away {
    /// When it was last alive, unix milliseconds.
    pub alive_until_wall_ms: i64,
    /// Agents have so long to come back: until there is news of it, what was held back stays so.
    pub news_within_ms: u64,
}

impl Book {
    /// Takes in what was kept, as it was when the monitor was last alive. Timers stand still until
    /// there is news of what they measure; nothing that was told is told again. What lives under a rule that is gone or
    /// another ends as removed.
    pub fn restore(&mut self, saved: Saved, away: Away, now: Moment) {
        let mutes = &mut self.mutes;
        (mutes.silences, mutes.windows) = (saved.silences, saved.windows);
        mutes.acknowledgements =
            saved.acknowledgements.into_iter().map(|ack| (ack.alert.clone(), ack)).collect();
        self.mutes.plan(now.wall_ms);
        for incident in saved.incidents.into_iter().filter(|incident| incident.ended_ms.is_none()) {
            self.last_incident = self.last_incident.max(incident.began_ms);
            self.incidents.insert(Arc::clone(&incident.id), incident);
        }
        for (id, saved) in saved.conversations {
            let conversation = Conversation::restored(saved, away.alive_until_wall_ms, now);
            self.plan(conversation.due_ms().map(|due| due.max(now.run_ms)), Due::Talk(id.clone()));
            self.talks.insert(id, Talk::restored(conversation));
        }
        for (id, saved) in &saved.alerts {
            let mut alert = Alert::restored(saved);
            alert.shown_until_ms = saved.ended.is_some().then(|| alert::shown_until_ms(now));
            self.by_name.insert(id.to_string().into(), id.clone());
            self.alerts.insert(id.clone(), alert);
        }
        self.know_who_was_told();
        self.know_incidents();
        let firing = |id: &AlertId| self.alerts.get(id).is_some_and(Alert::is_firing);
        let acks = self.mutes.acknowledgements.keys();
        let over: Vec<AlertId> = acks.filter(|id| !firing(id)).cloned().collect();
        for id in over {
            self.drop_acknowledgement(&id);
        }
        let (known, gone): (Vec<_>, Vec<_>) = saved.elements.into_iter().partition(|(id, saved)| {
            let number = self.orders.rules.number(&id.rule);
            number.is_some_and(|number| self.orders.rules.fingerprint(number) == saved.fingerprint)
        });
        for (id, saved) in known {
            self.bring_back(id, saved, away, now);
        }
        self.keep_held(away, now);
        for (id, _) in gone {
            self.keep(Keep::Element(id, None));
        }
        self.skew_ms = None;
        self.recount(now);
        self.keep_all(now);
        // The first word of the fleet is not put off because all was looked at without it.
        self.talks.values_mut().for_each(Talk::listen);
        self.held.listen();
    }

    /// Keeps everything anew that counts by the wall clock: it was set, or the monitor did not run for a while.
    pub(super) fn keep_all(&mut self, now: Moment) {
        let elements: Vec<ElementId> = self.elements.keys().cloned().collect();
        for id in elements {
            self.keep_element(&id, now);
        }
        self.keep_talks(now);
    }

    fn bring_back(&mut self, id: ElementId, saved: SavedElement, away: Away, now: Moment) {
        let Some(number) = self.orders.rules.number(&id.rule) else { return };
        // What was wrong with the monitor was seen by another process: this one says it anew if it still is.
        let own = matches!(self.rule(number).subject, Subject::Monitor(_));
        let life = Life::restored(saved.life, away.alive_until_wall_ms);
        let hold = Hold::restored(saved.hold, &life, away, now);
        let mut element = Element {
            rule: number,
            fingerprint: saved.fingerprint,
            life,
            seen: saved.seen,
            fresh_until_ms: None,
            quiet_at_ms: (saved.happens || own).then(|| now.run_ms + super::QUIET_MS),
            gone_at_ms: None,
            hold,
            ended: None,
            planned_ms: None,
        };
        if element.hold_anew(&[], now) {
            self.suppressor.active(&id.rule, &id.labels);
        }
        self.put_element(id.clone(), element);
        self.let_go_on(&id, now);
        self.plan_element(&id);
    }

    /// What was held back stays so until there is news of it, though what held it is over by then.
    fn keep_held(&mut self, away: Away, now: Moment) {
        let is_held = |(id, element): &(&ElementId, &Element)| {
            element.firing().is_some() && self.suppressor.holders(&id.rule, &id.labels).is_some()
        };
        let held: Vec<ElementId> = self.elements.iter().filter(is_held).map(|(id, _)| id.clone()).collect();
        for id in held {
            if let Some(element) = self.elements.get_mut(&id) {
                element.stay_held(away, now);
            }
            self.plan_element(&id);
        }
    }

    /// The parts of every alert from the elements that were brought back. An alert whose elements are all gone ends.
    fn recount(&mut self, now: Moment) {
        let active: Vec<ElementId> =
            self.elements.iter().filter(|(_, e)| e.is_active()).map(|(id, _)| id.clone()).collect();
        for id in active {
            let Some(element) = self.elements.get(&id) else { continue };
            let alert = alert::id_of(self.rule(element.rule), &id.labels);
            self.join(&alert, &id, true);
        }
        for (id, alert) in &mut self.alerts {
            if alert.parts.is_empty() {
                alert.last_ending = Some(Ending::Removed);
            }
            self.dirty.insert(id.clone());
        }
        self.flush(now);
    }

    /// Which alerts each conversation is about. What a receiver was told of that is not known any more is over.
    fn know_who_was_told(&mut self) {
        for (talk_id, talk) in &mut self.talks {
            let mut lost: Vec<Standing> = Vec::new();
            for (id, belief) in talk.conversation.known() {
                match self.alerts.get_mut(id) {
                    Some(alert) => drop(alert.talks.insert(talk_id.clone())),
                    None => lost.push(Standing {
                        id: id.clone(),
                        // Every episode is over.
                        episode_ms: i64::MAX,
                        severity: Severity::Warning,
                        routed: true,
                        audible: false,
                        ended: Some(belief.and_then(|belief| belief.over).unwrap_or(Ending::Removed)),
                    }),
                }
            }
            if !lost.is_empty() {
                self.talking.insert(talk_id.clone());
            }
            lost.into_iter().for_each(|standing| talk.put(standing));
        }
    }
}
