//! Notices in words: the message that a receiver gets of a decision, and the event that those who watch get.

use super::names::{names, short_id};
use crate::fleet::{Event, EventKind};
use crate::notify::{AlertWord, Facts, Listed, Message, Templates, Why};
use farol_rules::{AlertChange, AlertEvent, AlertId, AlertView, Notice, Over, Ruleset, Telling};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Alerts of one notice: those of a larger group are told in several.
const ALERTS_AT_MOST: usize = 500;
/// And their bytes, nearly.
const BYTES_AT_MOST: usize = 512 << 10;

/// The rules' annotations, compiled, and what else stands in messages.
#[derive(Debug, Default)]
pub(super) struct Phrases {
    templates: HashMap<Arc<str>, Arc<Templates>>,
    /// Those of rules that the last configuration took away: the ends of their alerts are still to be told.
    gone: HashMap<Arc<str>, Arc<Templates>>,
    external_url: Option<String>,
}

impl Phrases {
    /// Compiles the templates of these rules.
    pub(super) fn new(rules: &Ruleset, external_url: Option<&str>) -> Result<Self, String> {
        let mut templates = HashMap::new();
        for rule in rules.rules() {
            let compiled = Templates::compile(&rule.annotations).map_err(|errors| {
                let errors = errors.iter().map(|e| format!("annotation `{}`: {e}", e.name));
                format!("rule `{}`: {}", rule.name, errors.collect::<Vec<_>>().join("; "))
            })?;
            templates.insert(Arc::clone(&rule.name), Arc::new(compiled));
        }
        Ok(Self { templates, gone: HashMap::new(), external_url: external_url.map(str::to_owned) })
    }

    /// These after others.
    pub(super) fn after(self, before: &Self) -> Self {
        let gone = before.templates.iter().filter(|(rule, _)| !self.templates.contains_key(*rule));
        let gone = gone.map(|(rule, templates)| (Arc::clone(rule), Arc::clone(templates))).collect();
        Self { gone, ..self }
    }

    /// The messages of a notice, in their order; nearly always one.
    pub(super) fn messages(&self, telling: &Telling, numbers: &AtomicU64) -> Vec<Message> {
        let Telling { to, notice, alerts, at_ms } = telling;
        let words = self.words(alerts, notice);
        let all = words.len();
        let message = |alerts: Vec<AlertWord>| Message {
            notice_id: format!("{at_ms}-{}-{}", numbers.fetch_add(1, Ordering::Relaxed), to.receiver),
            conversation: format!("{}{}#{}", to.receiver, to.group, notice.opened_ms),
            receiver: to.receiver.to_string(),
            why: why(notice.why),
            group: to.group.clone(),
            held_back: alerts.iter().map(|alert| alert.holds.total).sum(),
            others: (all - alerts.len()) as u64,
            alerts,
            unrecorded: false,
            at_ms: *at_ms,
            external_url: self.external_url.clone(),
        };
        parts(words).into_iter().map(message).collect()
    }

    /// The annotations of an alert, as its messages have them.
    pub(super) fn annotations(&self, alert: &AlertView) -> BTreeMap<String, String> {
        let rule = &alert.id.rule;
        let Some(templates) = self.templates.get(rule).or_else(|| self.gone.get(rule)) else {
            return BTreeMap::new();
        };
        templates.render(&Facts {
            rule: &alert.id.rule,
            labels: &alert.labels,
            severity: alert.severity,
            value: alert.elements.first().and_then(|element| element.seen.value),
            elements: &names(alert),
            count: alert.elements_count as u64,
            message: said(alert),
        })
    }

    /// What is over comes before what fires. That an alert was over in between, and fires again, is a word of its own:
    /// each has its id, and what was told as firing under one must be told to be over under the same.
    fn words(&self, alerts: &[AlertView], notice: &Notice) -> Vec<AlertWord> {
        let over: HashMap<&AlertId, &Over> =
            notice.resolved.iter().filter(|over| !over.again).map(|over| (&over.id, over)).collect();
        let views: HashMap<&AlertId, &AlertView> = alerts.iter().map(|alert| (&alert.id, alert)).collect();
        let again = notice.resolved.iter().filter(|over| over.again).filter_map(|over| {
            let now = self.word(views.get(&over.id)?, None, notice.at_ms);
            Some(AlertWord {
                id: word_id(&over.id, over.episode_ms),
                severity: over.severity,
                ended: Some(over.ending),
                since_ms: over.episode_ms,
                ended_ms: Some(now.since_ms.max(over.episode_ms)),
                holds: Listed::default(),
                incident: None,
                ..now
            })
        });
        let now = |alert: &AlertView| self.word(alert, over.get(&alert.id).copied(), notice.at_ms);
        again.chain(alerts.iter().map(now)).collect()
    }

