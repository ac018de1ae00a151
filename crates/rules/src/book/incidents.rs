//! Incidents in the book: which one an alert belongs to, and when one is kept. One that many alerts join is kept once in
//! a while: who belongs to it stands in the alerts, too.

use super::{Book, Due, LOOK_AGAIN_MS};
use crate::incident::{Entry, EntryKind, Incident};
use crate::output::{Keep, Output};
use crate::{AlertId, Moment, Severity};
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
