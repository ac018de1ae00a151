//! What the book says of itself: alerts for people and receivers, and why something fires or does not.

use super::Book;
use super::alert::{self, Alert};
use crate::output::{AlertView, ConversationId, ElementId, ElementView, MuteView};
use crate::step::{Phase, Timing};
use crate::{AlertId, Labels, Matcher, Moment, NAMED_AT_MOST, Rule};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Why something fires or does not, as far as the rules know.
#[derive(Clone, Debug)]
pub struct Why {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The element.
    pub element: ElementId,
    /// Where it stands; `None` where it is as any element is at first: nothing bad was seen.
    pub phase: Option<Phase>,
    /// What was last seen of it.
    pub seen: Option<crate::output::Seen>,
    /// Nothing was heard of it for too long.
    pub stale: bool,
    /// It is flapping.
    pub flapping: bool,
    /// How often it began or ended within the window of flapping.
    pub changes: usize,
    /// What holds it back.
    pub held_by: Vec<String>,
    /// What mutes it.
    pub muted: Option<MuteView>,
    /// The alert that it is part of.
    pub alert: AlertId,
    /// Who would be told, and where in the tree that stands.
    pub routes: Vec<(ConversationId, Arc<str>)>,
}

impl Book {
    /// Every alert that fires or did a moment ago, in the order of their rules.
    pub fn alerts(&self) -> impl Iterator<Item = &AlertId> {
        self.alerts.iter().filter(|(_, alert)| alert.episode_ms.is_some()).map(|(id, _)| id)
    }

    /// How many alerts fire.
    #[must_use]
    pub fn firing(&self) -> usize {
        self.alerts.values().filter(|alert| alert.is_firing()).count()
    }

    /// How many elements are pending or firing.
    #[must_use]
    pub fn active(&self) -> usize {
        self.alerts.values().map(|alert| alert.parts.len()).sum()
    }

