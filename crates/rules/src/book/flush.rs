//! From elements to alerts: decides, after each batch of observations and at each tick, what fires, how bad, and whether
//! anybody is to hear of it.

use super::alert::{self, Alert, Part};
use super::element::Appearance;
use super::{Book, Due};
use crate::incident::EntryKind;
use crate::output::{Act, AlertChange, ElementId, ElementView, Keep, Output};
use crate::{AlertId, Ending, Moment, Severity, Standing};
use std::sync::Arc;

impl Book {
    /// What its alerts' rule has to say of an element, now.
    pub(super) fn part(&self, id: &ElementId) -> Option<Part> {
        let element = self.elements.get(id).filter(|element| element.is_active())?;
        let rule = self.rule(element.rule);
        let Some((severity, since_ms)) = element.firing() else {
            return Some(Part { firing: None, audible: false, held: false });
        };
        let stays_held = element.hold.held_until_ms.is_some();
        let held = stays_held || self.suppressor.holders(&id.rule, &id.labels).is_some();
        let of = AlertId { rule: Arc::clone(&id.rule), labels: id.labels.clone() };
        let muted = || self.mutes.muted(&alert::labels_of(&of, &rule.labels, severity)).is_some();
        Some(Part { firing: Some((severity, since_ms)), audible: !held && !muted(), held })
    }

    /// Counts an element into its alert anew, or out of it.
    pub(super) fn join(&mut self, alert: &AlertId, id: &ElementId, is_active: bool) {
        let part = if is_active { self.part(id) } else { None };
        let ending = self.elements.get(id).and_then(|element| element.ended);
        let entry = self.alerts.entry(alert.clone()).or_default();
        let held_before = entry.is_held();
        entry.set(id, part);
        if part.is_none() && ending.is_some() {
            entry.last_ending = ending;
        }
        if held_before || entry.is_held() {
            self.held.all();
        }
    }

    /// Keeps how an element was before it left its alert: who asks when the alert is over learns what was in it.
    pub(super) fn remember(&mut self, alert: &AlertId, id: &ElementId, was: &Appearance) {
        if let Some(alert) = self.alerts.get_mut(alert) {
            alert.remember(ElementView { labels: id.labels.clone(), seen: was.seen.clone(), stale: false });
        }
    }

    /// Decides what becomes of every alert that may have changed, and steps the conversations that are about them.
    pub(super) fn flush(&mut self, now: Moment) {
        for over in std::mem::take(&mut self.mutes.over) {
            self.keep(over);
        }
        self.look_at_held(now);
        for id in std::mem::take(&mut self.dirty) {
            self.settle(&id, now);
        }
        self.find_holding(now);
        for id in std::mem::take(&mut self.talking) {
            self.talk(&id, now);
        }
        self.keep_incidents(now);
    }

    /// Looks at its elements anew, if there is reason to. True if it did.
    fn recheck(&mut self, id: &AlertId) -> bool {
        let Some(alert) = self.alerts.get_mut(id) else { return false };
        // What somebody is about to hear of must not be held back by what came in the same breath.
        let begins = alert.any_audible() && alert.was_audible != Some(true);
        let anew = begins && self.held.may_differ(&id.rule);
        if !std::mem::take(&mut alert.recheck) && !anew {
            return false;
        }
        let elements: Vec<ElementId> = alert.parts.keys().cloned().collect();
        let parts: Vec<_> = elements.iter().map(|element| self.part(element)).collect();
        if let Some(alert) = self.alerts.get_mut(id) {
            for (element, part) in elements.iter().zip(parts) {
                alert.set(element, part);
            }
        }
        true
    }

    fn settle(&mut self, id: &AlertId, now: Moment) {
        let rechecked = self.recheck(id);
        let Some(alert) = self.alerts.get_mut(id) else { return };
        let (worst, was, fired) = (alert.worst(), alert.severity, alert.is_firing());
        match worst {
            Some(severity) if !fired => self.begin(id, severity, now),
            Some(severity) if was != Some(severity) => self.turn(id, severity, now),
            None if fired => self.finish(id, now),
            _ => {}
        }
        self.hear(id, rechecked, now);
        let Some(alert) = self.alerts.get(id) else { return };
        let over = !alert.is_firing() && alert.parts.is_empty();
        let shown = alert.shown_until_ms.is_some_and(|until| until > now.run_ms);
        let owed = alert.talks.iter().any(|talk| self.talks.get(talk).is_some_and(|talk| talk.owes(id)));
        if over && !shown && !owed {
            self.forget_alert(id);
        } else if over {
            let again = alert.shown_until_ms.filter(|_| shown).unwrap_or(now.run_ms + 60_000);
            self.plan(Some(again), Due::Alert(id.clone()));
        }
    }

    fn forget_alert(&mut self, id: &AlertId) {
        let kept = self.alerts.remove(id).is_some_and(|alert| alert.episode_ms.is_some());
        self.drop_acknowledgement(id);
        if kept {
            self.by_name.remove(&*id.to_string());
            self.keep(Keep::Alert(id.clone(), None));
        }
    }

