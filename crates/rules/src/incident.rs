//! Incidents: alerts of one cause on one time line. An alert that is held back belongs to what holds it; any other is a
//! cause of its own.

use crate::{AlertId, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many alerts of one incident are named; more are counted.
pub const ALERTS_AT_MOST: usize = 1_000;

/// So many changes of status stand on one time line: what never rests does not push out the rest.
pub(crate) const STATUSES_AT_MOST: u32 = 500;

/// One cause, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its id: unique for ever.
    pub id: Arc<str>,
    /// The alert that began it.
    pub cause: AlertId,
    /// The worst that any of its alerts was.
    pub severity: Severity,
    /// When it began, unix milliseconds.
    pub began_ms: i64,
    /// When its last alert ended.
    pub ended_ms: Option<i64>,
    /// Its alerts, and which of them are still firing.
    #[serde(with = "pairs")]
    pub alerts: BTreeMap<AlertId, bool>,
    /// Alerts beyond those that are named: still firing, and ever.
    pub more: (u32, u32),
    /// Changes of status that stand on its time line.
    #[serde(default)]
    pub statuses: u32,
}

/// Maps whose keys are no texts, as lists of pairs.
mod pairs {
    use crate::AlertId;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<AlertId, bool>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<AlertId, bool>, D::Error> {
        Ok(Vec::<(AlertId, bool)>::deserialize(deserializer)?.into_iter().collect())
    }
}

impl Incident {
    /// An alert fires, and nothing holds it back.
    #[must_use]
    pub fn begin(id: Arc<str>, cause: &AlertId, severity: Severity, at_ms: i64) -> Self {
        let alerts = BTreeMap::from([(cause.clone(), true)]);
        Self {
            id,
            cause: cause.clone(),
            severity,
            began_ms: at_ms,
            ended_ms: None,
            alerts,
            more: (0, 0),
            statuses: 0,
        }
    }

    /// Another alert fires because of the same, or one that ended fires again.
    pub fn join(&mut self, alert: &AlertId, severity: Severity) {
        self.severity = self.severity.max(severity);
        self.ended_ms = None;
        let named = self.alerts.contains_key(alert) || self.alerts.len() < ALERTS_AT_MOST;
        if named {
            self.alerts.insert(alert.clone(), true);
        } else {
            self.more = (self.more.0 + 1, self.more.1 + 1);
        }
    }

    /// Whether any of its alerts fires.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.more.0 > 0 || self.alerts.values().any(|fires| *fires)
    }

    /// One of its alerts ended. True when it was the last.
    pub fn leave(&mut self, alert: &AlertId, at_ms: i64) -> bool {
        match self.alerts.get_mut(alert) {
            Some(fires) => *fires = false,
            None => self.more.0 = self.more.0.saturating_sub(1),
        }
        let over = !self.is_open();
        if over {
            self.ended_ms = Some(at_ms);
        }
        over
    }
}

/// One line of an incident's time line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, unix milliseconds.
    pub at_ms: i64,
    /// What.
    pub kind: EntryKind,
    /// The alert it is about.
    pub alert: Option<AlertId>,
    /// For people.
    pub text: String,
}

/// What stands on a time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// An alert began.
    Fired,
    /// An alert became worse.
    Raised,
    /// An alert became less bad.
    Fell,
    /// An alert is over.
    Resolved,
    /// An alert is held back, silenced or in maintenance.
    Held,
    /// It is not any more, and still fires.
    Released,
    /// An alert changes too often to be told of each time.
    Flapping,
    /// Somebody was told, or could not be.
    Notified,
    /// Somebody takes care of it.
    Acknowledged,
    /// Nobody does any more, although it still fires.
    Unacknowledged,
    /// An action was started, refused, or ended.
    Action,
    /// The status of one of its elements changed.
    Status,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labels;

    #[test]
    fn an_incident_lasts_until_its_last_alert_is_over_however_many_there_are() {
        let alert =
            |n: usize| AlertId { rule: "down".into(), labels: Labels::from([("n", &*n.to_string())]) };
        let mut incident = Incident::begin("i-1".into(), &alert(0), Severity::Warning, 5);
        for n in 1..ALERTS_AT_MOST + 3 {
            incident.join(&alert(n), Severity::Critical);
        }
        assert_eq!((incident.severity, incident.more), (Severity::Critical, (3, 3)));
        for n in 0..ALERTS_AT_MOST + 2 {
            assert!(!incident.leave(&alert(n), 6), "{n}");
        }
        assert!(incident.leave(&alert(ALERTS_AT_MOST + 2), 7));
        assert_eq!(incident.ended_ms, Some(7));
        let text = serde_json::to_string(&incident).unwrap();
        assert_eq!(serde_json::from_str::<Incident>(&text).unwrap(), incident);
    }
}