    fn word(&self, alert: &AlertView, over: Option<&Over>, at_ms: i64) -> AlertWord {
        let names = names(alert);
        let value = alert.elements.first().and_then(|element| element.seen.value);
        let annotations = self.annotations(alert);
        let since_ms = over.map_or(alert.since_ms, |over| over.episode_ms);
        AlertWord {
            id: word_id(&alert.id, since_ms),
            alert_id: short_id(&alert.id),
            rule: alert.id.rule.to_string(),
            labels: alert.labels.clone(),
            severity: over.map_or(alert.severity, |over| over.severity),
            ended: over.map(|over| over.ending),
            since_ms,
            ended_ms: over.map(|_| alert.ended.map_or(at_ms, |(_, at_ms)| at_ms)),
            value,
            annotations,
            elements: Listed { names, total: alert.elements_count as u64 },
            holds: Listed { names: alert.holds.clone(), total: alert.holds_count as u64 },
            // An episode before this one may have been part of another.
            incident: alert.incident.as_deref().filter(|_| since_ms == alert.since_ms).map(str::to_owned),
        }
    }
}

/// What was last said of the first element that anything was said of; a code, where nobody said more.
fn said(alert: &AlertView) -> Option<&str> {
    let seen = || alert.elements.iter().map(|element| &element.seen);
    let messages = seen().filter_map(|seen| seen.message.as_deref());
    let reasons = seen().filter_map(|seen| seen.reason.as_deref());
    messages.chain(reasons).find(|said| !said.is_empty())
}

/// As many as fit into one notice each, in their order; never none.
fn parts(words: Vec<AlertWord>) -> Vec<Vec<AlertWord>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for word in words {
        let weight = weight(&word);
        if part.len() >= ALERTS_AT_MOST || (!part.is_empty() && bytes + weight > BYTES_AT_MOST) {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += weight;
        part.push(word);
    }
    parts.push(part);
    parts
}

/// What a word takes up, nearly.
fn weight(word: &AlertWord) -> usize {
    let labels: usize = word.labels.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
    let texts: usize = word.annotations.iter().map(|(name, text)| name.len() + text.len() + 6).sum();
    let names: usize = [&word.elements, &word.holds]
        .into_iter()
        .flat_map(|listed| &listed.names)
        .map(|name| name.len() + 3)
        .sum();
    word.id.len() + word.alert_id.len() + labels + texts + names + 256
}

/// What an alert is called in messages: the same as long as it goes on.
pub(crate) fn word_id(id: &AlertId, since_ms: i64) -> String {
    format!("{id}#{since_ms}")
}

fn why(why: farol_rules::Why) -> Why {
    match why {
        farol_rules::Why::First => Why::First,
        farol_rules::Why::More => Why::More,
        farol_rules::Why::Raised => Why::Raised,
        farol_rules::Why::Fell => Why::Fell,
        farol_rules::Why::Released => Why::Released,
        farol_rules::Why::Resolved => Why::Resolved,
        farol_rules::Why::Repeat => Why::Repeat,
    }
}

/// The event of a change; a pending alert is none.
pub(super) fn event(change: &AlertEvent) -> Option<Event> {
    let (kind, to, reason) = match change.change {
        AlertChange::Pending => return None,
        AlertChange::Fired(severity) => (EventKind::AlertFired, severity.as_str(), None),
        AlertChange::Severity(severity) => (EventKind::AlertSeverity, severity.as_str(), None),
        AlertChange::Resolved(ending) => (EventKind::AlertResolved, "resolved", Some(ending.as_str())),
        AlertChange::Held(true) => (EventKind::AlertHeld, "held", None),
        AlertChange::Held(false) => (EventKind::AlertHeld, "released", None),
    };
    let mut event = Event::new(kind, change.at_ms).message(change.text.as_str());
    let label = |name| change.id.labels.get(name).cloned();
    (event.agent, event.service, event.component) = (label("agent"), label("service"), label("component"));
    event.to = Some(to);
    event.reason = reason.map(Into::into);
    Some(event)
}