    /// It fires.
    fn begin(&mut self, id: &AlertId, severity: Severity, now: Moment) {
        let incident = self.incident_for(id, severity, now);
        let rule = self.orders.rules.rule(&id.rule).cloned();
        let Some(alert) = self.alerts.get_mut(id) else { return };
        let since = alert.parts.values().filter_map(|part| Some(part.firing?.1)).min();
        let episode_ms = since.unwrap_or(now.wall_ms).max(alert.episode_ms.map_or(i64::MIN, |last| last + 1));
        if alert.episode_ms.replace(episode_ms).is_none() {
            self.by_name.insert(id.to_string().into(), id.clone());
        }
        (alert.severity, alert.ended, alert.was_audible) = (Some(severity), None, None);
        alert.to_act = true;
        (alert.shown_until_ms, alert.last_ending, alert.muted_by) = (None, None, None);
        alert.left.clear();
        alert.most = alert.firing_count();
        alert.incident = Some(Arc::clone(&incident));
        alert.rule_labels = rule.map(|rule| rule.labels.clone()).unwrap_or_default();
        self.tell(id, AlertChange::Fired(severity), now, format!("{id} fires: {severity}"));
        self.enter(&incident, EntryKind::Fired, id, now, format!("fires: {severity}"));
    }

    /// It is worse, or less bad.
    fn turn(&mut self, id: &AlertId, severity: Severity, now: Moment) {
        let Some(alert) = self.alerts.get_mut(id) else { return };
        let raised = alert.severity.replace(severity) < Some(severity);
        let incident = alert.incident.clone();
        self.tell(id, AlertChange::Severity(severity), now, format!("{id} is {severity} now"));
        if let Some(incident) = incident {
            let kind = if raised { EntryKind::Raised } else { EntryKind::Fell };
            self.worsen_incident(&incident, severity);
            self.enter(&incident, kind, id, now, format!("is {severity} now"));
        }
        self.keep_alert(id);
    }

    /// It is over.
    fn finish(&mut self, id: &AlertId, now: Moment) {
        let Some(alert) = self.alerts.get_mut(id) else { return };
        let ending = alert.last_ending.unwrap_or(Ending::Recovered);
        alert.ended = Some((ending, now.wall_ms));
        alert.shown_until_ms = Some(alert::shown_until_ms(now));
        let incident = alert.incident.clone();
        self.drop_acknowledgement(id);
        self.tell(id, AlertChange::Resolved(ending), now, format!("{id} is over: {}", ending.as_str()));
        self.keep_alert(id);
        let Some(incident) = incident else { return };
        self.enter(&incident, EntryKind::Resolved, id, now, format!("is over: {}", ending.as_str()));
        self.leave_incident(&incident, id, now);
    }

    /// Whether somebody may hear of it, and who.
    fn hear(&mut self, id: &AlertId, rechecked: bool, now: Moment) {
        let Some(alert) = self.alerts.get(id) else { return };
        let (Some(severity), Some(episode_ms)) = (alert.severity, alert.episode_ms) else { return };
        let (firing, ended) = (alert.is_firing(), alert.ended.map(|(ending, _)| ending));
        let acknowledged = firing && self.is_acknowledged(id, episode_ms, severity, now);
        let rule = self.orders.rules.rule(&id.rule).cloned();
        let Some(alert) = self.alerts.get_mut(id) else { return };
        if let Some(rule) = rule.filter(|_| firing) {
            alert.rule_labels.clone_from(&rule.labels);
        }
        let audible = alert.any_audible() && !acknowledged;
        let was = alert.was_audible.replace(audible);
        let acts = firing && audible && std::mem::take(&mut alert.to_act);
        let labels = alert::labels_of(id, &alert.rule_labels, severity);
        let lanes = if firing { self.orders.tree.lanes(&labels) } else { Vec::new() };
        let standing = Standing { id: id.clone(), episode_ms, severity, routed: true, audible, ended };
        self.voice(id, &standing, lanes, now);
        if !firing {
            return;
        }
        let otherwise = was != Some(audible);
        let muted_anew = (rechecked || otherwise) && self.note_mute(id, was, now);
        if otherwise && (was.is_some() || !audible) {
            self.hear_otherwise(id, audible, now);
        }
        if acts {
            self.act(id);
        }
        if otherwise || muted_anew || acts {
            self.keep_alert(id);
        }
    }

    /// It is held back or muted, or not any more.
    fn hear_otherwise(&mut self, id: &AlertId, audible: bool, now: Moment) {
        let why = self.why_quiet(id, now);
        let (kind, text) = match audible {
            true => (EntryKind::Released, "is not held back any more, and still fires".to_owned()),
            false => (EntryKind::Held, why.clone()),
        };
        self.tell(id, AlertChange::Held(!audible), now, why);
        self.held.all();
        if let Some(incident) = self.alerts.get(id).and_then(|alert| alert.incident.clone()) {
            self.enter(&incident, kind, id, now, text);
        }
    }

    /// Starts what its rule starts: of an episode at most once, and only once somebody could hear of it. What is planned,
    /// or comes of something else, is not acted on. That the alert ended is told whatever its rule says by then.
    fn act(&mut self, id: &AlertId) {
        let Some(rule) = self.orders.rules.rule(&id.rule).cloned() else { return };
        let Some(alert) = self.alerts.get(id) else { return };
        let (Some(episode_ms), Some(severity)) = (alert.episode_ms, alert.severity) else { return };
        let Some(incident) = alert.incident.clone() else { return };
        for action in &rule.actions {
            let act = Act {
                action: Arc::clone(action),
                alert: id.clone(),
                episode_ms,
                labels: alert::labels_of(id, &rule.labels, severity),
                incident: Arc::clone(&incident),
            };
            self.outputs.push(Output::Act(act));
        }
    }

    pub(super) fn keep_alert(&mut self, id: &AlertId) {
        if let Some(saved) = self.alerts.get(id).and_then(Alert::saved) {
            self.keep(Keep::Alert(id.clone(), Some(saved)));
        }
    }
}
