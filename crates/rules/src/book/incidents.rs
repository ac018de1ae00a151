//! Incidents in the book: which one an alert belongs to, and when one is kept. One that many alerts join is kept once in
//! a while: who belongs to it stands in the alerts, too.

use super::alert;
use super::element::Appearance;
use super::{Book, Due, LOOK_AGAIN_MS};
use crate::incident::{Entry, EntryKind, Incident, STATUSES_AT_MOST};
use crate::output::{ElementId, Keep, Output};
use crate::step::Turn;
use crate::{AlertId, Ending, Moment, Severity};
use std::collections::HashMap;
use std::sync::Arc;

impl Book {
    /// The incident of an alert that begins: its own if that is still open, that of what holds it back, or a new one.
    /// What holds it back and does not fire yet will belong to the same.
    pub(super) fn incident_for(&mut self, id: &AlertId, severity: Severity, now: Moment) -> Arc<str> {
        let parents = self.held_by(id);
        let of = |id: &AlertId| self.alerts.get(id)?.incident.clone();
        let open = |incident: &Arc<str>| self.incidents.contains_key(incident);
        let own = of(id).filter(open);
        let is_cause = own.is_some() && self.alerts.get(id).is_some_and(|alert| alert.episode_ms.is_none());
        let known = own.or_else(|| parents.iter().find_map(|parent| of(parent).filter(open)));
        let incident = match known {
            Some(incident) => {
                if let Some(known) = self.incidents.get_mut(&incident) {
                    known.join(id, severity);
                    if is_cause {
                        known.cause = id.clone();
                    }
                }
                incident
            }
            None => self.open_incident(id, severity, now),
        };
        for parent in parents {
            if let Some(parent) = self.alerts.get_mut(&parent)
                && !parent.is_firing()
                && !parent.parts.is_empty()
            {
                parent.incident = Some(Arc::clone(&incident));
            }
        }
        self.incidents_anew.insert(Arc::clone(&incident));
        incident
    }

    fn open_incident(&mut self, id: &AlertId, severity: Severity, now: Moment) -> Arc<str> {
        self.last_incident = now.wall_ms.max(self.last_incident + 1);
        let name: Arc<str> = format!("{}-{}", self.last_incident, id.rule).into();
        let incident = Incident::begin(Arc::clone(&name), id, severity, now.wall_ms);
        self.incidents.insert(Arc::clone(&name), incident);
        name
    }

    /// One of its alerts is worse than before.
    pub(super) fn worsen_incident(&mut self, incident: &Arc<str>, severity: Severity) {
        let Some(known) = self.incidents.get_mut(incident) else { return };
        if known.severity < severity {
            known.severity = severity;
            self.incidents_anew.insert(Arc::clone(incident));
        }
    }

    /// One of its alerts ended.
    pub(super) fn leave_incident(&mut self, incident: &Arc<str>, id: &AlertId, now: Moment) {
        let Some(known) = self.incidents.get_mut(incident) else { return };
        if known.leave(id, now.wall_ms) {
            let kept = Keep::Incident(Arc::new(known.clone()));
            self.keep(kept);
            self.incidents.remove(incident);
            self.incidents_anew.remove(incident);
            self.incidents_waiting.remove(incident);
            self.incidents_kept.remove(incident);
        } else {
            self.incidents_anew.insert(Arc::clone(incident));
        }
    }

    /// Keeps what changed, each at most once a second.
    pub(super) fn keep_incidents(&mut self, now: Moment) {
        for id in std::mem::take(&mut self.incidents_anew) {
            let again_ms = self.incidents_kept.get(&id).map_or(0, |kept_ms| kept_ms + LOOK_AGAIN_MS);
            if again_ms > now.run_ms {
                if self.incidents_waiting.insert(Arc::clone(&id)) {
                    self.plan(Some(again_ms), Due::Incident(id));
                }
            } else if let Some(incident) = self.incidents.get(&id) {
                let kept = Keep::Incident(Arc::new(incident.clone()));
                self.keep(kept);
                self.incidents_kept.insert(id, now.run_ms);
            }
        }
    }

    /// After a restart: an incident's alerts are those that say so.
    pub(super) fn know_incidents(&mut self) {
        let mut firing: HashMap<Arc<str>, Vec<(AlertId, Severity)>> = HashMap::new();
        for (id, alert) in self.alerts.iter().filter(|(_, alert)| alert.is_firing()) {
            if let (Some(incident), Some(severity)) = (&alert.incident, alert.severity) {
                firing.entry(Arc::clone(incident)).or_default().push((id.clone(), severity));
            }
        }
        for (name, incident) in &mut self.incidents {
            incident.more.0 = 0;
            incident.alerts.values_mut().for_each(|fires| *fires = false);
            let seen = incident.more.1;
            for (id, severity) in firing.get(name).into_iter().flatten() {
                incident.join(id, *severity);
            }
            incident.more.1 = seen.max(incident.more.0);
        }
        let over = self.incidents.extract_if(|_, incident| !incident.is_open());
        let over: Vec<Incident> = over.map(|(_, incident)| incident).collect();
        for mut incident in over {
            let last = self.alerts.values().filter(|alert| alert.incident.as_ref() == Some(&incident.id));
            let ended = last.filter_map(|alert| Some(alert.ended?.1)).max();
            incident.ended_ms = Some(ended.unwrap_or(incident.began_ms));
            self.keep(Keep::Incident(Arc::new(incident)));
        }
    }

