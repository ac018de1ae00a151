//! From elements to alerts to what is told: after each batch of observations, and at each tick.

use super::alert::{self, Alert, Part};
use super::{Book, Due, Talk};
use crate::incident::{Entry, EntryKind, Incident};
use crate::output::{Act, AlertChange, ConversationId, ElementId, Keep, Output, Telling};
use crate::{AlertId, Conversation, Ending, Lane, Moment, Notice, Severity, Standing};
use std::sync::Arc;

/// Between two looks at one conversation lie so many milliseconds: what comes in a crowd is told in a crowd.
const LOOK_AGAIN_MS: u64 = 1_000;

impl Book {
    /// What its alerts' rule has to say of an element, now.
    fn part(&self, id: &ElementId, now: Moment) -> Option<Part> {
        let element = self.elements.get(id).filter(|element| element.is_active())?;
        let rule = self.rule(element.rule);
        let firing = element.firing();
        let audible = firing.is_some_and(|(severity, _)| {
            let alert = alert::id_of(rule, &id.labels);
            let labels =
                alert::labels_of(&AlertId { labels: id.labels.clone(), ..alert }, &rule.labels, severity);
            self.suppressor.holders(&id.rule, &id.labels).is_none()
                && self.mutes.muted(&labels, now.wall_ms).is_none()
        });
        Some(Part { firing, audible })
    }

    /// Counts an element into its alert anew, or out of it.
    pub(super) fn join(&mut self, alert: &AlertId, id: &ElementId, is_active: bool, now: Moment) {
        let part = if is_active { self.part(id, now) } else { None };
        let ending = self.elements.get(id).and_then(|element| element.ended);
        let entry = self.alerts.entry(alert.clone()).or_default();
        entry.set(id, part);
        if part.is_none() && ending.is_some() {
            entry.last_ending = ending;
        }
    }

    /// The alerts of one rule.
    pub(super) fn alerts_of(&self, rule: &str) -> impl Iterator<Item = (&AlertId, &Alert)> {
        let first = AlertId { rule: rule.into(), labels: crate::Labels::default() };
        let name: Arc<str> = Arc::clone(&first.rule);
        self.alerts.range(first..).take_while(move |(id, _)| id.rule == name)
    }

    /// Decides what becomes of every alert that may have changed, and steps the conversations that are about them.
    pub(super) fn flush(&mut self, now: Moment) {
        for id in std::mem::take(&mut self.dirty) {
            self.settle(&id, now);
        }
        for id in std::mem::take(&mut self.talking) {
            self.talk(&id, now);
        }
    }

    fn recheck(&mut self, id: &AlertId, now: Moment) {
        let Some(alert) = self.alerts.get_mut(id) else { return };
        if !std::mem::take(&mut alert.recheck) {
            return;
        }
        let elements: Vec<ElementId> = alert.parts.keys().cloned().collect();
        let parts: Vec<_> = elements.iter().map(|element| self.part(element, now)).collect();
        if let Some(alert) = self.alerts.get_mut(id) {
            for (element, part) in elements.iter().zip(parts) {
                alert.set(element, part);
            }
        }
    }

    fn settle(&mut self, id: &AlertId, now: Moment) {
        self.recheck(id, now);
        let Some(alert) = self.alerts.get_mut(id) else { return };
        let (worst, was, fired) = (alert.worst(), alert.severity, alert.is_firing());
        match worst {
            Some(severity) if !fired => self.begin(id, severity, now),
            Some(severity) if was != Some(severity) => self.turn(id, severity, now),
            None if fired => self.finish(id, now),
            _ => {}
        }
        self.hear(id, now);
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
        self.mutes.acknowledgements.remove(id);
        if kept {
            self.keep(Keep::Alert(id.clone(), None));
        }
    }

    /// It fires.
    fn begin(&mut self, id: &AlertId, severity: Severity, now: Moment) {
        let incident = self.incident_for(id, severity, now);
        let Some(alert) = self.alerts.get_mut(id) else { return };
        let since = alert.parts.values().filter_map(|part| Some(part.firing?.1)).min();
        let episode_ms = since.unwrap_or(now.wall_ms).max(alert.episode_ms.map_or(i64::MIN, |last| last + 1));
        alert.episode_ms = Some(episode_ms);
        (alert.severity, alert.ended, alert.was_audible) = (Some(severity), None, None);
        (alert.shown_until_ms, alert.last_ending) = (None, None);
        alert.incident = Some(Arc::clone(&incident));
        self.tell(id, AlertChange::Fired(severity), now, format!("{id} fires: {severity}"));
        self.enter(&incident, EntryKind::Fired, id, now, format!("fires: {severity}"));
        self.keep_alert(id);
        self.act(id, &incident, true, now);
    }

