//! What a receiver is told: one notice, complete in itself. It is what the ledger keeps, so its form is stable.

use farol_rules::{Ending, Labels, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most names that stand in one list of a message.
const LISTED: usize = 50;

/// One notice to one receiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The same each time this notice is sent: receivers tell a second copy by it.
    pub notice_id: String,
    /// The same for all notices of one group of alerts to one receiver.
    pub conversation: String,
    /// The receiver's name.
    pub receiver: String,
    /// What made it necessary.
    pub why: Why,
    /// The labels by which its alerts are grouped.
    pub group: Labels,
    /// The firing and the ended ones.
    pub alerts: Vec<AlertWord>,
    /// So many more are held back by what they depend on.
    pub held_back: u64,
    /// So many more alerts of the group stand in other notices of this moment: one alone would be too large.
    #[serde(default)]
    pub others: u64,
    /// The store refused: this notice is in memory only.
    pub unrecorded: bool,
    /// When it was decided, Unix milliseconds.
    pub at_ms: i64,
    /// Where people reach this monitor.
    pub external_url: Option<String>,
}

/// What made a notice necessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The group's first alert fires.
    First,
    /// More of its alerts fire.
    More,
    /// One became more severe.
    Raised,
    /// One became less severe.
    Fell,
    /// Nothing is new: a reminder.
    Repeat,
    /// Some or all have ended.
    Resolved,
    /// What was muted or held back fires still.
    Released,
}

/// One alert in a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertWord {
    /// The same as long as the alert goes on, another one when it fires anew.
    pub id: String,
    /// What commands and REST call it: the same as long as its rule and labels are.
    #[serde(default)]
    pub alert_id: String,
    /// The rule's name.
    pub rule: String,
    /// With `alertname` and `severity`.
    pub labels: Labels,
    /// How bad it is, or was.
    pub severity: Severity,
    /// Why it is over; nothing while it fires.
    pub ended: Option<Ending>,
    /// Since when, Unix milliseconds.
    pub since_ms: i64,
    /// Until when, Unix milliseconds.
    pub ended_ms: Option<i64>,
    /// The last value, where there is one.
    pub value: Option<f64>,
    /// Texts for people, rendered.
    pub annotations: BTreeMap<String, String>,
    /// What is in it: of one dead database, its 50 instances.
    pub elements: Listed,
    /// What it holds back.
    pub holds: Listed,
    /// The incident that it is part of, where that is known.
    #[serde(default)]
    pub incident: Option<String>,
}

/// Some names of many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The first of them.
    pub names: Vec<String>,
    /// How many there are.
    pub total: u64,
}

impl<T: Into<String>> FromIterator<T> for Listed {
    /// Keeps 50 and counts the rest.
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        let mut listed = Self::default();
        for name in names {
            if listed.names.len() < LISTED {
                listed.names.push(name.into());
            }
            listed.total += 1;
        }
        listed
    }
}

impl Listed {
    /// How many are not named.
    #[must_use]
    pub fn more(&self) -> u64 {
        self.total.saturating_sub(self.names.len() as u64)
    }
}

impl Message {
    /// Its alerts that fire.
    pub fn firing(&self) -> impl Iterator<Item = &AlertWord> {
        self.alerts.iter().filter(|alert| alert.ended.is_none())
    }

    /// Its alerts that are over.
    pub fn resolved(&self) -> impl Iterator<Item = &AlertWord> {
        self.alerts.iter().filter(|alert| alert.ended.is_some())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A notice without alerts, of the second 1.
    pub(in crate::notify) fn message(receiver: &str, conversation: &str, notice_id: &str) -> Message {
        Message {
            notice_id: notice_id.to_owned(),
            conversation: conversation.to_owned(),
            receiver: receiver.to_owned(),
            why: Why::First,
            group: Labels::from([("service", conversation)]),
            alerts: Vec::new(),
            held_back: 0,
            others: 0,
            unrecorded: false,
            at_ms: 1_000,
            external_url: None,
        }
    }

    #[test]
    fn long_lists_are_cut_and_counted() {
        let listed: Listed = (0..53).map(|i| format!("pod-{i}")).collect();
        assert_eq!((listed.names.len(), listed.total, listed.more()), (50, 53, 3));
        assert_eq!(Listed::from_iter(["a"]).more(), 0);
    }
}