    /// An element of an alert that fires looks otherwise than before. Of a value, and of what is an alert of its own, the
    /// alert itself says so.
    pub(super) fn note_status(
        &mut self,
        alert: &AlertId,
        id: &ElementId,
        was: &Appearance,
        turns: &[Turn],
        now: Moment,
    ) {
        let Some(element) = self.elements.get(id) else { return };
        let is = element.appearance();
        let gone = turns.iter().find_map(|turn| match turn {
            Turn::Resolved(how) if *how != Ending::Recovered => Some(how.as_str()),
            _ => None,
        });
        let [before, after] = [was, &is].map(|looks| match &looks.seen.status {
            Some(status) => Some(&**status),
            None => looks.severity.map(Severity::as_str),
        });
        if (gone.is_none() && before == after)
            || (is.seen.status.is_none() && self.rule(element.rule).by.is_none())
        {
            return;
        }
        let firing = self.alerts.get(alert).filter(|alert| alert.is_firing());
        let Some(name) = firing.and_then(|alert| alert.incident.clone()) else { return };
        let Some(incident) = self.incidents.get_mut(&name) else { return };
        if incident.statuses > STATUSES_AT_MOST {
            return;
        }
        incident.statuses += 1;
        self.incidents_anew.insert(Arc::clone(&name));
        let is_full = incident.statuses > STATUSES_AT_MOST;
        let text = match (gone, before) {
            _ if is_full => "further changes of status are left out".to_owned(),
            (Some(how), _) => format!("{} is gone: {how}", id.labels),
            (None, None) => format!("{} is {}", id.labels, after.unwrap_or("recovered")),
            (None, Some(before)) => {
                format!("{} is {}, was {before}", id.labels, after.unwrap_or("recovered"))
            }
        };
        self.enter(&name, EntryKind::Status, alert, now, text);
    }

    /// What mutes an alert that fires is not what it was when that was last looked at. `before` says whether somebody
    /// could hear of it then: that nobody can any more is told by itself. False where it is the same.
    pub(super) fn note_mute(&mut self, id: &AlertId, before: Option<bool>, now: Moment) -> bool {
        let Some(alert) = self.alerts.get(id) else { return false };
        let Some(severity) = alert.severity else { return false };
        let muting = self.muting(alert, &alert::labels_of(id, &alert.rule_labels, severity));
        let muted = muting.as_ref().map(|muting| muting.by.to_string());
        let (incident, is_quiet) = (alert.incident.clone(), alert.was_audible == Some(false));
        let Some(alert) = self.alerts.get_mut(id) else { return false };
        let was = std::mem::replace(&mut alert.muted_by, muted.clone());
        if was == muted {
            return false;
        }
        let text = match (was, muting) {
            (Some(was), None) => {
                let ended = self.mutes.ended.as_ref().filter(|(what, _)| what.to_string() == was);
                let by = ended.map(|(_, by)| format!(": ended by {by}")).unwrap_or_default();
                format!("not muted by {was} any more{by}")
            }
            (None, Some(muting)) if is_quiet => format!("muted by {muting}"),
            (Some(was), Some(muting)) if is_quiet => format!("muted by {muting}; before that by {was}"),
            _ => return true,
        };
        if let Some(incident) = incident.filter(|_| before == Some(false)) {
            self.enter(&incident, EntryKind::Held, id, now, text);
        }
        true
    }

    /// Nobody takes care any more of an alert that still fires.
    pub(super) fn note_unacknowledged(&mut self, id: &AlertId, author: &str, why: &str, now: Moment) {
        let firing = self.alerts.get(id).filter(|alert| alert.is_firing());
        if let Some(incident) = firing.and_then(|alert| alert.incident.clone()) {
            let text = format!("{author} does not take care of it any more: {why}");
            self.enter(&incident, EntryKind::Unacknowledged, id, now, text);
        }
    }

    /// An alert began and ended too often to be told of each time.
    pub(super) fn note_flapping(&mut self, id: &AlertId, now: Moment) {
        let incident = self.alerts.get(id).and_then(|alert| alert.incident.clone());
        if let Some(incident) = incident {
            let text = "begins and ends too often: it fires until it is steady".to_owned();
            self.enter(&incident, EntryKind::Flapping, id, now, text);
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
}
