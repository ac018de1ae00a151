//! The kind `pagerduty`: Events API v2, one event an alert, in order. An alert's id is the `dedup_key`, so what is sent
//! twice is one incident.

use super::progress::Progress;
use super::reading::{self, Address};
use super::{Failure, Receiver, Sent};
use crate::notify::egress::Egress;
use crate::notify::message::{AlertWord, Message};
use crate::notify::{text, wording};
use farol_config::{Map, Secret};
use futures::future::BoxFuture;
use reqwest::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

const ENQUEUE: &str = "https://events.pagerduty.com/v2/enqueue";
/// The largest event, in bytes.
const EVENT: usize = 512 << 10;
/// The longest summary, in characters.
const SUMMARY: usize = 1_024;
/// No event is begun later in one try: the rest goes in the next ones.
const ROUND: Duration = Duration::from_secs(5);

/// Where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    routing_key: Secret,
    url: Address,
}

impl Settings {
    pub(super) fn read(m: &mut Map<'_>, egress: &Egress) -> Self {
        let routing_key = m.secret("routing_key").check(|key| {
            let good = key.expose().bytes().all(|byte| byte.is_ascii_alphanumeric());
            if good { Ok(()) } else { Err("is no integration key; it has letters and digits only".into()) }
        });
        Self { routing_key: routing_key.required(), url: reading::url(m, Some(ENQUEUE), egress) }
    }
}

/// Sends to one service of PagerDuty.
pub(super) struct Sender {
    settings: Settings,
    client: Client,
    egress: Egress,
    progress: Progress,
}

impl Sender {
    pub(super) fn new(settings: &Settings, egress: &Egress) -> Result<Self, String> {
        let client = egress.client(&settings.url.0, None)?;
        Ok(Self { settings: settings.clone(), client, egress: egress.clone(), progress: Progress::default() })
    }

    /// A pause ends the round, so that the order holds; an event that is refused does not hold up the others.
    async fn all(&self, message: &Message) -> Result<Sent, Failure> {
        let (url, began) = (&self.settings.url.0, Instant::now());
        let (mut refused, mut taken, count) = (0, 0, message.alerts.len());
        for alert in &message.alerts {
            if self.progress.is_done(&message.notice_id, &alert.id) {
                continue;
            }
            if taken + refused > 0 && began.elapsed() > ROUND {
                let why =
                    format!("of {count} events {taken} were taken and {refused} refused, the others follow");
                return Err(Failure::Partly { taken: taken > 0, why, after: None });
            }
            let event = event(self.settings.routing_key.expose(), message, alert);
            let answer = self.egress.send(url, self.client.post(url.clone()).json(&event)).await;
            match answer.and_then(|answer| answer.judge(url)) {
                Ok(()) => {
                    self.progress.done(&message.notice_id, &alert.id);
                    taken += 1;
                }
                Err(Failure::Dead { why }) => {
                    self.progress.refused(&message.notice_id, &alert.id, why);
                    refused += 1;
                }
                Err(Failure::Retry { why, after }) if taken > 0 => {
                    let why = format!("{taken} of {count} events were taken, then: {why}");
                    return Err(Failure::Partly { taken: true, why, after });
                }
                Err(retry) => return Err(retry),
            }
        }
        match self.progress.finish(&message.notice_id) {
            None => Ok(Sent::default()),
            Some((refused, first)) => {
                Err(Failure::Dead { why: format!("{refused} of {count} events are refused: {first}") })
            }
        }
    }
}

impl Receiver for Sender {
    fn kind(&self) -> &'static str {
        "pagerduty"
    }

    fn has_episodes(&self) -> bool {
        true
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Sent, Failure>> {
        Box::pin(self.all(message))
    }
}

fn event(routing_key: &str, message: &Message, alert: &AlertWord) -> Value {
    // Shorter than the 255 characters that it may have.
    let key = super::token(&alert.id);
    if alert.ended.is_some() {
        return json!({"routing_key": routing_key, "event_action": "resolve", "dedup_key": key});
    }
    let summary = match wording::summary(alert) {
        Some(summary) => format!("{}: {summary}", text::line(&alert.rule)),
        None => format!("{} ({})", text::line(&alert.rule), wording::subject(message)),
    };
    let label = |name: &str| alert.labels.get(name).map(|value| text::line(value).into_owned());
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": key,
        "client": "Farol",
        "payload": {
            "summary": text::cut(&summary, SUMMARY),
            "source": label("agent").or_else(|| label("service")).unwrap_or_else(|| "farol".to_owned()),
            "severity": alert.severity.as_str(),
            "timestamp": wording::moment(alert.since_ms),
            "class": text::line(&alert.rule),
        },
    });
    let payload = &mut event["payload"];
    for (field, label_name) in [("component", "component"), ("group", "service")] {
        if let Some(value) = label(label_name) {
            payload[field] = value.into();
        }
    }
    payload["custom_details"] = details(message, alert);
    if let Some(link) = wording::link(message) {
        event["client_url"] = link.into();
    }
    if event.to_string().len() > EVENT {
        event["payload"]["custom_details"] = json!({"cut": "the details are too large"});
    }
    event
}

fn details(message: &Message, alert: &AlertWord) -> Value {
    let labels: BTreeMap<_, _> =
        alert.labels.iter().map(|(name, value)| (text::line(name), text::line(value))).collect();
    let shown = |names: &[String]| -> Vec<String> {
        names.iter().map(|name| text::line(name).into_owned()).collect()
    };
    json!({
        "alert_id": text::line(&alert.alert_id),
        "labels": labels,
        "value": alert.value,
        "annotations": wording::annotations(alert).collect::<BTreeMap<_, _>>(),
        "elements": shown(&alert.elements.names),
        "elements_total": alert.elements.total,
        "holds_back": shown(&alert.holds.names),
        "holds_back_total": alert.holds.total,
        "unrecorded": message.unrecorded,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::receivers::tests::{alert, hostile, message};

    #[test]
    fn an_event_stays_within_the_limits_and_keeps_its_key() {
        let mut one = alert(&"x".repeat(400), "pod");
        one.annotations.insert("summary".into(), "é".repeat(5_000));
        one.annotations.extend((0..20).map(|i| (format!("a{i:02}"), "x".repeat(16_000))));
        one.elements = (0..60).map(|_| "n".repeat(10_000)).collect();
        let event = event("key", &message(vec![one.clone()]), &one);
        assert!(event.to_string().len() <= EVENT, "{}", event.to_string().len());
        assert_eq!(event["payload"]["custom_details"]["cut"], "the details are too large");
        assert!(event["payload"]["summary"].as_str().unwrap().chars().count() <= SUMMARY);
        assert_eq!(event["dedup_key"].as_str().unwrap().len(), 64);
        one.ended = Some(farol_rules::Ending::Recovered);
        let resolve = super::event("key", &message(vec![one.clone()]), &one);
        assert_eq!(
            (&resolve["event_action"], &resolve["dedup_key"]),
            (&json!("resolve"), &event["dedup_key"])
        );
    }

    #[test]
    fn what_labels_hold_is_visible_text() {
        let message = hostile();
        let text = event("key", &message, &message.alerts[0]).to_string();
        for literal in ["{{ 7*7 }}", "${HOME}", "<script>", "@channel", "␛[31m", "␍␊Bcc", "[U+202E]"] {
            assert!(text.contains(literal), "{literal} is not in {text}");
        }
        assert!(!text.contains("\\u001b") && !text.contains("\\r"), "{text}");
    }
}
