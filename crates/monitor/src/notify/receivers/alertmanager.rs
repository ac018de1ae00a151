//! The kind `alertmanager`: the v2 API of each of its peers, since they do not pass alerts on. Each peer is a receiver
//! of its own, so that none waits for another. The same alerts posted twice change nothing there.

use super::progress::Progress;
use super::reading::{self, Address};
use super::{Failure, Receiver, Sent};
use crate::notify::egress::{Egress, host};
use crate::notify::message::{AlertWord, Message, Why};
use crate::notify::{text, wording};
use farol_config::{Map, Secret};
use farol_rules::Severity;
use futures::future::BoxFuture;
use reqwest::{Client, Url};
use serde_json::{Map as Object, Value, json};
use std::time::Duration;

const PATH: &str = "api/v2/alerts";
/// So many alerts stand in one request.
const BATCH: usize = 64;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    url: Address,
    /// Its peers, until each of them is a receiver of its own.
    others: Vec<Address>,
    basic: Option<(String, Secret)>,
    ca: Option<Vec<u8>>,
    /// Without a word of ours it takes a firing alert as over after so long.
    valid_for: Duration,
}

impl Settings {
    pub(super) fn read(m: &mut Map<'_>, egress: &Egress) -> Self {
        let mut urls = Vec::new();
        let written = m.texts("urls");
        for text in &written {
            match reading::parse(text, egress).and_then(|address| endpoint(&address.0)) {
                Ok(url) => urls.push(Address(url)),
                Err(why) => m.problem("urls", format!("one of them {why}")),
            }
        }
        if written.is_empty() {
            m.problem("urls", "names no peer; write for instance `urls: [\"http://alertmanager:9093\"]`");
        }
        if (1..urls.len()).any(|i| urls[..i].contains(&urls[i])) {
            m.problem("urls", "names a peer twice; take one of them out");
        }
        // There is none only where there is a problem.
        let mut urls = urls.into_iter();
        let url = urls.next().unwrap_or_else(reading::stand_in);
        let (user, password) = (m.text("username").optional(), m.secret("password").optional());
        // A password whose file cannot be read is told by itself.
        if user.is_some() != (m.is_set("password") || m.is_set("password_file")) {
            m.problem("username", "and `password` stand together");
        }
        Self {
            url,
            others: urls.collect(),
            basic: user.zip(password),
            ca: reading::ca(m),
            valid_for: m.duration("valid_for").within(HOUR..=DAY * 62).or(DAY * 7),
        }
    }

    /// A firing alert is taken as over after so long.
    pub(super) fn valid_for(&self) -> Duration {
        self.valid_for
    }

    /// Each peer, under its host; from the second one with the same host, with a number.
    pub(super) fn peers(mut self) -> Vec<(String, Self)> {
        let others = std::mem::take(&mut self.others);
        let mut peers: Vec<(String, Self)> = Vec::with_capacity(others.len() + 1);
        for url in std::iter::once(self.url.clone()).chain(others) {
            let at = host(&url.0);
            let same = peers.iter().filter(|(_, peer)| host(&peer.url.0) == at).count();
            let name = if same == 0 { at } else { format!("{at}+{}", same + 1) };
            peers.push((name, Self { url, ..self.clone() }));
        }
        peers
    }
}

fn endpoint(base: &Url) -> Result<Url, String> {
    let mut base = base.clone();
    if base.query().is_some() || base.fragment().is_some() {
        return Err("has a query; name the place where its own pages begin".into());
    }
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    base.join(PATH).map_err(|_| "is no web address".into())
}

/// Sends to one peer.
pub(super) struct Sender {
    settings: Settings,
    client: Client,
    egress: Egress,
    progress: Progress,
}

impl Sender {
    pub(super) fn new(settings: &Settings, egress: &Egress) -> Result<Self, String> {
        let client = egress.client(&settings.url.0, settings.ca.as_deref())?;
        let (settings, egress) = (settings.clone(), egress.clone());
        Ok(Self { settings, client, egress, progress: Progress::default() })
    }

    /// One batch after the other; a second try sends only what was not taken.
    async fn all(&self, message: &Message) -> Result<Sent, Failure> {
        let (url, notice) = (&self.settings.url.0, &message.notice_id);
        let entries = entries(message, self.settings.valid_for);
        for (i, batch) in entries.chunks(BATCH).enumerate() {
            let part = i.to_string();
            if self.progress.is_done(notice, &part) {
                continue;
            }
            let mut request = self.client.post(url.clone()).json(batch);
            if let Some((user, password)) = &self.settings.basic {
                request = request.basic_auth(user, Some(password.expose()));
            }
            self.egress.send(url, request).await?.judge(url)?;
            self.progress.done(notice, &part);
        }
        self.progress.finish(notice);
        Ok(Sent::default())
    }
}

impl Receiver for Sender {
    fn kind(&self) -> &'static str {
        "alertmanager"
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Sent, Failure>> {
        Box::pin(self.all(message))
    }
}