    /// An alert as it is now.
    #[must_use]
    pub fn view(&self, id: &AlertId, now: Moment) -> Option<AlertView> {
        let alert = self.alerts.get(id)?;
        let (severity, since_ms) = (alert.severity?, alert.episode_ms?);
        let rule = self.orders.rules.rule(&id.rule);
        let labels = alert::labels_of(id, &alert.rule_labels, severity);
        let elements = match alert.ended {
            Some(_) => alert.left.iter().cloned().collect(),
            None => self.element_views(alert),
        };
        let most = if alert.ended.is_some() { alert.most } else { alert.firing_count() };
        let holds = self.holding.get(id);
        let ack = self.acknowledgement(id).filter(|ack| ack.holds(since_ms, severity, now.wall_ms));
        Some(AlertView {
            muted: self.muting(alert, &labels),
            labels,
            severity,
            since_ms,
            ended: alert.ended,
            flapping: self.any_flapping(alert),
            stale: !elements.is_empty() && elements.iter().all(|element| element.stale),
            elements_count: most.max(elements.len()),
            elements,
            held_by: self.held_by(id).iter().map(ToString::to_string).collect(),
            acknowledged_by: ack.map(|ack| ack.author.clone()),
            holds_count: holds.map_or(0, |holds| holds.count),
            holds: holds
                .map(|holds| holds.named.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            annotations: rule.map(|rule| rule.annotations.clone()).unwrap_or_default(),
            incident: alert.incident.clone(),
            id: id.clone(),
        })
    }

    fn element_views(&self, alert: &Alert) -> Vec<ElementView> {
        let firing = alert.parts.iter().filter(|(_, part)| part.firing.is_some());
        let named = firing.take(NAMED_AT_MOST).filter_map(|(id, _)| {
            let element = self.elements.get(id)?;
            let (labels, seen) = (id.labels.clone(), element.seen.clone());
            Some(ElementView { labels, seen, stale: element.life.is_stale() })
        });
        named.collect()
    }

    fn any_flapping(&self, alert: &Alert) -> bool {
        let mut elements = alert.parts.keys().take(NAMED_AT_MOST).filter_map(|id| self.elements.get(id));
        elements.any(|element| element.life.is_flapping())
    }

    /// What mutes an alert: as a whole, or else the first of its elements, if nobody hears of any.
    pub(super) fn muting(&self, alert: &Alert, labels: &Labels) -> Option<MuteView> {
        let whole = self.mutes.shown(labels);
        let quiet = alert.is_firing() && !alert.any_audible();
        let mut elements = alert.parts.iter().filter(|_| quiet).take(NAMED_AT_MOST);
        whole.or_else(|| {
            elements.find_map(|(id, part)| {
                let of = AlertId { rule: Arc::clone(&id.rule), labels: id.labels.clone() };
                self.mutes.shown(&alert::labels_of(&of, &alert.rule_labels, part.firing?.0))
            })
        })
    }

    /// Why somebody does not hear of an alert, or that they do.
    pub(super) fn why_quiet(&self, id: &AlertId, now: Moment) -> String {
        let Some(view) = self.view(id, now) else { return String::new() };
        let by = view.held_by.first().map(|parent| format!("held back by {parent}"));
        let by = by.or_else(|| view.muted.map(|muting| format!("muted by {muting}")));
        let by = by.or_else(|| view.acknowledged_by.map(|who| format!("acknowledged by {who}")));
        by.unwrap_or_else(|| "not held back".to_owned())
    }

    /// Why an element fires or does not, under one rule.
    #[must_use]
    pub fn why(&self, rule: &str, labels: &Labels, now: Moment) -> Option<Why> {
        let rule = Arc::clone(self.orders.rules.rule(rule)?);
        let id = ElementId { rule: Arc::clone(&rule.name), labels: labels.clone() };
        let element = self.elements.get(&id);
        let timing = Timing::from(&*rule);
        let alert = alert::id_of(&rule, labels);
        let severity = element.and_then(|e| e.firing()).map_or(crate::Severity::Critical, |(worst, _)| worst);
        let of_alert = alert::labels_of(&alert, &rule.labels, severity);
        let of_element =
            alert::labels_of(&AlertId { labels: labels.clone(), ..alert.clone() }, &rule.labels, severity);
        let lanes = self.orders.tree.lanes(&of_alert).into_iter();
        let held = self.suppressor.holders(&id.rule, labels);
        let held_by = held.into_iter().flat_map(|held| held.by);
        Some(Why {
            phase: element.map(|element| element.life.phase()),
            seen: element.map(|element| element.seen.clone()),
            stale: element.is_some_and(|element| element.life.is_stale()),
            flapping: element.is_some_and(|element| element.life.is_flapping()),
            changes: element.map_or(0, |element| element.life.changes_within(&timing, now)),
            held_by: held_by.map(|by| format!("{}{}", by.rule, by.labels)).collect(),
            muted: self.mutes.shown(&of_element),
            routes: lanes
                .map(|lane| (ConversationId { receiver: lane.receiver, group: lane.group }, lane.path))
                .collect(),
            rule,
            element: id,
            alert,
        })
    }

    /// The elements that are pending or firing and have all these labels.
    pub fn elements_with<'a>(&'a self, matchers: &'a [Matcher]) -> impl Iterator<Item = &'a ElementId> {
        self.elements.keys().filter(move |id| Matcher::all(matchers, &id.labels))
    }

    /// The incidents of alerts, by the ids under which receivers know them: `<alert>#<episode>`. An alert of which two
    /// episodes are named comes once.
    #[must_use]
    pub fn incidents_of(&self, words: &[String]) -> Vec<(Arc<str>, AlertId)> {
        let names: BTreeSet<&str> = words.iter().filter_map(|word| Some(word.rsplit_once('#')?.0)).collect();
        let known = names.into_iter().filter_map(|name| {
            let id = self.by_name.get(name)?;
            Some((self.alerts.get(id)?.incident.clone()?, id.clone()))
        });
        known.collect()
    }

    /// Whether it is known of now that an alert fires: of one of its elements there was news since the monitor started, or
    /// since data was missing.
    #[must_use]
    pub fn is_known_to_fire(&self, id: &AlertId) -> bool {
        let mut firing = self.alerts.get(id).into_iter().flat_map(|alert| &alert.parts);
        firing.any(|(id, part)| part.firing.is_some() && self.elements.get(id).is_some_and(|e| e.life.goes()))
    }

    /// The alert that receivers know by this id, whichever of its episodes is named.
    #[must_use]
    pub fn alert_of(&self, word: &str) -> Option<&AlertId> {
        self.by_name.get(word.rsplit_once('#')?.0)
    }

    /// Whether anything is known of an agent.
    #[must_use]
    pub fn knows(&self, agent: &str) -> bool {
        self.by_agent.contains_key(agent)
    }

    /// The agents of which anything is known.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_agent.keys()
    }

    /// Since when the alert of this name fires, unix milliseconds, if it does.
    #[must_use]
    pub fn firing_since_ms(&self, name: &str) -> Option<i64> {
        let alert = self.alerts.get(self.by_name.get(name)?)?;
        alert.episode_ms.filter(|_| alert.is_firing())
    }

    /// The elements of an alert.
    #[must_use]
    pub fn elements_of(&self, id: &AlertId) -> Vec<ElementId> {
        self.alerts.get(id).map(|alert| alert.parts.keys().cloned().collect()).unwrap_or_default()
    }
}
