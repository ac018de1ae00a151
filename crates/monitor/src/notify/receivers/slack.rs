//! The kind `slack`: an incoming webhook, written in blocks. Whatever stands in labels mentions nobody, links nowhere
//! and is no markup: `&`, `<` and `>` are escaped, labels stand in code, and Slack is told to look for nothing.

use super::reading::{self, Address};
use super::{Failure, Receiver, Sent};
use crate::notify::egress::Egress;
use crate::notify::message::{AlertWord, Message};
use crate::notify::{text, wording};
use farol_config::Map;
use futures::future::BoxFuture;
use reqwest::Client;
use serde_json::{Value, json};

/// Slack takes 50 blocks: head, reason and end are the others.
const ALERTS: usize = 45;
/// The longest text of a section, which may hold 3000 characters.
const SECTION: usize = 2_900;
/// All sections together.
const ALL: usize = 12_000;
/// The longest text of a header, which may hold 150 characters.
const HEADER: usize = 140;

/// Where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    url: Address,
}

impl Settings {
    pub(super) fn read(m: &mut Map<'_>, egress: &Egress) -> Self {
        Self { url: reading::url(m, None, egress) }
    }
}

/// Sends to one webhook.
pub(super) struct Sender {
    url: Address,
    client: Client,
    egress: Egress,
}

impl Sender {
    pub(super) fn new(settings: &Settings, egress: &Egress) -> Result<Self, String> {
        let client = egress.client(&settings.url.0, None)?;
        Ok(Self { url: settings.url.clone(), client, egress: egress.clone() })
    }
}

impl Receiver for Sender {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Sent, Failure>> {
        Box::pin(async move {
            let url = &self.url.0;
            let request = self.client.post(url.clone()).json(&body(message));
            self.egress.send(url, request).await?.judge(url)?;
            Ok(Sent::default())
        })
    }
}

fn body(message: &Message) -> Value {
    let headline = format!("{}: {}", wording::state(message), wording::subject(message));
    let mut blocks = vec![json!({
        "type": "header",
        "text": {"type": "plain_text", "emoji": false, "text": fitted(&headline, HEADER)},
    })];
    if let Some(reason) = wording::reason(message) {
        blocks.push(context(reason.to_owned()));
    }
    let shown = message.alerts.len().min(ALERTS);
    let room = (ALL / shown.max(1)).min(SECTION);
    blocks.extend(message.alerts.iter().take(shown).map(|alert| {
        let text = section(message, alert, room);
        json!({"type": "section", "text": mrkdwn(text)})
    }));
    let mut end: Vec<String> = wording::remarks(message);
    if message.alerts.len() > shown {
        end.insert(0, format!("and {} more alerts", message.alerts.len() - shown));
    }
    if let Some(link) = wording::link(message) {
        end.push(format!("<{}|Farol>", escaped(link)));
    }
    if !end.is_empty() {
        blocks.push(context(end.join(" · ")));
    }
    json!({
        // What a phone shows, and what searches find.
        "text": fitted(&headline, HEADER),
        "mrkdwn": false,
        "parse": "none",
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

fn section(message: &Message, alert: &AlertWord, room: usize) -> String {
    let mut lines = vec![format!("*{}*", plain(&wording::head(alert)))];
    lines.extend(wording::summary(alert).map(|summary| plain(&summary)));
    let labels: Vec<String> = wording::labels(message, alert)
        .into_iter()
        .map(|(name, value)| format!("`{}`", escaped(&format!("{name}={value}")).replace('`', "\u{2cb}")))
        .collect();
    lines.extend((!labels.is_empty()).then(|| labels.join(" ")));
    lines.push(plain(&wording::times(alert)));
    lines.extend(wording::lists(alert).iter().map(|line| plain(line)));
    lines.extend(wording::annotations(alert).map(|(name, value)| plain(&format!("{name}: {value}"))));
    // Whole lines only: a cut would leave half an escape or an open code.
    let mut text = String::new();
    for line in lines {
        let used = text.chars().count();
        if used + line.chars().count() + 2 > room {
            if used == 0 {
                text = fitted(&wording::head(alert), room);
            }
            text.push_str("\n…");
            break;
        }
        if used > 0 {
            text.push('\n');
        }
        text.push_str(&line);
    }
    text
}

fn mrkdwn(text: String) -> Value {
    json!({"type": "mrkdwn", "verbatim": true, "text": text})
}

fn context(text: String) -> Value {
    json!({"type": "context", "elements": [mrkdwn(text)]})
}

/// Escaped and without markup: a word joiner keeps Slack from taking a mark as one.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in escaped(text).chars() {
        match c {
            '*' | '_' | '~' | '`' => plain.extend(['\u{2060}', c, '\u{2060}']),
            c => plain.push(c),
        }
    }
    plain
}

/// The three characters that are Slack's own.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Cut so that it fits when it is escaped.
fn fitted(text: &str, most: usize) -> String {
    let mut length = most;
    loop {
        let fits = escaped(&text::cut(text, length));
        if fits.chars().count() <= most || length == 0 {
            return fits;
        }
        length -= (length / 8).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::receivers::tests::{alert, hostile, message};

    #[test]
    fn the_limits_of_slack_hold_for_the_largest_message() {
        let mut one = alert("a", &"<&>`*_".repeat(40));
        one.annotations.insert("summary".into(), "<&>".repeat(3_000));
        one.annotations.insert("description".into(), "&".repeat(10_000));
        let body = body(&message(vec![one; 300]));
        let blocks = body["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50, "{}", blocks.len());
        for block in blocks {
            let text = block["text"]["text"].as_str().or(block["elements"][0]["text"].as_str()).unwrap();
            let most = if block["type"] == "header" { 150 } else { 3_000 };
            assert!((1..=most).contains(&text.chars().count()), "{block}");
        }
        let last = blocks.last().unwrap()["elements"][0]["text"].as_str().unwrap();
        assert!(last.contains("and 255 more alerts"), "{last}");
    }

    #[test]
    fn nothing_in_a_label_is_markup_a_mention_or_a_link() {
        let text = body(&hostile()).to_string();
        for markup in ["<!", "<@", "<script", "<http://evil", "\\u001b", "\u{202e}", "\\r"] {
            assert!(!text.contains(markup), "{markup} is in {text}");
        }
        for literal in ["{{ 7*7 }}", "${HOME}", "&lt;!everyone&gt;", "@channel", "&lt;script&gt;"] {
            assert!(text.contains(literal), "{literal} is not in {text}");
        }
        assert!(text.contains(r#""parse":"none""#) && text.contains(r#""verbatim":true"#));
        assert_eq!(text.matches("<https://farol.test/|Farol>").count(), 1, "our own link only");
    }
}
