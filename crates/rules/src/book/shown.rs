//! What the book shows to people who ask: each alert with its state, who was told of it, and how many there are of
//! what. Decides nothing.

use super::Book;
use super::alert::{self, Alert, Part};
use crate::incident::Incident;
use crate::output::{AlertView, ConversationId, ElementId, ElementView};
use crate::step::Phase;
use crate::{Acknowledgement, AlertId, Labels, Matcher, Moment, NAMED_AT_MOST, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Where an alert is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It is bad, not yet for long enough.
    Pending,
    /// It fires.
    Firing,
    /// It fired until a moment ago.
    Ended,
}

impl AlertState {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Ended => "ended",
        }
    }
}

/// An alert in short: enough to choose by.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertHead {
    /// Where it is.
    pub state: AlertState,
    /// How bad, or how bad it would be.
    pub severity: Severity,
    /// Its labels, those of its rule, `alertname` and `severity` among them.
    pub labels: Labels,
}

/// An alert with all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertShown {
    /// Where it is.
    pub state: AlertState,
    /// What it is. Of a pending one: since when it is bad, and how bad it would be.
    pub view: AlertView,
    /// Who takes care of it.
    pub acknowledged: Option<Acknowledgement>,
    /// Who was told, or is to be.
    pub told: Vec<ToldOf>,
}

/// One receiver's knowledge of one alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldOf {
    /// Who, and in which conversation.
    pub to: ConversationId,
    /// When it was first told of this episode, unix milliseconds; `None` where it was not told.
    pub told_ms: Option<i64>,
    /// In so many milliseconds it is told something of it, if nothing takes that along before.
    pub due_in_ms: Option<u64>,
}

/// How many elements of a rule are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElementCounts {
    /// Bad, not yet for long enough.
    pub pending: usize,
    /// Firing.
    pub firing: usize,
}

/// A conversation as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TalkShown {
    /// Which.
    pub id: ConversationId,
    /// So many alerts the receiver believes to be firing.
    pub told: usize,
    /// It is told something in so many milliseconds, if nothing changes.
    pub due_in_ms: Option<u64>,
    /// The place in the tree of the route that last led to it.
    pub route: Arc<str>,
}

