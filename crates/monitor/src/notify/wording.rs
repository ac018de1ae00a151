//! The words that receivers for people share. Plain text of one line each, with nothing hidden in it; escaping for a
//! format is left to the receiver.

use super::message::{AlertWord, Listed, Message, Why};
use super::text;
use jiff::Timestamp;

/// The most labels of an alert that are shown.
const LABELS: usize = 20;
/// The most names of a list that are shown to people.
const NAMES: usize = 10;
/// The longest name or value that is shown.
const WORD: usize = 120;

/// What the group is: `cpu_high service=pay`; the same for every notice of a conversation.
pub(super) fn subject(message: &Message) -> String {
    let words: Vec<String> = message
        .group
        .iter()
        .map(|(name, value)| match &**name {
            "alertname" => word(value),
            name => format!("{}={}", word(name), word(value)),
        })
        .collect();
    if words.is_empty() { format!("alerts for {}", word(&message.receiver)) } else { words.join(" ") }
}

/// What is so now: `FIRING 2, RESOLVED 1`.
pub(super) fn state(message: &Message) -> String {
    let (firing, resolved) = (message.firing().count(), message.resolved().count());
    match (firing, resolved) {
        (firing, 0) => format!("FIRING {firing}"),
        (0, resolved) => format!("RESOLVED {resolved}"),
        (firing, resolved) => format!("FIRING {firing}, RESOLVED {resolved}"),
    }
}

/// Why this comes now, where the state does not say it.
pub(super) fn reason(message: &Message) -> Option<&'static str> {
    match message.why {
        Why::First | Why::Resolved => None,
        Why::More => Some("more of the group fires"),
        Why::Raised => Some("more severe than before"),
        Why::Fell => Some("less severe than before, and still firing"),
        Why::Repeat => Some("reminder: still firing"),
        Why::Released => Some("no longer muted or held back, and still firing"),
    }
}

/// `critical cpu_high`, or `recovered cpu_high`.
pub(super) fn head(alert: &AlertWord) -> String {
    let state = alert.ended.map_or(alert.severity.as_str(), |ended| ended.as_str());
    format!("{state} {}", word(&alert.rule))
}

/// Labels that the head and the group do not say yet.
pub(super) fn labels(message: &Message, alert: &AlertWord) -> Vec<(String, String)> {
    let said = |name: &str| matches!(name, "alertname" | "severity") || message.group.get(name).is_some();
    let shown = alert.labels.iter().filter(|(name, _)| !said(name)).take(LABELS);
    shown.map(|(name, value)| (word(name), word(value))).collect()
}

/// `since 2026-03-01T12:00:00Z`, with the end, the value, and the id that commands take.
pub(super) fn times(alert: &AlertWord) -> String {
    let mut times = format!("since {}", moment(alert.since_ms));
    if let Some(ended) = alert.ended_ms {
        times.push_str(&format!(" until {}", moment(ended)));
    }
    if let Some(value) = alert.value {
        times.push_str(&format!(", value {value}"));
    }
    if !alert.alert_id.is_empty() {
        times.push_str(&format!(", id {}", word(&alert.alert_id)));
    }
    times
}

/// What is in an alert and what it holds back, a line each.
pub(super) fn lists(alert: &AlertWord) -> Vec<String> {
    let mut lines = Vec::new();
    // One element is the alert itself.
    if alert.elements.total > 1 {
        lines.push(format!("{} in it: {}", alert.elements.total, names(&alert.elements)));
    }
    if alert.holds.total > 0 {
        lines.push(format!("holds back {}: {}", alert.holds.total, names(&alert.holds)));
    }
    lines
}

/// What concerns the notice as a whole, a line each.
pub(super) fn remarks(message: &Message) -> Vec<String> {
    let mut lines = Vec::new();
    if message.others > 0 {
        lines.push(format!("{} more of the group in other notices of this moment", message.others));
    }
    if message.held_back > 0 {
        lines.push(format!("{} more held back by what they depend on", message.held_back));
    }
    if message.unrecorded {
        lines
            .push("unrecorded: the store refuses, this notice may come twice or be lost at a restart".into());
    }
    lines
}

/// The annotation that says in one line what is wrong.
pub(super) fn summary(alert: &AlertWord) -> Option<String> {
    let summary = alert.annotations.get("summary")?;
    Some(text::cut(&text::line(summary.trim_end()), 500).into_owned())
}

/// The other annotations.
pub(super) fn annotations(alert: &AlertWord) -> impl Iterator<Item = (String, String)> {
    let others = alert.annotations.iter().filter(|(name, _)| *name != "summary").take(LABELS);
    others.map(|(name, value)| (word(name), text::cut(&text::lines(value), 2_000).into_owned()))
}

/// RFC 3339 in UTC; a time that is none is shown as its number.
pub(super) fn moment(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.to_string())
}

/// Where this monitor is reached, if that is an address that a browser opens.
pub(super) fn link(message: &Message) -> Option<&str> {
    let link = message.external_url.as_deref()?;
    let web = link.starts_with("https://") || link.starts_with("http://");
    (web && !link.contains(|c: char| c.is_whitespace() || c.is_control() || "<>|\"'`".contains(c)))
        .then_some(link)
}

fn names(listed: &Listed) -> String {
    let shown: Vec<String> = listed.names.iter().take(NAMES).map(|name| word(name)).collect();
    let more = listed.total.saturating_sub(shown.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn word(text: &str) -> String {
    text::cut(&text::line(text), WORD).into_owned()
}