fn entries(message: &Message, valid_for: Duration) -> Vec<Value> {
    let mut entries = Vec::new();
    for alert in &message.alerts {
        let fires = |other: &AlertWord| {
            other.ended.is_none() && other.rule == alert.rule && other.labels == alert.labels
        };
        // There it is one alert that goes on.
        if alert.ended.is_some() && message.alerts.iter().any(fires) {
            continue;
        }
        entries.push(entry(message, alert, alert.severity, alert.ended_ms, valid_for));
        // There the severity is part of what an alert is: the one with the other severity must end too. Not where none can
        // have changed, as an end of what never was would be news there.
        if alert.ended.is_some() || !matches!(message.why, Why::First | Why::Repeat | Why::Resolved) {
            let other = match alert.severity {
                Severity::Warning => Severity::Critical,
                Severity::Critical => Severity::Warning,
            };
            let ended = alert.ended_ms.unwrap_or(message.at_ms);
            entries.push(entry(message, alert, other, Some(ended), valid_for));
        }
    }
    entries
}

fn entry(
    message: &Message,
    alert: &AlertWord,
    severity: Severity,
    ended: Option<i64>,
    valid: Duration,
) -> Value {
    let valid = i64::try_from(valid.as_millis()).unwrap_or(i64::MAX);
    let ends = match (ended, alert.ended) {
        (Some(ended), _) => ended,
        (None, Some(_)) => message.at_ms,
        (None, None) => message.at_ms.saturating_add(valid),
    };
    let mut labels: Object<String, Value> =
        alert.labels.iter().map(|(name, value)| (label_name(name), Value::from(&**value))).collect();
    labels.insert("alertname".into(), alert.rule.clone().into());
    labels.insert("severity".into(), severity.as_str().into());
    let mut annotations: Object<String, Value> =
        alert.annotations.iter().map(|(name, value)| (label_name(name), text::lines(value).into())).collect();
    let lists = wording::lists(alert);
    if !lists.is_empty() {
        annotations.insert("farol_lists".into(), lists.join("\n").into());
    }
    if !alert.alert_id.is_empty() {
        annotations.insert("farol_alert_id".into(), alert.alert_id.clone().into());
    }
    if let Some(value) = alert.value {
        annotations.insert("farol_value".into(), value.to_string().into());
    }
    json!({
        "labels": labels,
        "annotations": annotations,
        // One that ends before it began is refused.
        "startsAt": wording::moment(alert.since_ms.min(ends)),
        "endsAt": wording::moment(ends),
        "generatorURL": wording::link(message).unwrap_or_default(),
    })
}

/// A name as the data model has it: letters, digits and `_`, no digit first.
fn label_name(name: &str) -> String {
    let mut good: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if good.is_empty() || good.starts_with(|c: char| c.is_ascii_digit()) {
        good.insert(0, '_');
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::receivers::tests::{alert, message};
    use farol_rules::Ending;

    #[test]
    fn a_firing_alert_stays_until_its_end_is_told_and_both_severities_end() {
        let mut told = message(vec![alert("a", "p")]);
        let found = entries(&told, HOUR);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["endsAt"], "2026-03-01T13:01:00Z");
        // Of several things a notice says the loudest: more of the group fires, and this one is a warning by now.
        for (why, severity, other) in [
            (Why::Raised, Severity::Critical, "warning"),
            (Why::More, Severity::Warning, "critical"),
            (Why::Released, Severity::Warning, "critical"),
        ] {
            (told.why, told.alerts[0].severity) = (why, severity);
            let found = entries(&told, HOUR);
            assert_eq!(
                (&found[1]["labels"]["severity"], &found[1]["endsAt"]),
                (&json!(other), &json!("2026-03-01T12:01:00Z")),
                "{why:?}"
            );
        }
        told.why = Why::Resolved;
        told.alerts[0].ended = Some(Ending::Recovered);
        told.alerts[0].ended_ms = Some(told.at_ms - 5_000);
        let found = entries(&told, HOUR);
        assert!(found.len() == 2 && found.iter().all(|entry| entry["endsAt"] == "2026-03-01T12:00:55Z"));
    }

    #[test]
    fn names_are_of_the_data_model() {
        for (name, expected) in [("pod", "pod"), ("a.b-c", "a_b_c"), ("1x", "_1x"), ("", "_"), ("ä", "_")] {
            assert_eq!(label_name(name), expected);
        }
        for (base, expected) in [
            ("http://am:9093", "http://am:9093/api/v2/alerts"),
            ("https://am/prefix", "https://am/prefix/api/v2/alerts"),
            ("https://am/prefix/", "https://am/prefix/api/v2/alerts"),
        ] {
            assert_eq!(endpoint(&Url::parse(base).unwrap()).unwrap().as_str(), expected);
        }
        assert!(endpoint(&Url::parse("http://am/?x=1").unwrap()).is_err());
    }
}