    /// It is worse, or less bad.
    fn turn(&mut self, id: &AlertId, severity: Severity, now: Moment) {
        let Some(alert) = self.alerts.get_mut(id) else { return };
        let raised = alert.severity.replace(severity) < Some(severity);
        let incident = alert.incident.clone();
        self.tell(id, AlertChange::Severity(severity), now, format!("{id} is {severity} now"));
        if let Some(incident) = incident {
            let kind = if raised { EntryKind::Raised } else { EntryKind::Fell };
            if let Some(known) = self.incidents.get_mut(&incident) {
                known.severity = known.severity.max(severity);
            }
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
        self.mutes.acknowledgements.remove(id);
        self.tell(id, AlertChange::Resolved(ending), now, format!("{id} is over: {}", ending.as_str()));
        self.keep_alert(id);
        let Some(incident) = incident else { return };
        self.enter(&incident, EntryKind::Resolved, id, now, format!("is over: {}", ending.as_str()));
        self.act(id, &incident, false, now);
        if let Some(known) = self.incidents.get_mut(&incident) {
            let over = known.leave(id, now.wall_ms);
            let kept = Keep::Incident(Arc::new(known.clone()));
            self.keep(kept);
            if over {
                self.incidents.remove(&incident);
            }
        }
    }

    /// The incident of an alert that begins: that of what holds it back, or one of its own.
    fn incident_for(&mut self, id: &AlertId, severity: Severity, now: Moment) -> Arc<str> {
        let cause =
            self.held_by(id).into_iter().find_map(|parent| self.alerts.get(&parent)?.incident.clone());
        if let Some(incident) = cause
            && let Some(known) = self.incidents.get_mut(&incident)
        {
            known.join(id, severity);
            let kept = Keep::Incident(Arc::new(known.clone()));
            self.keep(kept);
            return incident;
        }
        self.last_incident = now.wall_ms.max(self.last_incident + 1);
        let name: Arc<str> = format!("{}-{}", self.last_incident, id.rule).into();
        let incident = Incident::begin(Arc::clone(&name), id, severity, now.wall_ms);
        self.keep(Keep::Incident(Arc::new(incident.clone())));
        self.incidents.insert(Arc::clone(&name), incident);
        name
    }

    /// The alerts that hold all of an alert's elements back; none where one of them is free.
    pub(super) fn held_by(&self, id: &AlertId) -> Vec<AlertId> {
        let Some(alert) = self.alerts.get(id) else { return Vec::new() };
        let mut parents = Vec::new();
        for element in alert.parts.keys() {
            match self.suppressor.holders(&element.rule, &element.labels) {
                None => return Vec::new(),
                Some(held) => {
                    for parent in held.by {
                        let Some(rule) = self.orders.rules.rule(&parent.rule) else { continue };
                        let parent = alert::id_of(rule, &parent.labels);
                        if !parents.contains(&parent) && parents.len() < super::NAMED_AT_MOST {
                            parents.push(parent);
                        }
                    }
                }
            }
        }
        parents
    }

    /// Whether somebody may hear of it, and who.
    fn hear(&mut self, id: &AlertId, now: Moment) {
        let Some(alert) = self.alerts.get(id) else { return };
        let (Some(severity), Some(episode_ms)) = (alert.severity, alert.episode_ms) else { return };
        let acknowledged = self.mutes.acknowledged(id, episode_ms, severity, now.wall_ms);
        let audible = alert.any_audible() && !acknowledged;
        let was = alert.was_audible;
        let (firing, ended) = (alert.is_firing(), alert.ended.map(|(ending, _)| ending));
        let rule = self.orders.rules.rule(&id.rule).cloned();
        let rule_labels = rule.map(|rule| rule.labels.clone()).unwrap_or_default();
        let labels = alert::labels_of(id, &rule_labels, severity);
        let lanes = if firing { self.orders.tree.lanes(&labels) } else { Vec::new() };
        let standing = Standing { id: id.clone(), episode_ms, severity, routed: true, audible, ended };
        let Some(alert) = self.alerts.get_mut(id) else { return };
        alert.was_audible = Some(audible);
        let incident = alert.incident.clone();
        let mut talks = std::mem::take(&mut alert.talks);
        let here: Vec<ConversationId> =
            lanes.into_iter().map(|lane| self.say(lane, standing.clone(), now)).collect();
        for talk in talks.iter().filter(|talk| !here.contains(talk)) {
            self.unroute(talk, &standing, now);
        }
        talks.extend(here);
        talks.retain(|talk| self.talks.contains_key(talk));
        if let Some(alert) = self.alerts.get_mut(id) {
            alert.talks = talks;
        }
        if firing && was != Some(audible) && (was.is_some() || !audible) {
            self.tell(id, AlertChange::Held(!audible), now, self.why_quiet(id, now));
            let (kind, text) = match audible {
                true => (EntryKind::Released, "is not held back any more, and still fires".to_owned()),
                false => (EntryKind::Held, self.why_quiet(id, now)),
            };
            if let Some(incident) = incident {
                self.enter(&incident, kind, id, now, text);
            }
        }
    }

    /// How an alert stands is said in one conversation.
    fn say(&mut self, lane: Lane, standing: Standing, now: Moment) -> ConversationId {
        let id = ConversationId { receiver: lane.receiver, group: lane.group };
        let talk = self.talks.entry(id.clone()).or_insert_with(|| Talk::new(Conversation::default()));
        talk.waits = lane.waits;
        talk.route = lane.path;
        talk.put(standing);
        let at_ms = talk.look_ms(now);
        self.look(id.clone(), at_ms, now);
        id
    }

    /// An alert that ended, or whose routes lead elsewhere by now, is said to be so where it was told.
    fn unroute(&mut self, id: &ConversationId, standing: &Standing, now: Moment) {
        let Some(talk) = self.talks.get_mut(id) else { return };
        talk.put(Standing { routed: standing.ended.is_some(), ..standing.clone() });
        let at_ms = talk.look_ms(now);
        self.look(id.clone(), at_ms, now);
    }

    fn look(&mut self, id: ConversationId, at_ms: u64, now: Moment) {
        if at_ms <= now.run_ms {
            self.talking.insert(id);
        } else {
            self.plan(Some(at_ms), Due::Talk(id));
        }
    }

    fn talk(&mut self, id: &ConversationId, now: Moment) {
        let Some(talk) = self.talks.get_mut(id) else { return };
        let changed: Vec<Standing> = std::mem::take(&mut talk.changed).into_values().collect();
        talk.looked_ms = Some(now.run_ms);
        let notice = talk.conversation.change(&changed, &talk.waits, now);
        let (due_ms, idle) = (talk.conversation.due_ms(), talk.conversation.is_idle());
        let kept = notice.is_some().then(|| Box::new(talk.conversation.saved(now)));
        if let Some(notice) = notice {
            self.keep(Keep::Conversation(id.clone(), kept.filter(|_| !idle)));
            self.notify(id, notice, now);
        }
        if idle {
            self.talks.remove(id);
        } else {
            self.plan(due_ms.map(|due_ms| due_ms.max(now.run_ms + 1)), Due::Talk(id.clone()));
        }
    }

    fn notify(&mut self, id: &ConversationId, notice: Notice, now: Moment) {
        let firing = notice.firing.iter().map(|voiced| &voiced.id);
        let over = notice.resolved.iter().filter(|over| !over.again).map(|over| &over.id);
        let alerts = firing.chain(over).filter_map(|alert| self.view(alert, now)).collect();
        let telling = Telling { to: id.clone(), notice, alerts, at_ms: now.wall_ms };
        self.outputs.push(Output::Notify(Box::new(telling)));
    }

    fn act(&mut self, id: &AlertId, incident: &Arc<str>, firing: bool, _now: Moment) {
        let Some(rule) = self.orders.rules.rule(&id.rule).cloned() else { return };
        let Some(alert) = self.alerts.get(id) else { return };
        let (Some(episode_ms), Some(severity)) = (alert.episode_ms, alert.severity) else { return };
        for action in &rule.actions {
            let act = Act {
                action: Arc::clone(action),
                alert: id.clone(),
                episode_ms,
                labels: alert::labels_of(id, &rule.labels, severity),
                incident: Arc::clone(incident),
                firing,
            };
            self.outputs.push(Output::Act(act));
        }
    }

    pub(super) fn enter(
        &mut self,
        incident: &Arc<str>,
        kind: EntryKind,
        alert: &AlertId,
        now: Moment,
        text: String,
    ) {
        let entry = Entry { at_ms: now.wall_ms, kind, alert: Some(alert.clone()), text };
        self.outputs.push(Output::Entry(Arc::clone(incident), entry));
    }

    pub(super) fn keep_alert(&mut self, id: &AlertId) {
        let rule = self.orders.rules.rule(&id.rule).cloned();
        if let Some(saved) = self.alerts.get(id).and_then(|alert| alert.saved(rule.as_deref())) {
            self.keep(Keep::Alert(id.clone(), Some(saved)));
        }
    }
}

impl Talk {
    pub(super) fn new(conversation: Conversation) -> Self {
        Self {
            conversation,
            waits: crate::Waits::default(),
            route: "".into(),
            changed: std::collections::BTreeMap::new(),
            looked_ms: None,
        }
    }

    fn put(&mut self, standing: Standing) {
        self.changed.insert(standing.id.clone(), standing);
    }

    /// When to look at it for what just changed: at once, unless that was just done.
    fn look_ms(&self, now: Moment) -> u64 {
        self.looked_ms.map_or(now.run_ms, |looked| (looked + LOOK_AGAIN_MS).max(now.run_ms))
    }

    /// Whether the receiver believes that this alert fires, or waits to hear of it.
    fn owes(&self, id: &AlertId) -> bool {
        self.changed.contains_key(id) || self.conversation.told().any(|belief| belief.id == id)
    }
}