impl Book {
    /// Every alert that is pending, fires or did a moment ago and comes after this one, in the order of their rules.
    pub fn all_after(&self, after: Option<&AlertId>) -> impl Iterator<Item = &AlertId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.alerts.range::<AlertId, _>((from, Bound::Unbounded));
        range.filter(|(_, alert)| state_of(alert).is_some()).map(|(id, _)| id)
    }

    /// An alert in short.
    #[must_use]
    pub fn head(&self, id: &AlertId) -> Option<AlertHead> {
        let alert = self.alerts.get(id)?;
        let state = state_of(alert)?;
        let severity = match state {
            AlertState::Pending => self.pending(alert).map_or(Severity::Warning, |(severity, _)| severity),
            AlertState::Firing | AlertState::Ended => alert.severity?,
        };
        Some(AlertHead { state, severity, labels: self.labels_shown(id, severity) })
    }

    /// An alert with all that is known of it.
    #[must_use]
    pub fn alert(&self, id: &AlertId, now: Moment) -> Option<AlertShown> {
        let alert = self.alerts.get(id)?;
        let state = state_of(alert)?;
        let view = match state {
            AlertState::Pending => self.pending_view(id, alert, now),
            AlertState::Firing | AlertState::Ended => self.view(id, now)?,
        };
        let acknowledged = self
            .acknowledgement(id)
            .filter(|ack| state == AlertState::Firing && ack.holds(view.since_ms, view.severity, now.wall_ms))
            .cloned();
        Some(AlertShown { state, acknowledged, told: self.told_of(id, alert, now), view })
    }

    fn labels_shown(&self, id: &AlertId, severity: Severity) -> Labels {
        let rule = self.rules().rule(&id.rule);
        alert::labels_of(id, &rule.map(|rule| rule.labels.clone()).unwrap_or_default(), severity)
    }

    /// How bad it would be, and since when it is bad.
    fn pending(&self, alert: &Alert) -> Option<(Severity, i64)> {
        let elements = alert.parts.keys().filter_map(|id| self.elements.get(id));
        let pending = elements.filter_map(|element| match element.life.phase() {
            Phase::Pending { severity, since_ms, .. } => Some((severity, since_ms)),
            Phase::Inactive | Phase::Firing { .. } => None,
        });
        pending.reduce(|a, b| (a.0.max(b.0), a.1.min(b.1)))
    }

    fn pending_view(&self, id: &AlertId, alert: &Alert, now: Moment) -> AlertView {
        let (severity, since_ms) = self.pending(alert).unwrap_or((Severity::Warning, now.wall_ms));
        let labels = self.labels_shown(id, severity);
        let named = alert.parts.keys().take(NAMED_AT_MOST).filter_map(|id| {
            let element = self.elements.get(id)?;
            let (labels, seen) = (id.labels.clone(), element.seen.clone());
            Some(ElementView { labels, seen, stale: element.life.is_stale() })
        });
        let elements: Vec<ElementView> = named.collect();
        let rule = self.rules().rule(&id.rule);
        AlertView {
            muted: self.mutes.shown(&labels),
            labels,
            severity,
            since_ms,
            ended: None,
            flapping: false,
            stale: !elements.is_empty() && elements.iter().all(|element| element.stale),
            elements_count: alert.parts.len(),
            elements,
            held_by: self.held_by(id).iter().map(ToString::to_string).collect(),
            acknowledged_by: None,
            holds_count: 0,
            holds: Vec::new(),
            annotations: rule.map(|rule| rule.annotations.clone()).unwrap_or_default(),
            incident: None,
            id: id.clone(),
        }
    }

    fn told_of(&self, id: &AlertId, alert: &Alert, now: Moment) -> Vec<ToldOf> {
        let talks = alert.talks.iter().filter_map(|to| Some((to, self.talks.get(to)?)));
        let told = talks.map(|(to, talk)| {
            let belief = talk.conversation.told().find(|belief| belief.id == id);
            let waiting = talk.conversation.waiting().find(|waiting| waiting.id == id);
            ToldOf {
                to: to.clone(),
                told_ms: belief.map(|belief| belief.told_ms),
                due_in_ms: waiting.map(|waiting| waiting.due_ms.saturating_sub(now.run_ms)),
            }
        });
        told.collect()
    }

    /// How many alerts are in which state, and how bad.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(AlertState, Severity), usize> {
        let mut counts = BTreeMap::new();
        for alert in self.alerts.values() {
            let Some(state) = state_of(alert) else { continue };
            let severity = match state {
                AlertState::Pending => self.pending(alert).map(|(severity, _)| severity),
                AlertState::Firing | AlertState::Ended => alert.severity,
            };
            *counts.entry((state, severity.unwrap_or(Severity::Warning))).or_default() += 1;
        }
        counts
    }

    /// How many elements of each rule are pending or firing; rules without any are left out.
    #[must_use]
    pub fn elements_by_rule(&self) -> BTreeMap<Arc<str>, ElementCounts> {
        let mut by_rule: BTreeMap<Arc<str>, ElementCounts> = BTreeMap::new();
        for (id, alert) in self.alerts.iter().filter(|(_, alert)| !alert.parts.is_empty()) {
            let counts = by_rule.entry(Arc::clone(&id.rule)).or_default();
            let firing = alert.firing_count();
            counts.firing += firing;
            counts.pending += alert.parts.len() - firing;
        }
        by_rule
    }

    /// How many alerts that fire these matchers are meant for: with every element, and with some only.
    #[must_use]
    pub fn meant(&self, matchers: &[Matcher]) -> (usize, usize) {
        let (mut whole, mut partly) = (0, 0);
        for (id, alert) in self.alerts.iter().filter(|(_, alert)| alert.is_firing()) {
            let firing = alert.parts.iter().filter_map(|(element, part)| Some((element, part.firing?.0)));
            let meant = firing
                .filter(|(element, severity)| {
                    let of = AlertId { rule: Arc::clone(&id.rule), labels: element.labels.clone() };
                    Matcher::all(matchers, &self.labels_shown(&of, *severity))
                })
                .count();
            match meant {
                0 => {}
                all if all == alert.firing_count() => whole += 1,
                _ => partly += 1,
            }
        }
        (whole, partly)
    }

    /// The elements of an alert that are pending or firing, those that fire first, or that fired until it ended; at most
    /// so many.
    #[must_use]
    pub fn elements_named(&self, id: &AlertId, most: usize) -> Vec<ElementId> {
        let Some(alert) = self.alerts.get(id) else { return Vec::new() };
        let which = |firing: bool| {
            let is = move |(_, part): &(&ElementId, &Part)| part.firing.is_some() == firing;
            alert.parts.iter().filter(is).map(|(id, _)| id.clone())
        };
        let left = alert.left.iter().filter(|_| alert.parts.is_empty());
        let left = left.map(|left| ElementId { rule: Arc::clone(&id.rule), labels: left.labels.clone() });
        which(true).chain(which(false)).chain(left).take(most).collect()
    }

    /// Incidents that are not over.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values()
    }

    /// The conversations with a receiver.
    pub fn conversations_with<'a>(
        &'a self,
        receiver: &'a str,
        now: Moment,
    ) -> impl Iterator<Item = TalkShown> + 'a {
        let with = self.talks.iter().filter(move |(id, _)| *id.receiver == *receiver);
        with.map(move |(id, talk)| TalkShown {
            id: id.clone(),
            told: talk.conversation.told().count(),
            due_in_ms: talk.conversation.due_ms().map(|due_ms| due_ms.saturating_sub(now.run_ms)),
            route: Arc::clone(&talk.route),
        })
    }
}

/// Where it is; `None` where there is nothing to show.
fn state_of(alert: &Alert) -> Option<AlertState> {
    if alert.is_firing() {
        return Some(AlertState::Firing);
    }
    if !alert.parts.is_empty() {
        return Some(AlertState::Pending);
    }
    alert.ended.map(|_| AlertState::Ended)
}
